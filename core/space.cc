#include "core/space.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <new>

#include "core/base/check.h"
#include "core/stream_state.h"
#include "index/flat_threshold.h"

namespace engram {

Space::Space(Origin origin, size_t lane, std::shared_ptr<Series> series)
    : origin_(std::move(origin)),
      lane_(lane),
      series_(std::move(series)),
      records_(origin_.keeps_contents),
      applied_position_(origin_.id),
      max_rate_(origin_.config.max_rate),
      quota_observations_(origin_.config.quota_observations),
      quota_bytes_(origin_.config.quota_bytes),
      ef_search_(origin_.config.ef_search) {
  if (origin_.config.dimension != 0) ENGRAM_CHECK(FixDimension(origin_.config.dimension).ok());
}

Space::~Space() = default;

IndexOptions Space::IndexOptionsFor(uint32_t dimension) const {
  IndexOptions options;
  options.metric = origin_.config.metric;
  options.dimension = dimension;
  const auto& threshold = origin_.config.flat_threshold;
  options.flat_threshold = threshold ? *threshold : TunedFlatThreshold(options.metric, dimension);
  options.max_connections = origin_.config.max_connections;
  options.ef_construction = origin_.config.ef_construction;
  options.keep_rows = origin_.keeps_contents;
  return options;
}

absl::Status Space::FixDimension(uint32_t dimension) {
  const SpaceIndex* fixed = index();
  if (fixed == nullptr) {
    // Before the lock: a threshold may have to be measured.
    const IndexOptions options = IndexOptionsFor(dimension);
    MutexLock lock(mu_);
    if (index_ == nullptr) {
      index_ = SpaceIndex::Create(options);
      index_view_.store(index_.get(), std::memory_order_release);
    }
    fixed = index_.get();
  }
  const uint32_t expected = fixed->options().dimension;
  if (expected == dimension) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("embedding has {} dimensions, space '{}' has {}", dimension, origin_.name, expected));
}

bool Space::Advance(uint64_t position) {
  if (position <= applied_position_) return false;
  applied_position_ = position;
  return true;
}

uint64_t Space::applied_position() const {
  MutexLock lock(apply_mu_);
  return applied_position_;
}

Ordinal Space::Apply(std::span<const ObservationView> observations, uint64_t position,
                     std::span<const uint32_t> places) {
  SpaceIndex* const index = this->index();
  MutexLock lock(apply_mu_);
  const auto first = index == nullptr ? 0 : static_cast<Ordinal>(index->size());
  if (position <= applied_position_) return first;
  if (observations.empty()) {
    applied_position_ = position;
    return first;
  }
  records_.Append(first, observations, position, places);
  // One per thread that applies; keeps its memory.
  thread_local std::vector<SpaceIndex::Entry> entries;
  entries.clear();
  entries.reserve(observations.size());
  bool mortal = false;
  for (const ObservationView& observation : observations) {
    entries.push_back({observation.id, observation.embedding});
    mortal |= observation.ttl_us != 0;
  }
  if (mortal) {
    for (Ordinal i = 0; i < observations.size(); ++i) NoteExpiry(first + i);
  }
  const SpaceIndex::Appended appended = index->Append(entries);
  ENGRAM_CHECK(appended.first == first);
  applied_position_ = position;
  return first + static_cast<Ordinal>(observations.size());
}

uint64_t Space::ApplyTombstones(std::span<const Tombstone> tombstones, uint64_t position) {
  SpaceIndex* const index = this->index();
  MutexLock lock(apply_mu_);
  if (!Advance(position) || index == nullptr) return 0;
  uint64_t killed = 0;
  for (const Tombstone& tombstone : tombstones) {
    Ordinal version = index->Newest(tombstone.id);
    while (version != kNoOrdinal && records_.Address(version).position > tombstone.through) {
      version = index->Previous(version);
    }
    // A version that was replaced is dead already, and its replacement is none of this tombstone's business.
    if (version != kNoOrdinal && index->ForgetOrdinal(version)) ++killed;
  }
  return killed;
}

void Space::ApplyChange(const SpaceConfig& config, uint64_t position) {
  // Held until all of it has changed: a snapshot has the record and its config, or neither.
  MutexLock apply(apply_mu_);
  if (!Advance(position)) return;
  ef_search_.store(config.ef_search, std::memory_order_relaxed);
  MutexLock lock(mu_);
  max_rate_ = config.max_rate;
  quota_observations_ = config.quota_observations;
  quota_bytes_ = config.quota_bytes;
}

// Noted before the observation is visible: a note without an observation is harmless, the reverse would let it live on.
void Space::NoteExpiry(Ordinal ordinal) {
  const int64_t at = records_.ExpiresAt(ordinal);
  if (at == RecordStore::kForEver) return;
  expiries_.push({at, ordinal});
  next_expiry_us_.store(expiries_.top().first, std::memory_order_release);
}

bool Space::ExpireDue(int64_t now_us) {
  if (!HasExpired(now_us) || this->index() == nullptr) return true;
  if (!apply_mu_.try_lock()) return false;
  const MutexLock lock(apply_mu_, std::adopt_lock);
  // 0.7 ms of a recall, and of the writers that wait for it: 175 ns each, in the order of time and not of rows.
  constexpr int kMost = 4096;
  try {
    for (int hidden = 0; !expiries_.empty() && NextExpiry() <= now_us && hidden < kMost; ++hidden) {
      HideExpired(expiries_.top().second, now_us);
      expiries_.pop();
    }
  } catch (const std::bad_alloc&) {
    // What is left is as due as before.
    return false;
  }
  next_expiry_us_.store(NextExpiry(), std::memory_order_release);
  return NextExpiry() > now_us;
}

IndexView Space::PinAt(int64_t now_us, bool* mortals_gone) {
  const bool gone = ExpireDue(now_us);
  const IndexView view = index()->Pin();
  // What was applied meanwhile may have expired on its way. That is noted before it is visible.
  *mortals_gone = gone && !HasExpired(now_us);
  return view;
}

void Space::HideExpired(Ordinal ordinal, int64_t now_us) {
  SpaceIndex& index = *this->index();
  // The ordinal may never have become visible, or belong to another observation now, if its batch failed.
  if (ordinal >= index.size() || records_.ExpiresAt(ordinal) > now_us || !index.Live(ordinal, index.Pin())) return;
  // First, for it may throw: what is hidden is told to the log.
  expired_.push_back(ordinal);
  index.ForgetOrdinal(ordinal);
}

std::vector<Tombstone> Space::Expired(size_t most) const {
  std::vector<Tombstone> tombstones;
  MutexLock lock(apply_mu_);
  for (const Ordinal ordinal : expired_) {
    if (tombstones.size() == most) break;
    tombstones.push_back({index()->IdOf(ordinal), records_.Address(ordinal).position});
  }
  return tombstones;
}

void Space::ExpiredRecorded(size_t count) {
  MutexLock lock(apply_mu_);
  expired_.DropFront(std::min(count, expired_.size()));
}

Space::Allowance Space::Allow(uint64_t want, MonotonicTime now, int64_t now_us) {
  constexpr Duration kQuotaRetry{1'000'000};
  const SpaceIndex* index = this->index();
  // What has outlived its ttl holds no quota.
  ExpireDue(now_us);
  Allowance allowance;
  allowance.granted = want;
  MutexLock lock(mu_);
  const auto refuse = [&](uint64_t granted, RejectReason reason, Duration after, std::string why) {
    allowance.granted = granted;
    allowance.reason = reason;
    allowance.retry_after = after;
    allowance.refusal = absl::ResourceExhaustedError(std::move(why));
  };
  if (quota_observations_ != 0) {
    const uint64_t held = index->live() + queued();
    const uint64_t room = quota_observations_ - std::min(quota_observations_, held);
    if (room < allowance.granted) {
      refuse(room, RejectReason::kQuota, kQuotaRetry,
             fmt::format("space '{}' holds {} observations of its quota of {}", origin_.name, held, quota_observations_));
    }
  }
  if (quota_bytes_ != 0 && allowance.granted > 0 && ResidentBytes() >= quota_bytes_) {
    refuse(0, RejectReason::kQuota, kQuotaRetry,
           fmt::format("space '{}' holds {} bytes of its quota of {}", origin_.name, ResidentBytes(), quota_bytes_));
  }
  rate_.SetRate(max_rate_, now);
  const uint64_t passed = rate_.TakeUpTo(allowance.granted, now);
  if (passed < allowance.granted) {
    refuse(passed, RejectReason::kRateLimited, rate_.Until(allowance.granted - passed),
           fmt::format("space '{}' takes {} observations a second", origin_.name, max_rate_));
  }
  queued_.fetch_add(static_cast<int64_t>(allowance.granted), std::memory_order_relaxed);
  return allowance;
}

void Space::ReturnAllowance(uint64_t units) {
  Unqueued(units);
  MutexLock lock(mu_);
  rate_.Return(units);
}

uint64_t Space::ResidentBytes() const {
  const SpaceIndex* index = this->index();
  return records_.bytes() + (index == nullptr ? 0 : index->resident_bytes());
}

SpaceInfo Space::Info() const {
  SpaceInfo info;
  info.name = origin_.name;
  info.config = origin_.config;
  if (const SpaceIndex* index = this->index()) {
    info.config.dimension = index->options().dimension;
    info.config.flat_threshold = index->options().flat_threshold;
    info.live = index->live();
    info.size = index->size();
    info.linked = index->linked();
    info.link_backlog = index->link_backlog();
    info.has_graph = index->has_graph();
    info.graph_dead_share = index->graph_dead_share();
  }
  info.resident_bytes = ResidentBytes();
  info.queued = queued();
  info.created_at_us = origin_.created_at_us;
  info.config.ef_search = ef_search();
  MutexLock lock(mu_);
  info.config.max_rate = max_rate_;
  info.config.quota_observations = quota_observations_;
  info.config.quota_bytes = quota_bytes_;
  return info;
}

absl::StatusOr<std::shared_ptr<StreamState>> Space::FindStream(const std::string& id, uint64_t most) {
  MutexLock lock(mu_);
  auto& stream = streams_[id];
  if (stream != nullptr) return stream;
  if (streams_.size() > most) {
    streams_.erase(id);
    return absl::ResourceExhaustedError(fmt::format(
        "space '{}' remembers {} streams, limits.max_streams_per_space is {}", origin_.name, streams_.size(), most));
  }
  stream = std::make_shared<StreamState>(id, true, this);
  return stream;
}

void Space::RestoreStreams(std::span<const StreamMark> marks, Token token, Ordinal end) {
  for (const StreamMark& mark : marks) {
    std::shared_ptr<StreamState> stream;
    {
      MutexLock lock(mu_);
      auto& entry = streams_[std::string(mark.stream)];
      if (entry == nullptr) entry = std::make_shared<StreamState>(std::string(mark.stream), true, this);
      stream = entry;
    }
    stream->Received(mark.through);
    stream->Committed(mark.through, token, end);
  }
}

}  // namespace engram

#include "core/space.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/check.h"
#include "core/stream_state.h"

namespace engram {

Space::Space(std::string name, const SpaceConfig& config, size_t lane, std::shared_ptr<Series> series,
             int64_t created_at_us)
    : name_(std::move(name)),
      config_(config),
      lane_(lane),
      series_(std::move(series)),
      created_at_us_(created_at_us),
      max_rate_(config.max_rate),
      quota_observations_(config.quota_observations),
      quota_bytes_(config.quota_bytes),
      ef_search_(config.ef_search) {
  if (config.dimension != 0) ENGRAM_CHECK(FixDimension(config.dimension).ok());
}

Space::~Space() = default;

absl::Status Space::FixDimension(uint32_t dimension) {
  const SpaceIndex* fixed = index();
  if (fixed == nullptr) {
    MutexLock lock(mu_);
    if (index_ == nullptr) {
      IndexOptions options;
      options.metric = config_.metric;
      options.dimension = dimension;
      options.flat_threshold = *config_.flat_threshold;
      options.max_connections = config_.max_connections;
      options.ef_construction = config_.ef_construction;
      index_ = SpaceIndex::Create(options);
      index_view_.store(index_.get(), std::memory_order_release);
    }
    fixed = index_.get();
  }
  const uint32_t expected = fixed->options().dimension;
  if (expected == dimension) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("embedding has {} dimensions, space '{}' has {}", dimension, name_, expected));
}

Ordinal Space::Apply(std::span<const ObservationView> observations, int64_t now_us) {
  SpaceIndex& index = *this->index();
  MutexLock lock(apply_mu_);
  const auto first = static_cast<Ordinal>(index.size());
  records_.Append(first, observations, now_us);
  entries_.clear();
  entries_.reserve(observations.size());
  bool mortal = false;
  for (const ObservationView& observation : observations) {
    entries_.push_back({observation.id, observation.embedding});
    mortal |= observation.ttl_us != 0;
  }
  if (mortal) {
    for (Ordinal i = 0; i < observations.size(); ++i) NoteExpiry(first + i);
  }
  const SpaceIndex::Appended appended = index.Append(entries_);
  ENGRAM_CHECK(appended.first == first);
  return first + static_cast<Ordinal>(observations.size());
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
  SpaceIndex& index = *this->index();
  while (!expiries_.empty() && expiries_.top().first <= now_us) {
    const auto [at, ordinal] = expiries_.top();
    expiries_.pop();
    // The ordinal may never have become visible, or belong to another observation now, if its batch failed.
    if (ordinal < index.size() && records_.ExpiresAt(ordinal) <= now_us) index.ForgetOrdinal(ordinal);
  }
  next_expiry_us_.store(expiries_.empty() ? RecordStore::kForEver : expiries_.top().first, std::memory_order_release);
  apply_mu_.unlock();
  return true;
}

absl::StatusOr<uint64_t> Space::Forget(
    std::span<const Ordinal> ordinals,
    const std::function<absl::Status(std::span<const std::string_view>)>& journal) {
  SpaceIndex& index = *this->index();
  MutexLock lock(apply_mu_);
  const IndexView view = index.Pin();
  std::vector<std::string_view> ids;
  for (const Ordinal ordinal : ordinals) {
    if (index.Live(ordinal, view)) ids.push_back(index.IdOf(ordinal));
  }
  if (ids.empty()) return 0;
  ENGRAM_RETURN_IF_ERROR(journal(ids));
  uint64_t forgotten = 0;
  for (const Ordinal ordinal : ordinals) forgotten += index.ForgetOrdinal(ordinal) ? 1 : 0;
  return forgotten;
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
    const uint64_t held = index->live() + static_cast<uint64_t>(std::max<int64_t>(queued_.load(), 0));
    const uint64_t room = quota_observations_ - std::min(quota_observations_, held);
    if (room < allowance.granted) {
      refuse(room, RejectReason::kQuota, kQuotaRetry,
             fmt::format("space '{}' holds {} observations of its quota of {}", name_, held, quota_observations_));
    }
  }
  if (quota_bytes_ != 0 && allowance.granted > 0 && ResidentBytes() >= quota_bytes_) {
    refuse(0, RejectReason::kQuota, kQuotaRetry,
           fmt::format("space '{}' holds {} bytes of its quota of {}", name_, ResidentBytes(), quota_bytes_));
  }
  rate_.SetRate(max_rate_, now);
  const uint64_t passed = rate_.TakeUpTo(allowance.granted, now);
  if (passed < allowance.granted) {
    refuse(passed, RejectReason::kRateLimited, rate_.Until(allowance.granted - passed),
           fmt::format("space '{}' takes {} observations a second", name_, max_rate_));
  }
  queued_.fetch_add(static_cast<int64_t>(allowance.granted), std::memory_order_relaxed);
  return allowance;
}

void Space::ReturnAllowance(uint64_t units) {
  Unqueued(units);
  MutexLock lock(mu_);
  rate_.Return(units);
}

void Space::Change(const SpaceChange& change) {
  MutexLock lock(mu_);
  if (change.ef_search) ef_search_.store(*change.ef_search, std::memory_order_relaxed);
  if (change.max_rate) max_rate_ = *change.max_rate;
  if (change.quota_observations) quota_observations_ = *change.quota_observations;
  if (change.quota_bytes) quota_bytes_ = *change.quota_bytes;
}

uint64_t Space::ResidentBytes() const {
  const SpaceIndex* index = this->index();
  return records_.bytes() + (index == nullptr ? 0 : index->resident_bytes());
}

SpaceInfo Space::Info() const {
  SpaceInfo info;
  info.name = name_;
  info.config = config_;
  if (const SpaceIndex* index = this->index()) {
    info.config.dimension = index->options().dimension;
    info.live = index->live();
    info.size = index->size();
    info.linked = index->linked();
    info.link_backlog = index->link_backlog();
    info.has_graph = index->has_graph();
  }
  info.resident_bytes = ResidentBytes();
  info.queued = static_cast<uint64_t>(std::max<int64_t>(queued_.load(std::memory_order_relaxed), 0));
  info.created_at_us = created_at_us_;
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
        "space '{}' remembers {} streams, limits.max_streams_per_space is {}", name_, streams_.size(), most));
  }
  stream = std::make_shared<StreamState>(id, this);
  return stream;
}

}  // namespace engram

// A space and its checkpoint: what is saved of it, and taking that over again.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/space.h"
#include "core/stream_state.h"

namespace engram {

void Space::NoteMarks(std::span<const StreamMark> marks, uint64_t position) {
  if (marks.empty()) return;
  uint64_t noted = noted_position_.load(std::memory_order_relaxed);
  while (noted < position && !noted_position_.compare_exchange_weak(noted, position)) {
  }
  MutexLock lock(mu_);
  for (const StreamMark& mark : marks) {
    auto& stream = streams_[std::string(mark.stream)];
    if (stream == nullptr) stream = std::make_shared<StreamState>(std::string(mark.stream), true, this);
    stream->Recorded(mark.through);
  }
}

Space::Snapshot Space::TakeSnapshot() const {
  Snapshot snapshot;
  snapshot.origin = origin_;
  const SpaceIndex* const index = this->index();
  MutexLock apply(apply_mu_);
  snapshot.applied_position = applied_position_;
  snapshot.size = index == nullptr ? 0 : static_cast<Ordinal>(index->size());
  // Otherwise an admission fixed it for a batch that the log may never see.
  if (snapshot.size != 0) snapshot.origin.config.dimension = index->options().dimension;
  snapshot.expired.assign(expired_.begin(), expired_.end());
  snapshot.expired_before = expiries_.empty() ? RecordStore::kForEver : expiries_.top().first;
  snapshot.origin.config.ef_search = ef_search();
  MutexLock lock(mu_);
  snapshot.origin.config.max_rate = max_rate_;
  snapshot.origin.config.quota_observations = quota_observations_;
  snapshot.origin.config.quota_bytes = quota_bytes_;
  for (const auto& [name, stream] : streams_) {
    // One that was opened and never wrote is none.
    if (const uint64_t through = stream->recorded_through(); through != 0) snapshot.streams.emplace_back(name, through);
  }
  return snapshot;
}

uint64_t Space::touched_position() const {
  return std::max(applied_position(), noted_position_.load(std::memory_order_relaxed));
}

absl::Status Space::Restore(const Snapshot& snapshot, std::unique_ptr<SpaceIndex> index, ImageSource* records,
                            int64_t now_us) {
  if (snapshot.applied_position < origin_.id || (index == nullptr ? 0 : index->size()) != snapshot.size) {
    return absl::DataLossError(
        fmt::format("space '{}' of {} rows at position {} does not fit its {} rows and its id {}", origin_.name,
                    snapshot.size, snapshot.applied_position, index == nullptr ? 0 : index->size(), origin_.id));
  }
  MutexLock apply(apply_mu_);
  applied_position_ = snapshot.applied_position;
  if (index == nullptr) return absl::OkStatus();
  ENGRAM_RETURN_IF_ERROR(records_.Load(snapshot.size, *records));
  for (const Ordinal ordinal : snapshot.expired) {
    if (ordinal >= snapshot.size) {
      return absl::DataLossError(
          fmt::format("row {} of {} in space '{}' is said to have expired", ordinal, snapshot.size, origin_.name));
    }
    expired_.push_back(ordinal);
  }
  std::vector<Expiry> expiries;
  const IndexView view = index->Pin();
  for (Ordinal ordinal = 0; ordinal < snapshot.size; ++ordinal) {
    const int64_t at = records_.ExpiresAt(ordinal);
    if (at == RecordStore::kForEver) continue;
    if (index->Live(ordinal, view)) {
      expiries.emplace_back(at, ordinal);
    } else if (at >= snapshot.expired_before && at <= now_us && index->Newest(index->IdOf(ordinal)) == ordinal) {
      // Hidden between the snapshot and the saving of the rows, so the log may not know yet. Telling it twice is
      // harmless.
      expired_.push_back(ordinal);
    }
  }
  expiries_ = decltype(expiries_)(std::greater<>(), std::move(expiries));
  next_expiry_us_.store(expiries_.empty() ? RecordStore::kForEver : expiries_.top().first, std::memory_order_release);
  MutexLock lock(mu_);
  index_ = std::move(index);
  index_view_.store(index_.get(), std::memory_order_release);
  return absl::OkStatus();
}

}  // namespace engram

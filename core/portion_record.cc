#include "core/portion_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/stream_state.h"
#include "index/space_index.h"

namespace engram {

void PortionRecord::Fill(const Portion& portion) {
  portion_.slices.assign(portion.slices.begin(), portion.slices.end());
  portion_.space = portion.space;
  portion_.turn = portion.turn;
  space_ = std::static_pointer_cast<Space>(portion.space);
  size_t id_bytes = 0;
  for (const Slice& slice : portion.slices) {
    const auto& stream = static_cast<const StreamState&>(*slice.frame->stream);
    for (uint32_t place = slice.begin; place < slice.end; ++place) {
      ObservationView& observation = observations_.emplace_back(slice.frame->batch.observations[place]);
      if (observation.observed_at_us == 0) observation.observed_at_us = slice.frame->arrived_wall_us;
      if (observation.id.empty()) id_bytes += stream.id().size() + 21;
    }
    if (stream.named()) Mark(slice);
  }
  // Reserved in full, so that the views into it stay true.
  ids_.reserve(id_bytes);
  size_t next = 0;
  for (const Slice& slice : portion.slices) {
    const auto& stream = static_cast<const StreamState&>(*slice.frame->stream);
    for (uint32_t place = slice.begin; place < slice.end; ++place) {
      ObservationView& observation = observations_[next++];
      if (!observation.id.empty()) continue;
      const size_t begin = ids_.size();
      fmt::format_to(std::back_inserter(ids_), "{}/{}", stream.id(), slice.frame->SequenceOf(place));
      observation.id = std::string_view(ids_).substr(begin);
    }
  }
  if (narrow_) Narrow();
}

void PortionRecord::Narrow() {
  size_t bytes = 0;
  for (const ObservationView& observation : observations_) {
    if (observation.embedding.encoding == Encoding::kF32) bytes += observation.embedding.bytes() / 2;
  }
  if (bytes > narrowed_bytes_) {
    narrowed_bytes_ = 0;
    narrowed_ = std::make_unique_for_overwrite<std::byte[]>(bytes);
    narrowed_bytes_ = bytes;
  }
  std::byte* to = narrowed_.get();
  for (ObservationView& observation : observations_) {
    EmbeddingView& embedding = observation.embedding;
    if (embedding.encoding != Encoding::kF32 || !NarrowVector(embedding, to)) continue;
    embedding.data = to;
    embedding.encoding = Encoding::kF16;
    to += embedding.bytes();
  }
}

void PortionRecord::Mark(const Slice& slice) {
  const std::string& id = static_cast<const StreamState&>(*slice.frame->stream).id();
  // Few streams have a part in one batch of a space.
  const auto at = std::find_if(marks_.begin(), marks_.end(), [&](const StreamMark& mark) { return mark.stream == id; });
  if (at == marks_.end()) {
    marks_.push_back({id, slice.through_sequence});
  } else {
    at->through = std::max(at->through, slice.through_sequence);
  }
}

void PortionRecord::Clear() {
  portion_.slices.clear();
  portion_.space.reset();
  space_.reset();
  observations_.clear();
  ids_.clear();
  marks_.clear();
  // Many records are kept for later.
  constexpr size_t kMostKept = 1 << 20;
  if (narrowed_bytes_ > kMostKept) {
    narrowed_.reset();
    narrowed_bytes_ = 0;
  }
}

JournalRecord PortionRecord::Record() const {
  JournalRecord record;
  record.type = RecordType::kObservations;
  record.space_id = space_->id();
  record.space = space_->name();
  record.metric = space_->metric();
  record.observations = observations_;
  record.marks = marks_;
  return record;
}

std::unique_ptr<PortionRecord> PortionRecordPool::Take() {
  {
    MutexLock lock(mu_);
    if (!free_.empty()) {
      std::unique_ptr<PortionRecord> record = std::move(free_.back());
      free_.pop_back();
      series_->Add(MetricId::kCommitReuses);
      record->NoteReused();
      return record;
    }
  }
  series_->Add(MetricId::kCommitFallbacks);
  return std::make_unique<PortionRecord>(narrow_);
}

void PortionRecordPool::Return(std::unique_ptr<PortionRecord> record) noexcept {
  // Outside the lock: it may let a frame go.
  record->Clear();
  MutexLock lock(mu_);
  if (free_.capacity() == 0) free_.reserve(kMost);
  if (free_.size() < kMost) free_.push_back(std::move(record));
}

}  // namespace engram

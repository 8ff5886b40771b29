#include "core/batch_committer.h"

#include <fmt/format.h>

#include <utility>

namespace engram {
namespace {

StreamState& StreamOf(const Slice& slice) { return static_cast<StreamState&>(*slice.frame->stream); }

Ordinal SizeOf(const Space& space) {
  const SpaceIndex* index = space.index();
  return index == nullptr ? 0 : static_cast<Ordinal>(index->size());
}

// The slices of a portion while nobody knows whether the journal takes them.
class Offer {
 public:
  explicit Offer(const Portion& portion) : portion_(portion) {
    for (const Slice& slice : portion.slices) StreamOf(slice).Underway();
  }
  ~Offer() {
    if (taken_) return;
    for (const Slice& slice : portion_.slices) StreamOf(slice).Withdrawn();
  }
  void Taken() { taken_ = true; }

 private:
  const Portion& portion_;
  bool taken_ = false;
};

}  // namespace

class BatchCommitter::PortionCommit final : public LogCommit {
 public:
  PortionCommit(BatchCommitter* committer, std::unique_ptr<PortionRecord> record)
      : committer_(committer), record_(std::move(record)) {}
  ~PortionCommit() override { committer_->pool_.Return(std::move(record_)); }

  size_t lane() const override { return record_->space()->lane(); }
  uint64_t weight() const override { return record_->size(); }
  void Apply(uint64_t position, const CommitTimes& times) noexcept override {
    committer_->Applied(*record_, payload_bytes(), position, times);
  }

 private:
  BatchCommitter* const committer_;
  std::unique_ptr<PortionRecord> record_;
};

absl::Status BatchCommitter::Commit(const Portion& portion) {
  Space& space = static_cast<Space&>(*portion.space);
  if (space.dropped()) {
    const absl::Status gone = absl::NotFoundError(fmt::format("space '{}' was deleted", space.name()));
    for (const Slice& slice : portion.slices) Refuse({portion.space, {slice}, portion.turn}, gone);
    return absl::OkStatus();
  }
  const MonotonicTime begun = clock_->Now();
  std::unique_ptr<PortionRecord> filled = pool_.Take();
  filled->Fill(portion);
  if (filled->empty()) {
    pool_.Return(std::move(filled));
    for (const Slice& slice : portion.slices) {
      StreamOf(slice).Committed(slice.through_sequence, Token{}, SizeOf(space));
    }
    return absl::OkStatus();
  }
  filled->NoteTimes(begun, clock_->Now());
  const JournalRecord record = filled->Record();
  auto commit = std::make_unique<PortionCommit>(this, std::move(filled));
  Offer offer(portion);
  ENGRAM_RETURN_IF_ERROR(log_->Append(record, std::move(commit)).status());
  offer.Taken();
  return absl::OkStatus();
}

void BatchCommitter::Applied(const PortionRecord& record, uint64_t payload_bytes, uint64_t position,
                             const CommitTimes& times) noexcept {
  const MonotonicTime applying = clock_->Now();
  const absl::StatusOr<Replica::Effect> effect = log_->Apply(record.Record(), position);
  Space& space = *record.space();
  if (effect.ok()) {
    Acknowledge(record, {position, payload_bytes, times, applying, clock_->Now(), effect->end});
    linker_->Schedule(record.space());
    return;
  }
  for (const Slice& slice : record.portion().slices) {
    Name(space, slice, effect.status());
    StreamOf(slice).Landed(slice.through_sequence, Token{}, SizeOf(space));
  }
}

void BatchCommitter::TimeStages(const PortionRecord& record, const AppliedRecord& applied) {
  const CommitTimes& times = applied.times;
  const auto took = [&](Stage stage, MonotonicTime begin, MonotonicTime end) {
    process_->Observe(MetricId::kStage, std::chrono::nanoseconds(end - begin).count(), record.size(), SecondOf(stage));
  };
  took(Stage::kEncode, record.begun(), times.encoded_at);
  took(Stage::kJournal, times.encoded_at, times.durable_at);
  took(Stage::kPublish, times.durable_at, applied.applied);
}

void BatchCommitter::Acknowledge(const PortionRecord& record, const AppliedRecord& applied) {
  Space& space = *record.space();
  Series& series = space.series();
  TimeStages(record, applied);
  size_t offset = 0;
  for (const Slice& slice : record.portion().slices) {
    const Frame& frame = *slice.frame;
    const auto since = [&](MonotonicTime t) { return std::chrono::nanoseconds(t - frame.arrived).count(); };
    series.Observe(MetricId::kTimeToDurable, since(applied.times.durable_at), slice.size());
    series.Observe(MetricId::kTimeToSearchable, since(applied.applied), slice.size());
    space.Unqueued(slice.size());
    committed_total_.fetch_add(slice.size(), std::memory_order_relaxed);
    series.Add(MetricId::kObservations, slice.size(), frame.priority == Priority::kHigh ? 0 : 1);
    const MonotonicTime told = clock_->Now();
    series.Observe(MetricId::kObservationLatency, since(told), slice.size());
    // First: who has been told finds it.
    TraceSlice(*tracer_, record, slice, offset, applied, told);
    offset += slice.size();
    StreamOf(slice).Landed(slice.through_sequence, {log_->journal().id(), applied.position}, applied.end);
  }
}

void BatchCommitter::Name(Space& space, const Slice& slice, const absl::Status& why) {
  // Counted first: who has been told finds it in the metrics.
  CountRefused(space, absl::IsNotFound(why) ? RejectReason::kSpaceDropped : RejectReason::kFailed, slice.size());
  for (uint32_t place = slice.begin; place < slice.end; ++place) {
    StreamOf(slice).Reject({slice.frame->SequenceOf(place), 1, why, Duration{0}});
  }
  space.Unqueued(slice.size());
}

void BatchCommitter::Refuse(const Portion& portion, const absl::Status& why) noexcept {
  Space& space = static_cast<Space&>(*portion.space);
  const Slice& slice = portion.slices.front();
  Name(space, slice, why);
  if (StreamOf(slice).named() && slice.size() > 0 && !space.dropped()) {
    Portion rest = portion;
    rest.slices.front().begin = rest.slices.front().end;
    try {
      if (Commit(rest).ok()) return;
    } catch (...) {
      // As when it fails: the stream goes on all the same, and its next mark in the journal covers this one.
    }
  }
  StreamOf(slice).Committed(slice.through_sequence, Token{}, SizeOf(space));
}

void BatchCommitter::CountRefused(Space& space, RejectReason reason, uint64_t count) {
  space.series().Add(MetricId::kRejected, count, static_cast<size_t>(reason));
  refused_total_.fetch_add(count, std::memory_order_relaxed);
}

}  // namespace engram

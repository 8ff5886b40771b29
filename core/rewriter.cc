#include "core/rewriter.h"

#include <algorithm>

#include "core/journal/rewrite_pick.h"
#include "core/run_liveness.h"

namespace engram {

Rewriter::Rewriter(SegmentedJournal* journal, AppliedLog* log, Clock* clock, const Options& options)
    : journal_(journal), log_(log), options_(options), pace_(clock, options.bytes_per_second) {}

uint64_t Rewriter::Room(uint64_t free_bytes) const {
  const uint64_t hard = options_.hard_free_bytes ? options_.hard_free_bytes() : 0;
  return free_bytes - std::min({free_bytes, hard / 2, options_.segment_bytes});
}

uint64_t Rewriter::Idle(const Segment& segment, uint64_t checkpoint_floor) const {
  if (const auto known = held_.find(segment.first()); known != held_.end()) {
    return checkpoint_floor >= known->second.until ? known->second.bytes : 0;
  }
  // Of an earlier life, or just as it was appended. No footer tells of tombstones, but where nothing is observed there
  // is little else. So it is looked at once; small ones are when they are merged.
  const bool may_go = segment.observations() == 0 && segment.last() <= checkpoint_floor;
  return may_go && segment.bytes() >= options_.segment_bytes / 4 ? segment.bytes() : 0;
}

absl::StatusOr<Rewriter::Choice> Rewriter::Choose() {
  const uint64_t applied = log_->applied_through();
  const uint64_t floor = log_->checkpoint_floor();
  const Segments segments = journal_->segments();
  std::set<std::string> damaged;
  for (const JournalDefect& defect : journal_->defects()) damaged.insert(defect.file);
  std::vector<SegmentUse> uses;
  for (const auto& segment : segments) {
    SegmentUse& use = uses.emplace_back();
    use.first = segment->first();
    use.last = segment->last();
    use.bytes = segment->bytes();
    use.observations = segment->observations();
    use.ready = segment->sealed() && use.last <= applied && !damaged.contains(segment->name()) &&
                !left_alone_.contains(use.first);
    // While there is damage none of them goes.
    use.idle = damaged.empty() ? Idle(*segment, floor) : 0;
    use.uneven = uneven_.contains(use.first);
  }
  log_->VisitLive([&uses](uint64_t, RecordAddress address) {
    const auto behind = std::upper_bound(uses.begin(), uses.end(), address.position,
                                         [](uint64_t position, const SegmentUse& use) { return position < use.first; });
    if (behind != uses.begin()) ++std::prev(behind)->live;
  });
  ENGRAM_ASSIGN_OR_RETURN(const DiskSpace space, journal_->directory().Space());
  RewriteLimits limits;
  limits.below = options_.below;
  limits.segment_bytes = options_.segment_bytes;
  limits.free_bytes = Room(space.free_bytes);
  const RewriteRun run = PickRun(uses, limits);
  return Choice{Segments(segments.begin() + static_cast<ptrdiff_t>(run.begin),
                         segments.begin() + static_cast<ptrdiff_t>(run.end)),
                std::min(space.free_bytes, limits.free_bytes + kHeaderBlockBytes + options_.segment_bytes / 16)};
}

absl::StatusOr<bool> Rewriter::RunOnce() {
  ENGRAM_RETURN_IF_ERROR(failed_);
  ENGRAM_ASSIGN_OR_RETURN(const Choice choice, Choose());
  if (choice.run.empty()) return false;
  const absl::Status status = Rewrite(choice);
  for (const auto& segment : choice.run) {
    if (status.ok()) uneven_.erase(segment->first());
    if (absl::IsDataLoss(status)) left_alone_.insert(segment->first());
    if (absl::IsResourceExhausted(status)) uneven_.insert(segment->first());
  }
  if (status.ok()) return true;
  if (!absl::IsCancelled(status)) failures_.fetch_add(1, std::memory_order_relaxed);
  return status;
}

absl::Status Rewriter::Rewrite(const Choice& choice) {
  const Segments& run = choice.run;
  RunLiveness liveness(journal_, log_, run);
  SegmentRewrite rewrite(&journal_->directory(), run, &liveness, &pace_, choice.room);
  absl::StatusOr<std::shared_ptr<Segment>> written = rewrite.Run();
  bytes_read_.fetch_add(rewrite.read_bytes(), std::memory_order_relaxed);
  ENGRAM_RETURN_IF_ERROR(written.status());
  const uint64_t bytes = (*written)->bytes();
  bytes_written_.fetch_add(bytes, std::memory_order_relaxed);
  // All that was concluded so far was concluded from records that had been appended.
  const absl::Status durable = journal_->AwaitDurable();
  if (!durable.ok()) {
    written->reset();
    journal_->directory().Remove(rewrite.temporary()).IgnoreError();
    return durable;
  }
  failed_ = journal_->Replace(run, rewrite.temporary(), *std::move(written));
  ENGRAM_RETURN_IF_ERROR(failed_);
  uint64_t before = 0;
  for (const auto& segment : run) {
    before += segment->bytes();
    held_.erase(segment->first());
  }
  held_[run.front()->first()] = liveness.held();
  segments_rewritten_.fetch_add(run.size(), std::memory_order_relaxed);
  segments_written_.fetch_add(1, std::memory_order_relaxed);
  bytes_freed_.fetch_add(before - std::min(before, bytes), std::memory_order_relaxed);
  return absl::OkStatus();
}

Rewriter::Reading Rewriter::Read() const {
  Reading reading;
  reading.segments_rewritten = segments_rewritten_.load(std::memory_order_relaxed);
  reading.segments_written = segments_written_.load(std::memory_order_relaxed);
  reading.bytes_read = bytes_read_.load(std::memory_order_relaxed);
  reading.bytes_written = bytes_written_.load(std::memory_order_relaxed);
  reading.bytes_freed = bytes_freed_.load(std::memory_order_relaxed);
  reading.failures = failures_.load(std::memory_order_relaxed);
  return reading;
}

}  // namespace engram

// The part of the segmented journal that puts rewritten segments into force and gives back the files they replace.
#include <fmt/format.h>

#include <utility>

#include "core/base/check.h"
#include "core/journal/segmented_journal.h"

namespace engram {
namespace {

// The old first segment's second name; recovery removes what it finds of them.
std::string ReplacedName(const Segment& segment) { return segment.name() + ".replaced.tmp"; }

}  // namespace

absl::Status SegmentedJournal::AwaitDurable() {
  if (options_.stepped) {
    while (Step()) {
    }
    ENGRAM_RETURN_IF_ERROR(SyncIfDue(true));
  }
  MutexLock lock(mu_);
  const uint64_t target = last_.load(std::memory_order_relaxed);
  while (durable_ < target) {
    if (!failed_.ok()) return failed_;
    if (options_.stepped || waiting_for_room_.load(std::memory_order_relaxed)) {
      return absl::UnavailableError(fmt::format("the journal waits for room at position {} of {}", durable_, target));
    }
    room_.Wait(mu_);
  }
  return failed_;
}

absl::Status SegmentedJournal::Replace(const std::vector<std::shared_ptr<Segment>>& run, const std::string& name,
                                       std::shared_ptr<Segment> replacement) {
  ENGRAM_CHECK(!run.empty() && replacement->first() == run.front()->first() &&
               replacement->last() == run.back()->last());
  bool fatal = false;
  absl::Status status;
  {
    MutexLock files(files_mu_);
    while (snapshots_ > 0) snapshot_done_.Wait(files_mu_);
    status = PutInPlace(run, name, replacement, &fatal);
  }
  if (fatal) Fail(status);
  MutexLock lock(keeper_mu_);
  keep_again_ = true;
  keep_.NotifyAll();
  return status;
}

absl::Status SegmentedJournal::PutInPlace(const std::vector<std::shared_ptr<Segment>>& run, const std::string& name,
                                          const std::shared_ptr<Segment>& replacement, bool* fatal) {
  const std::shared_ptr<Segment>& first = run.front();
  // Without a second name the file is gone with the renaming, and there is nothing to recycle.
  std::string old;
  if (options_.spare_segments > 0 && first->bytes() >= SpareSegments::LeastRecycled(options_.segment_bytes)) {
    old = ReplacedName(*first);
    if (!directory_->Link(first->name(), old).ok()) old.clear();
  }
  // From here on a crash leaves the old or the new file under the first one's name; the others are covered by the new.
  absl::Status status = directory_->Rename(name, first->name());
  if (!status.ok()) {
    if (!old.empty()) directory_->Remove(old).IgnoreError();
    return status;
  }
  // Which of the two the next start finds is open until this, and nothing may be concluded from either.
  status = directory_->Sync();
  if (!status.ok()) {
    *fatal = true;
    return status;
  }
  {
    MutexLock lock(segments_mu_);
    for (const auto& segment : run) segments_.erase(segment->first());
    segments_[replacement->first()] = replacement;
  }
  for (const auto& segment : run) {
    const std::string& called = segment == first ? old : segment->name();
    if (!called.empty()) replaced_.push_back({segment, called});
  }
  return absl::OkStatus();
}

bool SegmentedJournal::FreeReplaced(bool* waiting) {
  MutexLock lock(files_mu_);
  for (size_t i = 0; i < replaced_.size(); ++i) {
    // Nobody can come by it any more, so it stays unread once it is.
    if (replaced_[i].segment.use_count() > 1) continue;
    const std::string name = std::move(replaced_[i].name);
    replaced_.erase(replaced_.begin() + static_cast<ptrdiff_t>(i));
    // A snapshot may have it too, and then its bytes must stay.
    const auto links = directory_->LinkCount(name);
    const bool ours = links.ok() && *links == 1;
    const absl::Status freed = ours ? spares_.Recycle(name) : directory_->Remove(name);
    // It is covered by what replaced it: the next start removes what is left.
    if (!freed.ok()) directory_->Remove(name).IgnoreError();
    return true;
  }
  *waiting = !replaced_.empty();
  return false;
}

}  // namespace engram

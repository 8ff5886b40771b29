// The part of the segmented journal that works behind the committer's back: sealing, preparing, replacing, linking.
#include <absl/cleanup/cleanup.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/journal/segmented_journal.h"

namespace engram {
namespace {

// When sealing failed for want of room, and to look whether readers have left a replaced segment.
constexpr Duration kAgain{250'000};

absl::Status Unsealable() { return absl::UnavailableError("the journal is closed or waits for room on the disk"); }

}  // namespace

bool SegmentedJournal::KeepStep(MonotonicTime* next) {
  *next = MonotonicTime::max();
  {
    MutexLock lock(mu_);
    if (!failed_.ok()) {
      // What failed half-way is not done twice; whoever closes the journal comes next.
      *next = clock_->Now() + kAgain;
      return false;
    }
  }
  std::shared_ptr<Segment> to_seal;
  {
    MutexLock lock(keeper_mu_);
    if (!to_seal_.empty()) to_seal = to_seal_.front();
  }
  absl::Status status;
  bool did = false;
  if (to_seal != nullptr) {
    status = Seal(to_seal);
    // Then the next start reads its records instead of the footer; and meanwhile there may be room again.
    if (absl::IsResourceExhausted(status)) {
      *next = clock_->Now() + kAgain;
      seal_waits_.store(true);
      {
        MutexLock lock(mu_);
        room_.NotifyAll();
      }
      bool waiting = false;
      return FreeReplaced(&waiting);
    }
    seal_waits_.store(false);
    if (status.ok()) {
      {
        MutexLock lock(keeper_mu_);
        to_seal_.erase(to_seal_.begin());
      }
      MutexLock lock(mu_);
      room_.NotifyAll();
      did = true;
    }
  } else if (bool waiting = false; FreeReplaced(&waiting)) {
    did = true;
  } else {
    const auto due = spares_.Prepare();
    status = due.status();
    const MonotonicTime now = clock_->Now();
    if (due.ok()) *next = waiting ? std::min(*due, now + kAgain) : *due;
    did = due.ok() && *due <= now;
  }
  if (!status.ok()) Fail(status);
  return did && status.ok();
}

void SegmentedJournal::RunKeeper(const std::stop_token& stop) {
  while (true) {
    MonotonicTime next;
    const bool did = KeepStep(&next);
    MutexLock lock(keeper_mu_);
    if (stop.stop_requested() && (to_seal_.empty() || !did)) return;
    if (did) continue;
    // Nothing arrived between the step and here.
    if (next == MonotonicTime::max()) {
      if (to_seal_.empty() && !keep_again_) keep_.Wait(keeper_mu_);
    } else {
      clock_->WaitUntil(keep_, keeper_mu_, next);
    }
    keep_again_ = false;
  }
}

absl::Status SegmentedJournal::Seal(const std::shared_ptr<Segment>& segment) {
  const uint64_t end = segment->bytes();
  std::vector<std::byte> footer;
  EncodeFooter(segment->footer(), segment->last(), segment->header().seed, &footer);
  ENGRAM_RETURN_IF_ERROR(segment->file().WriteAt(end, footer));
  ENGRAM_RETURN_IF_ERROR(segment->file().Sync());
  ENGRAM_RETURN_IF_ERROR(segment->file().Truncate(end + footer.size()));
  ENGRAM_RETURN_IF_ERROR(segment->file().Sync());
  segment->SetSealed(end + footer.size());
  MutexLock lock(files_mu_);
  manifest_.sealed_through = std::max(manifest_.sealed_through, segment->last());
  const absl::Status written = WriteManifest();
  // The next segment's sealing says it too.
  return absl::IsResourceExhausted(written) ? absl::OkStatus() : written;
}

absl::Status SegmentedJournal::WriteManifest() { return engram::WriteManifest(*directory_, manifest_); }

absl::StatusOr<uint64_t> SegmentedJournal::SealThrough() {
  while (options_.stepped && Step()) {
  }
  uint64_t target;
  std::shared_ptr<Segment> segment;
  {
    MutexLock lock(mu_);
    target = last_.load(std::memory_order_relaxed);
    while (committed_ < target) {
      if (!failed_.ok()) return failed_;
      if (closing_ || options_.stepped || waiting_for_room_.load()) return Unsealable();
      room_.Wait(mu_);
    }
    if (current_ != nullptr && offset_ > kHeaderBlockBytes) {
      retire_wanted_ = true;
      work_.NotifyOne();
    }
    // They are sealed in their order. What comes behind it may be long in coming, on a full disk as long as that is full.
    segment = FindSegment(target);
  }
  while (options_.stepped && Step()) {
  }
  MutexLock lock(mu_);
  while (segment != nullptr && !segment->sealed()) {
    if (!failed_.ok()) return failed_;
    if (closing_ || options_.stepped || seal_waits_.load()) return Unsealable();
    // A later group of the same segment has no room.
    if (retire_wanted_ && waiting_for_room_.load()) return Unsealable();
    room_.Wait(mu_);
  }
  // It may have failed behind the sealing, at the manifest.
  if (!failed_.ok()) return failed_;
  return target;
}

absl::StatusOr<SegmentedJournal::Linked> SegmentedJournal::LinkInto(Directory& target) {
  MutexLock files(files_mu_);
  Manifest manifest = manifest_;
  Linked linked;
  std::vector<std::string> made;
  // Half a snapshot is none, and its links would keep files from being given back. What else is there is somebody else's.
  absl::Cleanup undo = [&] {
    for (auto name = made.rbegin(); name != made.rend(); ++name) target.Remove(*name).IgnoreError();
  };
  for (const auto& segment : segments()) {
    if (!segment->sealed()) break;
    ENGRAM_RETURN_IF_ERROR(directory_->LinkInto(segment->name(), target, segment->name()));
    made.push_back(segment->name());
    linked.through = segment->last();
    linked.bytes += segment->bytes();
    ++linked.segments;
  }
  // Where the end of the log is lost the copy is not to give out its positions either.
  manifest.sealed_through = std::max(manifest.sealed_through, linked.through);
  if (!manifest.checkpoint.empty()) {
    // A checkpoint is a cache: without it the copy only starts more slowly.
    if (directory_->LinkInto(manifest.checkpoint, target, manifest.checkpoint).ok()) {
      made.push_back(manifest.checkpoint);
    } else {
      manifest.checkpoint.clear();
    }
  }
  // It may be there after an error too.
  made.emplace_back(kManifestName);
  ENGRAM_RETURN_IF_ERROR(engram::WriteManifest(target, manifest));
  ENGRAM_RETURN_IF_ERROR(target.Sync());
  std::move(undo).Cancel();
  return linked;
}

absl::StatusOr<SegmentedJournal::Linked> SegmentedJournal::SnapshotInto(
    const std::function<absl::StatusOr<Directory*>()>& open) {
  {
    MutexLock lock(files_mu_);
    ++snapshots_;
  }
  const absl::Cleanup done = [this] {
    MutexLock lock(files_mu_);
    if (--snapshots_ == 0) snapshot_done_.NotifyAll();
  };
  ENGRAM_RETURN_IF_ERROR(SealThrough().status());
  // Two into one directory would both find it empty.
  MutexLock lock(linking_mu_);
  ENGRAM_ASSIGN_OR_RETURN(Directory* const target, open());
  return LinkInto(*target);
}

absl::Status SegmentedJournal::SetCheckpoint(const std::string& name) {
  MutexLock lock(files_mu_);
  const std::string before = std::exchange(manifest_.checkpoint, name);
  ENGRAM_RETURN_IF_ERROR(WriteManifest());
  if (!before.empty() && before != name) directory_->Remove(before).IgnoreError();
  return absl::OkStatus();
}

std::string SegmentedJournal::checkpoint() const {
  MutexLock lock(files_mu_);
  return manifest_.checkpoint;
}

}  // namespace engram

#include "core/journal/segmented_journal.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <random>
#include <utility>

#include "core/base/check.h"
#include "core/base/thread_name.h"
#include "core/journal/record_codec.h"
#include "core/journal/segment_files.h"

namespace engram {
namespace {

// How soon to look again whether the disk has room.
constexpr Duration kRoomCheck{100'000};

uint32_t RandomSeed() {
  std::random_device device;
  return device();
}

}  // namespace

SegmentedJournal::SegmentedJournal(Directory* directory, const JournalOptions& options, Clock* clock,
                                   JournalObserver* observer)
    : directory_(directory),
      options_(options),
      clock_(clock),
      observer_(observer),
      spares_(directory,
              {.segment_bytes = options.segment_bytes,
               .count = options.spare_segments,
               .bytes_per_second = options.prepare_bytes_per_second,
               .least_free_bytes = options.least_free_bytes},
              clock),
      open_(std::make_unique<CommitGroup>()),
      taken_(std::make_unique<CommitGroup>()) {}

SegmentedJournal::~SegmentedJournal() { Close(); }

void SegmentedJournal::Start(CommitSink* sink) {
  sink_ = sink;
  {
    MutexLock lock(mu_);
    durable_ = committed_ = last();
    // Reserved once, so that the first large group costs no allocation under the lock.
    for (CommitGroup* group : {open_.get(), taken_.get()}) {
      group->Reserve(options_.group_bytes);
      group->Clear();
    }
  }
  if (options_.stepped) return;
  committer_ = std::jthread([this] {
    NameThread("committer");
    RunCommitter();
  });
  keeper_ = std::jthread([this](const std::stop_token& stop) {
    NameThread("keeper");
    RunKeeper(stop);
  });
}

// --- appending ---

bool SegmentedJournal::Reserve(size_t size, Reservation* reserved, absl::Status* refused) {
  *refused = !failed_.ok() ? failed_ : closing_ ? absl::UnavailableError("the journal is closed") : absl::OkStatus();
  if (!refused->ok()) return false;
  if (current_ == nullptr) {
    segment_wanted_ = true;
    work_.NotifyOne();
    return false;
  }
  // A record that no segment holds has one to itself.
  if (offset_ + size > options_.segment_bytes && offset_ > kHeaderBlockBytes) {
    retire_wanted_ = true;
    work_.NotifyOne();
    return false;
  }
  CommitGroup& group = *open_;
  const bool room = group.empty() ? group.encoding == 0
                                  : group.Fits(size) && group.bytes() + size <= options_.group_bytes;
  if (retire_wanted_ || !room) return false;
  // What may run out of memory comes before the position is taken: one that nobody writes would hold up all behind it.
  group.ReserveRecord();
  const size_t at = group.Reserve(size);
  if (group.empty()) {
    group.segment = current_;
    group.offset = offset_;
  }
  reserved->group = &group;
  reserved->position = last_.load(std::memory_order_relaxed) + 1;
  reserved->durable = durable_;
  reserved->seed = current_->header().seed;
  reserved->out = {group.data() + at, size};
  last_.store(reserved->position, std::memory_order_release);
  group.added.push_back({});
  group.added.back().offset = offset_;
  offset_ += size;
  ++group.encoding;
  return true;
}

absl::StatusOr<uint64_t> SegmentedJournal::Append(const JournalRecord& record, std::unique_ptr<PendingCommit> pending) {
  ENGRAM_ASSIGN_OR_RETURN(const size_t size, EncodedSize(record));
  Reservation reserved;
  while (true) {
    absl::Status refused;
    {
      MutexLock lock(mu_);
      if (Reserve(size, &reserved, &refused)) {
        reserved.group->records.push_back({reserved.position, std::move(pending), {}});
        break;
      }
      if (!refused.ok()) return refused;
      if (!options_.stepped) room_.Wait(mu_);
    }
    if (options_.stepped && !Step()) return absl::ResourceExhaustedError("the journal waits for room on the disk");
  }
  const MonotonicTime reserved_at = clock_->Now();
  // The largest part of the work, beside other appenders and the committer.
  Encode(record, reserved.position, reserved.durable, reserved.seed, reserved.out);
  Segment::Added added = Segment::Summarize(record, reserved.position);
  const MonotonicTime encoded_at = clock_->Now();
  MutexLock lock(mu_);
  // Positions of a group are consecutive.
  CommitGroup& group = *reserved.group;
  const size_t place = reserved.position - group.records.front().position;
  group.records[place].times.reserved_at = reserved_at;
  group.records[place].times.encoded_at = encoded_at;
  Segment::Added& slot = group.added[place];
  added.offset = slot.offset;
  slot = added;
  if (--group.encoding == 0) {
    work_.NotifyOne();
    encoded_.NotifyOne();
  }
  return reserved.position;
}

// --- committing ---

bool SegmentedJournal::Step() {
  const bool committed = CommitStep();
  MonotonicTime next;
  return KeepStep(&next) || committed;
}

void SegmentedJournal::RunCommitter() {
  while (true) {
    if (CommitStep()) continue;
    MutexLock lock(mu_);
    if (!failed_.ok() || (closing_ && !WorkWaits())) break;
    while (!WorkWaits() && !closing_) {
      if (unsynced_ == nullptr) {
        work_.Wait(mu_);
      } else if (!clock_->WaitUntil(work_, mu_, sync_due_)) {
        break;
      }
    }
  }
  DropAppended();
}

void SegmentedJournal::DropAppended() {
  // What was given up: who waits for it learns so from the end of its pending.
  std::vector<CommittedRecord> dropped;
  MutexLock lock(mu_);
  while (open_->encoding + taken_->encoding != 0) encoded_.Wait(mu_);
  dropped.swap(open_->records);
  for (CommittedRecord& record : taken_->records) dropped.push_back(std::move(record));
  open_->Clear();
  taken_->Clear();
}

bool SegmentedJournal::CommitStep() {
  enum { kNothing, kCommit, kRetire, kOpen, kSync } what = kNothing;
  std::shared_ptr<Segment> retired;
  {
    MutexLock lock(mu_);
    if (!failed_.ok()) return false;
    if (!open_->empty()) {
      what = kCommit;
      std::swap(open_, taken_);
      room_.NotifyAll();
      while (taken_->encoding != 0) encoded_.Wait(mu_);
    } else if (retire_wanted_) {
      what = kRetire;
      retired = std::exchange(current_, nullptr);
      retire_wanted_ = false;
    } else if (segment_wanted_ && !closing_) {
      what = kOpen;
    } else if (unsynced_ != nullptr && (closing_ || clock_->Now() >= sync_due_)) {
      what = kSync;
    }
  }
  absl::Status status;
  switch (what) {
    case kNothing:
      return false;
    case kCommit:
      status = Commit(*taken_);
      break;
    case kRetire:
      status = SyncIfDue(true);
      if (status.ok() && retired != nullptr) {
        MutexLock lock(keeper_mu_);
        to_seal_.push_back(std::move(retired));
        keep_.NotifyAll();
      }
      {
        MutexLock lock(mu_);
        room_.NotifyAll();
      }
      break;
    case kOpen:
      status = OpenSegment();
      // Appenders wait on; what is recallable stays so.
      if (absl::IsResourceExhausted(status)) return AwaitRoom(status);
      break;
    case kSync:
      status = SyncIfDue(true);
      break;
  }
  if (!status.ok()) Fail(status);
  return status.ok();
}

bool SegmentedJournal::AwaitRoom(const absl::Status& why) {
  if (!waiting_for_room_.exchange(true)) observer_->OnWaiting(why);
  if (options_.stepped) return false;
  MonotonicTime until = clock_->Now() + kRoomCheck;
  if (unsynced_ != nullptr) until = std::min(until, sync_due_);
  MutexLock lock(mu_);
  room_.NotifyAll();  // Who waits for everything to be durable may want to know.
  while (!closing_ && clock_->WaitUntil(wait_for_room_, mu_, until)) {
  }
  return !closing_;
}

absl::Status SegmentedJournal::Commit(CommitGroup& group) {
  const MonotonicTime begin = clock_->Now();
  absl::Status status = WriteGroup(group);
  // Where even prepared files may want room: the same bytes at the same place, until there is some.
  while (absl::IsResourceExhausted(status)) {
    const bool waiting = AwaitRoom(status);
    // What is acknowledged neither waits with it nor is given up with it.
    ENGRAM_RETURN_IF_ERROR(SyncIfDue(!waiting));
    if (!waiting) break;
    status = WriteGroup(group);
  }
  ENGRAM_RETURN_IF_ERROR(status);
  if (waiting_for_room_.exchange(false)) observer_->OnWaiting(absl::OkStatus());
  const bool synced = options_.durability == Durability::kFsync;
  const MonotonicTime now = clock_->Now();
  for (size_t i = 0; i < group.records.size(); ++i) {
    CommitTimes& times = group.records[i].times;
    times.taken_at = begin;
    times.written_at = group.written_at;
    times.durable_at = now;
    times.group_records = static_cast<uint32_t>(group.records.size());
    times.group_bytes = group.bytes();
    const uint64_t end = i + 1 < group.added.size() ? group.added[i + 1].offset : group.offset + group.bytes();
    group.segment->Add(group.added[i], end);
  }
  const uint64_t through = group.records.back().position;
  {
    MutexLock lock(mu_);
    // In mode interval this group's sync may have been the one that was due.
    if (synced || unsynced_ == nullptr) durable_ = through;
  }
  spares_.NoteCommitted(group.bytes());
  observer_->OnCommitted(group.records.size(), group.bytes(), synced, std::chrono::duration_cast<Duration>(now - begin));
  sink_->Committed(group.records);
  group.Clear();
  MutexLock lock(mu_);
  committed_ = through;
  room_.NotifyAll();
  return absl::OkStatus();
}

absl::Status SegmentedJournal::WriteGroup(CommitGroup& group) {
  ENGRAM_RETURN_IF_ERROR(group.segment->file().WriteAt(group.offset, group.Padded(group.offset)));
  group.written_at = clock_->Now();
  if (options_.durability == Durability::kFsync) return group.segment->file().Sync();
  if (unsynced_ == nullptr) sync_due_ = clock_->Now() + options_.sync_interval;
  unsynced_ = group.segment;
  return SyncIfDue(false);
}

absl::Status SegmentedJournal::SyncIfDue(bool now) {
  if (unsynced_ == nullptr || (!now && clock_->Now() < sync_due_)) return absl::OkStatus();
  uint64_t through;
  {
    MutexLock lock(mu_);
    through = committed_;
  }
  // Never tried again, for want of room neither: what the kernel dropped, a second sync says nothing of.
  if (const absl::Status synced = unsynced_->file().Sync(); !synced.ok()) {
    return absl::InternalError(std::string(MessageOf(synced)));
  }
  unsynced_.reset();
  MutexLock lock(mu_);
  durable_ = std::max(durable_, through);
  room_.NotifyAll();
  return absl::OkStatus();
}

absl::Status SegmentedJournal::OpenSegment() {
  ENGRAM_ASSIGN_OR_RETURN(SpareSegments::Spare spare, spares_.Take());
  SegmentHeader header;
  header.lineage = lineage_;
  header.first_position = last() + 1;
  header.seed = RandomSeed();
  const std::string name = FileNameOfSegment(header.first_position);
  std::array<std::byte, kHeaderBlockBytes> bytes;
  EncodeHeaderBlock(header, bytes.data());
  absl::Status status = spare.file->WriteAt(0, bytes);
  if (status.ok()) status = spare.file->Sync();
  if (status.ok()) status = directory_->Rename(spare.name, name);
  // The name must be there before anything in it is acknowledged.
  if (status.ok()) status = directory_->Sync();
  if (!status.ok()) {
    if (absl::IsResourceExhausted(status)) directory_->Remove(spare.name).IgnoreError();
    return status;
  }
  SegmentFooter footer;
  footer.first_position = header.first_position;
  footer.last_position = header.first_position - 1;
  auto segment = std::make_shared<Segment>(name, std::move(spare.file), header, std::move(footer), kHeaderBlockBytes,
                                           /*sealed=*/false);
  {
    MutexLock lock(segments_mu_);
    segments_[segment->first()] = segment;
  }
  {
    MutexLock lock(keeper_mu_);
    keep_again_ = true;  // One spare less.
    keep_.NotifyAll();
  }
  if (waiting_for_room_.exchange(false)) observer_->OnWaiting(absl::OkStatus());
  MutexLock lock(mu_);
  current_ = std::move(segment);
  offset_ = kHeaderBlockBytes;
  segment_wanted_ = false;
  room_.NotifyAll();
  return absl::OkStatus();
}

void SegmentedJournal::Fail(const absl::Status& why) {
  bool given_up;
  {
    MutexLock lock(mu_);
    // What waited for a full disk when the journal was closed is given up, which is no fault of the log.
    given_up = closing_ && absl::IsResourceExhausted(why);
  }
  // Before anybody is refused: whoever brings something while the process ends would be told that it is refused for
  // good, and the next start would take it.
  if (!given_up) observer_->OnFatal(why);
  MutexLock lock(mu_);
  if (failed_.ok()) failed_ = why;
  room_.NotifyAll();
}

void SegmentedJournal::Close() {
  {
    MutexLock lock(mu_);
    if (closing_) return;
    closing_ = true;
    retire_wanted_ = current_ != nullptr;
    work_.NotifyAll();
    wait_for_room_.NotifyAll();
    room_.NotifyAll();
  }
  if (options_.stepped && sink_ != nullptr) {
    while (Step()) {
    }
    DropAppended();
  }
  if (committer_.joinable()) committer_.join();
  if (keeper_.joinable()) {
    {
      MutexLock lock(keeper_mu_);
      keeper_.request_stop();
      keep_.NotifyAll();
    }
    keeper_.join();
  }
}

}  // namespace engram

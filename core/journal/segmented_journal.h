// The journal on disk: segments of one log in one directory, written in groups.
//
// Appenders encode their records into the open group, each into its own piece; the committer writes and syncs a whole group
// while the next one fills. A segment that is full is sealed behind the committer's back by the keeper, which also writes
// segments ahead. docs/durability.md has the promises and the format.
//
// Threads:   as core/journal/journal.h. Two of its own: the committer and the keeper.
// Ownership: directory, clock and observer outlive it.
// Blocking:  as core/journal/journal.h. SealThrough waits for the keeper; Replay and Open read.
// Errors:    Open is FAILED_PRECONDITION when another process has the directory or the format is a newer one, INTERNAL when
//            it cannot be read at all. Damage is no error: it is in defects(), and the rest is served.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "core/base/mutex.h"
#include "core/journal/commit_group.h"
#include "core/journal/files.h"
#include "core/journal/journal.h"
#include "core/journal/journal_defect.h"
#include "core/journal/manifest.h"
#include "core/journal/segment.h"
#include "core/journal/spare_segments.h"

namespace engram {

class SegmentReader;

struct JournalOptions {
  Durability durability = Durability::kFsync;
  Duration sync_interval{100'000};  // Of Durability::kInterval.
  uint64_t segment_bytes = uint64_t{256} << 20;
  uint64_t group_bytes = uint64_t{1} << 20;
  uint32_t spare_segments = 2;
  uint64_t prepare_bytes_per_second = uint64_t{200} << 20;
  uint64_t least_free_bytes = 0;  // Kept free by preparing.
  // No threads: whoever appends calls Step, so that a simulation does the same thing each time.
  bool stepped = false;
};

// Told of what the journal does; from its threads, without locks held.
class JournalObserver {
 public:
  virtual ~JournalObserver() = default;

  // A group is committed.
  virtual void OnCommitted(uint64_t /*records*/, uint64_t /*bytes*/, bool /*synced*/, Duration /*took*/) {}
  // The promise cannot be kept any more: nothing is committed from now on. The daemon ends here; to those who append
  // meanwhile nothing is said, and they are refused once this returns.
  virtual void OnFatal(const absl::Status& /*why*/) {}
  // While opening: of the segment that was being written `bytes` bytes from `offset` on are cut off, which are no whole
  // record or follow on none.
  virtual void OnTail(std::string_view /*segment*/, uint64_t /*offset*/, uint64_t /*bytes*/) {}
  // The log waits for room on the disk (not OK), or has found some.
  virtual void OnWaiting(const absl::Status& /*why*/) {}
};

class SegmentedJournal final : public Journal {
 public:
  // Locks the directory and reads what is there; the last segment is cut at its end and sealed.
  static absl::StatusOr<std::unique_ptr<SegmentedJournal>> Open(Directory* directory, const JournalOptions& options,
                                                                Clock* clock, JournalObserver* observer);
  ~SegmentedJournal() override;

  // --- before Start ---

  // Every record beyond `after`, in order. `progress` hears of bytes read, now and then.
  absl::Status Replay(uint64_t after, const std::function<absl::Status(const JournalRecord&, uint64_t)>& sink,
                      const std::function<void(uint64_t)>& progress);
  // Of the last Replay: the positions beyond its `after` that may have had records and could not be read, in order.
  const std::vector<PositionRange>& missed() const { return missed_; }
  // A record of those can be read. Reads what has some of them, and tells of its defects.
  absl::StatusOr<bool> HoldsAny(std::span<const PositionRange> positions) const ABSL_LOCKS_EXCLUDED(segments_mu_);
  // Bytes that Replay would read.
  uint64_t ReplayBytes(uint64_t after) const ABSL_LOCKS_EXCLUDED(segments_mu_);
  void Start(CommitSink* sink) override;

  // --- the log ---

  absl::StatusOr<uint64_t> Append(const JournalRecord& record, std::unique_ptr<PendingCommit> pending) override
      ABSL_LOCKS_EXCLUDED(mu_);
  void Close() override ABSL_LOCKS_EXCLUDED(mu_, keeper_mu_);
  uint64_t last() const override { return last_.load(std::memory_order_acquire); }
  Durability durability() const override { return options_.durability; }
  uint64_t id() const override { return manifest_id_; }
  bool keeps_records() const override { return true; }
  absl::Status Read(RecordAddress address, StoredObservation* out) const override ABSL_LOCKS_EXCLUDED(segments_mu_);
  // The observation is physically there, live or not.
  bool Contains(RecordAddress address) const ABSL_LOCKS_EXCLUDED(segments_mu_);

  // Of a stepped journal: does what its threads would do next; false when there is nothing to do.
  bool Step() ABSL_LOCKS_EXCLUDED(mu_, keeper_mu_);

  // --- its files ---

  struct Reading {
    uint64_t segments = 0;
    uint64_t bytes = 0;
    bool waiting_for_room = false;
    SpareSegments::Reading spares;
  };
  Reading ReadFiles() const ABSL_LOCKS_EXCLUDED(segments_mu_);
  // What is damaged or missing, as far as it has been met.
  std::vector<JournalDefect> defects() const ABSL_LOCKS_EXCLUDED(segments_mu_);
  // In the order of positions, as they are now.
  std::vector<std::shared_ptr<Segment>> segments() const ABSL_LOCKS_EXCLUDED(segments_mu_);
  // Waits until everything committed so far lies in sealed segments; the last position that does.
  absl::StatusOr<uint64_t> SealThrough() ABSL_LOCKS_EXCLUDED(mu_, segments_mu_);
  // Waits until everything appended so far is synced. UNAVAILABLE while the log waits for room.
  absl::Status AwaitDurable() ABSL_LOCKS_EXCLUDED(mu_);
  // Puts `replacement`, written and synced under `name`, in the place of the adjacent sealed segments `run`. An error
  // leaves them in force; when it is fatal (OnFatal) the next start may find either. Waits for snapshots under way.
  absl::Status Replace(const std::vector<std::shared_ptr<Segment>>& run, const std::string& name,
                       std::shared_ptr<Segment> replacement)
      ABSL_LOCKS_EXCLUDED(mu_, files_mu_, keeper_mu_, segments_mu_);
  struct Linked {
    uint64_t through = 0;
    uint64_t segments = 0;
    uint64_t bytes = 0;
  };
  // Hard links to every sealed segment, and a manifest for them, in an empty directory on the same file system. After an
  // error none of them is left.
  absl::StatusOr<Linked> LinkInto(Directory& target) ABSL_LOCKS_EXCLUDED(files_mu_, segments_mu_);
  // SealThrough, then LinkInto the directory that `open` finds empty, one at a time; Replace waits meanwhile. What it drops
  // may live on in a record that came behind what was sealed, and the copy would have neither.
  absl::StatusOr<Linked> SnapshotInto(const std::function<absl::StatusOr<Directory*>()>& open)
      ABSL_LOCKS_EXCLUDED(mu_, linking_mu_, files_mu_, segments_mu_);
  // Names the newest checkpoint, in a manifest that survives a power cut.
  absl::Status SetCheckpoint(const std::string& name) ABSL_LOCKS_EXCLUDED(files_mu_);
  std::string checkpoint() const ABSL_LOCKS_EXCLUDED(files_mu_);
  uint64_t lineage() const { return lineage_; }
  Directory& directory() { return *directory_; }

 private:
  // Not in force any more; somebody may still be reading it.
  struct ReplacedFile {
    std::shared_ptr<Segment> segment;
    std::string name;  // What it is called by now.
  };

  SegmentedJournal(Directory* directory, const JournalOptions& options, Clock* clock, JournalObserver* observer);

  // Recovery, in journal_recovery.cc and journal_replay.cc.
  absl::Status Load();
  absl::Status LoadManifest(const std::vector<std::string>& names);
  // `next` is where the segment behind it begins.
  absl::Status LoadSegment(const std::string& name, std::optional<uint64_t> next);
  // One whose positions the segment before it holds.
  absl::Status RemoveCovered(const std::string& name, File& file, const absl::StatusOr<SegmentHeader>& header);
  absl::Status ReadUnsealed(const std::string& name, std::shared_ptr<File> file, const SegmentHeader& header,
                            std::optional<uint64_t> next);
  // Writes and syncs again what no record of the segment knows to be synced: when the sync of an earlier life failed, the
  // kernel may show bytes that it takes for written and that are not on the disk.
  absl::Status WriteAgain(Segment& segment, uint64_t durable);
  // Of what lies behind the last whole record of the last segment, if it is anything.
  absl::Status TellTail(Segment& segment) const;
  absl::Status CutAndSeal(Segment& segment);
  void CheckContinuity();

  // An appender's piece of the open group.
  struct Reservation {
    CommitGroup* group = nullptr;
    uint64_t position = 0;
    uint64_t durable = 0;
    uint32_t seed = 0;
    std::span<std::byte> out;
  };
  // False: not now (the committer has been asked for what is missing), or never (`refused`).
  bool Reserve(size_t size, Reservation* reserved, absl::Status* refused) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  void RunCommitter() ABSL_LOCKS_EXCLUDED(mu_);
  bool WorkWaits() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return !failed_.ok() || !open_->empty() || retire_wanted_ || (segment_wanted_ && !closing_);
  }
  // Does one thing for the appenders; false when there is nothing to do, or nothing can be done.
  bool CommitStep() ABSL_LOCKS_EXCLUDED(mu_);
  void DropAppended() ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Commit(CommitGroup& group) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status WriteGroup(CommitGroup& group) ABSL_LOCKS_EXCLUDED(mu_);
  // A new segment for the positions from last() + 1 on.
  absl::Status OpenSegment() ABSL_LOCKS_EXCLUDED(mu_);
  // Waits a moment for the disk to have room, or until a sync is due; false when there is no waiting any more.
  bool AwaitRoom(const absl::Status& why) ABSL_LOCKS_EXCLUDED(mu_);
  void Fail(const absl::Status& why) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status SyncIfDue(bool now) ABSL_LOCKS_EXCLUDED(mu_);

  void RunKeeper(const std::stop_token& stop) ABSL_LOCKS_EXCLUDED(keeper_mu_);
  // Does one thing behind the committer; false when there is nothing to do before `next`.
  bool KeepStep(MonotonicTime* next) ABSL_LOCKS_EXCLUDED(keeper_mu_);
  absl::Status Seal(const std::shared_ptr<Segment>& segment) ABSL_LOCKS_EXCLUDED(files_mu_);
  absl::Status WriteManifest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(files_mu_);
  // Replacing, in journal_replace.cc.
  absl::Status PutInPlace(const std::vector<std::shared_ptr<Segment>>& run, const std::string& name,
                          const std::shared_ptr<Segment>& replacement, bool* fatal)
      ABSL_LOCKS_EXCLUDED(segments_mu_) ABSL_EXCLUSIVE_LOCKS_REQUIRED(files_mu_);
  // Recycles or removes one replaced file that nobody reads any more; false when there is none. `waiting`: there will be.
  bool FreeReplaced(bool* waiting) ABSL_LOCKS_EXCLUDED(files_mu_);
  void NoteDefect(JournalDefect defect) const ABSL_LOCKS_EXCLUDED(segments_mu_);
  // What was read of it is damaged, what lies behind `cut` aside.
  bool NoteDefects(const Segment& segment, const SegmentReader& reader, uint64_t cut = UINT64_MAX) const
      ABSL_LOCKS_EXCLUDED(segments_mu_);
  std::shared_ptr<Segment> FindSegment(uint64_t position) const ABSL_LOCKS_EXCLUDED(segments_mu_);

  // Constant after construction, or after Load.
  Directory* const directory_;
  const JournalOptions options_;
  Clock* const clock_;
  JournalObserver* const observer_;
  std::unique_ptr<DirectoryLock> lock_;
  uint64_t lineage_ = 0;
  uint64_t manifest_id_ = 0;
  SpareSegments spares_;
  CommitSink* sink_ = nullptr;

  std::vector<PositionRange> missed_;  // Replay's.

  // --- appending ---
  mutable Mutex mu_;
  CondVar work_;     // For the committer.
  CondVar room_;     // For appenders, and for who waits for sealing.
  CondVar encoded_;  // For the committer: the taken group is complete.
  CondVar wait_for_room_;  // The committer's, while the disk is full.
  std::unique_ptr<CommitGroup> open_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<Segment> current_ ABSL_GUARDED_BY(mu_);  // Null: the next record needs a new one.
  uint64_t offset_ ABSL_GUARDED_BY(mu_) = 0;               // Where the next record goes in it.
  uint64_t durable_ ABSL_GUARDED_BY(mu_) = 0;              // Synced.
  uint64_t committed_ ABSL_GUARDED_BY(mu_) = 0;            // Told to the sink.
  bool segment_wanted_ ABSL_GUARDED_BY(mu_) = false;
  bool retire_wanted_ ABSL_GUARDED_BY(mu_) = false;
  bool closing_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status failed_ ABSL_GUARDED_BY(mu_);

  // The committer's.
  std::unique_ptr<CommitGroup> taken_;
  std::shared_ptr<Segment> unsynced_;  // Mode interval: written and not synced.
  MonotonicTime sync_due_{};

  // --- keeping ---
  Mutex keeper_mu_;
  CondVar keep_;
  std::vector<std::shared_ptr<Segment>> to_seal_ ABSL_GUARDED_BY(keeper_mu_);
  bool keep_again_ ABSL_GUARDED_BY(keeper_mu_) = false;  // Something came up since the keeper last looked.

  Mutex linking_mu_;  // Of snapshots: from the look at the directory to the last name in it.
  // Serialises changes of which files there are.
  mutable Mutex files_mu_;
  Manifest manifest_ ABSL_GUARDED_BY(files_mu_);
  std::vector<ReplacedFile> replaced_ ABSL_GUARDED_BY(files_mu_);
  uint32_t snapshots_ ABSL_GUARDED_BY(files_mu_) = 0;  // Under way.
  CondVar snapshot_done_;

  // A leaf.
  mutable Mutex segments_mu_;
  std::map<uint64_t, std::shared_ptr<Segment>> segments_ ABSL_GUARDED_BY(segments_mu_);
  mutable std::vector<JournalDefect> defects_ ABSL_GUARDED_BY(segments_mu_);

  // Atomic: read by recalls and acknowledgements; written under mu_.
  std::atomic<uint64_t> last_{0};
  std::atomic<bool> waiting_for_room_{false};
  // Atomic: the keeper's word that the disk has no room for a footer.
  std::atomic<bool> seal_waits_{false};

  std::jthread committer_;
  std::jthread keeper_;
};

}  // namespace engram

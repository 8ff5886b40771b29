// The threads that apply what is committed: spaces are spread over partitions, each with a thread and a queue of its
// own.
//
// Records of one partition are applied in the order of the log; a space has one partition for its life (by its lane),
// so its records are too.
//
// Threads:  Committed from the journal's one committing thread at a time; Stop once, after the last Committed.
// Ownership: owns the commits from Committed until they are applied. Blocking: Committed while a partition is more
//            than a bound behind; the appliers wait for nobody, so whoever waits for them gets on. Stop until all is
//            applied.
// Errors:   a commit deals with its own.
// Why:      the committer's next write must not wait for an index, and workers wait for neither.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "core/base/mutex.h"
#include "core/journal/journal.h"

namespace engram {

// What this program appends to the journal, waiting to be applied. Goes without Apply when the journal gave it up.
class Commit : public PendingCommit {
 public:
  // Whose records keep their order among each other.
  virtual size_t lane() const = 0;
  // Observations in it, for the bound.
  virtual uint64_t weight() const = 0;
  virtual void Apply(uint64_t position, const CommitTimes& times) noexcept = 0;
};

class Applier {
 public:
  // A partition takes no more while it holds this many.
  static constexpr size_t kMostRecords = 1024;
  static constexpr uint64_t kMostObservations = 16384;

  explicit Applier(size_t partitions);
  ~Applier() { Stop(); }

  // Takes the records, all of whose pendings are Commits.
  void Committed(std::span<CommittedRecord> records) noexcept;
  // Applies what is queued and ends the threads. Nothing may be committed afterwards.
  void Stop();

  size_t partitions() const { return partitions_.size(); }
  // Records queued and not being applied.
  size_t queued() const;

 private:
  struct Partition {
    mutable Mutex mu;
    CondVar arrived;
    CondVar room;
    // The thread takes all of it at once and gives its own emptied one for it, so neither allocates for long.
    std::vector<CommittedRecord> queue ABSL_GUARDED_BY(mu);
    // Records and observations taken and not applied.
    size_t records ABSL_GUARDED_BY(mu) = 0;
    uint64_t weight ABSL_GUARDED_BY(mu) = 0;
    bool idle ABSL_GUARDED_BY(mu) = false;
    bool stopping ABSL_GUARDED_BY(mu) = false;
    std::jthread thread;
  };

  static void Loop(Partition& partition);

  std::vector<std::unique_ptr<Partition>> partitions_;
};

}  // namespace engram

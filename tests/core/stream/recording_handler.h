// A batch handler that remembers everything, and does to a commit what the test asks for.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/stream/batch_handler.h"
#include "tests/core/stream/slices.h"

namespace engram::testing {

class RecordingHandler final : public BatchHandler {
 public:
  struct StartedBatch {
    size_t worker = 0;
    bool stolen = false;
    Priority priority = Priority::kNormal;
    uint64_t observations = 0;
    std::vector<int> spaces;
  };
  struct Refusal {
    int space = 0;
    std::vector<uint64_t> sequences;
    absl::Status why;
  };
  // Of one space: which observation of which stream, in the order of commits.
  using Commits = std::vector<std::pair<int, uint64_t>>;

  // Runs before a batch counts as started, and before a commit is recorded; a failure or an exception of `on_commit` is
  // the commit's. Set before work is pushed.
  std::function<void(const Batch&, size_t worker, bool stolen)> on_started;
  std::function<absl::Status(const Portion&)> on_commit;

  void Started(const Batch& batch, size_t worker, bool stolen) override {
    if (on_started) on_started(batch, worker, stolen);
    MutexLock lock(mu_);
    StartedBatch& started = started_.emplace_back();
    started.worker = worker;
    started.stolen = stolen;
    started.priority = batch.priority;
    started.observations = batch.observations;
    for (const Portion& portion : batch.portions) started.spaces.push_back(SpaceId(portion));
  }

  absl::Status Commit(const Portion& portion) override {
    auto& space = static_cast<TestSpace&>(*portion.space);
    if (space.committing.fetch_add(1) != 0) overlaps_.fetch_add(1);
    struct Leave {
      std::atomic<int>& count;
      ~Leave() { count.fetch_sub(1); }
    } leave{space.committing};
    if (on_commit) {
      if (absl::Status status = on_commit(portion); !status.ok()) return status;
    }
    MutexLock lock(mu_);
    ++portions_;
    Commits& commits = commits_[space.id];
    for (const Slice& slice : portion.slices) {
      for (uint32_t place = slice.begin; place < slice.end; ++place) {
        commits.emplace_back(StreamId(slice), slice.frame->SequenceOf(place));
        ++observations_;
      }
      through_[StreamId(slice)] = slice.through_sequence;
      if (slice.last) ++last_pieces_;
    }
    changed_.NotifyAll();
    return absl::OkStatus();
  }

  void Refuse(const Portion& portion, const absl::Status& why) override {
    MutexLock lock(mu_);
    refusals_.push_back({SpaceId(portion), Sequences(portion), why});
    for (const Slice& slice : portion.slices) {
      through_[StreamId(slice)] = slice.through_sequence;
      if (slice.last) ++last_pieces_;
    }
    changed_.NotifyAll();
  }

  void Failed(size_t, bool threw) override {
    MutexLock lock(mu_);
    ++(threw ? threw_ : failed_);
  }

  // Blocks until so many observations are committed or refused.
  void AwaitObservations(uint64_t count) {
    MutexLock lock(mu_);
    while (observations_ + Refused() < count) changed_.Wait(mu_);
  }

  std::vector<StartedBatch> started() const {
    MutexLock lock(mu_);
    return started_;
  }
  // Sizes of the batches, in order.
  std::vector<uint64_t> sizes() const {
    MutexLock lock(mu_);
    std::vector<uint64_t> sizes;
    for (const StartedBatch& batch : started_) sizes.push_back(batch.observations);
    return sizes;
  }
  uint64_t stolen() const {
    MutexLock lock(mu_);
    uint64_t count = 0;
    for (const StartedBatch& batch : started_) count += batch.stolen;
    return count;
  }
  Commits commits(int space) const {
    MutexLock lock(mu_);
    const auto at = commits_.find(space);
    return at == commits_.end() ? Commits{} : at->second;
  }
  std::vector<Refusal> refusals() const {
    MutexLock lock(mu_);
    return refusals_;
  }
  uint64_t observations() const { return Get(observations_); }
  uint64_t portions() const { return Get(portions_); }
  // Slices that ended, be it by a refusal.
  uint64_t last_pieces() const { return Get(last_pieces_); }
  uint64_t threw() const { return Get(threw_); }
  uint64_t failed() const { return Get(failed_); }
  uint64_t through(int stream) const {
    MutexLock lock(mu_);
    const auto at = through_.find(stream);
    return at == through_.end() ? 0 : at->second;
  }
  // Commits that found another one of their space under way.
  uint64_t overlaps() const { return overlaps_.load(); }

 private:
  uint64_t Get(const uint64_t& value) const {
    MutexLock lock(mu_);
    return value;
  }
  uint64_t Refused() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    uint64_t count = 0;
    for (const Refusal& refusal : refusals_) count += refusal.sequences.size();
    return count;
  }

  mutable Mutex mu_;
  CondVar changed_;
  std::vector<StartedBatch> started_ ABSL_GUARDED_BY(mu_);
  std::map<int, Commits> commits_ ABSL_GUARDED_BY(mu_);
  std::map<int, uint64_t> through_ ABSL_GUARDED_BY(mu_);
  std::vector<Refusal> refusals_ ABSL_GUARDED_BY(mu_);
  // Not annotated, for Get takes them by reference; guarded by mu_ all the same.
  uint64_t observations_ = 0, portions_ = 0, last_pieces_ = 0, threw_ = 0, failed_ = 0;
  std::atomic<uint64_t> overlaps_{0};
};

}  // namespace engram::testing

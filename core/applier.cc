#include "core/applier.h"

#include <algorithm>
#include <utility>

#include "core/base/thread_name.h"

namespace engram {
namespace {

Commit& CommitOf(const CommittedRecord& record) { return static_cast<Commit&>(*record.pending); }

}  // namespace

Applier::Applier(size_t partitions) {
  for (size_t i = 0; i < std::max<size_t>(partitions, 1); ++i) {
    partitions_.push_back(std::make_unique<Partition>());
    Partition& partition = *partitions_.back();
    partition.thread = std::jthread([&partition] {
      NameThread("applier");
      Loop(partition);
    });
  }
}

void Applier::Committed(std::span<CommittedRecord> records) noexcept {
  for (size_t index = 0; index < partitions_.size(); ++index) {
    Partition& partition = *partitions_[index];
    const auto here = [&](const CommittedRecord& record) {
      return record.pending != nullptr && CommitOf(record).lane() % partitions_.size() == index;
    };
    auto at = std::find_if(records.begin(), records.end(), here);
    if (at == records.end()) continue;
    MutexLock lock(partition.mu);
    for (; at != records.end(); at = std::find_if(at, records.end(), here)) {
      while (partition.records >= kMostRecords || partition.weight >= kMostObservations) {
        if (std::exchange(partition.idle, false)) partition.arrived.NotifyOne();
        partition.room.Wait(partition.mu);
      }
      ++partition.records;
      partition.weight += CommitOf(*at).weight();
      partition.queue.push_back(std::move(*at));
    }
    // Once for all of them, and not at all while the thread is at work: it looks before it rests.
    if (std::exchange(partition.idle, false)) partition.arrived.NotifyOne();
  }
}

void Applier::Loop(Partition& partition) {
  std::vector<CommittedRecord> taken;
  while (true) {
    {
      MutexLock lock(partition.mu);
      while (partition.queue.empty()) {
        if (partition.stopping) return;
        partition.idle = true;
        partition.arrived.Wait(partition.mu);
      }
      partition.idle = false;
      taken.swap(partition.queue);
    }
    for (CommittedRecord& record : taken) {
      const uint64_t weight = CommitOf(record).weight();
      CommitOf(record).Apply(record.position, record.times);
      {
        MutexLock lock(partition.mu);
        const bool full = partition.records >= kMostRecords || partition.weight >= kMostObservations;
        --partition.records;
        partition.weight -= weight;
        if (full) partition.room.NotifyOne();
      }
      // Last: it may be what somebody waits for before taking everything down.
      record.pending.reset();
    }
    taken.clear();
  }
}

void Applier::Stop() {
  for (const auto& partition : partitions_) {
    MutexLock lock(partition->mu);
    partition->stopping = true;
    partition->arrived.NotifyAll();
  }
  for (const auto& partition : partitions_) {
    if (partition->thread.joinable()) partition->thread.join();
  }
}

size_t Applier::queued() const {
  size_t sum = 0;
  for (const auto& partition : partitions_) {
    MutexLock lock(partition->mu);
    sum += partition->queue.size();
  }
  return sum;
}

}  // namespace engram

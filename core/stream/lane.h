// A lane: the observations that wait for some of the spaces, in two priorities, handed out in batches.
//
// A space has one lane for its life. Its slices wait in the space's own SpaceQueue, and the lane keeps a round of the
// spaces that have work, so a batch takes from one space after another. A space whose slices are out in a batch is *busy*
// and gives out no more until Done: this keeps the order within a space, whoever runs the batch.
//
// Order:    high before normal, and after kHighStreak batches of high work one of normal, so neither starves. A stream is
//           never reordered: its normal slices move up before its first high one, and while high ones wait its normal ones
//           queue behind them.
// Threads:  any. Blocking: one leaf mutex, taken once per slice pushed and twice per batch. Bounded by the CapacityGate.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/base/slim_queue.h"
#include "core/base/types.h"
#include "core/trace/trace_sample.h"

namespace engram {

// What the lane must know of a stream to keep its order.
class StreamOrder {
 public:
  virtual ~StreamOrder() = default;

 private:
  friend class Lane;
  // Slices waiting at each priority. Belongs to the lane's mutex.
  std::array<uint64_t, 2> queued_{};
};

// One frame that was admitted, shared by its slices. Constant once pushed.
struct Frame {
  ObservationBatch batch;
  // The sequence of each observation; empty when they are first_sequence, first_sequence + 1, ...
  std::vector<uint64_t> sequences;
  uint64_t first_sequence = 0;
  uint64_t bytes_each = 0;  // Memory each observation keeps while it waits, on average.
  Priority priority = Priority::kNormal;
  MonotonicTime arrived{};
  MonotonicTime checked{};
  int64_t arrived_wall_us = 0;
  std::shared_ptr<StreamOrder> stream;
  TraceSample sample;

  // When all of it was there.
  MonotonicTime came() const { return batch.arrival.received == MonotonicTime{} ? arrived : batch.arrival.received; }

  uint64_t SequenceOf(size_t place) const { return sequences.empty() ? first_sequence + place : sequences[place]; }
};

// Observations [begin, end) of a frame.
struct Slice {
  std::shared_ptr<const Frame> frame;
  uint32_t begin = 0;
  uint32_t end = 0;
  // The stream's watermark once this slice is done.
  uint64_t through_sequence = 0;
  MonotonicTime queued{};
  // False for a piece that was split off; the rest is still to come.
  bool last = true;

  uint32_t size() const { return end - begin; }
};

// A space's place in its lane. Spaces derive from it.
class SpaceQueue {
 public:
  virtual ~SpaceQueue() = default;

 private:
  friend class Lane;
  // All of it belongs to the lane's mutex.
  std::array<SlimQueue<Slice>, 2> slices_;
  std::array<bool, 2> listed_{};
  bool busy_ = false;
};

// Which turn of which worker a batch is.
struct BatchTurn {
  MonotonicTime begun{};
  uint64_t number = 0;        // Of the worker, since the start.
  uint64_t observations = 0;
  uint32_t worker = 0;
  uint32_t lane = 0;
};

// What one space contributes to a batch.
struct Portion {
  std::shared_ptr<SpaceQueue> space;
  std::vector<Slice> slices;
  BatchTurn turn{};
};

struct Batch {
  Priority priority = Priority::kNormal;
  uint64_t observations = 0;
  std::vector<Portion> portions;
  BatchTurn turn;  // Each portion has it too.
};

class Lane {
 public:
  static constexpr uint32_t kHighStreak = 4;

  // The room for the slice has been taken from the gate.
  void Push(const std::shared_ptr<SpaceQueue>& space, Slice slice) ABSL_LOCKS_EXCLUDED(mu_);
  // Up to `most` observations of spaces that are not busy, or nothing. The spaces are busy until Done.
  std::optional<Batch> Take(uint64_t most) ABSL_LOCKS_EXCLUDED(mu_);
  // True when there is work to Take now.
  bool Done(const Batch& batch) ABSL_LOCKS_EXCLUDED(mu_);

  // Observations waiting. The sum is a glance without the lock.
  uint64_t depth() const { return depth_.load(std::memory_order_relaxed); }
  // There is work that Take would give out. Costs nothing while no space is listed.
  bool Ready() const ABSL_LOCKS_EXCLUDED(mu_);
  uint64_t DepthOf(Priority priority) const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  static size_t Place(Priority priority) { return priority == Priority::kHigh ? 1 : 0; }
  void List(const std::shared_ptr<SpaceQueue>& space, size_t place) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Promote(SpaceQueue& space, StreamOrder& stream) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool TakeFrom(size_t place, uint64_t most, Batch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable Mutex mu_;
  // Spaces with slices of that priority, in the order of their turns. A busy one may still be listed; it is passed over.
  std::array<std::deque<std::shared_ptr<SpaceQueue>>, 2> round_ ABSL_GUARDED_BY(mu_);
  std::array<uint64_t, 2> waiting_ ABSL_GUARDED_BY(mu_){};
  uint32_t high_streak_ ABSL_GUARDED_BY(mu_) = 0;
  // Atomic: written under mu_, glanced at by workers looking for the deepest lane.
  std::atomic<uint64_t> depth_{0};
  // Atomic: spaces listed in both rounds; written under mu_, read by pollers.
  std::atomic<uint64_t> listed_{0};
};

}  // namespace engram

// Spaces, streams and slices for tests of lanes and workers.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "core/stream/lane.h"

namespace engram::testing {

struct TestSpace final : SpaceQueue {
  explicit TestSpace(int id_in) : id(id_in) {}
  const int id;
  // Commits of it that are under way: never more than one.
  std::atomic<int> committing{0};
};

struct TestStream final : StreamOrder {
  explicit TestStream(int id_in) : id(id_in) {}
  const int id;
};

// `count` observations from `first` on, as one frame and one slice. Neither lanes nor workers look at observations, so
// the frame has none.
inline Slice MakeSlice(std::shared_ptr<StreamOrder> stream, uint64_t first, uint32_t count,
                       Priority priority = Priority::kNormal) {
  auto frame = std::make_shared<Frame>();
  frame->first_sequence = first;
  frame->priority = priority;
  frame->stream = std::move(stream);
  Slice slice;
  slice.end = count;
  slice.through_sequence = first + count - (count > 0 ? 1 : 0);
  slice.frame = std::move(frame);
  return slice;
}

inline int SpaceId(const Portion& portion) { return static_cast<const TestSpace&>(*portion.space).id; }

inline int StreamId(const Slice& slice) {
  return slice.frame->stream == nullptr ? -1 : static_cast<const TestStream&>(*slice.frame->stream).id;
}

// The sequences of all observations, in order.
inline std::vector<uint64_t> Sequences(const Portion& portion) {
  std::vector<uint64_t> sequences;
  for (const Slice& slice : portion.slices) {
    for (uint32_t place = slice.begin; place < slice.end; ++place) sequences.push_back(slice.frame->SequenceOf(place));
  }
  return sequences;
}

}  // namespace engram::testing

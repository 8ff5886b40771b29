#include "server/incoming.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

namespace engram {

std::unique_ptr<FramePool::Frame> TakeFrame(FramePool& pool, grpc::ByteBuffer& bytes) {
  std::vector<grpc::Slice> slices;
  if (!bytes.Valid() || !bytes.Dump(&slices).ok()) slices.clear();
  size_t size = 0;
  for (const grpc::Slice& slice : slices) size += slice.size();
  auto frame = pool.Take(size);
  char* to = frame->data();
  for (const grpc::Slice& slice : slices) {
    std::memcpy(to, slice.begin(), slice.size());
    to += slice.size();
  }
  bytes.Clear();
  return frame;
}

MonotonicTime DeadlineOf(const grpc::ServerContext& context, const Clock& clock) {
  constexpr Duration kNoDeadline = std::chrono::hours(24);
  // Times far away overflow when subtracted; they are cut first.
  const auto now = std::chrono::system_clock::now();
  const auto deadline = std::clamp(context.deadline(), now, now + kNoDeadline);
  return clock.Now() + std::chrono::duration_cast<Duration>(deadline - now);
}

}  // namespace engram

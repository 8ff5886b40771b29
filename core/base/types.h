// The words every layer uses: what an observation looks like in memory, and the small enumerations of the protocol.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"

namespace engram {

// Where a code lies in a space's slab: 0, 1, 2 ... in commit order.
using Ordinal = uint32_t;
inline constexpr Ordinal kNoOrdinal = UINT32_MAX;

// The numbers are those of engram.v1; server/wire.cc asserts it.
enum class Metric : uint8_t { kCosine = 1, kInnerProduct = 2, kL2 = 3 };
enum class AckLevel : uint8_t { kReceived = 1, kDurable = 2, kIndexed = 3 };
enum class Durability : uint8_t { kMemory = 1, kInterval = 2, kFsync = 3 };
enum class Priority : uint8_t { kNormal = 1, kHigh = 2 };
enum class PressureLevel : uint8_t { kNormal = 1, kWarning = 2, kCritical = 3, kOverloaded = 4 };

enum class Encoding : uint8_t { kF32, kF16 };

// A vector in somebody else's memory: little-endian elements, no alignment promised.
struct EmbeddingView {
  const std::byte* data = nullptr;
  uint32_t dimension = 0;
  Encoding encoding = Encoding::kF32;

  size_t bytes() const { return size_t{dimension} * (encoding == Encoding::kF32 ? 4 : 2); }
};

struct TagView {
  std::string_view key;
  std::string_view value;
};

// An observation in somebody else's memory. Times are microseconds; 0 as in engram.v1.Observation.
struct ObservationView {
  std::string_view id;
  EmbeddingView embedding;
  std::string_view content;
  std::span<const TagView> tags;
  int64_t observed_at_us = 0;
  float confidence = 1.0f;
  int64_t ttl_us = 0;
  // Why the edge could not read it, refused as INVALID_ARGUMENT with these words; empty when it could.
  std::string_view defect;
};

// Keeps the memory behind a batch's views alive, whatever it is (a decoded message, a test's strings).
class FrameOwner {
 public:
  virtual ~FrameOwner() = default;
};

// How a frame came in. Times that nobody noted are none.
struct FrameArrival {
  MonotonicTime received{};  // Its last byte was there.
  MonotonicTime decoded{};
  uint64_t bytes = 0;
  bool reused = false;  // Its buffer came from a pool.
};

// One frame of observations on its way through the queue. Moved, never copied.
struct ObservationBatch {
  std::vector<ObservationView> observations;
  // What the observations' `tags` point into.
  std::vector<TagView> tags;
  std::unique_ptr<FrameOwner> owner;
  FrameArrival arrival;
  // It had more observations than limits.max_batch_observations when it came, whatever that is by now.
  bool too_many = false;
};

// A position in a journal; {0, 0} is no token.
struct Token {
  uint64_t journal = 0;
  uint64_t position = 0;

  friend bool operator==(const Token&, const Token&) = default;
};

}  // namespace engram

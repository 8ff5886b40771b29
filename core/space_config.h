// What a memory space was made with.
//
// Threads: a value.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/types.h"

namespace engram {

// 0 or unset: the daemon's setting.
struct SpaceConfig {
  uint32_t dimension = 0;  // 0: fixed by the first observation.
  Metric metric = Metric::kCosine;
  uint32_t max_connections = 0;
  uint32_t ef_construction = 0;
  uint32_t ef_search = 0;
  std::optional<uint64_t> flat_threshold;  // Unset in a space's own config: tuned to the machine.
  uint64_t max_rate = 0;
  uint64_t quota_observations = 0;
  uint64_t quota_bytes = 0;
};

}  // namespace engram

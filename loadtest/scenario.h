// A scenario of `engram load`: the daemon, the load on it, what happens meanwhile, and what has to hold. docs/load.md
// describes the file.
//
// Threads: a value. Blocking: reading the file. Errors: NOT_FOUND (no such file), INVALID_ARGUMENT (names the file, the key
//          and what is allowed; a key that is not known is one).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "engram/v1/admin_service.pb.h"
#include "loadtest/load_shape.h"

namespace engram {

struct LoadEvent {
  enum class Kind { kFault, kKill, kFreeze };
  Kind kind = Kind::kFault;
  double at_seconds = 0;
  // kKill: SIGKILL, and started again after so long; kFreeze: SIGSTOP for so long; of a fault how long it is in force.
  double for_seconds = 0;
  v1::InjectFaultRequest fault;

  // How long it goes on to disturb the daemon once it has been carried out, which may have been late: a kill and a freeze are
  // over by then.
  double goes_on_seconds() const { return kind == Kind::kFault ? for_seconds : 0; }
};

struct Scenario {
  std::string name;
  std::string about;

  struct Daemon {
    std::string profile = "balanced";
    std::vector<std::string> set;
  } daemon;

  struct Load {
    std::vector<LoadPhase> shape;
    uint32_t spaces = 4;
    double zipf = 1;
    uint32_t streams_per_space = 1;
    uint32_t dimension = 128;
    uint32_t content_bytes = 100;
    uint32_t batch = 256;
    // So many different values of the tag `user`; 0: no tag.
    uint32_t users = 0;
    // Streams whose reader takes one frame every slow_every_seconds.
    uint32_t slow_readers = 0;
    double slow_every_seconds = 0.5;
    // Streams break their connection and come back so often; 0: never.
    double reconnect_every_seconds = 0;
  } load;

  struct Recalls {
    double per_second = 0;
    uint32_t callers = 4;
    uint32_t k = 10;
    // How often each, in proportion.
    uint32_t by_vector = 1, by_id = 0, exact = 0, by_user = 0;
  } recalls;

  std::vector<LoadEvent> events;

  struct Pass {
    double recovered_within_seconds = 60;
    std::optional<double> recall_p99_seconds;
    std::optional<double> observe_p99_seconds;
    // At least: what makes syncs slow must be felt.
    std::optional<double> observe_p99_at_least_seconds;
    // Of the recalls that were due, at least.
    double recalls_answered_share = 1;
    std::optional<uint64_t> memory_bytes;
    // Made durable over the whole load, a second.
    std::optional<double> observations_per_second;
    // What was due need not all have been taken.
    bool may_fall_behind = false;
    // The load must have met refusals for lack of room: without them it has tested nothing.
    bool must_be_pushed_back = false;
    // A daemon that is killed after the load and started again is asked, not the one that took it.
    bool verify_after_kill = false;
  } pass;
};

// With `brief`, what the file's `short` section says takes the place of what stands outside of it.
absl::StatusOr<Scenario> ParseScenario(const std::string& text, bool brief);
absl::StatusOr<Scenario> ReadScenario(const std::filesystem::path& file, bool brief);

}  // namespace engram

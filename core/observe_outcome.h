// What became of a batch that came in one call.
//
// Threads: the call's. Blocking: until all of the batch that was accepted has reached its level, or the deadline.
// Errors:  DEADLINE_EXCEEDED; NOT_FOUND when the space was deleted before all of the batch was taken.
#pragma once

#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/engine.h"
#include "core/one_shot_listener.h"
#include "core/stream_connection.h"

namespace engram {

// `stream` is the call's own, and has been given the batch as its sequences 1, 2, ...; `ids` are the batch's, empty where
// the daemon names the observation.
absl::StatusOr<ObserveOutcome> AwaitOutcome(StreamConnection& stream, OneShotListener& listener,
                                            std::vector<std::string> ids, AckLevel level, MonotonicTime deadline);

}  // namespace engram

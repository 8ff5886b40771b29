// The client's side of a run: a channel, and one stream that sends ready frames as fast as the other side takes them.
//
// Threads:  ObserveFrames uses the calling thread to write and one more to read.
// Blocking: until the last observation is acknowledged, or `patience` is over.
// Errors:   what the call ended with; DATA_LOSS when an observation was refused for good (names the first).
// Why:      the synchronous API, because gRPC's callback API sleeps up to 100 ms after a second of silence.
#pragma once

#include <grpcpp/channel.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "engram/v1/memory_service.grpc.pb.h"
#include "loadtest/histogram.h"

namespace engram {

// A connection of its own, with the arguments that both sides of a comparison get.
std::shared_ptr<grpc::Channel> ConnectTo(const std::string& address);

absl::Status FromGrpc(const grpc::Status& status, const std::string& what);

struct ObserveRun {
  std::string space;
  v1::AckLevel ack_level = v1::ACK_LEVEL_DURABLE;
  std::chrono::seconds patience{120};
  // Say `end` right behind the last frame, not after the last acknowledgement. Then nothing can be sent again.
  bool end_at_once = false;
};

struct ObserveResult {
  // The instant of the first frame's write, and from there to the acknowledgement of the last observation at the level
  // asked for.
  int64_t began = 0;
  int64_t nanos = 0;
  uint64_t acknowledged = 0;
  // Frames sent again because there was no room for them.
  uint64_t sent_again = 0;
  // Of each observation: from its frame's write to its durable acknowledgement; nanoseconds.
  Histogram latency;
  v1::Durability durability = v1::DURABILITY_UNSPECIFIED;
};

// `frames` as MakeFrames makes them. What is refused for lack of room is sent again.
absl::StatusOr<ObserveResult> ObserveFrames(v1::MemoryService::Stub& stub, const ObserveRun& run,
                                            const std::vector<v1::ObserveStreamRequest>& frames);

}  // namespace engram

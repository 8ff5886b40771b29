// The two parts of a benchmark's round: a burst over several streams, and a steady load with recalls and probes.
//
// Threads:   some of their own while they run; the stubs and pools are the caller's and used by nobody else meanwhile.
// Blocking:  for the seconds asked for and what is left over. Errors: the first that any thread met.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "engram/v1/memory_service.grpc.pb.h"
#include "loadtest/histogram.h"
#include "loadtest/measure/bench_plan.h"
#include "loadtest/measure/paced_stream.h"

namespace engram {

using Stubs = std::vector<std::unique_ptr<v1::MemoryService::Stub>>;

// `count` connections of their own.
Stubs ConnectEach(const std::string& address, size_t count);

struct BurstOutcome {
  uint64_t observations = 0;
  double payload_bytes = 0;
  double seconds = 0;  // From the first frame of any stream to the last acknowledgement of any.
  uint64_t sent_again = 0;
  std::vector<StreamOutcome::Arrival> arrivals;
  v1::Durability durability = v1::DURABILITY_UNSPECIFIED;

  double Rate() const { return seconds > 0 ? static_cast<double>(observations) / seconds : 0; }
};
// One stream for each stub, with the pool of its number, all into one space. `most_bytes` is over all of them.
absl::StatusOr<BurstOutcome> RunBurst(const Stubs& stubs, std::vector<FramePool>& pools, const StreamPlan& each,
                                      double most_bytes);

struct SteadyOutcome {
  // Nanoseconds from each due instant: to the durable acknowledgement of streamed observations, to the indexed one of
  // the slow stream's, to the answers of single Observe calls and of recalls.
  Histogram durable, indexed, observe, recall;
  double offered_per_second = 0;
  double acknowledged_per_second = 0;
  uint64_t sent_again = 0;
  // Of the stream that carries the load, and of recalls.
  std::vector<StreamOutcome::Arrival> arrivals, recalls;
};
struct OfferedLoad {
  std::string space, recall_space;
  double seconds = 1;
  double observations_per_second = 1000;
};
// Needs four stubs. `pool` carries the load, `single` (frames of one) what is waited for until it is indexed.
absl::StatusOr<SteadyOutcome> RunSteady(const Stubs& stubs, const OfferedLoad& steady, const BenchPlan& plan,
                                        const BenchData& data, FramePool& pool, FramePool& single);

// The largest frame that keeps an offered load to at most a thousand frames a second.
uint32_t RowsOfFrame(double observations_per_second, uint32_t most);

}  // namespace engram

#include "loadtest/measure/load_phase.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <thread>

#include "loadtest/observe_client.h"
#include "loadtest/open_loop.h"
#include "loadtest/pacing.h"

namespace engram {
namespace {

constexpr int64_t kBetweenTries = 2'000'000;

struct Asked {
  Histogram latency;
  std::vector<StreamOutcome::Arrival> arrivals;
  uint64_t again = 0;  // Times there was no room.
};

// Calls `ask(i)` at fixed instants until `seconds` are over; nanoseconds from each to the answer. Where there is no room
// it is asked again. What a slow daemon has not got to within half the time again is left out, and counted as having
// waited until then.
template <class Ask>
absl::StatusOr<Asked> AskSteadily(double per_second, double seconds, const Ask& ask) {
  Asked asked;
  const int64_t began = NowNanos();
  const auto count = static_cast<uint64_t>(per_second * seconds);
  const auto has_time = [&] { return Seconds(NowNanos() - began) < 1.5 * seconds; };
  for (uint64_t i = 0; i < count; ++i) {
    const int64_t due = began + static_cast<int64_t>(static_cast<double>(i) / per_second * kNanosPerSecond);
    SleepUntilNanos(due);
    while (has_time()) {
      const absl::Status status = ask(i);
      if (status.ok()) break;
      if (!absl::IsResourceExhausted(status)) return status;
      ++asked.again;
      SleepUntilNanos(NowNanos() + kBetweenTries);
    }
    const int64_t now = NowNanos();
    asked.latency.Record(now - due);
    asked.arrivals.push_back({now, 1, now - due});
  }
  return asked;
}

}  // namespace

Stubs ConnectEach(const std::string& address, size_t count) {
  Stubs stubs;
  for (size_t i = 0; i < count; ++i) stubs.push_back(v1::MemoryService::NewStub(ConnectTo(address)));
  return stubs;
}

uint32_t RowsOfFrame(double observations_per_second, uint32_t most) {
  return static_cast<uint32_t>(std::clamp(std::ceil(observations_per_second / 1000), 1.0, static_cast<double>(most)));
}

absl::StatusOr<BurstOutcome> RunBurst(const Stubs& stubs, std::vector<FramePool>& pools, const StreamPlan& each,
                                      double most_bytes) {
  std::vector<absl::StatusOr<StreamOutcome>> outcomes(pools.size(), absl::UnknownError("not run"));
  {
    std::vector<std::jthread> clients;
    for (size_t i = 0; i < pools.size(); ++i) {
      clients.emplace_back([&, i] {
        StreamPlan plan = each;
        const double frame_bytes = pools[i].payload_bytes() * pools[i].rows();
        plan.most_frames = static_cast<uint64_t>(most_bytes / static_cast<double>(pools.size()) / frame_bytes) + 1;
        outcomes[i] = RunPacedStream(*stubs[i], plan, pools[i]);
      });
    }
  }
  BurstOutcome together;
  int64_t began = std::numeric_limits<int64_t>::max(), ended = 0;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    ENGRAM_RETURN_IF_ERROR(outcomes[i].status());
    const StreamOutcome& outcome = *outcomes[i];
    together.observations += outcome.acknowledged;
    together.payload_bytes += static_cast<double>(outcome.acknowledged) * pools[i].payload_bytes();
    together.sent_again += outcome.sent_again;
    together.arrivals.insert(together.arrivals.end(), outcome.arrivals.begin(), outcome.arrivals.end());
    together.durability = i == 0 ? outcome.durability : std::min(together.durability, outcome.durability);
    began = std::min(began, outcome.began);
    ended = std::max(ended, outcome.ended);
  }
  together.seconds = Seconds(ended - began);
  return together;
}

absl::StatusOr<SteadyOutcome> RunSteady(const Stubs& stubs, const OfferedLoad& steady, const BenchPlan& plan,
                                        const BenchData& data, FramePool& pool, FramePool& single) {
  absl::StatusOr<StreamOutcome> load = absl::UnknownError("not run"), indexed = load.status();
  absl::StatusOr<Asked> recall = absl::UnknownError("not run"), observe = recall.status();
  StreamPlan of_load;
  of_load.space = steady.space;
  of_load.seconds = steady.seconds;
  of_load.frames_per_second = steady.observations_per_second / pool.rows();
  {
    std::jthread loader([&] { load = RunPacedStream(*stubs[0], of_load, pool); });
    std::jthread waiter([&] {
      StreamPlan of_probe = of_load;
      of_probe.level = v1::ACK_LEVEL_INDEXED;
      of_probe.frames_per_second = plan.probes_per_second;
      indexed = RunPacedStream(*stubs[1], of_probe, single);
    });
    std::jthread recaller([&] {
      recall = AskSteadily(plan.recalls_per_second, steady.seconds, [&](uint64_t i) {
        return TimeRecall(*stubs[2], steady.recall_space, plan.k, data.cues.row(i % data.cues.rows())).status();
      });
    });
    std::jthread observer([&] {
      observe = AskSteadily(plan.probes_per_second, steady.seconds, [&](uint64_t i) {
        SampleText text = RandomText(i);
        text.id.clear();
        return TimeObserve(*stubs[3], steady.space, text, data.streamed.row(i % data.streamed.rows())).status();
      });
    });
  }
  for (const absl::Status& status : {load.status(), indexed.status(), recall.status(), observe.status()}) {
    ENGRAM_RETURN_IF_ERROR(status);
  }
  SteadyOutcome outcome;
  outcome.durable = std::move(load->latency);
  outcome.indexed = std::move(indexed->latency);
  outcome.observe = std::move(observe->latency);
  outcome.recall = std::move(recall->latency);
  outcome.recalls = std::move(recall->arrivals);
  outcome.offered_per_second = steady.observations_per_second;
  outcome.acknowledged_per_second = static_cast<double>(load->acknowledged) /
                                    std::max(steady.seconds, Seconds(load->ended - load->began));
  outcome.sent_again = load->sent_again + indexed->sent_again + observe->again + recall->again;
  outcome.arrivals = std::move(load->arrivals);
  return outcome;
}

}  // namespace engram

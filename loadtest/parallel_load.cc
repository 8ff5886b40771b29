#include "loadtest/parallel_load.h"

#include <algorithm>
#include <atomic>
#include <latch>
#include <limits>
#include <memory>
#include <thread>

#include "loadtest/observe_client.h"
#include "loadtest/open_loop.h"
#include "loadtest/pacing.h"

namespace engram {
namespace {

constexpr size_t kCallersPerConnection = 8;

}  // namespace

double StreamsResult::Rate() const { return nanos == 0 ? 0 : static_cast<double>(acknowledged) / Seconds(nanos); }

absl::StatusOr<StreamsResult> RunStreams(const std::string& address, const std::vector<StreamLoad>& loads,
                                         const std::vector<v1::ObserveStreamRequest>& warm_up) {
  std::vector<absl::StatusOr<ObserveResult>> results(loads.size(), absl::UnknownError("not run"));
  {
    std::latch all_warm(static_cast<std::ptrdiff_t>(loads.size()));
    std::vector<std::jthread> clients;
    for (size_t i = 0; i < loads.size(); ++i) {
      clients.emplace_back([&, i] {
        const auto stub = v1::MemoryService::NewStub(ConnectTo(address));
        absl::Status warm;
        if (!warm_up.empty()) {
          warm = ObserveFrames(*stub, {.space = kWarmUpSpace, .end_at_once = true}, warm_up).status();
        }
        all_warm.arrive_and_wait();
        if (warm.ok()) {
          results[i] = ObserveFrames(*stub, {.space = loads[i].space, .end_at_once = true}, *loads[i].frames);
        } else {
          results[i] = warm;
        }
      });
    }
  }
  StreamsResult together;
  int64_t began = std::numeric_limits<int64_t>::max(), ended = 0;
  for (const absl::StatusOr<ObserveResult>& result : results) {
    ENGRAM_RETURN_IF_ERROR(result.status());
    together.acknowledged += result->acknowledged;
    together.latency.Merge(result->latency);
    began = std::min(began, result->began);
    ended = std::max(ended, result->began + result->nanos);
    together.durability =
        &result == &results.front() ? result->durability : std::min(together.durability, result->durability);
  }
  together.nanos = ended - began;
  return together;
}

absl::StatusOr<CallersResult> RunCallers(const std::string& address, const CallersPlan& plan, const Matrix& vectors) {
  struct Caller {
    Histogram latency;
    absl::Status status;
    int64_t ended = 0;
  };
  std::vector<std::unique_ptr<v1::MemoryService::Stub>> stubs;
  for (size_t i = 0; i < plan.callers; i += kCallersPerConnection) {
    stubs.push_back(v1::MemoryService::NewStub(ConnectTo(address)));
  }
  std::vector<Caller> callers(plan.callers);
  std::atomic<size_t> next{plan.first_id};  // Relaxed: only hands out different numbers.
  std::atomic<int64_t> began{0};            // Set once, by the first that passes the latch.
  {
    std::latch ready(plan.callers);
    std::vector<std::jthread> threads;
    for (size_t i = 0; i < callers.size(); ++i) {
      threads.emplace_back([&, i] {
        Caller& caller = callers[i];
        v1::MemoryService::Stub& stub = *stubs[i / kCallersPerConnection];
        ready.arrive_and_wait();
        int64_t unset = 0;
        began.compare_exchange_strong(unset, NowNanos());
        const int64_t until = began.load() + int64_t{plan.seconds} * kNanosPerSecond;
        while (caller.status.ok() && NowNanos() < until) {
          const size_t id = next.fetch_add(1, std::memory_order_relaxed);
          const absl::StatusOr<int64_t> took =
              TimeObserve(stub, plan.space, RandomText(id), vectors.row(id % vectors.rows()));
          caller.status = took.status();
          if (took.ok()) caller.latency.Record(*took);
        }
        caller.ended = NowNanos();
      });
    }
  }
  CallersResult result;
  for (const Caller& caller : callers) {
    ENGRAM_RETURN_IF_ERROR(caller.status);
    result.latency.Merge(caller.latency);
    result.nanos = std::max(result.nanos, caller.ended - began.load());
  }
  result.acknowledged = result.latency.count();
  return result;
}

}  // namespace engram

// Recalls offered at fixed instants, of several kinds, into the spaces of a load.
//
// Threads:   Start, Finish and the destructor on one; its callers are threads of its own.
// Ownership: streams, shape and made observations outlive it. Blocking: Finish until calls under way are answered.
// Errors:    none of its own: how calls ended is counted by code.
// Why:       latency counts from the instant a recall was due, also when all callers were still waiting for earlier ones.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engram/v1/memory_service.grpc.pb.h"
#include "loadtest/histogram.h"
#include "loadtest/load_stream.h"
#include "loadtest/scenario.h"

namespace engram {

class RecallLoad {
 public:
  RecallLoad(const std::string& address, const Scenario::Recalls& plan, uint64_t seed, int64_t began, double seconds,
             const std::vector<std::unique_ptr<LoadStream>>* streams, const MadeObservations* made, bool users);
  ~RecallLoad() { Finish(); }

  void Start();
  void Finish();

  // After Finish. Of those that were answered, ended with their deadline, or were due and never sent: until then they had
  // waited. A refusal is quick, and says nothing of how long an answer takes.
  const Histogram& latency() const { return latency_; }
  const std::map<int, uint64_t>& ended_by_code() const { return ended_; }
  // By the time of Finish.
  uint64_t due() const { return due_; }
  uint64_t answered() const { return answered_; }
  // By id of something durable, and it was not found: answered, and wrong.
  uint64_t not_found() const { return not_found_; }

 private:
  struct Caller {
    Histogram latency;
    std::map<int, uint64_t> ended;
    uint64_t answered = 0;
    uint64_t not_found = 0;
    std::optional<uint64_t> unsent;  // Taken, and not sent before the end.
    std::jthread thread;
  };

  void Run(Caller& caller, const std::stop_token& stop);
  v1::RecallRequest Request(uint64_t number) const;
  int64_t DueAt(uint64_t number) const;

  const Scenario::Recalls plan_;
  const uint64_t seed_;
  const int64_t began_;
  const uint64_t count_;
  const std::vector<std::unique_ptr<LoadStream>>* const streams_;
  const MadeObservations* const made_;
  const bool users_;
  const std::unique_ptr<v1::MemoryService::Stub> stub_;
  std::atomic<uint64_t> next_{0};  // Relaxed: each number is taken once.

  std::vector<std::unique_ptr<Caller>> callers_;
  bool finished_ = false;
  Histogram latency_;
  std::map<int, uint64_t> ended_;
  uint64_t due_ = 0;
  uint64_t answered_ = 0;
  uint64_t not_found_ = 0;
};

}  // namespace engram

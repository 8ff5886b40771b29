// Recalls offered at fixed instants, of several kinds, into the spaces of a load; each answer is checked.
//
// Threads:   Start, Finish and the destructor on one; its callers are threads of its own.
// Ownership: streams and made observations outlive it. Blocking: Finish until what is due by then is answered, `patience` at
//            most.
// Errors:    none of its own: how calls ended is counted by code.
// Why:       latency counts from the instant a recall was due, also when all callers were still waiting for earlier ones.
#pragma once

#include <atomic>
#include <chrono>
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
#include "loadtest/recall_check.h"
#include "loadtest/scenario.h"

namespace engram {

class RecallLoad {
 public:
  struct Plan {
    std::string address;
    Scenario::Recalls recalls;
    uint64_t seed = 1;
    // The instant (NowNanos) that the load begins at, and how long it lasts.
    int64_t began = 0;
    double seconds = 0;
    // Observations carry the tag `user`.
    bool users = false;
    // How long a call, and Finish, waits for an answer.
    std::chrono::milliseconds patience{5000};
  };

  RecallLoad(Plan plan, const std::vector<std::unique_ptr<LoadStream>>* streams, const MadeObservations* made);
  ~RecallLoad() { Finish(); }

  void Start();
  // What is due by now is still sent: that all callers were busy with earlier ones makes it late, not unanswered.
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
  // Answered with hits that cannot be right, or without those that must be there (loadtest/recall_check.h).
  uint64_t wrong() const { return wrong_; }
  const std::string& first_wrong() const { return first_wrong_; }

 private:
  struct Caller {
    Histogram latency;
    std::map<int, uint64_t> ended;
    uint64_t answered = 0;
    uint64_t not_found = 0;
    uint64_t wrong = 0;
    std::string first_wrong;
    std::optional<uint64_t> unsent;  // Taken, and not sent before patience was over.
    std::jthread thread;
  };

  void Run(Caller& caller, const std::stop_token& stop);
  struct Asked {
    v1::RecallRequest request;
    MadeObservations::Place like;  // Whose vector, id or tag it asks with.
  };
  Asked Ask(uint64_t number) const;
  int64_t DueAt(uint64_t number) const;

  const Plan plan_;
  const uint64_t count_;
  const std::vector<std::unique_ptr<LoadStream>>* const streams_;
  const MadeObservations* const made_;
  const RecallCheck check_;
  const std::unique_ptr<v1::MemoryService::Stub> stub_;
  std::atomic<uint64_t> next_{0};  // Relaxed: each number is taken once.
  // Set by Finish before callers are told to stop: numbers from here on are not sent, and nothing after that instant.
  std::atomic<uint64_t> end_;
  std::atomic<int64_t> give_up_{INT64_MAX};

  std::vector<std::unique_ptr<Caller>> callers_;
  bool finished_ = false;
  Histogram latency_;
  std::map<int, uint64_t> ended_;
  uint64_t due_ = 0;
  uint64_t answered_ = 0;
  uint64_t not_found_ = 0;
  uint64_t wrong_ = 0;
  std::string first_wrong_;
};

}  // namespace engram

// One client of a load: a stream into one space that sends what is due, comes back when its connection ends, and keeps a
// ledger of what it was promised.
//
// Threads:   Start, Finish and the destructor on one thread; the readings on any. Two of its own: one opens connections and
//            writes, one reads.
// Ownership: shape, made observations and plan's address outlive it. It ends its call when destroyed.
// Blocking:  Finish until both threads are done, a backoff and an open call at most.
// Errors:    none of its own: how calls ended is counted by code, contradictions are in the ledger.
// Why:       latency counts from the instant an observation was due, whether it could be sent then or not; so a daemon that
//            stalls, or is not there, is charged for everything that waited.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "core/base/mutex.h"
#include "engram/v1/memory_service.grpc.pb.h"
#include "loadtest/ack_ledger.h"
#include "loadtest/histogram.h"
#include "loadtest/load_shape.h"
#include "loadtest/made_observations.h"

namespace engram {

class LoadStream {
 public:
  struct Plan {
    std::string address;
    std::string space;
    uint32_t number = 0;
    double share = 1;  // Of the shape.
    uint32_t batch = 256;
    // The instant (NowNanos) that the shape begins at.
    int64_t began = 0;
    int64_t reconnect_every = 0;  // Nanoseconds; 0: never.
    int64_t read_every = 0;       // 0: as frames come.
  };

  LoadStream(Plan plan, const LoadShape* shape, const MadeObservations* made);
  ~LoadStream() { Finish(); }

  void Start();
  // Sends no more, waits for nothing more.
  void Finish();

  // All that is due over the whole load has been answered.
  bool Complete() const { return durable_.load(std::memory_order_relaxed) >= total_; }
  // How long the oldest that was due by `now` and has not been acknowledged has waited; 0 when nothing waits.
  int64_t LagNanos(int64_t now) const;
  uint64_t due() const { return total_; }
  uint64_t durable() const { return durable_.load(std::memory_order_relaxed); }
  bool slow_reader() const { return plan_.read_every > 0; }
  const Plan& plan() const { return plan_; }
  const AckLedger& ledger() const { return ledger_; }

  // After Finish.
  const Histogram& latency() const { return latency_; }
  const std::map<int, uint64_t>& ended_by_code() const { return ended_; }
  uint64_t connections() const { return connections_; }
  uint64_t pushed_back() const { return pushed_back_; }

 private:
  using Call = grpc::ClientReaderWriter<v1::ObserveStreamRequest, v1::ObserveStreamResponse>;

  void Run(const std::stop_token& stop);
  // One connection, until it ends or is to end; the code it ended with.
  int RunConnection(const std::stop_token& stop);
  void Write(Call& call, const std::stop_token& stop, int64_t until);
  void Read(Call& call);
  void TakeAck(const v1::Ack& ack);
  void Acknowledge(uint64_t through);
  // What to write next, when it is time to; 0 of nothing.
  uint64_t AwaitDue(uint64_t next, const std::stop_token& stop, int64_t until) const;
  int64_t DueAt(uint64_t sequence) const;

  // Constant after construction.
  const Plan plan_;
  const LoadShape* const shape_;
  const MadeObservations* const made_;
  const uint64_t total_;
  const std::unique_ptr<v1::MemoryService::Stub> stub_;

  AckLedger ledger_;
  std::atomic<uint64_t> durable_{0};  // Relaxed: a figure; refused ones count as answered.
  std::atomic<bool> over_{false};     // Of the connection: the reader has seen its end.

  Mutex mu_;
  uint64_t next_ ABSL_GUARDED_BY(mu_) = 1;
  int64_t not_before_ ABSL_GUARDED_BY(mu_) = 0;

  // Of the reader, one at a time.
  Histogram latency_;
  uint64_t pushed_back_ = 0;
  // Of the writer.
  std::map<int, uint64_t> ended_;
  uint64_t connections_ = 0;
  std::jthread writer_;
};

}  // namespace engram

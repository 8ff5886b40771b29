// A stream into a space at a fixed rate for as long as it is wanted, and recalls at a fixed rate meanwhile.
//
// Threads:   Start, Stop and the destructor on one thread, the counts on any; two threads of its own while it runs.
// Ownership: the matrix must outlive it. It ends its call when destroyed.
// Blocking:  Stop until the next frame is due and what was written is answered.
// Errors:    of the call; DATA_LOSS when an observation was refused for good. A daemon without room makes it slower, which
//            shows in acknowledged().
// Why:       a load that is to last minutes cannot have its frames made beforehand, and one that waits for its daemon
//            hides that the daemon does not keep up.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "engram/v1/memory_service.grpc.pb.h"
#include "loadtest/dataset.h"
#include "loadtest/histogram.h"

namespace engram {

// The rows of `matrix` in turn, each time round rotated by one element more: new vectors of the same shape for ever.
void RotatedRow(const Matrix& matrix, uint64_t number, std::string* bytes);

struct SteadyPlan {
  std::string space;
  double observations_per_second = 1000;
  // Ids carry this number and the ones after it, and vectors are the rotated rows of these numbers.
  size_t first_id = 0;
};

class SteadyStream {
 public:
  static absl::StatusOr<std::unique_ptr<SteadyStream>> Start(const std::string& address, const SteadyPlan& plan,
                                                             const Matrix& matrix);
  ~SteadyStream() { (void)Stop(); }

  uint64_t acknowledged() const { return acknowledged_.load(std::memory_order_relaxed); }
  // Acknowledged as a share of what was due; 1 when it kept up.
  double ShareKept() const;
  absl::Status Stop();

 private:
  using Stream = grpc::ClientReaderWriter<v1::ObserveStreamRequest, v1::ObserveStreamResponse>;

  SteadyStream(const std::string& address, const SteadyPlan& plan, const Matrix& matrix);
  absl::Status Open();
  void Write();
  void Read();
  v1::ObserveStreamRequest FrameFrom(uint64_t first_sequence) const;

  const SteadyPlan plan_;
  const Matrix& matrix_;
  const uint32_t frame_rows_;
  const std::unique_ptr<v1::MemoryService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<Stream> stream_;
  int64_t began_ = 0;

  std::atomic<uint64_t> acknowledged_{0};  // Relaxed: a figure, guards nothing.
  std::atomic<bool> stopping_{false};      // Relaxed: seen by the next frame.
  Mutex mu_;
  uint64_t next_sequence_ ABSL_GUARDED_BY(mu_) = 1;
  absl::Status refused_ ABSL_GUARDED_BY(mu_);
  absl::Status ended_;  // Of Stop, on its thread.
  std::jthread writer_, reader_;
};

// Nanoseconds from each due instant to the answer; one call at a time, so a slow one delays the next. Where they fall
// behind by half of `seconds`, the rest is not asked and counts with what it has waited by then.
absl::StatusOr<Histogram> RecallSteadily(v1::MemoryService::Stub& stub, const std::string& space, const Matrix& cues,
                                         double recalls_per_second, double seconds);

}  // namespace engram

// The daemon: an engine behind gRPC, with health, reflection and metrics. This is the front door of server/.
//
// Threads:   Start, Stop and the destructor from one; the rest from any.
// Ownership: owns everything it builds.
// Blocking:  Start until it listens; Stop until what was accepted is finished, at most its bound and what a call
//            under way needs to notice that it was cancelled.
// Errors:    UNAVAILABLE for an address that cannot be listened on: the message names it and says what to do.
//
// Stopping, in order: health says NOT_SERVING; the engine admits no more, ends its followers and, once what they had
// accepted has reached their level, its streams; calls under way finish; followers that read get a second; the server closes; the queue is empty.
#pragma once

#include <grpcpp/server.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/loader.h"
#include "config/settings.h"
#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/status.h"
#include "core/engine.h"
#include "core/metrics/metrics.h"
#include "server/admin_service.h"
#include "server/call_slots.h"
#include "server/frame_pool.h"
#include "server/injected_faults.h"
#include "server/load_sampler.h"
#include "server/memory_service.h"
#include "server/metrics_exporter.h"
#include "server/storage.h"

namespace engram {

class Daemon {
 public:
  struct Options {
    // Valid: from a LoadResult without faults.
    Settings settings;
    // Reads the configuration anew, for a reload. Null: a reload is FAILED_PRECONDITION.
    std::function<LoadResult()> load;
    // Told to whoever asks for the status.
    Build build;
  };

  // What was left when Stop returned.
  struct Leftovers {
    uint64_t observations = 0;
    uint64_t streams = 0;
    uint64_t calls = 0;
    bool drained = true;  // Nothing is on its way into the journal.

    bool any() const { return observations + streams + calls > 0 || !drained; }
  };

  static absl::StatusOr<std::unique_ptr<Daemon>> Start(Options options);
  // Stops without grace if Stop was not called.
  ~Daemon();

  // Where gRPC listens, with the ports in use, in the order of server.address.
  const std::vector<std::string>& addresses() const { return addresses_; }
  // Empty when metrics are off.
  std::string metrics_address() const;
  Engine& engine() { return *engine_; }

  // INVALID_ARGUMENT lists every fault, one a line; then nothing has changed.
  absl::StatusOr<ReloadOutcome> Reload() ABSL_LOCKS_EXCLUDED(reload_mu_);

  Leftovers Stop(Duration bound);

 private:
  explicit Daemon(Options options);

  void AllowFaults();
  absl::Status OpenEngine();
  absl::Status Listen();
  void SetServing(bool serving);
  absl::Status StartExporter();
  std::unique_ptr<grpc::Server> BuildServer(const std::vector<std::string>& wanted, std::vector<int>& ports);

  // Constant after Start. Those below use those above.
  const Options options_;
  RealClock real_clock_;
  std::unique_ptr<InjectedFaults> faults_;  // Null without admin.fault_injection.
  Clock* clock_ = &real_clock_;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<FramePool> pool_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Storage> storage_;  // Null in mode memory.
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<LoadSampler> sampler_;
  CallSlots calls_;
  CallSlots answers_;
  CallSlots streams_;
  CallSlots followers_;
  std::unique_ptr<MemoryService> memory_service_;
  std::unique_ptr<AdminService> admin_service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<MetricsExporter> exporter_;
  std::vector<std::string> addresses_;

  // Of Start, Stop and the destructor.
  bool stopped_ = false;

  // One reload at a time.
  Mutex reload_mu_;
};

}  // namespace engram

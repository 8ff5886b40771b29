// engram.v1.AdminService: looking at the daemon and steering it.
//
// Threads:   gRPC's, one for each call under way. Ownership: engine, sampler, clock, series and slots outlive it.
// Blocking:  Drain until the queue is empty or just before its deadline; ReloadConfig while a file is read; Snapshot until its files are
//            linked.
// Errors:    as engram.v1.AdminService documents; RESOURCE_EXHAUSTED beyond a fixed number of calls under way, of its
//            own, so that a daemon full of other calls can still be looked at.
#pragma once

#include <grpcpp/server_context.h>

#include <functional>
#include <string>
#include <vector>

#include "core/base/build.h"
#include "core/base/clock.h"
#include "core/base/machine.h"
#include "core/engine.h"
#include "engram/v1/admin_service.grpc.pb.h"
#include "server/call_slots.h"
#include "server/injected_faults.h"
#include "server/load_sampler.h"

namespace engram {

// What a reload has done: settings in force now, and those that wait for a restart, each as "key: old -> new".
struct ReloadOutcome {
  std::vector<std::string> applied;
  std::vector<std::string> needs_restart;
};

// What a snapshot holds. `segments` and `bytes` are those of the log.
struct SnapshotOutcome {
  Token token;
  uint64_t segments = 0;
  uint64_t bytes = 0;
};

class AdminService final : public v1::AdminService::Service {
 public:
  struct Deps {
    Engine* engine;
    LoadSampler* sampler;
    Clock* clock;
    // Counts what came from pools.
    const Series* process;
    std::function<absl::StatusOr<ReloadOutcome>()> reload;
    // How much of the journal has been read, 0..1; 1: the daemon serves.
    std::function<double()> recovered;
    // Makes a snapshot in the directory, an absolute path. Null: there is nothing to make one of.
    std::function<absl::StatusOr<SnapshotOutcome>(const std::string&)> snapshot;
    // Writes a checkpoint. Null: there is nothing to make one of.
    std::function<absl::StatusOr<Token>()> checkpoint;
    // Null: the daemon does not let itself be broken.
    InjectedFaults* faults;
    Build build;
  };

  explicit AdminService(Deps deps);

  // Told once the ports are known.
  void SetAddresses(std::string grpc_address, std::string metrics_address);

  grpc::Status GetStatus(grpc::ServerContext* context, const v1::GetStatusRequest* request,
                         v1::GetStatusResponse* response) override;
  grpc::Status Drain(grpc::ServerContext* context, const v1::DrainRequest* request,
                     v1::DrainResponse* response) override;
  grpc::Status Checkpoint(grpc::ServerContext* context, const v1::CheckpointRequest* request,
                          v1::CheckpointResponse* response) override;
  grpc::Status Snapshot(grpc::ServerContext* context, const v1::SnapshotRequest* request,
                        v1::SnapshotResponse* response) override;
  grpc::Status ReloadConfig(grpc::ServerContext* context, const v1::ReloadConfigRequest* request,
                            v1::ReloadConfigResponse* response) override;
  grpc::Status TraceObservations(grpc::ServerContext* context, const v1::TraceObservationsRequest* request,
                                 grpc::ServerWriter<v1::TraceObservationsResponse>* writer) override;
  grpc::Status InjectFault(grpc::ServerContext* context, const v1::InjectFaultRequest* request,
                           v1::InjectFaultResponse* response) override;

 private:
  // Constant after construction.
  const Deps deps_;
  const MonotonicTime started_;
  const int64_t started_at_us_;
  const Machine machine_;

  // Calls may come between the listening and SetAddresses.
  Mutex mu_;
  std::string grpc_address_ ABSL_GUARDED_BY(mu_);
  std::string metrics_address_ ABSL_GUARDED_BY(mu_);

  // Own synchronisation.
  CallSlots calls_;
  // Apart: each waits for its client to read, and holds copies meanwhile.
  CallSlots traces_;
};

// The daemon's version.
std::string_view Version();

}  // namespace engram

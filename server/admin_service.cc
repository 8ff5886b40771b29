#include "server/admin_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "server/grpc_status.h"
#include "server/incoming.h"
#include "server/log.h"
#include "server/trace_wire.h"
#include "server/wire.h"

namespace engram {
namespace {

constexpr uint64_t kMostCalls = 32;
constexpr uint64_t kMostTraceCalls = 4;
// A drain answers this long before its deadline, so that the answer arrives.
constexpr Duration kAnswerAhead = std::chrono::milliseconds(200);

void Encode(const LatencySummary& summary, v1::LatencySummary* out) {
  out->set_p50_us(summary.p50.count());
  out->set_p99_us(summary.p99.count());
  out->set_count(summary.count);
}

}  // namespace

AdminService::AdminService(Deps deps)
    : deps_(std::move(deps)),
      started_(deps_.clock->Now()),
      started_at_us_(deps_.clock->WallMicros()),
      machine_(ThisMachine()),
      calls_("admin calls", "their limit", kMostCalls),
      traces_("calls for traces", "their limit", kMostTraceCalls) {}

void AdminService::SetAddresses(std::string grpc_address, std::string metrics_address) {
  MutexLock lock(mu_);
  grpc_address_ = std::move(grpc_address);
  metrics_address_ = std::move(metrics_address);
}

grpc::Status AdminService::GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*,
                                     v1::GetStatusResponse* response) {
  auto slot = calls_.Take();
  if (!slot.ok()) return ToGrpc(slot.status());
  const EngineStatus status = deps_.engine->ReadStatus();
  const LoadSampler::Load load = deps_.sampler->Read();

  response->set_version(std::string(Version()));
  response->set_started_at_us(started_at_us_);
  response->set_uptime_us(std::chrono::duration_cast<Duration>(deps_.clock->Now() - started_).count());
  response->set_profile(deps_.engine->settings()->profile);
  response->set_durability(static_cast<v1::Durability>(deps_.engine->durability()));
  response->set_draining(status.draining);
  response->set_recovered(deps_.recovered());

  response->set_queue_depth(status.queue_depth);
  response->set_queue_capacity(status.queue_capacity);
  response->set_pressure(static_cast<v1::PressureLevel>(status.pressure));
  for (size_t i = 0; i < status.lanes.size(); ++i) {
    v1::LaneStatus* lane = response->add_lanes();
    lane->set_lane(static_cast<uint32_t>(i));
    lane->set_depth_high(status.lanes[i].depth_high);
    lane->set_depth_normal(status.lanes[i].depth_normal);
    lane->set_batches(status.lanes[i].batches);
    lane->set_stolen(status.lanes[i].stolen);
    if (i < load.utilization.size()) lane->set_utilization(load.utilization[i]);
  }
  response->set_recalls_waiting(status.recalls_waiting);
  response->set_streams(status.streams);

  response->set_spaces(status.spaces);
  response->set_observations_live(status.observations_live);
  response->set_link_backlog(status.link_backlog);
  response->set_observations_total(status.observations_total);
  response->set_rejected_total(status.rejected_total);
  response->set_recalls_total(status.recalls_total);
  response->set_resident_bytes(status.resident_bytes);

  Encode(load.observe, response->mutable_observe_latency());
  Encode(load.recall, response->mutable_recall_latency());

  response->mutable_build()->set_commit(deps_.build.commit);
  response->mutable_build()->set_flags(deps_.build.flags);
  response->mutable_machine()->set_name(machine_.name);
  response->mutable_machine()->set_system(machine_.system);
  response->mutable_machine()->set_cpu(machine_.cpu);
  response->mutable_machine()->set_cores(machine_.cores);
  response->mutable_machine()->set_memory_bytes(machine_.memory_bytes);

  for (int kind = 0; deps_.faults != nullptr && kind < kFaultKinds; ++kind) {
    const uint64_t count = deps_.faults->Effects(static_cast<FaultKind>(kind));
    if (count == 0) continue;
    v1::FaultEffect* effect = response->add_fault_effects();
    effect->set_kind(static_cast<v1::FaultKind>(kind));
    effect->set_count(count);
  }

  MutexLock lock(mu_);
  response->set_grpc_address(grpc_address_);
  response->set_metrics_address(metrics_address_);
  return grpc::Status::OK;
}

grpc::Status AdminService::Drain(grpc::ServerContext* context, const v1::DrainRequest* request,
                                 v1::DrainResponse* response) {
  auto slot = calls_.Take();
  if (!slot.ok()) return ToGrpc(slot.status());
  if (request->resume()) {
    deps_.engine->ResumeAdmitting();
    response->set_drained(deps_.engine->Unfinished() == 0);
  } else {
    deps_.engine->StopAdmitting();
    response->set_drained(deps_.engine->AwaitDrained(DeadlineOf(*context, *deps_.clock) - kAnswerAhead));
  }
  response->set_remaining(deps_.engine->Unfinished());
  return grpc::Status::OK;
}

grpc::Status AdminService::Checkpoint(grpc::ServerContext*, const v1::CheckpointRequest*,
                                      v1::CheckpointResponse* response) {
  auto slot = calls_.Take();
  if (!slot.ok()) return ToGrpc(slot.status());
  if (deps_.engine->durability() == Durability::kMemory || !deps_.checkpoint) {
    return {grpc::StatusCode::FAILED_PRECONDITION,
            "there is nothing to checkpoint: the durability is MEMORY, observations live as long as the daemon"};
  }
  if (deps_.recovered() < 1) return {grpc::StatusCode::UNAVAILABLE, "the daemon is recovering"};
  const absl::StatusOr<Token> token = deps_.checkpoint();
  if (!token.ok()) return ToGrpc(token.status());
  Encode(*token, response->mutable_token());
  return grpc::Status::OK;
}

grpc::Status AdminService::Snapshot(grpc::ServerContext*, const v1::SnapshotRequest* request,
                                    v1::SnapshotResponse* response) {
  auto slot = calls_.Take();
  if (!slot.ok()) return ToGrpc(slot.status());
  if (deps_.engine->durability() == Durability::kMemory || !deps_.snapshot) {
    return {grpc::StatusCode::FAILED_PRECONDITION,
            "there is nothing to make a snapshot of: the durability is MEMORY, observations live as long as the daemon"};
  }
  if (request->directory().empty() || request->directory().front() != '/') {
    return {grpc::StatusCode::INVALID_ARGUMENT,
            fmt::format("directory '{}' is not an absolute path", request->directory())};
  }
  if (deps_.recovered() < 1) return {grpc::StatusCode::UNAVAILABLE, "the daemon is recovering"};
  const absl::StatusOr<SnapshotOutcome> outcome = deps_.snapshot(request->directory());
  if (!outcome.ok()) return ToGrpc(outcome.status());
  response->mutable_token()->set_journal(outcome->token.journal);
  response->mutable_token()->set_position(outcome->token.position);
  response->set_segments(outcome->segments);
  response->set_bytes(outcome->bytes);
  return grpc::Status::OK;
}

grpc::Status AdminService::ReloadConfig(grpc::ServerContext*, const v1::ReloadConfigRequest*,
                                        v1::ReloadConfigResponse* response) {
  auto slot = calls_.Take();
  if (!slot.ok()) return ToGrpc(slot.status());
  const auto outcome = deps_.reload();
  if (!outcome.ok()) return ToGrpc(outcome.status());
  for (const std::string& change : outcome->applied) response->add_applied(change);
  for (const std::string& change : outcome->needs_restart) response->add_needs_restart(change);
  return grpc::Status::OK;
}

grpc::Status AdminService::TraceObservations(grpc::ServerContext*, const v1::TraceObservationsRequest* request,
                                             grpc::ServerWriter<v1::TraceObservationsResponse>* writer) {
  auto slot = traces_.Take();
  if (!slot.ok()) return ToGrpc(slot.status());
  const absl::StatusOr<Tracer::Query> query = DecodeTraceQuery(*request);
  if (!query.ok()) return ToGrpc(query.status());
  const Tracer& tracer = deps_.engine->tracer();
  for (const Trace& trace : tracer.Read(*query)) {
    v1::TraceObservationsResponse response;
    Encode(trace, response.mutable_trace());
    // A client that went away wanted no more.
    if (!writer->Write(response)) return grpc::Status::OK;
  }
  v1::TraceObservationsResponse last;
  Encode(tracer.ReadState(), *deps_.process, last.mutable_state());
  writer->Write(last);
  return grpc::Status::OK;
}

grpc::Status AdminService::InjectFault(grpc::ServerContext*, const v1::InjectFaultRequest* request,
                                       v1::InjectFaultResponse*) {
  auto slot = calls_.Take();
  if (!slot.ok()) return ToGrpc(slot.status());
  if (deps_.faults == nullptr) {
    return {grpc::StatusCode::PERMISSION_DENIED,
            "fault injection is off: only a daemon started with admin.fault_injection=true lets itself be broken"};
  }
  if (request->kind() < 0 || request->kind() >= kFaultKinds) {
    return {grpc::StatusCode::INVALID_ARGUMENT, fmt::format("kind {} is none", static_cast<int>(request->kind()))};
  }
  // It has to come to its end; what is in force may be ended.
  if (request->kind() != v1::FaultKind::HEAL && deps_.engine->ReadStatus().draining) {
    return {grpc::StatusCode::UNAVAILABLE, "the daemon is draining: faults can only be healed"};
  }
  LogWarning(fmt::format("injecting {}: count {}, delay {} us, shift {} us, {} bytes, for {} us",
                         v1::FaultKind_Name(request->kind()), request->count(), request->delay_us(),
                         request->shift_us(), request->bytes(), request->duration_us()));
  return ToGrpc(deps_.faults->Inject({.kind = static_cast<FaultKind>(request->kind()),
                                      .count = request->count(),
                                      .delay = Duration(request->delay_us()),
                                      .shift = Duration(request->shift_us()),
                                      .bytes = request->bytes(),
                                      .duration = Duration(request->duration_us())}));
}

std::string_view Version() { return ENGRAM_VERSION; }

}  // namespace engram

#include "server/daemon.h"

#include <fmt/format.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "config/reload.h"
#include "core/journal/journal.h"
#include "core/metrics/process_gauges.h"
#include "core/stream/tbb_executor.h"
#include "server/listen_address.h"
#include "server/log.h"

namespace engram {
namespace {

// Frame buffers kept for the next frames: 64 frames of 256 observations of 128 elements, say.
constexpr size_t kPooledBytes = size_t{16} << 20;
// Threads beyond those of the calls counted: pollers, admin calls, reflection, and room for calls on their way to being
// refused with words of ours.
constexpr int kSpareThreads = 128;
// What stays open once every call that matters is over (health watches, reflection) gets this long to leave.
constexpr auto kLastGrace = std::chrono::milliseconds(100);
constexpr auto kFollowersGrace = std::chrono::seconds(1);

void SetChannelArguments(grpc::ServerBuilder& builder, const Settings& settings) {
  builder.SetMaxReceiveMessageSize(static_cast<int>(settings.server_max_message_bytes));
  // Off, or a second daemon would silently share the port.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // A frame of 256 observations is hundreds of kilobytes: with gRPC's first windows (64 KiB, 16 KiB frames) it stops
  // and goes until the bandwidth estimate has caught up.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 4 << 20);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, 1 << 20);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 1000);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10000);
  // A peer that vanished without a word is noticed within 40 s; clients may ask as often as every 10 s.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10000);
}

std::function<absl::StatusOr<SnapshotOutcome>(const std::string&)> SnapshotOf(Storage* storage) {
  if (storage == nullptr) return nullptr;
  return [storage](const std::string& path) { return storage->Snapshot(path); };
}

std::function<absl::StatusOr<Token>()> CheckpointOf(Storage* storage, Engine* engine) {
  if (storage == nullptr) return nullptr;
  return [storage, engine] { return storage->Checkpoint(*engine, 0); };
}

}  // namespace

Daemon::Daemon(Options options)
    : options_(std::move(options)),
      calls_("calls", "server.max_concurrent_calls", options_.settings.server_max_concurrent_calls),
      answers_("streamed answers", "server.max_concurrent_calls", options_.settings.server_max_concurrent_calls),
      streams_("observe streams", "server.max_streams", options_.settings.server_max_streams),
      followers_("followers", "limits.max_followers", options_.settings.limits_max_followers) {}

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::Start(Options options) {
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(options)));
  const Settings& settings = daemon->options_.settings;
  daemon->metrics_ = std::make_unique<Metrics>(settings.num_workers, settings.metrics_max_spaces);
  daemon->metrics_->AddGaugeSource(ProcessGauges());
  daemon->pool_ = std::make_unique<FramePool>(kPooledBytes, &daemon->metrics_->process());
  daemon->executor_ = MakeTbbExecutor(static_cast<unsigned>(settings.num_workers));
  if (settings.admin_fault_injection) daemon->AllowFaults();
  ENGRAM_RETURN_IF_ERROR(daemon->OpenEngine());
  daemon->sampler_ = std::make_unique<LoadSampler>(daemon->engine_.get(), daemon->metrics_.get(), daemon->clock_);
  ENGRAM_RETURN_IF_ERROR(daemon->StartExporter());
  ENGRAM_RETURN_IF_ERROR(daemon->Listen());
  // Whoever asks meanwhile is told how far it is.
  if (daemon->storage_) ENGRAM_RETURN_IF_ERROR(daemon->storage_->Recover(*daemon->engine_));
  daemon->engine_->Start();
  if (daemon->storage_) daemon->storage_->StartUpkeep(*daemon->engine_);
  daemon->memory_service_->Open();
  daemon->SetServing(true);
  return daemon;
}

void Daemon::AllowFaults() {
  LogWarning("admin.fault_injection is on: whoever can call this daemon can break it");
  faults_ = std::make_unique<InjectedFaults>(&real_clock_, static_cast<uint32_t>(options_.settings.num_workers));
  clock_ = faults_->clock();
  executor_ = faults_->Wrap(std::move(executor_));
}

absl::Status Daemon::OpenEngine() {
  const Settings& settings = options_.settings;
  std::unique_ptr<Journal> journal;
  if (settings.durability_mode != "memory") {
    ENGRAM_ASSIGN_OR_RETURN(storage_, Storage::Open(settings, metrics_.get(), clock_, faults_.get()));
    journal = storage_->TakeJournal();
    if (faults_) journal = faults_->Wrap(std::move(journal));
  }
  engine_ = Engine::Create(std::make_shared<const Settings>(settings), {.clock = clock_,
                                                                        .executor = executor_.get(),
                                                                        .metrics = metrics_.get(),
                                                                        .journal = std::move(journal),
                                                                        .directory = storage_ ? storage_->directory()
                                                                                              : nullptr});
  return absl::OkStatus();
}

void Daemon::SetServing(bool serving) {
  // By name and as a whole.
  for (const char* service : {"", v1::MemoryService::service_full_name(), v1::AdminService::service_full_name()}) {
    server_->GetHealthCheckService()->SetServingStatus(service, serving);
  }
}

Daemon::~Daemon() {
  if (!stopped_) Stop(Duration(0));
  if (storage_) storage_->StopUpkeep();
  // A scrape asks the engine for gauges.
  exporter_.reset();
  if (metrics_) metrics_->ClearGaugeSources();
}

std::string Daemon::metrics_address() const { return exporter_ ? exporter_->address() : std::string(); }

absl::Status Daemon::StartExporter() {
  if (options_.settings.metrics_address.empty()) return absl::OkStatus();
  ENGRAM_ASSIGN_OR_RETURN(exporter_, MetricsExporter::Start(options_.settings.metrics_address, metrics_.get()));
  return absl::OkStatus();
}

std::unique_ptr<grpc::Server> Daemon::BuildServer(const std::vector<std::string>& wanted, std::vector<int>& ports) {
  grpc::ServerBuilder builder;
  const Settings& settings = options_.settings;
  SetChannelArguments(builder, settings);
  // The synchronous API: gRPC 1.51's callback API sleeps up to 100 ms after a second without events.
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 2);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 16);
  grpc::ResourceQuota quota("engramd");
  quota.SetMaxThreads(static_cast<int>(settings.server_max_streams + 2 * settings.server_max_concurrent_calls +
                                       settings.limits_max_followers) +
                      kSpareThreads);
  builder.SetResourceQuota(quota);
  ports.assign(wanted.size(), 0);
  for (size_t i = 0; i < wanted.size(); ++i) {
    builder.AddListeningPort(wanted[i], grpc::InsecureServerCredentials(), &ports[i]);
  }
  builder.RegisterService(memory_service_.get());
  builder.RegisterService(admin_service_.get());
  return builder.BuildAndStart();
}

absl::Status Daemon::Listen() {
  memory_service_ = std::make_unique<MemoryService>(
      MemoryService::Deps{.engine = engine_.get(),
                          .pool = pool_.get(),
                          .clock = clock_,
                          .calls = &calls_,
                          .answers = &answers_,
                          .streams = &streams_,
                          .followers = &followers_,
                          .max_message_bytes = options_.settings.server_max_message_bytes,
                          .recovered = [this] { return storage_ ? storage_->recovered() : 1.0; }});
  admin_service_ = std::make_unique<AdminService>(AdminService::Deps{
      .engine = engine_.get(), .sampler = sampler_.get(), .clock = clock_, .process = &metrics_->process(), .reload = [this] { return Reload(); },
      .recovered = [this] { return storage_ ? storage_->recovered() : 1.0; },
      .snapshot = SnapshotOf(storage_.get()),
      .checkpoint = CheckpointOf(storage_.get(), engine_.get()),
      .faults = faults_.get(),
      .build = options_.build});

  const std::vector<std::string> wanted = SplitAddresses(options_.settings.server_address);
  for (const std::string& address : wanted) ENGRAM_RETURN_IF_ERROR(CheckFree(address));
  // Both are process-wide switches of gRPC and may be set again.
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  std::vector<int> ports;
  server_ = BuildServer(wanted, ports);
  for (size_t i = 0; i < wanted.size(); ++i) {
    // Gone between the check and the bind, or something only gRPC knows.
    if (server_ == nullptr || ports[i] == 0) {
      const absl::Status why = CheckFree(wanted[i]);
      if (!why.ok()) return why;
      if (server_ != nullptr) {
        return absl::UnavailableError(fmt::format("cannot listen on {}: gRPC could not bind it", wanted[i]));
      }
    }
  }
  if (server_ == nullptr) {
    return absl::UnavailableError(fmt::format("cannot listen on {}", options_.settings.server_address));
  }
  for (size_t i = 0; i < wanted.size(); ++i) addresses_.push_back(WithPort(wanted[i], ports[i]));
  admin_service_->SetAddresses(fmt::format("{}", fmt::join(addresses_, ",")), metrics_address());
  SetServing(false);
  return absl::OkStatus();
}

absl::StatusOr<ReloadOutcome> Daemon::Reload() {
  if (!options_.load) return absl::FailedPreconditionError("this daemon has no configuration to read again");
  MutexLock lock(reload_mu_);
  const LoadResult loaded = options_.load();
  if (!loaded.ok()) return absl::InvalidArgumentError(RenderFaults(loaded.faults));
  ReloadPlan plan = PlanReload(*engine_->settings(), loaded.settings);
  if (!plan.faults.empty()) return absl::InvalidArgumentError(RenderFaults(plan.faults));
  SetLogLevel(plan.settings.log_level);
  engine_->ApplySettings(std::make_shared<const Settings>(std::move(plan.settings)));
  ReloadOutcome outcome;
  for (const SettingChange& change : plan.applied) outcome.applied.push_back(change.Render());
  for (const SettingChange& change : plan.needs_restart) outcome.needs_restart.push_back(change.Render());
  return outcome;
}

Daemon::Leftovers Daemon::Stop(Duration bound) {
  stopped_ = true;
  const MonotonicTime deadline = clock_->Now() + bound;
  if (!server_) return {};
  server_->GetHealthCheckService()->SetServingStatus(false);
  // What a fault holds up could not be finished.
  if (faults_) faults_->Close();
  if (storage_) storage_->RequestStop();
  memory_service_->StopTakingStreams();
  engine_->StopAdmitting();
  Leftovers left;
  if (!streams_.AwaitNone(*clock_, deadline)) left.streams = streams_.taken();
  if (!calls_.AwaitNone(*clock_, deadline)) left.calls = calls_.taken();
  if (!answers_.AwaitNone(*clock_, deadline)) left.calls += answers_.taken();
  // One whose client does not read goes on from its last point elsewhere: nothing is lost with it.
  followers_.AwaitNone(*clock_, std::min(deadline, clock_->Now() + kFollowersGrace));
  server_->Shutdown(std::chrono::system_clock::now() + (left.any() ? std::chrono::milliseconds(0) : kLastGrace));
  server_->Wait();
  left.drained = engine_->AwaitDrained(deadline);
  if (!left.drained) left.observations = engine_->Unfinished();
  return left;
}

}  // namespace engram

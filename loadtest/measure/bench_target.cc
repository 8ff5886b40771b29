#include "loadtest/measure/bench_target.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "loadtest/health.h"
#include "loadtest/observe_client.h"
#include "loadtest/pacing.h"
#include "loadtest/space_check.h"

namespace engram {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "engram-bench-";
constexpr const char* kRecallSpace = "engram-bench-recall";
constexpr const char* kBurstSpace = "engram-bench-burst";
constexpr std::chrono::seconds kServingPatience{120}, kLinkPatience{600};
constexpr int64_t kBetweenLooks = 50'000'000;
constexpr size_t kPoolFrames = 24, kSteadyFrames = 64, kSteadyStubs = 4;

double OwnCpu() {
  rusage used;
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

// Until nothing of the space waits for the graph, or it has none.
absl::Status AwaitLinkedIfAny(v1::MemoryService::Stub& stub, const std::string& space) {
  const int64_t deadline = NowNanos() + std::chrono::nanoseconds(kLinkPatience).count();
  while (true) {
    ENGRAM_ASSIGN_OR_RETURN(const SpaceState state, StateOf(stub, space));
    if (!state.has_graph || state.linked >= state.size) return absl::OkStatus();
    if (NowNanos() > deadline) return absl::DeadlineExceededError(fmt::format("space {} was not linked", space));
    SleepUntilNanos(NowNanos() + kBetweenLooks);
  }
}

// Looks at the daemon until destroyed.
class Watch {
 public:
  Watch(v1::AdminService::Stub& admin, std::vector<Look>& looks)
      : thread_([this, &admin, &looks] {
          while (!stopping_.load(std::memory_order_relaxed)) {
            grpc::ClientContext context;
            context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
            v1::GetStatusResponse status;
            if (admin.GetStatus(&context, v1::GetStatusRequest(), &status).ok()) {
              looks.push_back({NowNanos(), static_cast<double>(status.queue_depth()),
                               static_cast<double>(status.link_backlog()),
                               status.pressure() > v1::PRESSURE_LEVEL_NORMAL});
            }
            SleepUntilNanos(NowNanos() + kBetweenLooks);
          }
        }) {}
  ~Watch() {
    stopping_.store(true, std::memory_order_relaxed);
    thread_.join();
  }

 private:
  std::atomic<bool> stopping_{false};  // Relaxed: seen by the next look.
  std::jthread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<BenchTarget>> BenchTarget::Start(const TargetSpec& spec, const BenchPlan& plan,
                                                                const BenchData& data) {
  std::unique_ptr<BenchTarget> target(new BenchTarget(spec, plan, data));
  ENGRAM_RETURN_IF_ERROR(target->Connect());
  ENGRAM_RETURN_IF_ERROR(target->Prepare());
  return target;
}

BenchTarget::~BenchTarget() {
  if (prepared_) Finish().IgnoreError();
}

absl::Status BenchTarget::Connect() {
  address_ = spec_.address;
  std::string metrics = spec_.metrics;
  if (address_.empty()) {
    ENGRAM_ASSIGN_OR_RETURN(directory_, TemporaryDirectory::CreateIn(spec_.storage));
    std::vector<std::string> arguments = {"--profile", spec_.profile};
    for (const std::string& setting : spec_.settings) arguments.insert(arguments.end(), {"--set", setting});
    ENGRAM_ASSIGN_OR_RETURN(daemon_, StartDaemon(spec_.program, arguments, *directory_));
    address_ = daemon_->Ready("grpc");
    metrics = daemon_->Ready("metrics");
  }
  const auto channel = ConnectTo(address_);
  ENGRAM_RETURN_IF_ERROR(AwaitServing(channel, kServingPatience).status());
  admin_ = v1::AdminService::NewStub(channel);
  const bool promised = !metrics.empty();
  if (!promised) {
    ENGRAM_ASSIGN_OR_RETURN(const v1::GetStatusResponse status, Status());
    metrics = status.metrics_address();
  }
  ENGRAM_ASSIGN_OR_RETURN(metrics_, MetricSource::Open(metrics, promised));
  stubs_ = ConnectEach(address_, std::max<size_t>(plan_.streams, kSteadyStubs));
  return absl::OkStatus();
}

absl::Status BenchTarget::Prepare() {
  for (uint32_t i = 0; i < plan_.streams; ++i) {
    pools_.emplace_back(data_.streamed, i * kPoolFrames * plan_.batch_size, kPoolFrames, plan_.batch_size);
  }
  single_pool_ = std::make_unique<FramePool>(data_.streamed, 0, kSteadyFrames, 1);
  ENGRAM_RETURN_IF_ERROR(DropSpaces());
  prepared_ = true;
  ENGRAM_RETURN_IF_ERROR(MakeSpace(kRecallSpace, false));
  probe_ = std::make_unique<RecallProbe>(kRecallSpace, data_.preloaded, data_.preloaded.rows());
  ENGRAM_RETURN_IF_ERROR(probe_->Put(*stubs_.front(), 0, data_.preloaded.rows(), 0));
  return AwaitLinkedIfAny(*stubs_.front(), kRecallSpace);
}

absl::Status BenchTarget::MakeSpace(const std::string& name, bool flat) {
  if (flat) return CreateFlatSpace(*stubs_.front(), name, plan_.dimension);
  grpc::ClientContext context;
  v1::CreateSpaceRequest request;
  request.set_name(name);
  request.mutable_config()->set_dimension(plan_.dimension);
  v1::Space space;
  return FromGrpc(stubs_.front()->CreateSpace(&context, request, &space), "create space " + name);
}

absl::Status BenchTarget::DropSpaces() {
  while (true) {
    grpc::ClientContext context;
    v1::ListSpacesRequest request;
    request.set_prefix(kPrefix);
    v1::ListSpacesResponse spaces;
    ENGRAM_RETURN_IF_ERROR(FromGrpc(stubs_.front()->ListSpaces(&context, request, &spaces), "list spaces"));
    if (spaces.spaces_size() == 0) return absl::OkStatus();
    for (const v1::Space& space : spaces.spaces()) ENGRAM_RETURN_IF_ERROR(DeleteSpace(*stubs_.front(), space.name()));
  }
}

absl::StatusOr<v1::GetStatusResponse> BenchTarget::Status() {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  v1::GetStatusResponse status;
  ENGRAM_RETURN_IF_ERROR(FromGrpc(admin_->GetStatus(&context, v1::GetStatusRequest(), &status), "status"));
  return status;
}

double BenchTarget::DaemonCpu(const MetricPage& page) const {
  return daemon_ != nullptr ? daemon_->CpuSeconds() : page.Sum("process_cpu_seconds_total").value_or(0);
}

uint64_t BenchTarget::Wakeups() const {
  if (daemon_ == nullptr) return 0;
  uint64_t sum = 0;
  std::error_code error;
  for (const auto& task : fs::directory_iterator(fmt::format("/proc/{}/task", daemon_->pid()), error)) {
    std::ifstream status(task.path() / "status");
    constexpr std::string_view kField = "voluntary_ctxt_switches:";
    for (std::string line; std::getline(status, line);) {
      if (line.compare(0, kField.size(), kField) == 0) sum += std::strtoull(line.c_str() + kField.size(), nullptr, 10);
    }
  }
  return sum;
}

absl::Status BenchTarget::AsPart(PartOutcome& part, const std::function<absl::Status()>& load) {
  const uint64_t wakeups = Wakeups();
  ENGRAM_ASSIGN_OR_RETURN(const MetricPage before, metrics_.Read());
  const double daemon_cpu = DaemonCpu(before), own_cpu = OwnCpu();
  part.began = NowNanos();
  {
    const Watch watch(*admin_, part.looks);
    ENGRAM_RETURN_IF_ERROR(load());
  }
  part.ended = NowNanos();
  part.client_cpu = OwnCpu() - own_cpu;
  ENGRAM_ASSIGN_OR_RETURN(const MetricPage after, metrics_.Read());
  part.daemon_cpu = DaemonCpu(after) - daemon_cpu;
  part.moved = after.Since(before);
  part.wakeups = Wakeups() - std::min(wakeups, Wakeups());
  return absl::OkStatus();
}

absl::Status BenchTarget::Burst(double seconds, RoundOutcome& round) {
  ENGRAM_RETURN_IF_ERROR(MakeSpace(kBurstSpace, true));
  StreamPlan each;
  each.space = kBurstSpace;
  each.seconds = seconds;
  ENGRAM_RETURN_IF_ERROR(AsPart(round.burst_part, [&]() -> absl::Status {
    ENGRAM_ASSIGN_OR_RETURN(round.burst, RunBurst(stubs_, pools_, each, BenchPlan::kMostBurstBytes));
    return absl::OkStatus();
  }));
  return DeleteSpace(*stubs_.front(), kBurstSpace);
}

absl::Status BenchTarget::Steady(double seconds, double observations_per_second, RoundOutcome& round) {
  OfferedLoad load;
  // One for each round, deleted in the end only: what a deletion leaves to be done would slow the next round.
  load.space = steady_space_ = fmt::format("{}steady-{}", kPrefix, ++steady_spaces_);
  load.recall_space = kRecallSpace;
  load.seconds = seconds;
  load.observations_per_second = observations_per_second;
  ENGRAM_RETURN_IF_ERROR(MakeSpace(load.space, false));
  const uint32_t rows = RowsOfFrame(observations_per_second, plan_.batch_size);
  if (steady_pool_ == nullptr || steady_pool_->rows() != rows) {
    steady_pool_ = std::make_unique<FramePool>(data_.streamed, 0, kSteadyFrames, rows);
  }
  ENGRAM_RETURN_IF_ERROR(AsPart(round.steady_part, [&]() -> absl::Status {
    ENGRAM_ASSIGN_OR_RETURN(round.steady, RunSteady(stubs_, load, plan_, data_, *steady_pool_, *single_pool_));
    return absl::OkStatus();
  }));
  const MetricPage ended = metrics_.last();
  ENGRAM_ASSIGN_OR_RETURN(round.steady_part.settled, Settle());
  ENGRAM_ASSIGN_OR_RETURN(const MetricPage settled, metrics_.Read());
  round.steady_part.moved.Add(settled.Since(ended).Only(kStageFamily, "stage=\"link\""));
  return absl::OkStatus();
}

absl::StatusOr<bool> BenchTarget::Quiet(double& done) {
  if (daemon_ == nullptr) {
    if (steady_space_.empty()) return true;
    ENGRAM_ASSIGN_OR_RETURN(const SpaceState state, StateOf(*stubs_.front(), steady_space_));
    return !state.has_graph || state.linked >= state.size;
  }
  ENGRAM_ASSIGN_OR_RETURN(const v1::GetStatusResponse status, Status());
  ENGRAM_ASSIGN_OR_RETURN(const MetricPage page, metrics_.Read());
  const double before = std::exchange(done, page.Sum("engram_journal_prepared_bytes_total").value_or(0) +
                                                page.Sum("engram_journal_rewritten_segments_total").value_or(0));
  return status.link_backlog() == 0 && done == before;
}

absl::StatusOr<bool> BenchTarget::Settle() {
  double done = -1;
  return settling_.Await([&] { return Quiet(done); });
}

absl::Status BenchTarget::Finish() {
  prepared_ = false;
  absl::Status status;
  // A daemon of ours is ended with all it holds.
  if (daemon_ == nullptr) status.Update(DropSpaces());
  if (daemon_ != nullptr) status.Update(daemon_->Stop(std::chrono::seconds(60)));
  return status;
}

}  // namespace engram

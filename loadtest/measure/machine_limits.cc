#include "loadtest/measure/machine_limits.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "core/base/effective_cpus.h"
#include "loadtest/pacing.h"

namespace engram {
namespace {

constexpr size_t kWriteBytes = 1 << 20, kDiskBytes = 128 << 20, kMemoryBytes = 128 << 20;

}  // namespace

double ReadMemory(const std::vector<uint64_t>& words, double seconds) {
  const auto threads = static_cast<size_t>(EffectiveCpus());
  const int64_t began = NowNanos(), until = began + static_cast<int64_t>(seconds * kNanosPerSecond);
  std::atomic<uint64_t> bytes{0}, sums{0};  // Relaxed: figures, read after the threads are joined.
  {
    std::vector<std::jthread> readers;
    for (size_t t = 0; t < threads; ++t) {
      readers.emplace_back([&, t] {
        const size_t part = words.size() / threads;
        uint64_t sum = 0, read = 0;
        do {
          for (size_t i = t * part; i < (t + 1) * part; ++i) sum += words[i];
          read += part * sizeof(uint64_t);
        } while (NowNanos() < until);
        bytes.fetch_add(read, std::memory_order_relaxed);
        // Used, so that the reading is not optimised away.
        sums.fetch_add(sum, std::memory_order_relaxed);
      });
    }
  }
  return static_cast<double>(bytes.load()) / Seconds(NowNanos() - began);
}

absl::StatusOr<std::unique_ptr<MachineLimits>> MachineLimits::Start(const std::filesystem::path& self,
                                                                    const std::filesystem::path& storage,
                                                                    const BenchPlan& plan) {
  std::unique_ptr<MachineLimits> limits(new MachineLimits);
  ENGRAM_ASSIGN_OR_RETURN(limits->directory_, TemporaryDirectory::CreateIn(storage));
  ChildOptions sink;
  sink.program = self;
  sink.arguments = {kSinkArgument};
  sink.ready_prefix = "engram-sink ready ";
  sink.log = limits->directory_->path() / "sink.log";
  ENGRAM_ASSIGN_OR_RETURN(limits->sink_, StartChild(sink));
  limits->stubs_ = ConnectEach(limits->sink_->Ready("grpc"), plan.streams);
  limits->samples_.no_disk = IsInMemory(limits->directory_->path());
  if (!limits->samples_.no_disk) {
    ENGRAM_ASSIGN_OR_RETURN(limits->disk_,
                            ProbeFile::Create(limits->directory_->path(), Preparation::kPrepared, kDiskBytes));
  }
  limits->memory_.assign(kMemoryBytes / sizeof(uint64_t), 1);
  return limits;
}

absl::Status MachineLimits::Sample(std::vector<FramePool>& pools, double seconds) {
  StreamPlan each;
  each.space = "sink";
  each.seconds = seconds;
  each.end_at_once = true;
  ENGRAM_ASSIGN_OR_RETURN(const BurstOutcome sink, RunBurst(stubs_, pools, each, 4 * BenchPlan::kMostBurstBytes));
  samples_.grpc_sink.push_back(sink.Rate());
  const double payload = pools.front().payload_bytes();
  if (disk_ != nullptr) {
    ENGRAM_ASSIGN_OR_RETURN(const SyncRun run, RunSyncs(*disk_, kWriteBytes, kDiskBytes));
    samples_.disk_sync.push_back(run.BytesPerSecond() / payload);
  }
  samples_.memory_scan.push_back(ReadMemory(memory_, std::min(seconds, 0.3)) / payload);
  return absl::OkStatus();
}

}  // namespace engram

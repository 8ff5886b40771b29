// What the machine itself can do, measured in the same run as the daemon: a bare gRPC sink, synced writes, and reading
// memory.
//
// Threads:   the main thread (it starts the sink; see spawn.h). Ownership: it ends the sink and removes its file.
// Blocking:  Start until sink and file are ready, Sample for about a second. Errors: of spawning and of the disk.
// Why:       absolute figures drift with the machine; a share of what the machine did in the same minute does not.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "loadtest/disk_probe.h"
#include "loadtest/measure/load_phase.h"
#include "loadtest/spawn.h"

namespace engram {

// Observations a second, one value for each sample.
struct LimitSamples {
  std::vector<double> grpc_sink, disk_sync, memory_scan;
  // The directory is kept in memory: disk_sync is left out.
  bool no_disk = false;
};

class MachineLimits {
 public:
  // `self` started with `--grpc-sink` is the sink; the disk is that of `storage`.
  static absl::StatusOr<std::unique_ptr<MachineLimits>> Start(const std::filesystem::path& self,
                                                              const std::filesystem::path& storage,
                                                              const BenchPlan& plan);
  // Each limit once, as often as is wanted. The pools are the burst's.
  absl::Status Sample(std::vector<FramePool>& pools, double seconds);
  absl::Status Stop() { return sink_->Stop(); }
  const LimitSamples& samples() const { return samples_; }

 private:
  MachineLimits() = default;

  std::unique_ptr<TemporaryDirectory> directory_;
  std::unique_ptr<Child> sink_;
  std::unique_ptr<ProbeFile> disk_;
  Stubs stubs_;
  std::vector<uint64_t> memory_;
  LimitSamples samples_;
};

inline constexpr const char* kSinkArgument = "--grpc-sink";

// Bytes a second that all cores together read from `words`.
double ReadMemory(const std::vector<uint64_t>& words, double seconds);

}  // namespace engram

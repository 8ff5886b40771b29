// A daemon that keeps its journal in a fresh directory of the disk to be measured: started, killed, started again.
//
// Threads:   the main thread (see spawn.h). Ownership: it ends the process and removes the directory when destroyed.
// Blocking:  Start until the daemon serves and its spare segments are written; Restart until it serves.
// Errors:    of spawning and of scraping; DEADLINE_EXCEEDED when it does not serve, or the spares are not ready, in
//            time.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "engram/v1/admin_service.grpc.pb.h"
#include "engram/v1/memory_service.grpc.pb.h"
#include "loadtest/bench.h"
#include "loadtest/spawn.h"

namespace engram {

// Of /metrics; NaN where the daemon does not have the metric, and so is everything computed from it.
struct JournalCounters {
  double records = 0;
  double bytes = 0;          // Written to the log, framing included.
  double payload_bytes = 0;  // Ids, embeddings as sent, contents, tags.
  double syncs = 0;
  double prepared_bytes = 0;  // Zeros written ahead.

  JournalCounters Since(const JournalCounters& before) const;
};
JournalCounters CountersOf(std::string_view page);

class DurableDaemon {
 public:
  struct Options {
    std::string profile = "high_throughput";
    std::string mode = "fsync";
    // More `--set` values, weaker than the context's.
    std::vector<std::string> settings;
  };
  static absl::StatusOr<std::unique_ptr<DurableDaemon>> Start(const BenchContext& context, const Options& options);

  // SIGKILL.
  absl::Status Kill() { return child_->Kill(); }
  // Starts it again on what is there; the nanoseconds from before exec to SERVING. REQUIRES: killed or stopped.
  absl::StatusOr<int64_t> Restart();
  absl::Status Stop() { return child_->Stop(std::chrono::seconds(60)); }

  // Until the spare segments are there. A daemon without that metric is not waited for.
  absl::Status AwaitSpares();
  absl::StatusOr<JournalCounters> Counters() const;

  Child& child() { return *child_; }
  std::string address() const { return child_->Ready("grpc"); }
  // Valid until the next Restart.
  v1::MemoryService::Stub& stub() { return *stub_; }
  v1::AdminService::Stub& admin() { return *admin_; }

  // Files of the data directory that end in `extension` (".journal"), by name.
  std::vector<std::filesystem::path> Files(std::string_view extension) const;

 private:
  DurableDaemon(std::filesystem::path program, std::vector<std::string> arguments, double spares,
                std::unique_ptr<TemporaryDirectory> directory)
      : program_(std::move(program)),
        arguments_(std::move(arguments)),
        spares_(spares),
        directory_(std::move(directory)) {}

  const std::filesystem::path program_;
  const std::vector<std::string> arguments_;
  const double spares_;  // How many the daemon was told to keep.
  const std::unique_ptr<TemporaryDirectory> directory_;
  std::unique_ptr<Child> child_;
  std::unique_ptr<v1::MemoryService::Stub> stub_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
};

}  // namespace engram

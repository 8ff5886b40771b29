// The daemon under load: one that is spawned, killed, frozen and started again at the same address, or one that runs
// already.
//
// Threads:   Spawn, Kill, Restart, Inject, EndedByItself and the destructor on the main thread (loadtest/spawn.h); the
//            rest on any.
// Ownership: a spawned daemon ends, and its directory goes, with the target. Blocking: Spawn and Restart until it serves.
// Errors:    of spawning and of calls; FAILED_PRECONDITION for what can be done only to a daemon of one's own.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "engram/v1/admin_service.grpc.pb.h"
#include "engram/v1/memory_service.grpc.pb.h"
#include "loadtest/scenario.h"
#include "loadtest/spawn.h"

namespace engram {

class LoadTarget {
 public:
  // Its data lies in a directory of its own within `storage`.
  static absl::StatusOr<std::unique_ptr<LoadTarget>> Spawn(const std::filesystem::path& program,
                                                           const Scenario::Daemon& daemon,
                                                           const std::vector<std::string>& more_settings,
                                                           const std::filesystem::path& storage);
  static std::unique_ptr<LoadTarget> Attach(const std::string& address);
  ~LoadTarget();

  // The same for all its lives.
  const std::string& address() const { return address_; }
  // Valid until the next Restart.
  v1::MemoryService::Stub& memory() { return *memory_; }

  // SIGKILL; also when it has ended by itself.
  absl::Status Kill();
  absl::Status Restart();
  // How a daemon of one's own ended, when nothing here made it; empty while it runs, and of one that was there already. A
  // broken disk makes it end with 74.
  std::string EndedByItself() const;
  bool Runs() const { return child_ != nullptr && child_->pid() != 0 && !child_->EndedByItself(); }
  // SIGSTOP, SIGCONT.
  absl::Status Freeze();
  absl::Status Thaw();
  absl::Status Inject(const v1::InjectFaultRequest& fault);
  absl::StatusOr<v1::GetStatusResponse> Status();

  // Resident now; of a daemon that was there already what it says of its spaces. 0 while it is not there.
  uint64_t ResidentBytes();
  bool own() const { return child_ != nullptr || directory_ != nullptr; }

 private:
  explicit LoadTarget(std::string address);
  void Connect();
  absl::Status Signal(int signal);

  const std::string address_;
  // New ones in each life.
  std::unique_ptr<v1::MemoryService::Stub> memory_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
  ChildOptions options_;
  // Of the socket, whose path must be short, and of the data.
  std::unique_ptr<TemporaryDirectory> place_, directory_;
  std::unique_ptr<Child> child_;
  bool disk_broken_ = false;  // In this life.
  // Atomic: read by whoever samples. 0 while it is not there.
  std::atomic<pid_t> pid_{0};
};

}  // namespace engram

#include "loadtest/load_target.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>

#include "loadtest/observe_client.h"

namespace engram {
namespace {

constexpr std::chrono::seconds kReady{120}, kCall{30};
// What a daemon ends with whose disk failed.
constexpr int kDiskFailed = 74;

}  // namespace

LoadTarget::LoadTarget(std::string address) : address_(std::move(address)) { Connect(); }

void LoadTarget::Connect() {
  memory_ = v1::MemoryService::NewStub(ConnectTo(address_));
  admin_ = v1::AdminService::NewStub(ConnectTo(address_));
}

std::unique_ptr<LoadTarget> LoadTarget::Attach(const std::string& address) {
  return std::unique_ptr<LoadTarget>(new LoadTarget(address));
}

absl::StatusOr<std::unique_ptr<LoadTarget>> LoadTarget::Spawn(const std::filesystem::path& program,
                                                              const Scenario::Daemon& daemon,
                                                              const std::vector<std::string>& more_settings,
                                                              const std::filesystem::path& storage) {
  ENGRAM_ASSIGN_OR_RETURN(std::unique_ptr<TemporaryDirectory> place, TemporaryDirectory::Create());
  ENGRAM_ASSIGN_OR_RETURN(std::unique_ptr<TemporaryDirectory> directory, TemporaryDirectory::CreateIn(storage));
  // A socket is at the same place in each life.
  std::unique_ptr<LoadTarget> target(new LoadTarget(fmt::format("unix:{}", (place->path() / "socket").string())));
  target->options_ = {.program = program,
                      .arguments = {"--profile", daemon.profile},
                      .ready_prefix = "engramd ready ",
                      .log = directory->path() / "engramd.log",
                      .ready_timeout = kReady};
  std::vector<std::string> settings = {"admin.fault_injection=true"};
  settings.insert(settings.end(), daemon.set.begin(), daemon.set.end());
  settings.insert(settings.end(), more_settings.begin(), more_settings.end());
  // Last, so that no setting of a scenario's leads to somebody's data.
  settings.push_back(fmt::format("storage.directory={}", (directory->path() / "data").string()));
  settings.push_back("server.address=" + target->address_);
  settings.push_back("metrics.address=");
  for (const std::string& setting : settings) {
    target->options_.arguments.push_back("--set");
    target->options_.arguments.push_back(setting);
  }
  target->place_ = std::move(place);
  target->directory_ = std::move(directory);
  ENGRAM_RETURN_IF_ERROR(target->Restart());
  return target;
}

LoadTarget::~LoadTarget() {
  // Its data goes with it: there is nothing that it would have to finish.
  if (child_ != nullptr) child_->Kill().IgnoreError();
}

absl::Status LoadTarget::Restart() {
  if (directory_ == nullptr) return absl::FailedPreconditionError("only a daemon of one's own can be started again");
  ENGRAM_ASSIGN_OR_RETURN(child_, StartChild(options_));
  pid_.store(child_->pid());
  disk_broken_ = false;
  // What is left of an old connection fails the first call after it.
  Connect();
  return absl::OkStatus();
}

absl::Status LoadTarget::Kill() {
  if (child_ == nullptr) return absl::FailedPreconditionError("only a daemon of one's own can be killed");
  pid_.store(0);
  // That it had ended by itself is what a broken disk makes it do.
  child_->Kill().IgnoreError();
  return absl::OkStatus();
}

std::string LoadTarget::EndedByItself() const {
  const std::optional<Child::End> end = child_ == nullptr ? std::nullopt : child_->EndedByItself();
  return !end || (disk_broken_ && end->exit_code == kDiskFailed) ? "" : end->how;
}

absl::Status LoadTarget::Signal(int signal) {
  const pid_t pid = pid_.load();
  if (pid == 0) return absl::FailedPreconditionError("only a daemon of one's own that runs can be sent a signal");
  if (kill(pid, signal) != 0) return absl::InternalError(fmt::format("kill {}: {}", pid, std::strerror(errno)));
  return absl::OkStatus();
}
absl::Status LoadTarget::Freeze() { return Signal(SIGSTOP); }
absl::Status LoadTarget::Thaw() { return Signal(SIGCONT); }

absl::Status LoadTarget::Inject(const v1::InjectFaultRequest& fault) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCall);
  v1::InjectFaultResponse response;
  ENGRAM_RETURN_IF_ERROR(FromGrpc(admin_->InjectFault(&context, fault, &response), "inject a fault"));
  disk_broken_ = disk_broken_ || fault.kind() == v1::FaultKind::BROKEN_DISK;
  return absl::OkStatus();
}

absl::StatusOr<v1::GetStatusResponse> LoadTarget::Status() {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCall);
  v1::GetStatusResponse status;
  ENGRAM_RETURN_IF_ERROR(FromGrpc(admin_->GetStatus(&context, {}, &status), "status of the daemon"));
  return status;
}

uint64_t LoadTarget::ResidentBytes() {
  if (own()) {
    const pid_t pid = pid_.load();
    uint64_t size = 0, resident = 0;
    if (pid != 0) std::ifstream(fmt::format("/proc/{}/statm", pid)) >> size >> resident;
    return resident * static_cast<uint64_t>(getpagesize());
  }
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(1));
  v1::GetStatusResponse status;
  return admin_->GetStatus(&context, {}, &status).ok() ? status.resident_bytes() : 0;
}

}  // namespace engram

#include "tests/server/support/engramd_process.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>

#include "core/base/check.h"

namespace engram::testing {

namespace {

// Of the process and of what it executes. Anybody but root has none of them to give up.
bool GiveUpPassingPermissions() {
  return geteuid() != 0 ||
         (prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE) == 0 && prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH) == 0);
}

}  // namespace

EngramdProcess::EngramdProcess(const std::vector<std::string>& arguments, const std::vector<std::string>& environment,
                               Rights rights) {
  std::array<int, 2> out, err;
  ENGRAM_CHECK(pipe2(out.data(), O_CLOEXEC) == 0 && pipe2(err.data(), O_CLOEXEC) == 0);
  std::vector<std::string> kept;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (std::strncmp(*entry, "ENGRAM_", 7) != 0) kept.emplace_back(*entry);
  }
  kept.insert(kept.end(), environment.begin(), environment.end());
  std::vector<char*> argv, env;
  std::string binary = ENGRAMD_BINARY;
  argv.push_back(binary.data());
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  // Durable as it is by default, in a directory of its own unless the test names one.
  std::string set = "--set", directory = "storage.directory=" + (storage_ / "data");
  const bool named = std::any_of(arguments.begin(), arguments.end(), [](const std::string& argument) {
    return argument.find("storage.directory=") != std::string::npos || argument == "--config";
  });
  if (!named) {
    argv.push_back(set.data());
    argv.push_back(directory.data());
  }
  argv.push_back(nullptr);
  for (std::string& entry : kept) env.push_back(entry.data());
  env.push_back(nullptr);
  pid_ = fork();
  ENGRAM_CHECK(pid_ >= 0);
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(out[1], STDOUT_FILENO);
    dup2(err[1], STDERR_FILENO);
    if (rights == Rights::kOfPermissionsOnly && !GiveUpPassingPermissions()) _exit(126);
    execve(binary.c_str(), argv.data(), env.data());
    _exit(127);
  }
  close(out[1]);
  close(err[1]);
  out_fd_ = out[0];
  err_fd_ = err[0];
}

EngramdProcess::~EngramdProcess() {
  if (!exit_) {
    kill(pid_, SIGKILL);
    AwaitExit();
  }
}

bool EngramdProcess::ReadMore(int* fd, std::string* into) {
  if (*fd < 0) return false;
  std::array<char, 4096> buffer;
  ssize_t got;
  do {
    got = read(*fd, buffer.data(), buffer.size());
  } while (got < 0 && errno == EINTR);
  if (got > 0) {
    into->append(buffer.data(), static_cast<size_t>(got));
    return true;
  }
  close(*fd);
  *fd = -1;
  return false;
}

bool EngramdProcess::AwaitReady() {
  while (out_.find('\n') == std::string::npos) {
    if (!ReadMore(&out_fd_, &out_)) return false;
  }
  const std::string line = out_.substr(0, out_.find('\n'));
  const size_t grpc = line.find(" grpc=");
  const size_t metrics = line.find(" metrics=");
  if (!line.starts_with("engramd ready") || grpc == std::string::npos || metrics == std::string::npos) return false;
  grpc_address = line.substr(grpc + 6, metrics - grpc - 6);
  metrics_address = line.substr(metrics + 9);
  return true;
}

bool EngramdProcess::AwaitLog(const std::string& text) {
  while (err_.find(text) == std::string::npos) {
    if (!ReadMore(&err_fd_, &err_)) return false;
  }
  return true;
}

void EngramdProcess::Signal(int signal) const { kill(pid_, signal); }

std::optional<uint64_t> EngramdProcess::BytesRead() const {
  std::ifstream io("/proc/" + std::to_string(pid_) + "/io");
  std::string name;
  uint64_t value = 0;
  while (io >> name >> value) {
    if (name == "rchar:") return value;
  }
  return std::nullopt;
}

void EngramdProcess::KillOnceItHasRead(uint64_t bytes) const {
  pollfd said{.fd = out_fd_, .events = POLLIN, .revents = 0};
  while (BytesRead().value_or(bytes) < bytes && poll(&said, 1, 0) == 0) {
  }
  kill(pid_, SIGKILL);
}

int EngramdProcess::AwaitExit() {
  if (exit_) return *exit_;
  // Its lines are few: neither pipe fills while the other is read.
  while (ReadMore(&out_fd_, &out_)) {
  }
  while (ReadMore(&err_fd_, &err_)) {
  }
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  exit_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return *exit_;
}

}  // namespace engram::testing

#include "loadtest/spawn.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "core/base/mutex.h"
#include "loadtest/pacing.h"

namespace engram {
namespace {

namespace fs = std::filesystem;

// What an interrupt has to put away. Leaked on purpose: the interrupt thread lives as long as the process.
struct Leftovers {
  Mutex mu;
  std::set<pid_t> children ABSL_GUARDED_BY(mu);
  std::set<fs::path> directories ABSL_GUARDED_BY(mu);
  std::set<const std::function<void()>*> calls ABSL_GUARDED_BY(mu);
};
Leftovers& TheLeftovers() {
  static auto* leftovers = new Leftovers;
  return *leftovers;
}

sigset_t InterruptSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

// True once `pid` has ended, within `patience`.
bool AwaitExit(pid_t pid, int64_t patience_nanos, int* exit_status) {
  const int64_t deadline = NowNanos() + patience_nanos;
  while (true) {
    const pid_t ended = waitpid(pid, exit_status, WNOHANG);
    if (ended == pid) return true;
    if (ended < 0 && errno != EINTR) return true;
    if (NowNanos() > deadline) return false;
    SleepUntilNanos(NowNanos() + 2'000'000);
  }
}

// In the child, between fork and exec: only async-signal-safe calls.
[[noreturn]] void Execute(const char* program, char* const* arguments, int output, int log, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(127);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  // A group of its own: Ctrl-C reaches only this program, which then ends the child in order.
  setpgid(0, 0);
  const int null = open("/dev/null", O_RDONLY);
  dup2(null, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  execv(program, arguments);
  constexpr char kMessage[] = "could not be executed\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kMessage, sizeof kMessage - 1);
  _exit(127);
}

}  // namespace

void CleanUpOnInterrupt() {
  const sigset_t signals = InterruptSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  std::jthread([signals] {
    int received = 0;
    while (sigwait(&signals, &received) != 0) {
    }
    Leftovers& leftovers = TheLeftovers();
    MutexLock lock(leftovers.mu);
    for (const std::function<void()>* call : leftovers.calls) (*call)();
    for (const pid_t child : leftovers.children) kill(child, SIGTERM);
    for (const pid_t child : leftovers.children) {
      int ignored;
      if (!AwaitExit(child, 5 * kNanosPerSecond, &ignored)) kill(child, SIGKILL);
    }
    for (const fs::path& directory : leftovers.directories) {
      std::error_code ignored;
      fs::remove_all(directory, ignored);
    }
    _exit(128 + received);
  }).detach();
}

AtInterrupt::AtInterrupt(std::function<void()> call) : call_(std::move(call)) {
  MutexLock lock(TheLeftovers().mu);
  TheLeftovers().calls.insert(&call_);
}

AtInterrupt::~AtInterrupt() {
  MutexLock lock(TheLeftovers().mu);
  TheLeftovers().calls.erase(&call_);
}

TemporaryDirectory::TemporaryDirectory(fs::path path) : path_(std::move(path)) {
  MutexLock lock(TheLeftovers().mu);
  TheLeftovers().directories.insert(path_);
}

absl::StatusOr<std::unique_ptr<TemporaryDirectory>> TemporaryDirectory::Create() {
  std::error_code error;
  const fs::path parent = fs::temp_directory_path(error);
  if (error) return absl::InternalError(fmt::format("no directory for temporary files: {}", error.message()));
  return CreateIn(parent);
}

absl::StatusOr<std::unique_ptr<TemporaryDirectory>> TemporaryDirectory::CreateIn(const fs::path& parent) {
  std::string name = parent / "engram-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) {
    return absl::InternalError(fmt::format("no temporary directory {}: {}", name, std::strerror(errno)));
  }
  return std::unique_ptr<TemporaryDirectory>(new TemporaryDirectory(name));
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
  MutexLock lock(TheLeftovers().mu);
  TheLeftovers().directories.erase(path_);
}

absl::StatusOr<std::unique_ptr<Child>> StartChild(const ChildOptions& options) {
  if (access(options.program.c_str(), X_OK) != 0) {
    return absl::NotFoundError(fmt::format("cannot execute {}: {}", options.program.string(), std::strerror(errno)));
  }
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) {
    return absl::InternalError(fmt::format("no pipe for {}: {}", options.program.string(), std::strerror(errno)));
  }
  const int log = open(options.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) {
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    return absl::InternalError(fmt::format("cannot write {}: {}", options.log.string(), std::strerror(errno)));
  }

  std::vector<std::string> words = {options.program.string()};
  words.insert(words.end(), options.arguments.begin(), options.arguments.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  const pid_t parent = getpid();
  const int64_t started = NowNanos();
  pid_t pid;
  {
    // An interrupt must not come between the fork and the note of it.
    MutexLock lock(TheLeftovers().mu);
    pid = fork();
    if (pid == 0) Execute(words[0].c_str(), arguments.data(), pipe_ends[1], log, parent);
    if (pid > 0) TheLeftovers().children.insert(pid);
  }
  close(pipe_ends[1]);
  close(log);
  if (pid < 0) {
    close(pipe_ends[0]);
    return absl::InternalError(fmt::format("cannot fork for {}: {}", options.program.string(), std::strerror(errno)));
  }

  std::unique_ptr<Child> child(new Child(pid, pipe_ends[0], started, options));
  if (const absl::Status ready = child->AwaitReady(); !ready.ok()) {
    // How it ends now adds nothing to why it was not ready.
    child->Stop().IgnoreError();
    return ready;
  }
  return child;
}

Child::~Child() {
  if (const absl::Status stopped = Stop(); !stopped.ok()) fmt::print(stderr, "{}\n", std::string(stopped.message()));
  close(output_);
}

absl::Status Child::AwaitReady() {
  const int64_t deadline = NowNanos() + std::chrono::nanoseconds(options_.ready_timeout).count();
  const std::string name = options_.program.filename().string();
  std::string text;
  while (true) {
    const size_t end = text.find('\n');
    if (end != std::string::npos) {
      std::string line = text.substr(0, end);
      text.erase(0, end + 1);
      if (line.rfind(options_.ready_prefix, 0) != 0) continue;
      std::istringstream words(line.substr(options_.ready_prefix.size()));
      for (std::string word; words >> word;) {
        const size_t equals = word.find('=');
        if (equals != std::string::npos) ready_[word.substr(0, equals)] = word.substr(equals + 1);
      }
      return absl::OkStatus();
    }
    const int64_t left_ms = (deadline - NowNanos()) / 1'000'000;
    if (left_ms <= 0) {
      return absl::DeadlineExceededError(
          fmt::format("{} was not ready within {} s\n{}", name, options_.ready_timeout.count(), LogTail()));
    }
    pollfd readable{output_, POLLIN, 0};
    if (poll(&readable, 1, static_cast<int>(left_ms)) <= 0) continue;
    char buffer[1024];
    const ssize_t got = read(output_, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return absl::InternalError(fmt::format("{} ended before it was ready\n{}", name, LogTail()));
    text.append(buffer, static_cast<size_t>(got));
  }
}

std::string Child::Ready(const std::string& key) const {
  const auto found = ready_.find(key);
  return found == ready_.end() ? "" : found->second;
}

std::optional<Child::End> Child::EndedByItself() const {
  siginfo_t info{};
  // Left to be waited for by Stop or Kill.
  if (pid_ == 0 || waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) {
    return std::nullopt;
  }
  const std::string name = fmt::format("{} (pid {})", options_.program.filename().string(), pid_);
  if (info.si_code != CLD_EXITED) return End{-1, fmt::format("{} ended by signal {}\n{}", name, info.si_status, LogTail())};
  return End{info.si_status, fmt::format("{} ended with {}\n{}", name, info.si_status, LogTail())};
}

double Child::CpuSeconds() const {
  clockid_t clock;
  timespec used;
  if (pid_ == 0 || clock_getcpuclockid(pid_, &clock) != 0 || clock_gettime(clock, &used) != 0) return 0;
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / kNanosPerSecond;
}

int64_t Child::StatusBytes(std::string_view field) const {
  std::ifstream status(fmt::format("/proc/{}/status", pid_));
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(field, 0) == 0) return std::atoll(line.c_str() + field.size()) * 1024;
  }
  return 0;
}
int64_t Child::ResidentBytes() const { return StatusBytes("VmRSS:"); }
int64_t Child::PeakResidentBytes() const { return StatusBytes("VmHWM:"); }

std::string Child::LogTail() const {
  std::ifstream log(options_.log);
  std::ostringstream text;
  text << log.rdbuf();
  constexpr size_t kShown = 2000;
  const std::string all = text.str();
  return all.size() <= kShown ? all : all.substr(all.size() - kShown);
}

absl::Status Child::Stop(std::chrono::seconds patience) {
  if (pid_ == 0) return absl::OkStatus();
  const std::string name = fmt::format("{} (pid {})", options_.program.filename().string(), pid_);
  int exit_status = 0;
  kill(pid_, SIGTERM);
  const bool in_time = AwaitExit(pid_, std::chrono::nanoseconds(patience).count(), &exit_status);
  if (!in_time) {
    kill(pid_, SIGKILL);
    AwaitExit(pid_, 5 * kNanosPerSecond, &exit_status);
  }
  Forget();
  if (!in_time) {
    return absl::InternalError(fmt::format("{} did not end within {} s of SIGTERM", name, patience.count()));
  }
  if (WIFSIGNALED(exit_status)) {
    return absl::InternalError(fmt::format("{} ended by signal {}\n{}", name, WTERMSIG(exit_status), LogTail()));
  }
  if (WEXITSTATUS(exit_status) != 0) {
    return absl::InternalError(fmt::format("{} ended with {}\n{}", name, WEXITSTATUS(exit_status), LogTail()));
  }
  return absl::OkStatus();
}

absl::Status Child::Kill() {
  if (pid_ == 0) return absl::OkStatus();
  const std::string name = fmt::format("{} (pid {})", options_.program.filename().string(), pid_);
  int exit_status = 0;
  kill(pid_, SIGKILL);
  if (!AwaitExit(pid_, 30 * kNanosPerSecond, &exit_status)) {
    return absl::InternalError(fmt::format("{} did not end within 30 s of SIGKILL", name));
  }
  Forget();
  if (!WIFSIGNALED(exit_status) || WTERMSIG(exit_status) != SIGKILL) {
    return absl::InternalError(fmt::format("{} had ended before it was killed\n{}", name, LogTail()));
  }
  return absl::OkStatus();
}

void Child::Forget() {
  MutexLock lock(TheLeftovers().mu);
  TheLeftovers().children.erase(pid_);
  pid_ = 0;
}

absl::StatusOr<fs::path> FindDaemon(const std::string& given) {
  if (!given.empty()) return fs::path(given);
  std::error_code error;
  const fs::path here = fs::read_symlink("/proc/self/exe", error).parent_path();
  const fs::path above = here.parent_path();
  for (const fs::path& candidate :
       {here / "engramd", above / "server" / "engramd", above.parent_path() / "server" / "engramd"}) {
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return absl::NotFoundError(fmt::format("no engramd beside {}; name it with --engramd", here.string()));
}

absl::StatusOr<std::unique_ptr<Child>> StartDaemon(const fs::path& program, const std::vector<std::string>& arguments,
                                                   const TemporaryDirectory& directory,
                                                   std::chrono::seconds ready_timeout) {
  ChildOptions options;
  options.program = program;
  options.arguments = arguments;
  // Last, so that no setting of the caller's leads to somebody's data or off this machine.
  for (const std::string& own : {fmt::format("storage.directory={}", (directory.path() / "data").string()),
                                 std::string("server.address=127.0.0.1:0"), std::string("metrics.address=127.0.0.1:0")}) {
    options.arguments.insert(options.arguments.end(), {"--set", own});
  }
  options.ready_prefix = "engramd ready ";
  options.log = directory.path() / "engramd.log";
  options.ready_timeout = ready_timeout;
  return StartChild(options);
}

}  // namespace engram

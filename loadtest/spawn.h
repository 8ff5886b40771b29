// Child processes of a run: the daemon and the bare sink. Started until they say they are ready, measured from outside,
// ended by their process id whatever happens.
//
// Threads:   StartChild only on the main thread (the kernel ends a child when the *thread* that made it ends, which
//            is how a killed run takes its daemon along). Readings and Stop: one thread at a time.
// Ownership: a Child ends its process when destroyed; a TemporaryDirectory removes itself.
// Blocking:  StartChild until the ready line or its timeout; Stop until the process has ended.
// Errors:    NOT_FOUND (no such program), DEADLINE_EXCEEDED (not ready in time), INTERNAL (ended before it was ready,
//            or ended badly). The message carries the end of the child's log.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace engram {

// Must be the first thing a main does, before any thread: SIGINT and SIGTERM from then on end all children, remove all
// temporary directories and end the process with 128 + the signal.
void CleanUpOnInterrupt();

// Called by an interrupt (of CleanUpOnInterrupt) while it lives, on a thread of its own, before children are ended. What
// it does has to have an end; its destructor waits for it.
class AtInterrupt {
 public:
  explicit AtInterrupt(std::function<void()> call);
  ~AtInterrupt();
  AtInterrupt(const AtInterrupt&) = delete;
  AtInterrupt& operator=(const AtInterrupt&) = delete;

 private:
  const std::function<void()> call_;
};

class TemporaryDirectory {
 public:
  static absl::StatusOr<std::unique_ptr<TemporaryDirectory>> Create();
  // In `parent`, which must be there.
  static absl::StatusOr<std::unique_ptr<TemporaryDirectory>> CreateIn(const std::filesystem::path& parent);
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  explicit TemporaryDirectory(std::filesystem::path path);

  const std::filesystem::path path_;
};

struct ChildOptions {
  std::filesystem::path program;
  std::vector<std::string> arguments;
  // The line on standard output that says it is ready begins so; `key=value` words follow.
  std::string ready_prefix;
  // Where its standard error goes.
  std::filesystem::path log;
  std::chrono::seconds ready_timeout{30};
};

class Child {
 public:
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  // The instant (NowNanos) just before it was made.
  int64_t started() const { return started_; }
  // A word of the ready line, or empty.
  std::string Ready(const std::string& key) const;

  // How it ended, in words, and with which exit code (-1: by a signal), when it has by itself; nullopt while it runs, and
  // once it was stopped or killed from here.
  struct End {
    int exit_code = 0;
    std::string how;
  };
  std::optional<End> EndedByItself() const;

  // Processor time of all its threads so far, ended ones included. 0 once it has ended.
  double CpuSeconds() const;
  // Resident now, bytes; and the most it ever was.
  int64_t ResidentBytes() const;
  int64_t PeakResidentBytes() const;

  // SIGTERM, then SIGKILL after `patience`. OK when it ended by itself with exit code 0.
  absl::Status Stop(std::chrono::seconds patience = std::chrono::seconds(15));
  // SIGKILL, as a crash would end it; back when it has ended. Errors: INTERNAL, it had ended by itself before.
  absl::Status Kill();

 private:
  friend absl::StatusOr<std::unique_ptr<Child>> StartChild(const ChildOptions& options);
  Child(pid_t pid, int output, int64_t started, ChildOptions options)
      : pid_(pid), output_(output), started_(started), options_(std::move(options)) {}

  absl::Status AwaitReady();
  int64_t StatusBytes(std::string_view field) const;
  std::string LogTail() const;
  // No longer to be ended by an interrupt, nor by us.
  void Forget();

  pid_t pid_;   // 0 once it has ended and been waited for.
  int output_;  // Read end of its standard output.
  const int64_t started_;
  const ChildOptions options_;
  std::map<std::string, std::string> ready_;
};

absl::StatusOr<std::unique_ptr<Child>> StartChild(const ChildOptions& options);

// `given` if not empty; otherwise the program beside this one, or where the build puts it.
absl::StatusOr<std::filesystem::path> FindDaemon(const std::string& given);

// Starts engramd with `arguments` on free loopback ports. Its log goes to `directory`, and so does its data unless
// `arguments` say otherwise.
absl::StatusOr<std::unique_ptr<Child>> StartDaemon(const std::filesystem::path& program,
                                                   const std::vector<std::string>& arguments,
                                                   const TemporaryDirectory& directory,
                                                   std::chrono::seconds ready_timeout = std::chrono::seconds(30));

}  // namespace engram

// The real engramd as a child process.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/temp_directory.h"

namespace engram::testing {

class EngramdProcess {
 public:
  // The test's own, or also where that is root, to whom no file is closed, only what permissions grant.
  enum class Rights : uint8_t { kOfTheTest, kOfPermissionsOnly };

  // Starts `engramd arguments...`; its environment is the test's without ENGRAM_*, and `environment` ("NAME=value").
  explicit EngramdProcess(const std::vector<std::string>& arguments, const std::vector<std::string>& environment = {},
                          Rights rights = Rights::kOfTheTest);
  // Kills it if it is still there.
  ~EngramdProcess();

  // Reads its first line on stdout; false when it ends without one. Fills the two addresses.
  bool AwaitReady();
  std::string grpc_address;
  std::string metrics_address;

  void Signal(int signal) const;
  // Bytes it has read from files so far, its libraries among them; nothing when the system does not tell.
  std::optional<uint64_t> BytesRead() const;
  // Kills it once it has read that much, or has something to say on stdout, whichever is first. For dying in the middle
  // of a start, at a place that a seed can choose. Does not await its exit.
  void KillOnceItHasRead(uint64_t bytes) const;
  // Its exit code, or 128 + the signal it died of. Blocks.
  int AwaitExit();
  // What it has written, once it has ended.
  const std::string& out() const { return out_; }
  const std::string& err() const { return err_; }
  // Reads stderr until it contains `text`; false when it ends first.
  bool AwaitLog(const std::string& text);
  pid_t pid() const { return pid_; }

 private:
  bool ReadMore(int* fd, std::string* into);

  TempDirectory storage_;
  pid_t pid_ = -1;
  int out_fd_ = -1;
  int err_fd_ = -1;
  std::string out_;
  std::string err_;
  std::optional<int> exit_;
};

}  // namespace engram::testing

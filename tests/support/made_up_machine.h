// A made-up /proc and /sys in a directory of its own, and a disk with as much free as a test says.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/journal/files.h"

namespace engram::testing {

class MadeUpMachine {
 public:
  MadeUpMachine() {
    std::string name = (std::filesystem::temp_directory_path() / "engram-machine-XXXXXX").string();
    root_ = mkdtemp(name.data());
  }
  ~MadeUpMachine() { std::filesystem::remove_all(root_); }
  MadeUpMachine(const MadeUpMachine&) = delete;
  MadeUpMachine& operator=(const MadeUpMachine&) = delete;

  // In one step: a reader sees the old text or the new one.
  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / "next") << text;
    std::filesystem::rename(root_ / "next", root_ / path);
  }
  void UseMemory(uint64_t kilobytes) {
    Write("proc/self/status", "Name:\tengramd\nVmRSS:\t   99999999 kB\nRssAnon:\t" + std::to_string(kilobytes) +
                                  " kB\nRssFile:\t   88888888 kB\nRssShmem:\t       0 kB\n");
  }
  const std::filesystem::path& root() const { return root_; }

 private:
  std::filesystem::path root_;
};

// Has free space and nothing else.
class MadeUpDisk final : public Directory {
 public:
  absl::StatusOr<DiskSpace> Space() override {
    ++looks;
    if (failing) return absl::InternalError("statvfs '/data': input/output error");
    return DiskSpace{free, uint64_t{1} << 40};
  }
  const std::string& path() const override { return path_; }

  absl::StatusOr<std::unique_ptr<File>> Open(std::string_view, Mode) override { return None(); }
  absl::Status Rename(std::string_view, std::string_view) override { return None(); }
  absl::Status Remove(std::string_view) override { return None(); }
  absl::Status Link(std::string_view, std::string_view) override { return None(); }
  absl::Status LinkInto(std::string_view, Directory&, std::string_view) override { return None(); }
  absl::StatusOr<uint64_t> LinkCount(std::string_view) override { return None(); }
  absl::StatusOr<std::vector<std::string>> List() override { return None(); }
  absl::Status Sync() override { return None(); }
  absl::StatusOr<std::unique_ptr<DirectoryLock>> Lock(std::string_view) override { return None(); }
  absl::StatusOr<std::string> LockHolder(std::string_view) override { return None(); }

  // Atomic: the test sets them while threads of the engine look.
  std::atomic<uint64_t> free{uint64_t{1} << 39};
  std::atomic<bool> failing{false};
  std::atomic<int> looks{0};

 private:
  static absl::Status None() { return absl::UnimplementedError("a made-up disk has no files"); }

  const std::string path_ = "/data";
};

}  // namespace engram::testing

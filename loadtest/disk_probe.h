// How fast the disk takes synced writes, and gives a file back: what a durable figure is held against.
//
// Threads:   a file, one thread at a time. Ownership: a ProbeFile removes its file.
// Blocking:  every call is disk work on the calling thread.
// Errors:    INTERNAL, naming the file and what the system said.
// Why:       a disk's speed depends on how the file was prepared as much as on the disk, and differs from minute to
//            minute; so it is measured in the daemon's own directory, in the same rounds as the daemon.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "core/base/status.h"
#include "loadtest/histogram.h"

namespace engram {

enum class Preparation {
  kPrepared,  // Filled with zeros and synced beforehand; writes begin again at its start when they reach its end.
  kAppend,    // Empty; every write makes it longer.
};

class ProbeFile {
 public:
  // `bytes` is the size of a prepared file. REQUIRES: bytes > 0 for kPrepared.
  static absl::StatusOr<std::unique_ptr<ProbeFile>> Create(const std::filesystem::path& directory,
                                                           Preparation preparation, uint64_t bytes);
  ~ProbeFile();
  ProbeFile(const ProbeFile&) = delete;
  ProbeFile& operator=(const ProbeFile&) = delete;

  // One positional write behind the last one, and fdatasync; its nanoseconds.
  // REQUIRES: bytes <= kLargestWrite, and no more than a prepared file holds.
  absl::StatusOr<int64_t> WriteSynced(size_t bytes);
  // The next write goes to the start; an appended file is emptied.
  absl::Status Rewind();

  const std::filesystem::path& path() const { return path_; }
  static constexpr size_t kLargestWrite = 4 << 20;

 private:
  ProbeFile(int fd, std::filesystem::path path, Preparation preparation, uint64_t size);

  absl::Status Failed(const char* what) const;

  const int fd_;
  const std::filesystem::path path_;
  const Preparation preparation_;
  const uint64_t size_;  // Of a prepared file.
  const std::vector<std::byte> content_;
  uint64_t at_ = 0;
};

struct SyncRun {
  Histogram latency;  // Nanoseconds of each write with its sync.
  uint64_t bytes = 0;
  int64_t nanos = 0;

  double BytesPerSecond() const;
};

// `total` bytes in writes of `write_bytes` (the last may be shorter), from the file's start.
absl::StatusOr<SyncRun> RunSyncs(ProbeFile& file, size_t write_bytes, uint64_t total);

// Forgets the files' pages, so that the next read of them comes from the disk. Dirty pages are written first.
absl::Status DropFromPageCache(const std::vector<std::filesystem::path>& files);
// Reads the files from start to end.
struct ReadRun {
  uint64_t bytes = 0;
  int64_t nanos = 0;

  double BytesPerSecond() const;
};
absl::StatusOr<ReadRun> ReadSequentially(const std::vector<std::filesystem::path>& files);

// The directory is kept in memory (tmpfs): syncs cost nothing there and say nothing of a disk.
bool IsInMemory(const std::filesystem::path& directory);

}  // namespace engram

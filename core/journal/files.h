// Files as the journal needs them: positional reads and writes, explicit syncing, names in one flat directory.
//
// Threads:   a Directory from any thread. A File's ReadAt from any thread at any time; WriteAt, Truncate and Sync
//            from one thread at a time.
// Ownership: a File closes when it goes; it outlives its Directory. Blocking: all of it does I/O.
// Errors:    name the call, the path and the system's words. ENOSPC and EDQUOT are RESOURCE_EXHAUSTED, ENOENT
//            NOT_FOUND, EEXIST ALREADY_EXISTS, EACCES, EPERM and EROFS PERMISSION_DENIED, EXDEV (a link to another
//            file system) FAILED_PRECONDITION, everything else INTERNAL. What CheckFileName refuses is
//            INVALID_ARGUMENT.
// Why:       what was written is safe only after Sync, and a name only after its directory's Sync. Tests pass an
//            implementation that forgets, tears and reorders what was not synced (tests/support/faulty_files.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace engram {

class File {
 public:
  virtual ~File() = default;

  // Reads until `out` is full or the file ends; how many bytes that were.
  virtual absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<std::byte> out) const = 0;
  // All of it or an error, and then any part of it may have been written. Goes on by itself after a short write.
  virtual absl::Status WriteAt(uint64_t offset, std::span<const std::byte> bytes) = 0;
  // What was written, and the size, survive a power cut when it returns (fdatasync). After an error nothing is known,
  // and a later Sync that succeeds does not vouch for what was written before the one that failed.
  virtual absl::Status Sync() = 0;
  // Shortens or lengthens (with zeros) the file.
  virtual absl::Status Truncate(uint64_t size) = 0;
  virtual absl::StatusOr<uint64_t> Size() const = 0;
  // For messages.
  virtual const std::string& path() const = 0;
};

// Holds the directory's lock until it goes.
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;
};

struct DiskSpace {
  uint64_t free_bytes = 0;  // That an unprivileged process may use.
  uint64_t total_bytes = 0;
};

// A name that leads nowhere but into the directory: 1 to 255 bytes, none of them '/' or NUL, not "." and not "..".
absl::Status CheckFileName(std::string_view name);

// One flat directory.
class Directory {
 public:
  enum class Mode : uint8_t {
    kRead,       // NOT_FOUND when it is not there. WriteAt, Truncate are INTERNAL.
    kReadWrite,  // NOT_FOUND when it is not there.
    kCreate,     // Read and write; ALREADY_EXISTS when it is there.
  };

  virtual ~Directory() = default;

  virtual absl::StatusOr<std::unique_ptr<File>> Open(std::string_view name, Mode mode) = 0;
  // Puts `from` in the place of `to`, which may exist, in one step. Does nothing when both name the same file.
  virtual absl::Status Rename(std::string_view from, std::string_view to) = 0;
  virtual absl::Status Remove(std::string_view name) = 0;
  // A second name of the same file, in this directory or (given a target) another one on the same file system;
  // ALREADY_EXISTS when `to` is there.
  virtual absl::Status Link(std::string_view from, std::string_view to) = 0;
  virtual absl::Status LinkInto(std::string_view from, Directory& target, std::string_view to) = 0;
  // How many names the file of this name has, in all directories together.
  virtual absl::StatusOr<uint64_t> LinkCount(std::string_view name) = 0;
  // Regular files, in the order of their names. Symbolic links are neither listed nor followed.
  virtual absl::StatusOr<std::vector<std::string>> List() = 0;
  // Names made, changed and removed so far survive a power cut when it returns.
  virtual absl::Status Sync() = 0;
  virtual absl::StatusOr<DiskSpace> Space() = 0;
  // One process at a time. FAILED_PRECONDITION naming the owner's pid when another one holds it. Makes the file `name`,
  // which stays when the lock goes.
  virtual absl::StatusOr<std::unique_ptr<DirectoryLock>> Lock(std::string_view name) = 0;
  // Who holds that lock, in words: "process 123", or "another process" when the file does not say; empty: nobody does.
  // Whoever takes the lock meanwhile is not refused because of it. NOT_FOUND when there is no such file.
  virtual absl::StatusOr<std::string> LockHolder(std::string_view name) = 0;
  virtual const std::string& path() const = 0;
};

// Opens the directory at `path`; with `create` it and its parents are made where they are missing, and their names
// synced.
absl::StatusOr<std::unique_ptr<Directory>> OpenPosixDirectory(const std::string& path, bool create);

// Reads a whole file of at most `most` bytes (RESOURCE_EXHAUSTED beyond it).
absl::StatusOr<std::vector<std::byte>> ReadWhole(Directory& directory, std::string_view name, uint64_t most);
// Replaces `name` by a file with these bytes, in one step that survives a power cut: written aside as `name`.tmp,
// synced, renamed, directory synced. After an error `name` is the old file or the new one, whole.
absl::Status ReplaceWhole(Directory& directory, std::string_view name, std::span<const std::byte> bytes);

}  // namespace engram

// The file system's calls behind files.h. All names are relative to an open directory, so that the data directory may
// be moved, or its mount point covered, under a running daemon.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

#include "core/journal/files.h"

namespace engram {
namespace {

// What is remembered is nobody else's to read; the group's is for backups.
constexpr mode_t kFileMode = 0640;
constexpr mode_t kDirectoryMode = 0750;
// How often a lock that somebody only looks at is tried again: far longer than a look takes, well below a second.
constexpr int kMostAsked = 10'000;

absl::Status FailureOf(std::string_view call, std::string_view path, int error) {
  const std::string message = fmt::format("{} {}: {}", call, path, std::generic_category().message(error));
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(message);
    case ENOENT:
      return absl::NotFoundError(message);
    case EEXIST:
      return absl::AlreadyExistsError(message);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    case EXDEV:
      return absl::FailedPreconditionError(message);
    default:
      return absl::InternalError(message);
  }
}

// Calls until no signal interrupts it.
template <typename Call>
auto Uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    // Whoever cares whether it is on disk has synced it, and a close that was interrupted has closed all the same.
    if (fd_ >= 0) close(fd_);
  }

  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

class PosixFile final : public File {
 public:
  PosixFile(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<std::byte> out) const override {
    size_t done = 0;
    while (done < out.size()) {
      const ssize_t read = Uninterrupted(
          [&] { return pread(fd_.get(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done)); });
      if (read < 0) return FailureOf("read", path_, errno);
      if (read == 0) break;
      done += static_cast<size_t>(read);
    }
    return done;
  }

  absl::Status WriteAt(uint64_t offset, std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t written =
          Uninterrupted([&] { return pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
      if (written < 0) return FailureOf("write", path_, errno);
      // No file system should; going round would never end.
      if (written == 0) return FailureOf("write", path_, EIO);
      offset += static_cast<uint64_t>(written);
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    // Only an interrupted call is made again: that one has told nothing about the disk. After a real error the kernel
    // takes the pages for clean, and a second call would succeed without writing them.
    if (Uninterrupted([&] { return fdatasync(fd_.get()); }) != 0) return FailureOf("fdatasync", path_, errno);
    return absl::OkStatus();
  }

  absl::Status Truncate(uint64_t size) override {
    if (Uninterrupted([&] { return ftruncate(fd_.get(), static_cast<off_t>(size)); }) != 0) {
      // A file opened for reading says EINVAL here.
      return FailureOf("truncate", path_, errno);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> Size() const override {
    struct stat about;
    if (fstat(fd_.get(), &about) != 0) return FailureOf("stat", path_, errno);
    return static_cast<uint64_t>(about.st_size);
  }

  const std::string& path() const override { return path_; }

 private:
  const Descriptor fd_;
  const std::string path_;
};

// The lock is the open file's, so it goes with the process however that ends.
class PosixLock final : public DirectoryLock {
 public:
  explicit PosixLock(Descriptor fd) : fd_(std::move(fd)) {}
  ~PosixLock() override {
    // So that nobody reads the pid of one who is gone. Best effort: the lock itself does not depend on it.
    [[maybe_unused]] const int ignored = ftruncate(fd_.get(), 0);
  }

 private:
  const Descriptor fd_;
};

std::string WordsOfOwner(int fd) {
  char text[24];
  const ssize_t read = pread(fd, text, sizeof(text), 0);
  long pid = 0;
  if (read > 0 && std::from_chars(text, text + read, pid).ec == std::errc() && pid > 0) {
    return fmt::format("process {}", pid);
  }
  return "another process";
}

class PosixDirectory final : public Directory {
 public:
  PosixDirectory(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  absl::StatusOr<std::unique_ptr<File>> Open(std::string_view name, Mode mode) override {
    ENGRAM_RETURN_IF_ERROR(CheckFileName(name));
    const int flags = mode == Mode::kRead ? O_RDONLY : mode == Mode::kReadWrite ? O_RDWR : O_RDWR | O_CREAT | O_EXCL;
    ENGRAM_ASSIGN_OR_RETURN(Descriptor fd, OpenAt(name, flags));
    return std::make_unique<PosixFile>(std::move(fd), PathOf(name));
  }

  absl::Status Rename(std::string_view from, std::string_view to) override {
    ENGRAM_RETURN_IF_ERROR(CheckFileName(from));
    ENGRAM_RETURN_IF_ERROR(CheckFileName(to));
    if (renameat(fd_.get(), std::string(from).c_str(), fd_.get(), std::string(to).c_str()) != 0) {
      return FailureOf("rename", fmt::format("{} to {}", PathOf(from), PathOf(to)), errno);
    }
    return absl::OkStatus();
  }

  absl::Status Remove(std::string_view name) override {
    ENGRAM_RETURN_IF_ERROR(CheckFileName(name));
    if (unlinkat(fd_.get(), std::string(name).c_str(), 0) != 0) return FailureOf("remove", PathOf(name), errno);
    return absl::OkStatus();
  }

  absl::Status Link(std::string_view from, std::string_view to) override { return LinkInto(from, *this, to); }

  absl::Status LinkInto(std::string_view from, Directory& target, std::string_view to) override {
    ENGRAM_RETURN_IF_ERROR(CheckFileName(from));
    ENGRAM_RETURN_IF_ERROR(CheckFileName(to));
    auto* const other = dynamic_cast<PosixDirectory*>(&target);
    const std::string both = fmt::format("{} as {}/{}", PathOf(from), target.path(), to);
    if (other == nullptr) return FailureOf("link", both, EXDEV);
    if (linkat(fd_.get(), std::string(from).c_str(), other->fd_.get(), std::string(to).c_str(), 0) != 0) {
      return FailureOf("link", both, errno);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> LinkCount(std::string_view name) override {
    ENGRAM_RETURN_IF_ERROR(CheckFileName(name));
    struct stat about;
    if (fstatat(fd_.get(), std::string(name).c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0) {
      return FailureOf("stat", PathOf(name), errno);
    }
    return uint64_t{about.st_nlink};
  }

  absl::StatusOr<std::vector<std::string>> List() override {
    // Opened anew: a listing moves the position of the descriptor it reads from.
    Descriptor fd(Uninterrupted([&] { return openat(fd_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (fd.get() < 0) return FailureOf("open", path_, errno);
    const std::unique_ptr<DIR, int (*)(DIR*)> listing(fdopendir(fd.get()), closedir);
    if (listing == nullptr) return FailureOf("list", path_, errno);
    fd.release();
    std::vector<std::string> names;
    while (true) {
      errno = 0;
      const dirent* const entry = readdir(listing.get());
      if (entry == nullptr) break;
      if (IsRegular(*entry)) names.emplace_back(entry->d_name);
    }
    if (errno != 0) return FailureOf("list", path_, errno);
    std::sort(names.begin(), names.end());
    return names;
  }

  absl::Status Sync() override {
    if (Uninterrupted([&] { return fsync(fd_.get()); }) != 0) return FailureOf("fsync", path_, errno);
    return absl::OkStatus();
  }

  absl::StatusOr<DiskSpace> Space() override {
    struct statvfs about;
    if (Uninterrupted([&] { return fstatvfs(fd_.get(), &about); }) != 0) return FailureOf("statvfs", path_, errno);
    return DiskSpace{.free_bytes = uint64_t{about.f_bavail} * about.f_frsize,
                     .total_bytes = uint64_t{about.f_blocks} * about.f_frsize};
  }

  absl::StatusOr<std::unique_ptr<DirectoryLock>> Lock(std::string_view name) override {
    ENGRAM_RETURN_IF_ERROR(CheckFileName(name));
    for (int asked = 0;;) {
      ENGRAM_ASSIGN_OR_RETURN(Descriptor fd, OpenAt(name, O_RDWR | O_CREAT));
      if (Uninterrupted([&] { return flock(fd.get(), LOCK_EX | LOCK_NB); }) != 0) {
        if (errno != EWOULDBLOCK) return FailureOf("lock", PathOf(name), errno);
        // Shared by somebody who only asks who holds it (LockHolder), and who is gone in a moment.
        if (asked++ < kMostAsked && Uninterrupted([&] { return flock(fd.get(), LOCK_SH | LOCK_NB); }) == 0) {
          std::this_thread::yield();
          continue;
        }
        return absl::FailedPreconditionError(
            fmt::format("{} is in use: {} holds {}", path_, WordsOfOwner(fd.get()), PathOf(name)));
      }
      // Somebody may have removed the file between the two calls, and then the next one would lock another file.
      if (!StillNames(name, fd.get())) continue;
      // Only for the words above, so a full disk does not stand in the way: it must be possible to start and forget.
      const std::string pid = fmt::format("{}\n", getpid());
      if (pwrite(fd.get(), pid.data(), pid.size(), 0) == static_cast<ssize_t>(pid.size())) {
        [[maybe_unused]] const int ignored = ftruncate(fd.get(), static_cast<off_t>(pid.size()));
      }
      return std::make_unique<PosixLock>(std::move(fd));
    }
  }

  absl::StatusOr<std::string> LockHolder(std::string_view name) override {
    ENGRAM_RETURN_IF_ERROR(CheckFileName(name));
    ENGRAM_ASSIGN_OR_RETURN(const Descriptor fd, OpenAt(name, O_RDONLY));
    // Of the lock and not of the pid in the file: that of a killed daemon stays there, and in a container it is another
    // process's by the next start.
    if (Uninterrupted([&] { return flock(fd.get(), LOCK_SH | LOCK_NB); }) == 0) return std::string();
    if (errno != EWOULDBLOCK) return FailureOf("lock", PathOf(name), errno);
    return WordsOfOwner(fd.get());
  }

  const std::string& path() const override { return path_; }

 private:
  std::string PathOf(std::string_view name) const { return fmt::format("{}/{}", path_, name); }

  absl::StatusOr<Descriptor> OpenAt(std::string_view name, int flags) {
    const std::string terminated(name);
    Descriptor fd(Uninterrupted(
        [&] { return openat(fd_.get(), terminated.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, kFileMode); }));
    if (fd.get() < 0) return FailureOf("open", PathOf(name), errno);
    return fd;
  }

  bool IsRegular(const dirent& entry) const {
    if (entry.d_type != DT_UNKNOWN) return entry.d_type == DT_REG;
    struct stat about;
    return fstatat(fd_.get(), entry.d_name, &about, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(about.st_mode);
  }

  bool StillNames(std::string_view name, int fd) const {
    struct stat named, open;
    return fstatat(fd_.get(), std::string(name).c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &open) == 0 &&
           named.st_dev == open.st_dev && named.st_ino == open.st_ino;
  }

  const Descriptor fd_;
  const std::string path_;
};

Descriptor OpenDirectoryAt(const std::string& path) {
  return Descriptor(Uninterrupted([&] { return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  const size_t end = path.find_last_not_of('/', slash);
  return end == std::string::npos ? "/" : path.substr(0, end + 1);
}

// Makes the directory unless it is there, after its parents.
absl::Status Make(const std::string& path) {
  bool made = mkdir(path.c_str(), kDirectoryMode) == 0;
  if (!made && errno == ENOENT && path != ParentOf(path)) {
    ENGRAM_RETURN_IF_ERROR(Make(ParentOf(path)));
    made = mkdir(path.c_str(), kDirectoryMode) == 0;
  }
  // A parent that may not be written, or a file system that is read-only, may say so of a directory that is there.
  if (const int error = errno; !made && error != EEXIST) {
    return OpenDirectoryAt(path).get() >= 0 ? absl::OkStatus() : FailureOf("mkdir", path, error);
  }
  // Also when it was there: it may have been made by a run that died before this.
  const std::string parent = ParentOf(path);
  const Descriptor fd = OpenDirectoryAt(parent);
  const bool synced = fd.get() >= 0 && Uninterrupted([&] { return fsync(fd.get()); }) == 0;
  // A parent that is not ours to read held it already.
  if (!synced && made) return FailureOf("fsync", parent, errno);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Directory>> OpenPosixDirectory(const std::string& path, bool create) {
  std::string trimmed = path;
  while (trimmed.size() > 1 && trimmed.back() == '/') trimmed.pop_back();
  if (create) ENGRAM_RETURN_IF_ERROR(Make(trimmed));
  Descriptor fd = OpenDirectoryAt(trimmed);
  if (fd.get() < 0) return FailureOf("open directory", path, errno);
  return std::make_unique<PosixDirectory>(std::move(fd), std::move(trimmed));
}

}  // namespace engram

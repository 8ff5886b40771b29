#include "loadtest/disk_probe.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "loadtest/pacing.h"

namespace engram {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPiece = 1 << 20;  // Of preparing and of reading.

absl::Status Failed(const char* what, const fs::path& path) {
  return absl::InternalError(fmt::format("{} {}: {}", what, path.string(), std::strerror(errno)));
}

// Bytes a disk or a file system cannot compress or leave out.
std::vector<std::byte> Noise(size_t size) {
  std::vector<std::byte> noise(size);
  uint64_t state = 0x9e3779b97f4a7c15;
  for (size_t i = 0; i + sizeof state <= size; i += sizeof state) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    std::memcpy(noise.data() + i, &state, sizeof state);
  }
  return noise;
}

bool WriteWhole(int fd, const std::byte* bytes, size_t size, uint64_t offset) {
  while (size > 0) {
    const ssize_t written = pwrite(fd, bytes, size, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes += written;
    size -= static_cast<size_t>(written);
    offset += static_cast<uint64_t>(written);
  }
  return true;
}

// Closes at the end of a scope.
class OpenFile {
 public:
  explicit OpenFile(const fs::path& path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~OpenFile() {
    if (fd_ >= 0) close(fd_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  int fd() const { return fd_; }

 private:
  const int fd_;
};

double Rate(uint64_t bytes, int64_t nanos) { return nanos == 0 ? 0 : static_cast<double>(bytes) / Seconds(nanos); }

}  // namespace

double SyncRun::BytesPerSecond() const { return Rate(bytes, nanos); }
double ReadRun::BytesPerSecond() const { return Rate(bytes, nanos); }

ProbeFile::ProbeFile(int fd, fs::path path, Preparation preparation, uint64_t size)
    : fd_(fd), path_(std::move(path)), preparation_(preparation), size_(size), content_(Noise(kLargestWrite)) {}

ProbeFile::~ProbeFile() {
  close(fd_);
  unlink(path_.c_str());
}

absl::Status ProbeFile::Failed(const char* what) const { return engram::Failed(what, path_); }

absl::StatusOr<std::unique_ptr<ProbeFile>> ProbeFile::Create(const fs::path& directory, Preparation preparation,
                                                             uint64_t bytes) {
  std::string name = directory / "probe-XXXXXX";
  const int fd = mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0) return engram::Failed("cannot make", name);
  std::unique_ptr<ProbeFile> file(new ProbeFile(fd, name, preparation, bytes));
  if (preparation == Preparation::kPrepared) {
    const std::vector<std::byte> zeros(kPiece);
    for (uint64_t at = 0; at < bytes; at += kPiece) {
      const size_t piece = std::min<uint64_t>(kPiece, bytes - at);
      if (!WriteWhole(fd, zeros.data(), piece, at)) return file->Failed("cannot prepare");
    }
  }
  if (fsync(fd) != 0) return file->Failed("cannot sync");
  return file;
}

absl::StatusOr<int64_t> ProbeFile::WriteSynced(size_t bytes) {
  if (preparation_ == Preparation::kPrepared && at_ + bytes > size_) at_ = 0;
  const int64_t began = NowNanos();
  if (!WriteWhole(fd_, content_.data(), bytes, at_)) return Failed("cannot write");
  if (fdatasync(fd_) != 0) return Failed("cannot sync");
  const int64_t took = NowNanos() - began;
  at_ += bytes;
  return took;
}

absl::Status ProbeFile::Rewind() {
  at_ = 0;
  if (preparation_ == Preparation::kAppend && (ftruncate(fd_, 0) != 0 || fsync(fd_) != 0))
    return Failed("cannot empty");
  return absl::OkStatus();
}

absl::StatusOr<SyncRun> RunSyncs(ProbeFile& file, size_t write_bytes, uint64_t total) {
  ENGRAM_RETURN_IF_ERROR(file.Rewind());
  SyncRun run;
  const int64_t began = NowNanos();
  while (run.bytes < total) {
    const size_t piece = std::min<uint64_t>(write_bytes, total - run.bytes);
    ENGRAM_ASSIGN_OR_RETURN(const int64_t took, file.WriteSynced(piece));
    run.latency.Record(took);
    run.bytes += piece;
  }
  run.nanos = NowNanos() - began;
  return run;
}

absl::Status DropFromPageCache(const std::vector<fs::path>& files) {
  for (const fs::path& path : files) {
    const OpenFile file(path);
    if (file.fd() < 0) return Failed("cannot open", path);
    // Pages that are still dirty would stay.
    if (fdatasync(file.fd()) != 0) return Failed("cannot sync", path);
    errno = posix_fadvise(file.fd(), 0, 0, POSIX_FADV_DONTNEED);
    if (errno != 0) return Failed("cannot drop the pages of", path);
  }
  return absl::OkStatus();
}

absl::StatusOr<ReadRun> ReadSequentially(const std::vector<fs::path>& files) {
  std::vector<std::byte> buffer(kPiece);
  ReadRun run;
  const int64_t began = NowNanos();
  for (const fs::path& path : files) {
    const OpenFile file(path);
    if (file.fd() < 0) return Failed("cannot open", path);
    while (true) {
      const ssize_t got = read(file.fd(), buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Failed("cannot read", path);
      if (got == 0) break;
      run.bytes += static_cast<uint64_t>(got);
    }
  }
  run.nanos = NowNanos() - began;
  return run;
}

bool IsInMemory(const fs::path& directory) {
  struct statfs system;
  return statfs(directory.c_str(), &system) == 0 && system.f_type == TMPFS_MAGIC;
}

}  // namespace engram

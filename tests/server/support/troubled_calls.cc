// A library to preload into engramd: reads of segments that wait, and syncs of them that fail, when the test says so. Its
// handle is TroubledDisk in troubled_disk.h.
//
// Why: what the daemon says while it recovers, and what it does when a sync fails, can be seen only at a moment that a
// test can hold or make; no real disk fails to order.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

// A replay reads pieces of this size; headers, footers and what a recall reads are smaller.
constexpr size_t kLeastHeld = 64 << 10;

bool IsSegment(int fd) {
  std::array<char, 64> link;
  std::snprintf(link.data(), link.size(), "/proc/self/fd/%d", fd);
  std::array<char, 4096> path;
  const ssize_t length = readlink(link.data(), path.data(), path.size());
  return length > 0 && std::string_view(path.data(), static_cast<size_t>(length)).ends_with(".journal");
}

// Until there is a byte in the pipe, which it takes.
void AwaitTurn() {
  static const int turns = [] {
    const char* path = std::getenv("TROUBLED_READS");
    return path == nullptr ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  }();
  char turn;
  while (turns >= 0 && read(turns, &turn, 1) < 0 && errno == EINTR) {
  }
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) ssize_t pread(int fd, void* out, size_t size, off_t offset) {
  if (size >= kLeastHeld && IsSegment(fd)) AwaitTurn();
  return syscall(SYS_pread64, fd, out, size, offset);
}

__attribute__((visibility("default"))) ssize_t pread64(int fd, void* out, size_t size, off64_t offset) {
  return pread(fd, out, size, offset);
}

__attribute__((visibility("default"))) int fdatasync(int fd) {
  const char* file = std::getenv("TROUBLED_SYNCS");
  if (file != nullptr && access(file, F_OK) == 0 && IsSegment(fd)) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(syscall(SYS_fdatasync, fd));
}

}  // extern "C"

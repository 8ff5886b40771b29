// Matrices in NumPy's .npy form: one row, one embedding.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace engram {

// What the header of a .npy file says.
struct NpyHeader {
  enum class Element { kFloat32, kFloat16 };
  Element element = Element::kFloat32;
  uint64_t rows = 0;
  uint64_t columns = 0;
  // Where the elements begin.
  uint64_t data_offset = 0;

  uint64_t row_bytes() const { return columns * (element == Element::kFloat32 ? 4 : 2); }
};

// Reads the header from the first bytes of a file; 10 KiB are always enough for the headers NumPy writes. Versions 1 to
// 3; '<f4' and '<f2', C order, two dimensions. INVALID_ARGUMENT names what was found and what is read.
absl::StatusOr<NpyHeader> ParseNpyHeader(std::string_view first_bytes);

// A .npy file mapped for reading. Rows are views into the mapping, valid while the file lives. Not for several threads.
// Mapped, not read: a file larger than memory streams through. Only a pipe is read, and whole.
class NpyFile {
 public:
  // "-" is standard input, a file or a pipe; a readable `wake_fd` ends the waiting for a pipe (CANCELLED).
  // NOT_FOUND: cannot be opened. INVALID_ARGUMENT: the header, or a file shorter than its header promises. DATA_LOSS:
  // reading failed.
  static absl::StatusOr<std::unique_ptr<NpyFile>> Open(const std::string& path, int wake_fd = -1);
  ~NpyFile();
  NpyFile(const NpyFile&) = delete;
  NpyFile& operator=(const NpyFile&) = delete;

  const NpyHeader& header() const { return header_; }
  // For messages: the path, or "standard input".
  const std::string& name() const { return name_; }
  // The little-endian elements of a row < header().rows: as Observation.embedding_f32 or _f16 takes them.
  std::string_view Row(uint64_t row) const;

 private:
  explicit NpyFile(std::string name) : name_(std::move(name)) {}

  absl::Status Map(int fd, uint64_t size);
  absl::Status Read(int fd, int wake_fd);
  absl::Status TakeHeader();

  const std::string name_;
  NpyHeader header_;
  // What was read from a pipe, where there is no mapping.
  std::string read_;
  bool mapped_ = false;
  std::string_view bytes_;
};

}  // namespace engram

#include "clients/cli/npy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <limits>
#include <vector>

#include "core/base/status.h"

namespace engram {
namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);

absl::Status Bad(const std::string& what) { return absl::InvalidArgumentError(what); }

void SkipSpaces(std::string_view& rest) {
  while (!rest.empty() && (rest.front() == ' ' || rest.front() == '\n')) rest.remove_prefix(1);
}

// What follows `'key':` in the header's dictionary, or nothing.
std::string_view ValueOf(std::string_view dictionary, std::string_view key) {
  for (const char quote : {'\'', '"'}) {
    const std::string quoted = quote + std::string(key) + quote;
    const size_t at = dictionary.find(quoted);
    if (at == std::string_view::npos) continue;
    std::string_view rest = dictionary.substr(at + quoted.size());
    SkipSpaces(rest);
    if (rest.empty() || rest.front() != ':') continue;
    rest.remove_prefix(1);
    SkipSpaces(rest);
    return rest;
  }
  return {};
}

absl::StatusOr<NpyHeader::Element> ParseElement(std::string_view value) {
  std::string_view name = value.substr(0, value.find(value.empty() ? '\'' : value.front(), 1));
  if (name.empty() || (name.front() != '\'' && name.front() != '"'))
    return Bad("the .npy header names no element type");
  name.remove_prefix(1);
  if (name == "<f4") return NpyHeader::Element::kFloat32;
  if (name == "<f2") return NpyHeader::Element::kFloat16;
  std::string hint;
  if (name == ">f4" || name == ">f2") hint = " (big-endian)";
  if (name == "<f8" || name == ">f8") hint = " (float64)";
  return Bad(
      fmt::format("the .npy elements are \"{}\"{}; read are \"<f4\" and \"<f2\": convert with "
                  "numpy.save(path, array.astype(numpy.float32))",
                  name, hint));
}

absl::Status ParseShape(std::string_view rest, NpyHeader* header) {
  if (rest.empty() || rest.front() != '(') return Bad("the .npy header names no shape");
  rest.remove_prefix(1);
  std::vector<uint64_t> shape;
  for (SkipSpaces(rest); !rest.empty() && rest.front() != ')'; SkipSpaces(rest)) {
    uint64_t extent = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), extent);
    if (error != std::errc()) return Bad("the shape in the .npy header cannot be read");
    rest.remove_prefix(end - rest.data());
    SkipSpaces(rest);
    if (!rest.empty() && rest.front() == ',') rest.remove_prefix(1);
    shape.push_back(extent);
  }
  if (rest.empty()) return Bad("the shape in the .npy header has no end");
  if (shape.size() != 2) {
    return Bad(fmt::format("the .npy array has {} dimension{}; needed are two: rows and elements", shape.size(),
                           shape.size() == 1 ? "" : "s"));
  }
  if (shape[1] == 0) return Bad("the .npy rows have no elements");
  if (shape[0] > std::numeric_limits<uint64_t>::max() / 8 / shape[1]) {
    return Bad(fmt::format("the .npy shape ({}, {}) is larger than any file", shape[0], shape[1]));
  }
  header->rows = shape[0];
  header->columns = shape[1];
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<NpyHeader> ParseNpyHeader(std::string_view bytes) {
  if (bytes.substr(0, kMagic.size()) != kMagic)
    return Bad("this is not a .npy file: it does not begin with \\x93NUMPY");
  if (bytes.size() < 10) return Bad("the .npy file ends within its header");
  const auto byte = [&](size_t at) { return static_cast<uint64_t>(static_cast<unsigned char>(bytes[at])); };
  const uint64_t version = byte(6);
  if (version < 1 || version > 3) return Bad(fmt::format("the .npy version is {}; read are 1, 2 and 3", version));
  const size_t prefix = version == 1 ? 10 : 12;
  if (bytes.size() < prefix) return Bad("the .npy file ends within its header");
  uint64_t length = byte(8) | byte(9) << 8;
  if (version > 1) length |= byte(10) << 16 | byte(11) << 24;
  if (length > bytes.size() - prefix) return Bad(fmt::format("the .npy header of {} bytes is cut off", length));
  const std::string_view dictionary = bytes.substr(prefix, length);

  NpyHeader header;
  header.data_offset = prefix + length;
  ENGRAM_ASSIGN_OR_RETURN(header.element, ParseElement(ValueOf(dictionary, "descr")));
  const std::string_view order = ValueOf(dictionary, "fortran_order");
  if (order.substr(0, 4) == "True") {
    return Bad("the .npy array is in Fortran order; save it with numpy.ascontiguousarray(array)");
  }
  if (order.substr(0, 5) != "False") return Bad("the .npy header names no fortran_order");
  ENGRAM_RETURN_IF_ERROR(ParseShape(ValueOf(dictionary, "shape"), &header));
  return header;
}

absl::StatusOr<std::unique_ptr<NpyFile>> NpyFile::Open(const std::string& path, int wake_fd) {
  const bool standard_input = path == "-";
  const int fd = standard_input ? dup(STDIN_FILENO) : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return absl::NotFoundError(fmt::format("cannot open {}: {}", path, strerror(errno)));
  std::unique_ptr<NpyFile> file(new NpyFile(standard_input ? "standard input" : path));
  struct stat info = {};
  const bool regular = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  absl::Status status;
  if (!regular && !standard_input) {
    status = Bad(fmt::format("{} is not a regular file", path));
  } else if (regular && (!standard_input || lseek(fd, 0, SEEK_CUR) == 0)) {
    status = file->Map(fd, static_cast<uint64_t>(info.st_size));
  } else {
    status = file->Read(fd, wake_fd);
  }
  close(fd);
  if (status.ok()) status = file->TakeHeader();
  if (!status.ok()) return status;
  return file;
}

absl::Status NpyFile::Map(int fd, uint64_t size) {
  if (size == 0) return absl::OkStatus();
  void* mapped = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (mapped == MAP_FAILED) return absl::NotFoundError(fmt::format("cannot map {}: {}", name_, strerror(errno)));
  madvise(mapped, size, MADV_SEQUENTIAL);
  mapped_ = true;
  bytes_ = std::string_view(static_cast<const char*>(mapped), size);
  return absl::OkStatus();
}

absl::Status NpyFile::Read(int fd, int wake_fd) {
  constexpr size_t kReadSize = 256 * 1024;
  size_t filled = 0;
  while (true) {
    pollfd waited[2] = {{fd, POLLIN, 0}, {wake_fd, POLLIN, 0}};
    while (poll(waited, 2, -1) < 0 && errno == EINTR) {
    }
    if (waited[1].revents != 0) return absl::CancelledError(fmt::format("ended while reading {}", name_));
    if (read_.size() < filled + kReadSize) read_.resize(2 * filled + kReadSize);
    const ssize_t got = read(fd, read_.data() + filled, read_.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::DataLossError(fmt::format("cannot read {}: {}", name_, strerror(errno)));
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  read_.resize(filled);
  bytes_ = read_;
  return absl::OkStatus();
}

absl::Status NpyFile::TakeHeader() {
  if (bytes_.empty()) return Bad(fmt::format("{} is empty", name_));
  const absl::StatusOr<NpyHeader> header = ParseNpyHeader(bytes_);
  if (!header.ok()) return Bad(fmt::format("{}: {}", name_, std::string(header.status().message())));
  header_ = *header;
  const uint64_t needed = header_.rows * header_.row_bytes(), there = bytes_.size() - header_.data_offset;
  if (there >= needed) return absl::OkStatus();
  return Bad(fmt::format("{}: the shape ({}, {}) needs {} bytes after the header; there are {}", name_, header_.rows,
                         header_.columns, needed, there));
}

NpyFile::~NpyFile() {
  if (mapped_) munmap(const_cast<char*>(bytes_.data()), bytes_.size());
}

std::string_view NpyFile::Row(uint64_t row) const {
  return bytes_.substr(header_.data_offset + row * header_.row_bytes(), header_.row_bytes());
}

}  // namespace engram

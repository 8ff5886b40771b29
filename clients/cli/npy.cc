#include "clients/cli/npy.h"

#include <fcntl.h>
#include <fmt/format.h>
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

absl::StatusOr<std::unique_ptr<NpyFile>> NpyFile::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return absl::NotFoundError(fmt::format("cannot open {}: {}", path, strerror(errno)));
  struct stat info = {};
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(fd);
    return Bad(fmt::format("{} is not a regular file", path));
  }
  const uint64_t size = static_cast<uint64_t>(info.st_size);
  if (size == 0) {
    close(fd);
    return Bad(fmt::format("{} is empty", path));
  }
  void* mapped = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  close(fd);
  if (mapped == MAP_FAILED) return absl::NotFoundError(fmt::format("cannot map {}: {}", path, strerror(errno)));
  madvise(mapped, size, MADV_SEQUENTIAL);
  const std::string_view bytes(static_cast<const char*>(mapped), size);
  absl::StatusOr<NpyHeader> header = ParseNpyHeader(bytes);
  absl::Status fault = header.status();
  if (fault.ok() && size - header->data_offset < header->rows * header->row_bytes()) {
    fault = Bad(fmt::format("the shape ({}, {}) needs {} bytes after the header; there are {}", header->rows,
                            header->columns, header->rows * header->row_bytes(), size - header->data_offset));
  }
  if (!fault.ok()) {
    munmap(mapped, size);
    return absl::Status(fault.code(), fmt::format("{}: {}", path, std::string(fault.message())));
  }
  return std::unique_ptr<NpyFile>(new NpyFile(*header, bytes));
}

NpyFile::~NpyFile() { munmap(const_cast<char*>(mapped_.data()), mapped_.size()); }

std::string_view NpyFile::Row(uint64_t row) const {
  return mapped_.substr(header_.data_offset + row * header_.row_bytes(), header_.row_bytes());
}

}  // namespace engram

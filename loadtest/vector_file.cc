#include "loadtest/vector_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <string>

namespace engram {
namespace {

constexpr uint32_t kMostDimensions = 65536;

template <typename Element>
bool ReadElements(std::ifstream& in, size_t count, std::vector<float>& values) {
  std::vector<Element> read(count);
  if (!in.read(reinterpret_cast<char*>(read.data()), static_cast<std::streamsize>(count * sizeof(Element)))) return false;
  values.assign(read.begin(), read.end());
  return true;
}

absl::StatusOr<Matrix> Read(const std::filesystem::path& file, size_t rows, bool all_of_them) {
  const auto bad = [&](const std::string& what) {
    return absl::InvalidArgumentError(fmt::format("{}: {}", file.string(), what));
  };
  const std::string ending = file.extension().string();
  const size_t element = ending == ".fbin" ? 4 : ending == ".u8bin" || ending == ".i8bin" ? 1 : 0;
  if (element == 0) return bad("not a vector file; .fbin, .u8bin and .i8bin are read");
  std::ifstream in(file, std::ios::binary);
  if (!in) return absl::NotFoundError(fmt::format("cannot read {}", file.string()));
  uint32_t head[2];
  if (!in.read(reinterpret_cast<char*>(head), sizeof head)) return bad("the header is cut off");
  if (head[1] == 0 || head[1] > kMostDimensions) {
    return bad(fmt::format("dimension {}; 1 to {} are read", head[1], kMostDimensions));
  }
  if (all_of_them && head[0] < rows) return bad(fmt::format("{} rows; {} are needed", head[0], rows));
  rows = std::min<size_t>(rows, head[0]);

  // A file cut to its first rows keeps the count of the whole in its header, so only what is read must be there.
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  const size_t count = rows * head[1];
  if (error || size < sizeof head + count * element) {
    return bad(fmt::format("{} bytes do not hold {} rows of {}", size, rows, head[1]));
  }
  Matrix matrix;
  matrix.dimension = head[1];
  const bool whole = ending == ".fbin"    ? ReadElements<float>(in, count, matrix.values)
                     : ending == ".u8bin" ? ReadElements<uint8_t>(in, count, matrix.values)
                                          : ReadElements<int8_t>(in, count, matrix.values);
  if (!whole) return bad("the elements are cut off");
  return matrix;
}

}  // namespace

absl::StatusOr<Matrix> ReadVectorFile(const std::filesystem::path& file, size_t rows) { return Read(file, rows, true); }

absl::StatusOr<Matrix> ReadVectorFileUpTo(const std::filesystem::path& file, size_t rows) {
  return Read(file, rows, false);
}

}  // namespace engram

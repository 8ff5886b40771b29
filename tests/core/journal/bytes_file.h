// A file that is a vector of bytes, for tests of the formats.
//
// Threads: one. Errors: none.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "core/journal/files.h"

namespace engram::testing {

class BytesFile final : public File {
 public:
  explicit BytesFile(std::vector<std::byte> bytes) : bytes(std::move(bytes)) {}

  absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<std::byte> out) const override {
    ++reads;
    const size_t count = std::min<size_t>(out.size(), bytes.size() - std::min<uint64_t>(bytes.size(), offset));
    if (count > 0) std::memcpy(out.data(), bytes.data() + offset, count);
    return count;
  }
  absl::Status WriteAt(uint64_t offset, std::span<const std::byte> in) override {
    bytes.resize(std::max<size_t>(bytes.size(), offset + in.size()));
    std::copy(in.begin(), in.end(), bytes.begin() + static_cast<ptrdiff_t>(offset));
    return absl::OkStatus();
  }
  absl::Status Sync() override { return absl::OkStatus(); }
  absl::Status Truncate(uint64_t size) override {
    bytes.resize(size);
    return absl::OkStatus();
  }
  absl::StatusOr<uint64_t> Size() const override { return bytes.size(); }
  const std::string& path() const override { return path_; }

  std::vector<std::byte> bytes;
  mutable int reads = 0;

 private:
  const std::string path_ = "bytes.journal";
};

}  // namespace engram::testing

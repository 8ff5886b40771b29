// Images of an index in memory, for the tests of index/.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "core/base/check.h"
#include "index/image.h"
#include "index/space_index.h"

namespace engram::testing {

using Bytes = std::vector<std::byte>;

class MemorySink : public ImageSink {
 public:
  absl::Status Write(std::span<const std::byte> bytes) override {
    if (bytes.size() > room_) return absl::ResourceExhaustedError("the sink is full");
    room_ -= bytes.size();
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return absl::OkStatus();
  }

  // Fails from the first byte beyond.
  void set_room(size_t room) { room_ = room; }
  const Bytes& bytes() const { return bytes_; }

 private:
  size_t room_ = SIZE_MAX;
  Bytes bytes_;
};

class MemorySource : public ImageSource {
 public:
  explicit MemorySource(std::span<const std::byte> bytes) : bytes_(bytes) {}

  absl::Status Read(std::span<std::byte> out) override {
    ENGRAM_CHECK(!out.empty() && out.size() <= bytes_.size());
    if (out.size() > fails_after_) return absl::UnavailableError("the source fails");
    fails_after_ -= out.size();
    std::memcpy(out.data(), bytes_.data(), out.size());
    bytes_ = bytes_.subspan(out.size());
    return absl::OkStatus();
  }
  uint64_t left() const override { return bytes_.size(); }

  void FailAfter(size_t bytes) { fails_after_ = bytes; }

 private:
  size_t fails_after_ = SIZE_MAX;
  std::span<const std::byte> bytes_;
};

inline Bytes SavedRows(const SpaceIndex& index, IndexView view) {
  MemorySink sink;
  ENGRAM_CHECK(index.SaveRows(view, sink).ok());
  return sink.bytes();
}

inline Bytes SavedGraph(const SpaceIndex& index, IndexView view) {
  MemorySink sink;
  ENGRAM_CHECK(index.SaveGraph(view, sink).ok());
  return sink.bytes();
}

inline absl::StatusOr<std::unique_ptr<SpaceIndex>> LoadedRows(const IndexOptions& options,
                                                              std::span<const std::byte> image) {
  MemorySource source(image);
  return SpaceIndex::LoadRows(options, source);
}

inline absl::Status AttachedGraph(SpaceIndex& index, std::span<const std::byte> image) {
  MemorySource source(image);
  return index.AttachGraph(source);
}

}  // namespace engram::testing

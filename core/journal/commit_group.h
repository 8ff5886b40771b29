// Records on their way to the disk together: encoded one behind the other, written and synced at once.
//
// Threads:  all but the bytes belong to the journal's mutex; the bytes of a reserved piece belong to the appender that
//           reserved it until it says so. Ownership: owns its memory and the pendings.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "core/journal/journal.h"
#include "core/journal/segment.h"

namespace engram {

class CommitGroup {
 public:
  // Whole pages are written, so that the kernel never has to read one first.
  static constexpr size_t kPage = 4096;

  bool empty() const { return records.empty(); }
  size_t bytes() const { return bytes_; }
  std::byte* data() { return data_.get(); }
  // The bytes up to the next page of the file, the rest zero.
  std::span<const std::byte> Padded(uint64_t file_offset) {
    const size_t over = (file_offset + bytes_) % kPage;
    const size_t padding = over == 0 ? 0 : kPage - over;
    std::memset(data_.get() + bytes_, 0, padding);
    return {data_.get(), bytes_ + padding};
  }

  bool Fits(size_t more) const { return bytes_ + more + kPage <= capacity_; }
  // REQUIRES: empty, or it fits. Answers where the piece begins.
  size_t Reserve(size_t more) {
    if (!Fits(more)) Grow(more);
    const size_t at = bytes_;
    bytes_ += more;
    return at;
  }
  // So that one more record needs no memory. Throws std::bad_alloc, and then nothing has changed.
  void ReserveRecord() {
    if (records.size() == records.capacity()) records.reserve(std::max<size_t>(16, 2 * records.size()));
    if (added.size() == added.capacity()) added.reserve(std::max<size_t>(16, 2 * added.size()));
  }
  void Clear() {
    bytes_ = 0;
    records.clear();
    added.clear();
    segment.reset();
  }

  std::vector<CommittedRecord> records;
  std::vector<Segment::Added> added;  // Of each record; offsets in the file.
  uint32_t encoding = 0;              // Appenders still writing into their pieces.
  std::shared_ptr<Segment> segment;
  uint64_t offset = 0;                // Of the first byte in the segment.
  MonotonicTime written_at{};         // The committer's.

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };

  void Grow(size_t more) {
    const size_t capacity = (more + 2 * kPage - 1) / kPage * kPage;
    capacity_ = 0;
    data_.reset(static_cast<std::byte*>(std::aligned_alloc(kPage, capacity)));
    if (data_ == nullptr) throw std::bad_alloc();
    capacity_ = capacity;
  }

  std::unique_ptr<std::byte, Free> data_;
  size_t capacity_ = 0;
  size_t bytes_ = 0;
};

}  // namespace engram

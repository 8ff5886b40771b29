// Numbers in byte order of the disk, at any alignment.
//
// Threads: functions of their arguments, and a cursor of one thread. Errors: the cursor never reads beyond its span;
//          who asks for more gets zeros and ok() is false from then on, so a decoder checks once, behind its last
//          read.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace engram {

static_assert(std::endian::native == std::endian::little, "the formats are little-endian and copied as they lie");

template <typename T>
T LoadLe(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

template <typename T>
void StoreLe(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof(T));
}

// Writes one thing behind the other into memory that is known to be large enough.
class ByteWriter {
 public:
  explicit ByteWriter(std::byte* to) : at_(to) {}

  template <typename T>
  void Put(T value) {
    StoreLe(at_, value);
    at_ += sizeof(T);
  }
  void PutBytes(const void* from, size_t bytes) {
    // memcpy wants pointers that are not null even for nothing.
    if (bytes == 0) return;
    std::memcpy(at_, from, bytes);
    at_ += bytes;
  }
  void PutText(std::string_view text) { PutBytes(text.data(), text.size()); }
  std::byte* at() const { return at_; }

 private:
  std::byte* at_;
};

class ByteCursor {
 public:
  explicit ByteCursor(std::span<const std::byte> bytes) : rest_(bytes) {}

  template <typename T>
  T Take() {
    const std::span<const std::byte> bytes = TakeBytes(sizeof(T));
    return ok_ ? LoadLe<T>(bytes.data()) : T{};
  }
  std::span<const std::byte> TakeBytes(size_t count) {
    if (!ok_ || count > rest_.size()) {
      ok_ = false;
      return {};
    }
    const std::span<const std::byte> taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  std::string_view TakeText(size_t count) {
    const std::span<const std::byte> taken = TakeBytes(count);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }
  // Bytes not yet taken.
  size_t left() const { return rest_.size(); }
  bool ok() const { return ok_; }
  // Everything was there, and nothing is left.
  bool done() const { return ok_ && rest_.empty(); }

 private:
  std::span<const std::byte> rest_;
  bool ok_ = true;
};

}  // namespace engram

// Walks over protobuf's wire format, field by field, without copying.
//
// Threads: one. Ownership: the bytes outlive it. Errors: `unusual`, after which nothing that was read means anything.
// Why:     the frame decoder reads only what every protobuf library writes, and leaves the rest to protobuf.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace engram {

static_assert(std::endian::native == std::endian::little, "fixed-width fields are read as they lie");

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kLength = 2, kFixed32 = 5 };

constexpr uint32_t Tag(uint32_t field, WireType type) { return field << 3 | type; }

// Walks over the fields of one message. Anything that is not as every library writes it makes it `unusual`.
class WireCursor {
 public:
  explicit WireCursor(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool more() const { return at_ < end_ && !unusual_; }
  bool unusual() const { return unusual_; }
  void MarkUnusual() { unusual_ = true; }

  // All tags of interest take one byte.
  uint32_t ReadTag() {
    const auto tag = static_cast<uint8_t>(*at_++);
    if (tag >= 0x80) MarkUnusual();
    return tag;
  }

  uint64_t ReadVarint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == end_) break;
      const auto byte = static_cast<uint8_t>(*at_++);
      // The tenth byte has room for one bit only.
      if (shift == 63 && byte > 1) break;
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
    MarkUnusual();
    return 0;
  }

  std::string_view ReadBytes() {
    const char* const start = at_;
    const uint64_t size = ReadVarint();
    // protobuf takes at most five bytes of a length.
    if (unusual_ || at_ - start > 5 || size > static_cast<uint64_t>(end_ - at_)) {
      MarkUnusual();
      return {};
    }
    const std::string_view bytes(at_, size);
    at_ += size;
    return bytes;
  }

  float ReadFloat() {
    float value = 0;
    if (end_ - at_ < 4) {
      MarkUnusual();
      return value;
    }
    std::memcpy(&value, at_, 4);
    at_ += 4;
    return value;
  }

  // False, and unusual, when the field was seen before.
  bool Once(uint32_t field) {
    const uint32_t bit = 1u << field;
    if (seen_ & bit) MarkUnusual();
    seen_ |= bit;
    return !unusual_;
  }

 private:
  const char* at_;
  const char* end_;
  uint32_t seen_ = 0;
  bool unusual_ = false;
};

}  // namespace engram

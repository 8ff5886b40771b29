// Where the image of a space is written to and read from: what a checkpoint implements and a test fakes.
//
// Threads:   one at a time.
// Ownership: whoever calls lends the bytes for the call only.
// Blocking:  may do I/O; whoever writes or reads an image holds no lock meanwhile.
// Errors:    the first one ends the image and is handed on as it is.
// Why:       the index knows what an image says, not where it lies, nor how its bytes are checked or paced.
//
// One source is one image, from its first byte to its last. An image is little-endian.
#pragma once

#include <absl/status/status.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

namespace engram {

class ImageSink {
 public:
  virtual ~ImageSink() = default;
  // All of it or an error.
  virtual absl::Status Write(std::span<const std::byte> bytes) = 0;
};

class ImageSource {
 public:
  virtual ~ImageSource() = default;
  // The next out.size() bytes, or an error. REQUIRES: no more than are left.
  virtual absl::Status Read(std::span<std::byte> out) = 0;
  // How many bytes were not read yet. Nothing larger is ever allocated on the word of an image.
  virtual uint64_t left() const = 0;
};

static_assert(std::endian::native == std::endian::little);

template <typename T>
absl::Status WriteValues(ImageSink& sink, std::span<const T> values) {
  static_assert(std::has_unique_object_representations_v<T> || std::is_same_v<T, float>);
  return values.empty() ? absl::OkStatus() : sink.Write(std::as_bytes(values));
}

// DATA_LOSS when the image ends before.
template <typename T>
absl::Status ReadValues(ImageSource& source, std::span<T> out) {
  static_assert(std::has_unique_object_representations_v<T> || std::is_same_v<T, float>);
  if (out.size_bytes() > source.left()) return absl::DataLossError("the image of an index ends too soon");
  return out.empty() ? absl::OkStatus() : source.Read(std::as_writable_bytes(out));
}

}  // namespace engram

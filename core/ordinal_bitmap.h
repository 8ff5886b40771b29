// A set of ordinals as a roaring bitmap: arrays, bitmaps and runs, whichever is smallest for each 65 536 of them.
//
// Threads:   const from any thread while nobody changes it. Ownership: a value. Blocking: never.
// Errors:    std::bad_alloc where the library says that memory is out; it does not look everywhere.
// Why:       CRoaring is behind this file alone: docs/decisions/0016.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/base/types.h"

struct roaring_bitmap_s;

namespace engram {

class OrdinalBitmap {
 public:
  OrdinalBitmap();
  OrdinalBitmap(const OrdinalBitmap& other);
  OrdinalBitmap& operator=(const OrdinalBitmap& other);
  OrdinalBitmap(OrdinalBitmap&&) noexcept = default;
  OrdinalBitmap& operator=(OrdinalBitmap&&) noexcept = default;
  ~OrdinalBitmap() = default;

  void Add(std::span<const Ordinal> ordinals);
  void AddRange(uint64_t begin, uint64_t end);
  void Unite(const OrdinalBitmap& other);
  void Intersect(const OrdinalBitmap& other);
  void Subtract(const OrdinalBitmap& other);
  // Makes it as small as it can be.
  void Compact();

  bool Contains(Ordinal ordinal) const;
  uint64_t count() const;
  // REQUIRES: rank < count().
  Ordinal Nth(uint64_t rank) const;
  // The first in [from, end), ascending, as many as `out` holds; fewer when there are no more.
  size_t List(Ordinal from, Ordinal end, std::span<Ordinal> out) const;
  uint64_t bytes() const;

 private:
  struct Free {
    void operator()(roaring_bitmap_s* bits) const;
  };
  using Bits = std::unique_ptr<roaring_bitmap_s, Free>;
  static Bits Checked(roaring_bitmap_s* bits);

  // Null only after a move.
  Bits bits_;
};

}  // namespace engram

#include "core/ordinal_bitmap.h"

#include <roaring/roaring.h>

#include <algorithm>
#include <limits>
#include <new>

namespace engram {

void OrdinalBitmap::Free::operator()(roaring_bitmap_s* bits) const { roaring_bitmap_free(bits); }

OrdinalBitmap::Bits OrdinalBitmap::Checked(roaring_bitmap_s* bits) {
  if (bits == nullptr) throw std::bad_alloc();
  return Bits(bits);
}

OrdinalBitmap::OrdinalBitmap() : bits_(Checked(roaring_bitmap_create())) {}

OrdinalBitmap::OrdinalBitmap(const OrdinalBitmap& other) : bits_(Checked(roaring_bitmap_copy(other.bits_.get()))) {}

OrdinalBitmap& OrdinalBitmap::operator=(const OrdinalBitmap& other) {
  if (this != &other) bits_ = Checked(roaring_bitmap_copy(other.bits_.get()));
  return *this;
}

void OrdinalBitmap::Add(std::span<const Ordinal> ordinals) {
  roaring_bitmap_add_many(bits_.get(), ordinals.size(), ordinals.data());
}

void OrdinalBitmap::AddRange(uint64_t begin, uint64_t end) {
  if (begin < end) roaring_bitmap_add_range(bits_.get(), begin, end);
}

void OrdinalBitmap::Unite(const OrdinalBitmap& other) { roaring_bitmap_or_inplace(bits_.get(), other.bits_.get()); }

void OrdinalBitmap::Intersect(const OrdinalBitmap& other) {
  roaring_bitmap_and_inplace(bits_.get(), other.bits_.get());
}

void OrdinalBitmap::Subtract(const OrdinalBitmap& other) {
  roaring_bitmap_andnot_inplace(bits_.get(), other.bits_.get());
}

void OrdinalBitmap::Compact() {
  roaring_bitmap_run_optimize(bits_.get());
  roaring_bitmap_shrink_to_fit(bits_.get());
}

bool OrdinalBitmap::Contains(Ordinal ordinal) const { return roaring_bitmap_contains(bits_.get(), ordinal); }

uint64_t OrdinalBitmap::count() const { return roaring_bitmap_get_cardinality(bits_.get()); }

Ordinal OrdinalBitmap::Nth(uint64_t rank) const {
  Ordinal ordinal = kNoOrdinal;
  roaring_bitmap_select(bits_.get(), static_cast<uint32_t>(rank), &ordinal);
  return ordinal;
}

size_t OrdinalBitmap::List(Ordinal from, Ordinal end, std::span<Ordinal> out) const {
  roaring_uint32_iterator_t at;
  roaring_init_iterator(bits_.get(), &at);
  if (!roaring_move_uint32_iterator_equalorlarger(&at, from)) return 0;
  const auto most = static_cast<uint32_t>(std::min<size_t>(out.size(), std::numeric_limits<uint32_t>::max()));
  const size_t read = roaring_read_uint32_iterator(&at, out.data(), most);
  return static_cast<size_t>(std::lower_bound(out.begin(), out.begin() + static_cast<ptrdiff_t>(read), end) - out.begin());
}

uint64_t OrdinalBitmap::bytes() const { return sizeof(*bits_) + roaring_bitmap_portable_size_in_bytes(bits_.get()); }

}  // namespace engram

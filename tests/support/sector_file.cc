#include "tests/support/sector_file.h"

#include <algorithm>
#include <cstring>

namespace engram::testing {
namespace {

bool AllZero(std::span<const std::byte> bytes) {
  return bytes.empty() ||
         (bytes.front() == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

// Calls `piece(chunk, offset in it, part of the bytes)` for each chunk that [offset, offset + bytes) touches.
template <typename Bytes, typename Piece>
void ForEachChunk(uint64_t chunk_size, uint64_t offset, Bytes bytes, const Piece& piece) {
  while (!bytes.empty()) {
    const uint64_t within = offset % chunk_size;
    const size_t count = std::min<uint64_t>(chunk_size - within, bytes.size());
    piece(offset / chunk_size, within, bytes.first(count));
    offset += count;
    bytes = bytes.subspan(count);
  }
}

}  // namespace

void SparseBytes::Read(uint64_t offset, std::span<std::byte> out) const {
  ForEachChunk(kChunk, offset, out, [&](uint64_t chunk, uint64_t within, std::span<std::byte> part) {
    if (chunk < chunks_.size() && chunks_[chunk] != nullptr) {
      std::memcpy(part.data(), chunks_[chunk]->data() + within, part.size());
    } else {
      std::memset(part.data(), 0, part.size());
    }
  });
}

void SparseBytes::Write(uint64_t offset, std::span<const std::byte> bytes) {
  ForEachChunk(kChunk, offset, bytes, [&](uint64_t chunk, uint64_t within, std::span<const std::byte> part) {
    const bool there = chunk < chunks_.size() && chunks_[chunk] != nullptr;
    if (!there && AllZero(part)) return;
    if (chunk >= chunks_.size()) chunks_.resize(chunk + 1);
    if (!there) chunks_[chunk] = std::make_unique<Chunk>();
    std::memcpy(chunks_[chunk]->data() + within, part.data(), part.size());
  });
}

void SparseBytes::EraseFrom(uint64_t offset) {
  const uint64_t whole = (offset + kChunk - 1) / kChunk;
  if (whole < chunks_.size()) chunks_.resize(whole);
  const uint64_t within = offset % kChunk;
  if (within != 0 && whole == chunks_.size() && chunks_.back() != nullptr) {
    std::fill(chunks_.back()->begin() + static_cast<ptrdiff_t>(within), chunks_.back()->end(), std::byte{0});
  }
}

size_t SectorFile::Read(uint64_t offset, std::span<std::byte> out) const {
  if (offset >= size_) return 0;
  out = out.first(std::min<uint64_t>(out.size(), size_ - offset));
  current_.Read(offset, out);
  return out.size();
}

void SectorFile::Touch(uint64_t first_sector, uint64_t end_sector) {
  if (end_sector > dirty_.size()) dirty_.resize(end_sector);
  Sector sector;
  for (uint64_t i = first_sector; i < end_sector; ++i) {
    if (i < forsaken_.size()) forsaken_[i] = false;
    if (dirty_[i]) continue;
    dirty_[i] = true;
    current_.Read(i * kSector, sector);
    safe_.Write(i * kSector, sector);
  }
}

void SectorFile::Write(uint64_t offset, std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  Touch(offset / kSector, (offset + bytes.size() + kSector - 1) / kSector);
  current_.Write(offset, bytes);
  size_ = std::max<uint64_t>(size_, offset + bytes.size());
}

void SectorFile::Truncate(uint64_t size) {
  if (size < size_) {
    Touch(size / kSector, (size_ + kSector - 1) / kSector);
    current_.EraseFrom(size);
  }
  size_ = size;
}

void SectorFile::Sync() {
  safe_size_ = size_;
  if (std::find(forsaken_.begin(), forsaken_.end(), true) == forsaken_.end()) {
    dirty_.clear();
    safe_.Clear();
  } else {
    dirty_ = forsaken_;
  }
}

void SectorFile::FailSync() { forsaken_ = dirty_; }

uint64_t SectorFile::SurvivingSize(std::mt19937_64& rng, uint64_t mood) const {
  if (mood == 0) return size_;
  if (mood == 1) return safe_size_;
  const uint64_t least = std::min(size_, safe_size_);
  const uint64_t most = std::max(size_, safe_size_);
  if (rng() % 3 == 0) return least;
  const uint64_t sectors = (most - least) / kSector + 1;
  return std::clamp((least / kSector + 1 + rng() % sectors) * kSector, least, most);
}

void SectorFile::Cut(std::mt19937_64& rng, bool tear) {
  const uint64_t mood = rng() % 4;
  const auto count = static_cast<uint64_t>(std::count(dirty_.begin(), dirty_.end(), true));
  const uint64_t run = mood == 0 ? count : mood == 1 ? 0 : rng() % (count + 1);
  const uint64_t survived = SurvivingSize(rng, mood);
  uint64_t nth = 0;
  for (uint64_t i = 0; i < dirty_.size(); ++i) {
    if (!dirty_[i]) continue;
    bool keep = mood == 3 ? rng() % 2 == 0 : nth < run;
    ++nth;
    // What a truncation cut off comes back only as it was.
    if (i * kSector >= size_) keep = false;
    const uint64_t from = keep ? kSector - (tear && rng() % 4 == 0 ? 1 + rng() % (kSector - 1) : 0) : 0;
    Sector old;
    safe_.Read(i * kSector, old);
    current_.Write(i * kSector + from, std::span(old).subspan(from));
  }
  size_ = survived;
  current_.EraseFrom(survived);
  forsaken_.clear();
  Sync();
}

void SectorFile::Chop(uint64_t size) {
  size_ = safe_size_ = std::min(size, size_);
  current_.EraseFrom(size_);
}

}  // namespace engram::testing

// A file as a disk without power keeps it: what was written, and what of it is safe.
//
// Threads:   one at a time. Ownership: owns its bytes. Blocking: never. Errors: none.
// Why:       the unit of a disk is the sector. Those written since the last sync are marked and their safe bytes put
//            aside, so a sync, a write and a power cut cost what was touched and not the file; zeros cost nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <vector>

namespace engram::testing {

// Bytes at any offset, zero where nothing was written.
class SparseBytes {
 public:
  void Read(uint64_t offset, std::span<std::byte> out) const;
  void Write(uint64_t offset, std::span<const std::byte> bytes);
  // Everything from `offset` on becomes zero.
  void EraseFrom(uint64_t offset);
  void Clear() { chunks_.clear(); }

 private:
  static constexpr uint64_t kChunk = 4096;
  using Chunk = std::array<std::byte, kChunk>;

  // Null is all zeros.
  std::vector<std::unique_ptr<Chunk>> chunks_;
};

class SectorFile {
 public:
  static constexpr uint64_t kSector = 512;

  uint64_t size() const { return size_; }
  // How much of `out` the file fills.
  size_t Read(uint64_t offset, std::span<std::byte> out) const;
  void Write(uint64_t offset, std::span<const std::byte> bytes);
  void Truncate(uint64_t size);

  // What was written is safe, but for what a failed sync forsook and nobody has written again.
  void Sync();
  // As the kernel does it: it takes the pages for clean from now on, so no later sync vouches for them.
  void FailSync();

  // The power fails. Each sector that was not safe is as before or as written, by the seed: all, none, a run of the
  // first ones, or each by itself; with `tear` some are partly new. The size is the safe one, the last one or between.
  // What is left is safe.
  void Cut(std::mt19937_64& rng, bool tear);

  // Changes what is on the disk behind everybody's back: safe at once, the size stays.
  void Damage(uint64_t offset, std::span<const std::byte> bytes) { current_.Write(offset, bytes); }
  void Chop(uint64_t size);

 private:
  using Sector = std::array<std::byte, kSector>;

  void Touch(uint64_t first_sector, uint64_t end_sector);
  uint64_t SurvivingSize(std::mt19937_64& rng, uint64_t mood) const;

  uint64_t size_ = 0;
  uint64_t safe_size_ = 0;
  SparseBytes current_;
  // The safe bytes of the dirty sectors; nothing of it counts for others.
  SparseBytes safe_;
  std::vector<bool> dirty_;
  // Dirty ones that a failed sync left behind; never longer than dirty_.
  std::vector<bool> forsaken_;
};

}  // namespace engram::testing

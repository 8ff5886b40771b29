#include "index/id_map.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <random>

#include "core/base/check.h"

namespace engram {
namespace {

constexpr size_t kFirstPiece = 512;
constexpr size_t kLargestPiece = size_t{256} << 10;
constexpr size_t kFirstSlots = 16;

// Both halves of a 128-bit product, folded.
uint64_t Fold(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t LoadUpTo8(const char* bytes, size_t n) {
  uint64_t value = 0;
  // An empty id may be nowhere.
  if (n > 0) std::memcpy(&value, bytes, n);
  return value;
}

// Not to be guessed from outside, and another one for each map. The device is slow, so it is asked once.
uint64_t SecretSeed() {
  static const uint64_t secret = (uint64_t{std::random_device{}()} << 32) | std::random_device{}();
  static std::atomic<uint64_t> maps{0};
  return Fold(secret ^ 0x9e3779b97f4a7c15, secret + 2 * maps.fetch_add(1, std::memory_order_relaxed) + 1);
}

}  // namespace

void IdArena::Reserve(size_t ids, size_t bytes) {
  // The long form's four bytes belong to an id of 255 bytes at least.
  const size_t need = ids + bytes + bytes / kLong * sizeof(uint32_t);
  if (need <= left_) return;
  const size_t size = std::max(need, std::clamp(piece_bytes_ * 2, kFirstPiece, kLargestPiece));
  auto piece = std::make_unique_for_overwrite<char[]>(size);
  char* const begin = piece.get();
  pieces_.push_back(std::move(piece));
  next_ = begin;
  left_ = size;
  piece_bytes_ = size;
  allocated_.fetch_add(size, std::memory_order_relaxed);
}

const char* IdArena::Append(std::string_view id) {
  const bool is_long = id.size() >= kLong;
  const size_t head = is_long ? 1 + sizeof(uint32_t) : 1;
  ENGRAM_CHECK(head + id.size() <= left_);
  char* const record = next_;
  *record = static_cast<char>(is_long ? kLong : id.size());
  if (is_long) {
    const auto length = static_cast<uint32_t>(id.size());
    std::memcpy(record + 1, &length, sizeof(length));
  }
  if (!id.empty()) std::memcpy(record + head, id.data(), id.size());
  next_ += head + id.size();
  left_ -= head + id.size();
  return record;
}

std::string_view IdArena::ViewLong(const char* record) {
  uint32_t length = 0;
  std::memcpy(&length, record + 1, sizeof(length));
  return {record + 1 + sizeof(length), length};
}

// Linear probing; no slot is ever emptied.
struct IdMap::Table {
  struct Slot {
    uint32_t hash = 0;
    Ordinal ordinal = kNoOrdinal;
  };

  explicit Table(size_t slots) : slots(slots), mask(slots - 1) {}

  // The slot of the id, or the empty one where it would go.
  template <typename IdOf>
  size_t Find(uint32_t hash, std::string_view id, const IdOf& id_of) const {
    size_t at = hash & mask;
    while (slots[at].ordinal != kNoOrdinal && (slots[at].hash != hash || id_of(slots[at].ordinal) != id)) {
      at = (at + 1) & mask;
    }
    return at;
  }

  std::vector<Slot> slots;
  size_t mask;
};

IdMap::IdMap(VersionedBlocks& slab) : slab_(slab), seed_(SecretSeed()) { Reserve(1); }

IdMap::~IdMap() = default;

uint32_t IdMap::Hash(std::string_view id) const {
  // Odd constants with half of their bits set; the seed is the secret.
  constexpr uint64_t kA = 0x9e3779b97f4a7c15;
  constexpr uint64_t kB = 0xd6e8feb86659fd93;
  uint64_t hash = seed_ ^ (id.size() * kA);
  const char* at = id.data();
  size_t left = id.size();
  for (; left > 8; at += 8, left -= 8) hash = Fold(hash ^ LoadUpTo8(at, 8), kB ^ seed_);
  hash = Fold(hash ^ LoadUpTo8(at, left), kA ^ seed_);
  hash = Fold(hash, kB);
  return static_cast<uint32_t>(hash ^ (hash >> 32));
}

void IdMap::Reserve(size_t more) {
  const size_t slots = table_ ? table_->slots.size() : 0;
  // At most four fifths full: a search for what is not there then looks at thirteen slots, two cache lines.
  if ((used_ + more) * 5 <= slots * 4) return;
  auto grown = std::make_unique<Table>(std::max(kFirstSlots, std::bit_ceil((used_ + more) * 5 / 4 + 1)));
  if (table_) {
    for (const Table::Slot& slot : table_->slots) {
      if (slot.ordinal == kNoOrdinal) continue;
      size_t at = slot.hash & grown->mask;
      while (grown->slots[at].ordinal != kNoOrdinal) at = (at + 1) & grown->mask;
      grown->slots[at] = slot;
    }
  }
  table_bytes_.store(grown->slots.size() * sizeof(Table::Slot), std::memory_order_relaxed);
  {
    MutexLock lock(mu_);
    shown_ = grown.get();
    table_.swap(grown);
  }
  // The old table goes here, when no reader can be in it.
}

void IdMap::Prefetch(uint32_t hash) const { __builtin_prefetch(&table_->slots[hash & table_->mask], 1); }

void IdMap::Assign(std::span<const uint32_t> hashes, Ordinal first) {
  const auto id_of = [this](Ordinal ordinal) { return IdOf(ordinal); };
  MutexLock lock(mu_);
  for (size_t i = 0; i < hashes.size(); ++i) {
    const Ordinal ordinal = first + static_cast<Ordinal>(i);
    Table::Slot& slot = table_->slots[table_->Find(hashes[i], IdOf(ordinal), id_of)];
    slab_.Versions(ordinal).previous[VersionedBlocks::Lane(ordinal)] = slot.ordinal;
    if (slot.ordinal == kNoOrdinal) ++used_;
    slot = {hashes[i], ordinal};
  }
}

Ordinal IdMap::Newest(std::string_view id) const {
  const uint32_t hash = Hash(id);
  MutexLock lock(mu_);
  return shown_->slots[shown_->Find(hash, id, [this](Ordinal ordinal) { return IdOf(ordinal); })].ordinal;
}

}  // namespace engram

#include "core/tag_index.h"

#include <absl/hash/hash.h>

#include <algorithm>
#include <utility>

#include "core/record_store.h"

namespace engram {
namespace {

// Rows noted under one hold of the mutex.
constexpr size_t kStep = 64;
constexpr size_t kFewestSlots = 16;
constexpr uint32_t kPostingBit = uint32_t{1} << 31;
// An open list this long is sealed: short enough to be copied under the mutex.
constexpr size_t kOpenMost = 4096;
constexpr uint64_t kSealedMost = 65'536;

bool Full(size_t used, size_t slots) { return used * 4 >= slots * 3; }

// The first tag of a key is the one that counts, as RecordStore::FindTag has it.
bool Shadowed(std::span<const TagView> tags, size_t at) {
  return std::any_of(tags.begin(), tags.begin() + static_cast<ptrdiff_t>(at),
                     [&](const TagView& before) { return before.key == tags[at].key; });
}

}  // namespace

uint32_t TagIndex::Hash(const TagView& tag) {
  const auto hash = static_cast<uint64_t>(absl::HashOf(tag.key, tag.value));
  return static_cast<uint32_t>(hash ^ (hash >> 32)) & ~kPostingBit;
}

size_t TagIndex::FindSlot(const State& state, const TagView& tag, uint32_t hash, Ordinal visible) const {
  const size_t mask = state.slots.size() - 1;
  size_t at = hash & mask;
  for (;; at = (at + 1) & mask) {
    const Slot& slot = state.slots[at];
    if (slot.at == kNoOrdinal) return at;
    if ((slot.tag & ~kPostingBit) != hash) continue;
    const Ordinal row = (slot.tag & kPostingBit) != 0 ? state.postings[slot.at].first : slot.at;
    if (row < visible && rows_.FindTag(row, tag.key) == tag.value) return at;
  }
}

std::vector<TagIndex::Slot> TagIndex::Grown(const State& state, size_t more) const {
  const size_t used = std::min(state.used + more, most_tags_);
  std::vector<Slot> grown;
  if (!state.slots.empty() && !Full(used, state.slots.size())) return grown;
  size_t slots = std::max(kFewestSlots, state.slots.size());
  while (Full(used, slots)) slots *= 2;
  grown.resize(slots);
  for (const Slot& slot : state.slots) {
    if (slot.at == kNoOrdinal) continue;
    size_t at = slot.tag & ~kPostingBit & (slots - 1);
    while (grown[at].at != kNoOrdinal) at = (at + 1) & (slots - 1);
    grown[at] = slot;
  }
  return grown;
}

void TagIndex::Note(State& state, const TagView& tag, uint32_t hash, Ordinal ordinal) {
  Slot& slot = state.slots[FindSlot(state, tag, hash, kNoOrdinal)];
  if (slot.at == kNoOrdinal) {
    if (state.used == most_tags_) {
      state.incomplete_from = std::min(state.incomplete_from, ordinal);
      return;
    }
    slot = {hash, ordinal};
    ++state.used;
    return;
  }
  if ((slot.tag & kPostingBit) == 0) {
    Posting& made = state.postings.emplace_back();
    made.first = slot.at;
    made.open = {slot.at};
    state.bytes += sizeof(Posting) + made.open.capacity() * sizeof(Ordinal);
    slot = {hash | kPostingBit, static_cast<uint32_t>(state.postings.size() - 1)};
  }
  std::vector<Ordinal>& open = state.postings[slot.at].open;
  const size_t before = open.capacity();
  open.push_back(ordinal);
  state.bytes += (open.capacity() - before) * sizeof(Ordinal);
  if (open.size() == kOpenMost) long_.push_back(slot.at);
}

void TagIndex::Append(Ordinal first, std::span<const ObservationView> observations) {
  // A row that was staged before and never published may have been another one.
  if (first < end_) Rebuild(first);
  end_ = first + static_cast<Ordinal>(observations.size());
  // One per thread that writes; keeps its memory.
  thread_local std::vector<std::pair<uint32_t, TagView>> hashed;
  for (size_t done = 0; done < observations.size(); done += kStep) {
    const auto step = observations.subspan(done, std::min(kStep, observations.size() - done));
    size_t tags = 0;
    for (const ObservationView& observation : step) tags += observation.tags.size();
    if (tags == 0) continue;
    hashed.clear();
    for (const ObservationView& observation : step) {
      for (const TagView& tag : observation.tags) hashed.emplace_back(Hash(tag), tag);
    }
    if (state_ == nullptr) {
      auto state = std::make_unique<State>();
      state->slots = Grown(*state, tags);
      state->bytes = sizeof(State) + state->slots.size() * sizeof(Slot);
      state_ = std::move(state);
      MutexLock lock(mu_);
      shown_ = state_.get();
    } else if (std::vector<Slot> grown = Grown(*state_, tags); !grown.empty()) {
      MutexLock lock(mu_);
      state_->bytes += (grown.size() - state_->slots.size()) * sizeof(Slot);
      state_->slots.swap(grown);
    }
    {
      MutexLock lock(mu_);
      const auto* noted = hashed.data();
      for (size_t i = 0; i < step.size(); ++i) {
        for (size_t t = 0; t < step[i].tags.size(); ++t, ++noted) {
          if (!Shadowed(step[i].tags, t)) {
            Note(*state_, noted->second, noted->first, first + static_cast<Ordinal>(done + i));
          }
        }
      }
    }
    SealLong(*state_);
  }
  if (state_ != nullptr) bytes_.store(state_->bytes, std::memory_order_relaxed);
}

void TagIndex::SealLong(State& state) {
  for (const uint32_t at : long_) {
    Posting& posting = state.postings[at];
    const bool longer = !posting.sealed.empty() && posting.sealed.back()->count() < kSealedMost;
    auto bitmap = longer ? std::make_shared<OrdinalBitmap>(*posting.sealed.back()) : std::make_shared<OrdinalBitmap>();
    bitmap->Add(posting.open);
    bitmap->Compact();
    const uint64_t added = bitmap->bytes();
    const uint64_t replaced = longer ? posting.sealed.back()->bytes() : 0;
    MutexLock lock(mu_);
    if (longer) {
      posting.sealed.back() = std::move(bitmap);
    } else {
      posting.sealed.push_back(std::move(bitmap));
    }
    posting.open.clear();
    state.bytes += added - replaced;
  }
  long_.clear();
}

void TagIndex::Rebuild(Ordinal end) {
  long_.clear();
  // Readers keep the old one meanwhile, which knows all that is published.
  auto state = std::make_unique<State>();
  state->slots = Grown(*state, 0);
  state->bytes = sizeof(State) + state->slots.size() * sizeof(Slot);
  for (Ordinal ordinal = 0; ordinal < end; ++ordinal) {
    const std::vector<TagView> tags = rows_.Tags(ordinal);
    if (std::vector<Slot> grown = Grown(*state, tags.size()); !grown.empty()) {
      state->bytes += (grown.size() - state->slots.size()) * sizeof(Slot);
      state->slots.swap(grown);
    }
    for (size_t t = 0; t < tags.size(); ++t) {
      if (!Shadowed(tags, t)) Note(*state, tags[t], Hash(tags[t]), ordinal);
    }
    SealLong(*state);
  }
  end_ = end;
  MutexLock lock(mu_);
  state_.swap(state);
  shown_ = state_.get();
  bytes_.store(state_->bytes, std::memory_order_relaxed);
}

void TagIndex::Collect(std::string_view key, std::string_view value, Ordinal visible, OrdinalBitmap& out) const {
  const TagView tag = {key, value};
  const uint32_t hash = Hash(tag);
  std::vector<std::shared_ptr<const OrdinalBitmap>> sealed;
  std::vector<Ordinal> open;
  // What nobody knows anything of is looked for in every row.
  Ordinal look_from = visible;
  {
    MutexLock lock(mu_);
    if (shown_ == nullptr) return;
    const Slot slot = shown_->slots[FindSlot(*shown_, tag, hash, visible)];
    if (slot.at == kNoOrdinal) {
      look_from = std::min(visible, shown_->incomplete_from);
    } else if ((slot.tag & kPostingBit) == 0) {
      open.push_back(slot.at);
    } else {
      const Posting& posting = shown_->postings[slot.at];
      sealed = posting.sealed;
      open = posting.open;
    }
  }
  for (const auto& bitmap : sealed) out.Unite(*bitmap);
  out.Add(open);
  for (Ordinal ordinal = look_from; ordinal < visible; ++ordinal) {
    if (rows_.FindTag(ordinal, key) == value) out.Add(std::span(&ordinal, 1));
  }
}

}  // namespace engram

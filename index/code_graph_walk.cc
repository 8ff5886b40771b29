#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "index/code_graph_nodes.h"

namespace engram {
namespace {

// Nodes that are opened together: their links and what those lead to are fetched from memory at the same time.
constexpr uint32_t kTogether = 4;

// Distances in bits are small integers as they are.
class BitRuler {
 public:
  BitRuler(const CodeDistance& distance, const CodePoint& query) : distance_(distance), query_(query) {}

  static constexpr bool kExact = false;
  uint32_t buckets() const { return distance_.most_bits() + 1; }
  // Of the first `count` nodes of room.fresh.
  void Compare(size_t count, WalkRoom& room) const {
    for (size_t i = 0; i < count; ++i) room.bits[i] = distance_.FetchBits(room.fresh[i]);
    distance_.BitsFetched(query_, {room.bits.data(), count}, room.distances.data());
  }
  void Pushed(size_t, size_t, WalkRoom&) const {}
  void BatchPushed(WalkRoom&) const {}

 private:
  const CodeDistance& distance_;
  const CodePoint& query_;
};

// Distances by bytes are divided into as many steps as matter: from a little below the closest node to the farthest that
// is kept. Both come closer as the walk goes on, and then the steps are made finer: before anything is held against a limit
// that stands for too much, as what that turns away is met and never looked at again.
class ByteRuler {
 public:
  ByteRuler(const CodeDistance& distance, const CodePoint& query, uint32_t most)
      : distance_(distance), query_(query), most_(most) {}

  static constexpr bool kExact = true;
  uint32_t buckets() const { return kSteps; }
  void Compare(size_t count, WalkRoom& room) const {
    for (size_t i = 0; i < count; ++i) room.blocks[i] = distance_.Fetch(room.fresh[i]);
    distance_.BetweenFetched(query_, {room.fresh.data(), count}, room.blocks.data(), room.exact.data());
    Count(0, count, room);
  }
  // A node was pushed; the first `count` of room.exact are the batch it is of, `next` is the one behind it.
  void Pushed(size_t next, size_t count, WalkRoom& room) {
    closest_ = std::min(closest_, room.exact[next - 1]);
    if (room.queue.limit() >= fine_) [[likely]] return;
    Refine(room);
    Count(next, count, room);
  }
  void BatchPushed(WalkRoom& room) {
    const bool grown = !room.queue.full() && room.queue.size() >= 2 * divided_;
    if (grown || closest_ < least_from_) Refine(room);
  }

 private:
  static constexpr uint32_t kSteps = 1024;
  // Steps reach no farther than so many times what lies between the last that is kept and one an eighth of all before it.
  static constexpr float kSpreads = 64;
  static constexpr float kNarrowest = std::numeric_limits<float>::min() * kSteps;

  void Count(size_t begin, size_t end, WalkRoom& room) const {
    for (size_t i = begin; i < end; ++i) room.distances[i] = StepOf(room.exact[i]);
  }
  void Refine(WalkRoom& room) {
    std::vector<float>& ranks = room.ranks;
    BucketQueue& queue = room.queue;
    ranks.clear();
    // Codes of a damaged image may be no number apart.
    const auto rank = [&ranks](Ordinal, float exact) {
      ranks.push_back(exact < CodeDistance::kFarthest ? std::max(exact, -CodeDistance::kFarthest) : CodeDistance::kFarthest);
    };
    // Before there are as many as are wanted everything is pushed, and steps only say what is opened first.
    if (queue.full()) {
      queue.ForEachBest(rank);
    } else {
      queue.ForEach(rank);
    }
    divided_ = queue.size();
    if (ranks.empty()) return;
    const size_t last = queue.full() ? most_ - 1 : ranks.size() - 1 - ranks.size() / 8;
    const auto at = [&ranks](size_t i) { return ranks.begin() + static_cast<ptrdiff_t>(i); };
    std::nth_element(ranks.begin(), at(last), ranks.end());
    const float farthest = ranks[last];
    // A few that are far closer than the rest would make the steps as coarse as a few that are far farther.
    float least = std::max(closest_, -CodeDistance::kFarthest);
    for (size_t places = std::max<size_t>(last / 8, 1); places <= last; places *= 2) {
      std::nth_element(ranks.begin(), at(last - places), at(last));
      const float spread = farthest - ranks[last - places];
      if (!(spread > 0)) continue;
      least = std::max(least, farthest - kSpreads * spread);
      break;
    }
    // No finer than binary32 tells apart.
    const float width = std::max({farthest - least, std::abs(farthest) * 0x1p-16f, kNarrowest});
    least_ = farthest - width * 1.25f;
    per_step_ = kSteps / (width * 1.28f);
    least_from_ = std::min(least_, closest_);
    queue.Recount([this](float exact) { return StepOf(exact); });
    if (queue.full()) fine_ = kSteps * 2 / 5;
  }
  uint32_t StepOf(float exact) const {
    // Two instructions and no branch; what is no number becomes 0.
    float steps = (exact - least_) * per_step_;
    steps = steps > 0 ? steps : 0;
    steps = steps < kSteps - 1 ? steps : kSteps - 1;
    return static_cast<uint32_t>(static_cast<int32_t>(steps));
  }

  const CodeDistance& distance_;
  const CodePoint& query_;
  const uint32_t most_;
  float least_ = 0;
  float per_step_ = 0;  // As yet one step for all.
  float closest_ = CodeDistance::kFarthest;
  // When to divide anew: a node is closer, the limit is below, or so many times two were pushed before there is one.
  float least_from_ = -CodeDistance::kFarthest;
  uint32_t fine_ = kSteps;
  size_t divided_ = 0;
};

}  // namespace

void CodeGraph::Nodes::Descend(const CodePoint& query, Entry entry, uint32_t level, WalkRoom& room,
                               uint64_t* compared) const {
  room.entries.assign(1, entry.node);
  if (entry.level <= static_cast<int32_t>(level)) return;
  room.Reserve(links_.MostLinks(1));
  // Bits are compared as binary32 too, which holds them exactly.
  const auto compare = [&](std::span<const Ordinal> nodes) {
    *compared += nodes.size();
    if (!distance_.bits()) return distance_.BetweenMany(query, nodes, room.exact.data());
    for (size_t i = 0; i < nodes.size(); ++i) room.bits[i] = distance_.FetchBits(nodes[i]);
    distance_.BitsFetched(query, {room.bits.data(), nodes.size()}, room.distances.data());
    std::copy_n(room.distances.begin(), nodes.size(), room.exact.begin());
  };
  Front& front = room.front;
  front.Clear();
  compare(room.entries);
  front.Offer(entry.node, room.exact[0]);
  for (auto at = static_cast<uint32_t>(entry.level); at > level; --at) {
    front.BeginLevel();
    room.met.Begin(links_.end());
    for (size_t i = 0; i < front.size(); ++i) room.met.Meet(front.node(i));
    for (Ordinal opened; (opened = front.Open()) != kNoOrdinal;) {
      const LinkTable::List list = links_.ListOf(opened, at);
      const uint32_t links = list.count();
      size_t count = 0;
      for (uint32_t i = 0; i < links; ++i) {
        const Ordinal node = list.id(i);
        if (node >= room.met.end()) [[unlikely]] continue;
        room.fresh[count] = node;
        count += room.met.Meet(node);
      }
      compare({room.fresh.data(), count});
      for (size_t i = 0; i < count; ++i) front.Offer(room.fresh[i], room.exact[i]);
    }
  }
  room.entries.clear();
  for (size_t i = 0; i < front.size(); ++i) room.entries.push_back(front.node(i));
}

template <typename Ruler>
bool CodeGraph::Nodes::WalkBy(Ruler& ruler, const Wanted& wanted, WalkRoom& room, uint64_t* compared) const {
  room.Reserve(std::max(room.entries.size(), size_t{kTogether} * links_.MostLinks(wanted.level)));
  Ordinal* const fresh = room.fresh.data();
  MetNodes& met = room.met;
  BucketQueue& queue = room.queue;
  met.Begin(links_.end());
  queue.Reset(ruler.buckets(), wanted.ef, wanted.most);
  const uint64_t most_compared = wanted.scope == nullptr ? UINT64_MAX : wanted.scope->most_compared;

  const auto meet = [&](size_t count) {
    ruler.Compare(count, room);
    if ((*compared += count) > most_compared) return false;
    // Without a branch that nobody can predict; then the few that improve the walk.
    const uint32_t limit = queue.limit();
    size_t close = 0;
    for (size_t i = 0; i < count; ++i) {
      const uint32_t distance = room.distances[i];
      fresh[close] = fresh[i];
      room.distances[close] = distance;
      if constexpr (Ruler::kExact) room.exact[close] = room.exact[i];
      close += distance < limit;
    }
    if (wanted.scope != nullptr) {
      for (size_t i = 0; i < close; ++i) distance_.PrefetchDiedAt(fresh[i]);
    }
    for (size_t i = 0; i < close; ++i) {
      if (room.distances[i] >= queue.limit()) continue;
      const bool kept = wanted.scope == nullptr || InScope(fresh[i], *wanted.scope);
      queue.Push(fresh[i], room.distances[i], Ruler::kExact ? room.exact[i] : 0, kept);
      ruler.Pushed(i + 1, close, room);
    }
    ruler.BatchPushed(room);
    return true;
  };

  size_t begun = 0;
  for (const Ordinal entry : room.entries) {
    fresh[begun] = entry;
    begun += met.Meet(entry);
  }
  if (!meet(begun)) return false;
  for (;;) {
    std::array<Ordinal, kTogether> opened;
    uint32_t open = 0;
    for (; open < kTogether && (opened[open] = queue.Pop()) != kNoOrdinal; ++open) links_.Prefetch(opened[open]);
    if (open == 0) break;
    size_t links = 0;
    for (uint32_t i = 0; i < open; ++i) {
      const LinkTable::List list = links_.ListOf(opened[i], wanted.level);
      const uint32_t count = list.count();
      for (uint32_t j = 0; j < count; ++j) {
        const Ordinal node = list.id(j);
        if (node >= met.end()) [[unlikely]] continue;
        met.Prefetch(node);
        fresh[links++] = node;
      }
    }
    size_t count = 0;
    for (size_t i = 0; i < links; ++i) {
      const Ordinal node = fresh[i];
      fresh[count] = node;
      count += met.Meet(node);
    }
    if (!meet(count)) return false;
  }

  room.pool.clear();
  queue.ForEachBest([&room](Ordinal node, float exact) { room.pool.push_back({exact, node}); });
  return true;
}

bool CodeGraph::Nodes::WalkLevel(const CodePoint& query, const Wanted& wanted, WalkRoom& room,
                                 uint64_t* compared) const {
  if (distance_.bits()) {
    BitRuler ruler(distance_, query);
    if (!WalkBy(ruler, wanted, room, compared)) return false;
    room.Reserve(room.pool.size());
    for (size_t i = 0; i < room.pool.size(); ++i) room.fresh[i] = room.pool[i].node;
    distance_.BetweenMany(query, {room.fresh.data(), room.pool.size()}, room.exact.data());
    for (size_t i = 0; i < room.pool.size(); ++i) room.pool[i].distance = room.exact[i];
    *compared += room.pool.size();
  } else {
    ByteRuler ruler(distance_, query, wanted.most);
    if (!WalkBy(ruler, wanted, room, compared)) return false;
  }
  std::sort(room.pool.begin(), room.pool.end(), Closer);
  return true;
}

std::optional<CodeGraph::Walk> CodeGraph::Nodes::Search(const CodePoint& query, uint32_t ef, const Scope& scope,
                                                        uint64_t* compared) const {
  Walk walk;
  *compared = 0;
  const Entry entry = entry_.load(std::memory_order_acquire);
  if (entry.node == kNoOrdinal) return walk;
  const WalkRooms::Lease room = rooms_.Take();
  Descend(query, entry, 0, *room, compared);
  // Bits rank roughly: some of the best by bytes are farther back. To rank one more by bytes costs a tenth of opening it.
  const uint32_t width = std::min(ef, UINT32_MAX / 4);
  const uint32_t wide = distance_.bits() ? width + width / 2 : width;
  const uint32_t most = distance_.bits() ? 3 * width : width;
  if (!WalkLevel(query, {.level = 0, .ef = wide, .most = most, .scope = &scope}, *room, compared)) {
    return std::nullopt;
  }
  walk.compared = *compared;
  walk.found.resize(std::min<size_t>(ef, room->pool.size()));
  for (size_t i = 0; i < walk.found.size(); ++i) {
    walk.found[i] = {room->pool[i].node, distance_.SimilarityOf(room->pool[i].distance)};
  }
  return walk;
}

}  // namespace engram

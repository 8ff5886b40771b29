#include "index/code_graph.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <new>
#include <utility>

#include "core/base/check.h"
#include "index/code_graph_nodes.h"

namespace engram {

size_t CodeGraph::Nodes::ChooseDiverse(Ordinal from, std::span<const Neighbor> candidates, uint32_t most,
                                       WalkRoom& room) const {
  room.chosen.clear();
  room.alike.clear();
  // Those that were chosen together before need not be compared with each other again, so they stand apart.
  room.settled.clear();
  room.unsettled.clear();
  const auto gap = [](Ordinal a, Ordinal b) { return a < b ? b - a : a - b; };
  enum class Verdict { kDiverse, kAlike, kNear };
  const auto judge = [&](const CodePoint& point, const Neighbor& candidate, const WalkRoom::Chosen& chosen) {
    // Vectors that are the same are as close to each other as to the node, up to how distances of links are rounded:
    // then their ordinals say which of them are neighbours.
    const float tie = candidate.distance + std::abs(candidate.distance) * 0x1p-8f;
    const float near = candidate.distance - std::abs(candidate.distance) * 0x1p-8f;
    const auto one = [&](float between, Ordinal node) {
      if (between > tie) return Verdict::kDiverse;
      if (between < near) return Verdict::kNear;
      return gap(candidate.node, node) < gap(candidate.node, from) ? Verdict::kAlike : Verdict::kDiverse;
    };
    Verdict verdict = Verdict::kDiverse;
    size_t i = 0;
    for (; i < chosen.points.size(); i += 4) {
      const size_t count = std::min<size_t>(4, chosen.points.size() - i);
      float between[4];
      if (count == 4) {
        distance_.BetweenFour(point, chosen.points.data() + i, between);
      } else {
        for (size_t j = 0; j < count; ++j) between[j] = distance_.Between(point, chosen.points[i + j]);
      }
      for (size_t j = 0; j < count; ++j) verdict = std::max(verdict, one(between[j], chosen.nodes[i + j]));
      if (verdict == Verdict::kNear) break;
    }
    return verdict;
  };
  for (const Neighbor& candidate : candidates) {
    if (room.chosen.size() >= most) break;
    const CodePoint point = distance_.PointOf(candidate.node);
    Verdict verdict = judge(point, candidate, room.unsettled);
    if (verdict == Verdict::kDiverse && !candidate.settled) verdict = judge(point, candidate, room.settled);
    if (verdict == Verdict::kAlike) room.alike.push_back(candidate);
    if (verdict != Verdict::kDiverse) continue;
    WalkRoom::Chosen& chosen = candidate.settled ? room.settled : room.unsettled;
    chosen.points.push_back(point);
    chosen.nodes.push_back(candidate.node);
    room.chosen.push_back(candidate);
  }
  const size_t settled = room.chosen.size();
  // Of many that are the same each must be reached from some others: they get what room the diverse ones leave.
  for (size_t i = 0; i < room.alike.size() && room.chosen.size() < most; ++i) room.chosen.push_back(room.alike[i]);
  return settled;
}

bool CodeGraph::Nodes::LinkBack(Ordinal from, uint32_t level, const Neighbor& to, bool insist, WalkRoom& room) {
  const LinkTable::List list = links_.ListOf(from, level);
  const ListLock lock(list);
  const uint32_t count = list.count();
  if (count < list.capacity()) {
    list.Append(to);
    return true;
  }
  const CodePoint point = distance_.PointOf(from);
  room.crowd.clear();
  for (uint32_t i = 0; i < count; ++i) {
    Neighbor link = list.link(i);
    distance_.Fetch(link.node);
    if (!(link.distance == link.distance)) link.distance = distance_.Between(point, distance_.PointOf(link.node));
    room.crowd.push_back(link);
  }
  room.crowd.push_back(to);
  std::sort(room.crowd.begin(), room.crowd.end(), Closer);
  size_t settled = ChooseDiverse(from, room.crowd, links_.PrunedLinks(level), room);
  const auto is_new = [&to](const Neighbor& link) { return link.node == to.node; };
  bool linked = std::any_of(room.chosen.begin(), room.chosen.end(), is_new);
  if (!linked && insist) {
    if (room.chosen.size() == links_.PrunedLinks(level)) room.chosen.pop_back();
    settled = std::min(settled, room.chosen.size());
    room.chosen.push_back(to);
    linked = true;
  }
  list.Set(room.chosen, settled);
  return linked;
}

void CodeGraph::Nodes::Connect(Ordinal node, uint32_t level, Entry entry, WalkRoom& room) {
  const CodePoint point = distance_.WholePointOf(node);
  const auto most = size_t{links_.MostLinks(0)} + 1;
  room.crowd.reserve(most);
  room.chosen.reserve(most);
  room.alike.reserve(most);
  room.settled.Reserve(most);
  room.unsettled.Reserve(most);
  room.own.clear();
  room.own_lists.clear();

  const uint32_t top = std::min(level, static_cast<uint32_t>(entry.level));
  uint64_t compared = 0;
  Descend(point, entry, top, room, &compared);
  for (uint32_t at = top + 1; at-- > 0;) {
    WalkLevel(point, {.level = at, .ef = ef_construction_, .most = ef_construction_}, room, &compared);
    room.entries.clear();
    for (size_t i = 0; i < std::min(Front::kMost, room.pool.size()); ++i) room.entries.push_back(room.pool[i].node);
    const size_t settled = ChooseDiverse(node, room.pool, links_.connections(), room);
    room.own_lists.push_back({room.own.size(), room.chosen.size(), settled});
    room.own.insert(room.own.end(), room.chosen.begin(), room.chosen.end());
  }

  // Whoever is led to the node, on whatever level, finds its lists complete: nobody is before all of them are.
  for (uint32_t at = 0; at <= top; ++at) {
    links_.ListOf(node, at).Set(room.OwnOf(top - at), room.own_lists[top - at].settled);
  }
  for (uint32_t at = 0; at <= top; ++at) {
    const std::span<const Neighbor> own = room.OwnOf(top - at);
    // The closest comes last: where no other had room for the node, it must, or nobody would be led there.
    bool linked = false;
    for (size_t i = own.size(); i-- > 0;) {
      linked |= LinkBack(own[i].node, at, {own[i].distance, node}, i == 0 && !linked, room);
    }
  }
}

void CodeGraph::Nodes::LeadTo(Ordinal node, WalkRoom& room) {
  const Entry entry = entry_.load(std::memory_order_acquire);
  const CodePoint point = distance_.WholePointOf(node);
  uint64_t compared = 0;
  Descend(point, entry, 0, room, &compared);
  WalkLevel(point, {.level = 0, .ef = kLeadWidth, .most = kLeadWidth}, room, &compared);
  if (!room.met.Meet(node)) return;
  LinkBack(room.pool.front().node, 0, {room.pool.front().distance, node}, true, room);
}

bool CodeGraph::Nodes::Link(Ordinal ordinal, uint32_t level, WalkRoom& room) {
  try {
    const Entry entry = entry_.load(std::memory_order_acquire);
    if (static_cast<int32_t>(level) <= entry.level) {
      Connect(ordinal, level, entry, room);
      links_.Finish(ordinal, level);
      return true;
    }
    MutexLock lock(top_);
    const Entry now = entry_.load(std::memory_order_relaxed);
    if (now.node != kNoOrdinal) Connect(ordinal, level, now, room);
    links_.Finish(ordinal, level);
    if (static_cast<int32_t>(level) > now.level) {
      entry_.store({ordinal, static_cast<int32_t>(level)}, std::memory_order_release);
    }
    return true;
  } catch (const std::bad_alloc&) {
    links_.Abandon(ordinal, level);
    return false;
  }
}

bool CodeGraph::Nodes::Insert(Ordinal ordinal, uint32_t level) {
  const WalkRooms::Lease room = rooms_.Take();
  switch (links_.Claim(ordinal, level)) {
    case LinkTable::Claimed::kPresent:
      return true;
    case LinkTable::Claimed::kNoMemory:
      return false;
    case LinkTable::Claimed::kYes:
      break;
  }
  if (!Link(ordinal, level, *room)) return false;
  try {
    // A search goes where the insertion went, but for the levels of the node itself, which that one walked more widely.
    if (level > 0) LeadTo(ordinal, *room);
  } catch (const std::bad_alloc&) {
    // It is in, links and all.
  }
  return true;
}

CodeGraph::CodeGraph(const CodeSlab& slab, const CodeGraphOptions& options)
    : nodes_(std::make_unique<Nodes>(slab, options)) {}

CodeGraph::~CodeGraph() = default;

bool CodeGraph::Insert(Ordinal ordinal) { return Insert(ordinal, nodes_->levels().LevelOf(ordinal)); }

bool CodeGraph::Insert(Ordinal ordinal, uint32_t level) {
  ENGRAM_CHECK(level <= kMaxLevel);
  try {
    return nodes_->Insert(ordinal, level);
  } catch (const std::bad_alloc&) {
    return false;
  }
}

std::optional<CodeGraph::Walk> CodeGraph::Search(const CodeQuery& query, uint32_t ef, const Scope& scope,
                                                 uint64_t* compared) const {
  uint64_t unasked = 0;
  try {
    return nodes_->Search(CodeDistance::PointOf(query), std::max(ef, 1u), scope, compared != nullptr ? compared : &unasked);
  } catch (const std::bad_alloc&) {
    return std::nullopt;
  }
}

uint64_t CodeGraph::size() const { return nodes_->links().size(); }
uint64_t CodeGraph::resident_bytes() const { return nodes_->resident_bytes(); }

}  // namespace engram

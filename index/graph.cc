#include "index/graph.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <limits>
#include <mutex>
#include <new>
#include <queue>
#include <utility>

#include "core/base/check.h"
#include "core/base/mutex.h"
#include "index/graph_links.h"
#include "index/phase_lock.h"

namespace engram {
Node Graph::Links::Allocate(Ordinal ordinal, uint32_t level) {
  MutexLock growth(growth_);
  if (cur_element_count == max_elements_) {
    ExclusivePhase phase(phase_);
    Grow();
  }
  // Before the node is counted, for hnswlib's destructor frees what the counted ones have.
  char* upper = nullptr;
  const size_t upper_bytes = size_links_per_element_ * level + kSlack;
  if (level > 0) {
    upper = static_cast<char*>(std::calloc(1, upper_bytes));
    if (upper == nullptr) throw std::bad_alloc();
    upper_link_bytes_.fetch_add(upper_bytes, std::memory_order_relaxed);
  }
  SharedPhase phase(phase_);
  const auto node = static_cast<Node>(cur_element_count);
  std::memset(get_linklist0(node), 0, size_data_per_element_);
  std::memcpy(getDataByInternalId(node), &ordinal, sizeof(ordinal));
  linkLists_[node] = upper;
  element_levels_[node] = static_cast<int>(level);
  ordinals_[node] = ordinal;
  ++cur_element_count;
  nodes_.store(cur_element_count, std::memory_order_relaxed);
  return node;
}

// Not resizeIndex, which leaves dangling pointers behind when memory runs out half way.
void Graph::Links::Grow() {
  const size_t doubled = max_elements_ * 2;
  auto pool = std::make_unique<hnswlib::VisitedListPool>(1, static_cast<int>(doubled));
  decltype(link_list_locks_) locks(doubled);
  // An array that has grown already when another cannot does no harm.
  ordinals_.resize(doubled);
  element_levels_.resize(doubled);
  void* const upper = std::realloc(linkLists_, doubled * sizeof(*linkLists_));
  if (upper == nullptr) throw std::bad_alloc();
  linkLists_ = static_cast<char**>(upper);
  void* const base = std::realloc(data_level0_memory_, doubled * size_data_per_element_);
  if (base == nullptr) throw std::bad_alloc();
  data_level0_memory_ = static_cast<char*>(base);
  delete std::exchange(visited_list_pool_, pool.release());
  link_list_locks_.swap(locks);
  max_elements_ = doubled;
}

void Graph::Links::CopyLinks(Node node, int level, NodeLinks* out) const {
  // The locks are the one mutable thing behind hnswlib's const walk.
  std::unique_lock lock(const_cast<Links*>(this)->link_list_locks_[node]);
  hnswlib::linklistsizeint* const list = get_linklist_at_level(node, level);
  out->count = getListCount(list);
  std::memcpy(out->nodes.data(), list + 1, out->count * sizeof(Node));
}

void Graph::Links::Prefetch(Node node) const {
  const char* const row = reinterpret_cast<const char*>(slab().Row(ordinals_[node]));
  // The first lines; the hardware sees the stream and fetches the rest.
  const size_t bytes = std::min<size_t>(size_t{slab().stride()} * sizeof(float), 512);
  for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(row + at);
}

Node Graph::Links::Descend(const Similarity::Query& query, Node entry, int from_level, int level,
                           uint64_t* compared) const {
  float closest = Distance(query, entry);
  ++*compared;
  NodeLinks links;
  for (int at = from_level; at > level; --at) {
    for (bool moved = true; moved;) {
      moved = false;
      CopyLinks(entry, at, &links);
      for (uint32_t i = 0; i < links.count; ++i) Prefetch(links.nodes[i]);
      for (uint32_t i = 0; i < links.count; ++i) {
        const float distance = Distance(query, links.nodes[i]);
        if (distance < closest) {
          closest = distance;
          entry = links.nodes[i];
          moved = true;
        }
      }
      *compared += links.count;
    }
  }
  return entry;
}

template <typename Keep>
bool Graph::Links::WalkLevel(const Similarity::Query& query, Node entry, int level, size_t ef, uint64_t most_compared,
                             const Keep& keep, uint64_t* compared,
                             std::priority_queue<Candidate, std::vector<Candidate>, CompareByFirst>* closest) const {
  Visited visited(*visited_list_pool_);
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> open;
  float bound = std::numeric_limits<float>::infinity();
  const auto meet = [&](Node node, Ordinal ordinal, float distance) {
    if (closest->size() >= ef && distance >= bound) return;
    open.emplace(distance, node);
    if (!keep(ordinal)) return;
    closest->emplace(distance, node);
    if (closest->size() > ef) closest->pop();
    if (closest->size() == ef) bound = closest->top().first;
  };

  visited.Meet(entry);
  ++*compared;
  meet(entry, ordinals_[entry], Distance(query, entry));
  NodeLinks links;
  while (!open.empty()) {
    const auto [distance, node] = open.top();
    if (distance > bound) break;
    open.pop();
    CopyLinks(node, level, &links);
    for (uint32_t i = 0; i < links.count; ++i) visited.Prefetch(links.nodes[i]);
    uint32_t fresh = 0;
    for (uint32_t i = 0; i < links.count; ++i) {
      if (!visited.Meet(links.nodes[i])) continue;
      Prefetch(links.nodes[i]);
      links.nodes[fresh++] = links.nodes[i];
    }
    if ((*compared += fresh) > most_compared) return false;
    for (uint32_t i = 0; i < fresh; ++i) {
      meet(links.nodes[i], ordinals_[links.nodes[i]], Distance(query, links.nodes[i]));
    }
  }
  return true;
}

bool Graph::Links::Connect(Node node, uint32_t level) {
  Node entry = enterpoint_node_;
  if (entry == kNoNode) return false;
  // Whoever meets the node on an upper level waits here until its lower lists are there too.
  std::unique_lock own(link_list_locks_[node]);
  const Ordinal ordinal = ordinals_[node];
  const Similarity::Query query = similarity().Stored(slab().Row(ordinal), slab().InverseNorm(ordinal));
  const int top = std::min(static_cast<int>(level), maxlevel_);
  uint64_t compared = 0;
  entry = Descend(query, entry, maxlevel_, top, &compared);
  for (int at = top; at >= 0; --at) {
    std::priority_queue<Candidate, std::vector<Candidate>, CompareByFirst> closest;
    WalkLevel(query, entry, at, ef_construction_, UINT64_MAX, [](Ordinal) { return true; }, &compared, &closest);
    entry = mutuallyConnectNewElement(getDataByInternalId(node), node, closest, at, false);
  }
  return true;
}

void Graph::Links::Insert(Ordinal ordinal, uint32_t level) {
  const Node node = Allocate(ordinal, level);
  for (;;) {
    bool connected = false;
    {
      SharedPhase phase(phase_);
      connected = Connect(node, level);
      if (connected && static_cast<int>(level) <= maxlevel_) return;
    }
    ExclusivePhase phase(phase_);
    // Somebody else may have been first meanwhile; then there is something to connect to.
    if (!connected && enterpoint_node_ != kNoNode) continue;
    if (static_cast<int>(level) > maxlevel_) {
      enterpoint_node_ = node;
      maxlevel_ = static_cast<int>(level);
    }
    return;
  }
}

std::optional<Graph::Walk> Graph::Links::Search(const Similarity::Query& query, uint32_t ef,
                                                const Scope& scope) const {
  std::priority_queue<Candidate, std::vector<Candidate>, CompareByFirst> closest;
  Walk walk;
  SharedPhase phase(phase_);
  if (enterpoint_node_ == kNoNode) return walk;
  const Node entry = Descend(query, enterpoint_node_, maxlevel_, 0, &walk.compared);
  const auto keep = [this, &scope](Ordinal ordinal) {
    return ordinal < scope.end && slab().DiedAt(ordinal) >= scope.visible &&
           (scope.among == nullptr || scope.among->Matches(ordinal));
  };
  if (!WalkLevel(query, entry, 0, ef, scope.most_compared, keep, &walk.compared, &closest)) return std::nullopt;
  walk.found.reserve(closest.size());
  for (; !closest.empty(); closest.pop()) {
    walk.found.push_back({ordinals_[closest.top().second], -closest.top().first});
  }
  // An insertion that failed half way and was repeated leaves two nodes for one ordinal.
  std::sort(walk.found.begin(), walk.found.end(), [](const Found& a, const Found& b) { return a.ordinal < b.ordinal; });
  const auto same = [](const Found& a, const Found& b) { return a.ordinal == b.ordinal; };
  walk.found.erase(std::unique(walk.found.begin(), walk.found.end(), same), walk.found.end());
  return walk;
}

uint64_t Graph::Links::resident_bytes() const {
  SharedPhase phase(phase_);
  // The arrays without a constructor cost what is in use, the others what there is room for.
  const uint64_t per_node = size_data_per_element_ + sizeof(*linkLists_);
  const uint64_t per_place =
      sizeof(link_list_locks_[0]) + sizeof(element_levels_[0]) + sizeof(ordinals_[0]) + sizeof(hnswlib::vl_type);
  return sizeof(*this) + size() * per_node + max_elements_ * per_place +
         upper_link_bytes_.load(std::memory_order_relaxed);
}

Graph::Graph(const Slab& slab, const Similarity& similarity, const GraphOptions& options, uint32_t capacity) {
  try {
    links_ = std::make_unique<Links>(slab, similarity, options, std::max(capacity, 16u));
  } catch (const std::exception&) {
    throw std::bad_alloc();
  }
}

Graph::~Graph() = default;

bool Graph::Insert(Ordinal ordinal) { return Insert(ordinal, links_->levels().LevelOf(ordinal)); }

bool Graph::Insert(Ordinal ordinal, uint32_t level) {
  ENGRAM_CHECK(level <= kMaxLevel);
  try {
    links_->Insert(ordinal, level);
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

std::optional<Graph::Walk> Graph::Search(const Similarity::Query& query, uint32_t ef, const Scope& scope) const {
  try {
    return links_->Search(query, std::max(ef, 1u), scope);
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

uint64_t Graph::size() const { return links_->size(); }
uint64_t Graph::resident_bytes() const { return links_->resident_bytes(); }

}  // namespace engram

#include "index/space_index.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <memory>
#include <new>
#include <utility>

#include "core/base/check.h"
#include "core/base/status.h"
#include "index/filter_choice.h"
#include "index/graph.h"
#include "index/id_map.h"
#include "index/kernels.h"
#include "index/similarity.h"
#include "index/slab.h"
#include "index/slab_image.h"
#include "index/top_k.h"

namespace engram {
namespace {

// Entries prepared together: enough to hide the cache misses of the id table, few enough to keep its lock short.
constexpr size_t kAppendStep = 64;
// A walk reads rows here and there, a scan one after the other at about half the cost each. So a walk that has compared
// half of what is live gives way to the scan; but the first so many comparisons for each unit of its width are free.
constexpr uint64_t kWalkShare = 2;
constexpr uint64_t kFreePerWidth = 32;
// Matches listed at a time, and how far ahead of the comparison their rows are fetched.
constexpr size_t kMatchStep = 256;
constexpr size_t kMatchesAhead = 4;

class SlabSpaceIndex final : public SpaceIndex {
 public:
  explicit SlabSpaceIndex(const IndexOptions& options)
      : options_(options),
        slab_(options.dimension),
        similarity_(options.metric, options.dimension, slab_.stride(), BestKernels()),
        ids_(slab_) {}

  Appended Append(std::span<const Entry> entries) override;
  bool Forget(std::string_view id) override;
  bool ForgetOrdinal(Ordinal ordinal) override;

  uint32_t Link(uint32_t most, const std::function<bool()>& yield) override;
  absl::Status AttachGraph(ImageSource& source) override;

  // Before anybody else knows the index.
  absl::Status Load(ImageSource& source);
  absl::Status SaveRows(IndexView view, ImageSink& sink) const override {
    return engram::SaveRows(slab_, options_.metric, view.visible, sink);
  }
  absl::Status SaveGraph(IndexView view, ImageSink& sink) const override;

  IndexView Pin() const override { return {slab_.size()}; }
  SearchResult Search(const SearchRequest& request, IndexView view) const override;
  std::optional<Ordinal> Find(std::string_view id, IndexView view) const override;
  bool Live(Ordinal ordinal, IndexView view) const override {
    return ordinal < view.visible && slab_.DiedAt(ordinal) >= view.visible;
  }
  Ordinal Newest(std::string_view id) const override { return ids_.Newest(id); }
  Ordinal Previous(Ordinal ordinal) const override { return slab_.Previous(ordinal); }
  std::string_view IdOf(Ordinal ordinal) const override {
    return IdArena::View(slab_.BlockOf(ordinal).id[Slab::Lane(ordinal)]);
  }
  std::span<const float> VectorOf(Ordinal ordinal) const override { return {slab_.Row(ordinal), options_.dimension}; }

  const IndexOptions& options() const override { return options_; }
  uint64_t size() const override { return slab_.size(); }
  uint64_t live() const override { return live_.load(std::memory_order_relaxed); }
  uint64_t linked() const override { return linked_.load(std::memory_order_acquire); }
  uint64_t link_backlog() const override;
  bool has_graph() const override { return graph_.load(std::memory_order_relaxed) != nullptr; }
  uint64_t resident_bytes() const override;

 private:
  void Prefetch(Ordinal ordinal) const {
    __builtin_prefetch(&slab_.BlockOf(ordinal).inverse_norm[Slab::Lane(ordinal)]);
    __builtin_prefetch(&slab_.BlockOf(ordinal).died_at[Slab::Lane(ordinal)]);
    // The first lines; the hardware sees the stream and fetches the rest.
    const auto* const row = reinterpret_cast<const char*>(slab_.Row(ordinal));
    for (size_t at = 0; at < std::min<size_t>(size_t{slab_.stride()} * sizeof(float), 512); at += 64) {
      __builtin_prefetch(row + at);
    }
  }
  void AppendStep(std::span<const Entry> entries, Ordinal first, uint32_t* replaced);
  // Offers what the graph finds below `linked`; false when a scan is the better way or the only one.
  bool WalkGraph(const SearchRequest& request, const Similarity::Query& query, Ordinal linked, IndexView view,
                 SearchResult* result, TopK& top) const;
  // Compare what is live in [begin, end), and in `matches`; return how many that were.
  uint64_t Scan(const Similarity::Query& query, Ordinal begin, Ordinal end, IndexView view, TopK& top) const;
  uint64_t ScanMatches(const Similarity::Query& query, Ordinal begin, Ordinal end, IndexView view,
                       const OrdinalSet& matches, TopK& top) const;
  uint64_t Scan(const SearchRequest& request, const Similarity::Query& query, Ordinal begin, IndexView view,
                TopK& top) const {
    return request.filter == nullptr ? Scan(query, begin, view.visible, view, top)
                                     : ScanMatches(query, begin, view.visible, view, *request.filter, top);
  }

  // Constant after construction.
  const IndexOptions options_;
  GraphOptions graph_options() const {
    return {options_.max_connections, options_.ef_construction, options_.seed};
  }

  // Own synchronisation: a writer's side and readers' side each.
  Slab slab_;
  const Similarity similarity_;
  IdArena arena_;
  IdMap ids_;
  std::atomic<uint64_t> live_{0};
  std::atomic<Ordinal> linked_{0};
  // The linker's; shown to readers by graph_ and never taken back.
  std::unique_ptr<Graph> graph_owner_;
  std::atomic<const Graph*> graph_{nullptr};
};

SpaceIndex::Appended SlabSpaceIndex::Append(std::span<const Entry> entries) {
  const Ordinal first = slab_.size();
  if (entries.empty()) return {first, 0};
  ENGRAM_CHECK(entries.size() < kNoOrdinal - first);
  const auto end = static_cast<Ordinal>(first + entries.size());
  size_t id_bytes = 0;
  for (const Entry& entry : entries) id_bytes += entry.id.size();

  // All that can fail comes first; from here on nothing throws.
  slab_.Reserve(end);
  arena_.Reserve(entries.size(), id_bytes);
  ids_.Reserve(entries.size());

  uint32_t replaced = 0;
  for (size_t done = 0; done < entries.size(); done += kAppendStep) {
    AppendStep(entries.subspan(done, std::min(kAppendStep, entries.size() - done)),
               first + static_cast<Ordinal>(done), &replaced);
  }
  slab_.Publish(end);
  live_.store(live_.load(std::memory_order_relaxed) + entries.size() - replaced, std::memory_order_relaxed);
  return {first, replaced};
}

void SlabSpaceIndex::AppendStep(std::span<const Entry> entries, Ordinal first, uint32_t* replaced) {
  std::array<uint32_t, kAppendStep> hashes;
  for (size_t i = 0; i < entries.size(); ++i) {
    hashes[i] = ids_.Hash(entries[i].id);
    ids_.Prefetch(hashes[i]);
  }
  for (size_t i = 0; i < entries.size(); ++i) {
    const Ordinal ordinal = first + static_cast<Ordinal>(i);
    ENGRAM_CHECK(entries[i].embedding.dimension == options_.dimension);
    float* const row = slab_.BeginRow(ordinal);
    WidenVector(entries[i].embedding, {row, options_.dimension});
    Slab::Block& block = slab_.BlockOf(ordinal);
    block.inverse_norm[Slab::Lane(ordinal)] = similarity_.InverseNorm(row);
    block.id[Slab::Lane(ordinal)] = arena_.Append(entries[i].id);
  }
  ids_.Assign({hashes.data(), entries.size()}, first);
  for (size_t i = 0; i < entries.size(); ++i) {
    const Ordinal ordinal = first + static_cast<Ordinal>(i);
    const Ordinal previous = slab_.Previous(ordinal);
    if (previous == kNoOrdinal || slab_.DiedAt(previous) != Slab::kLive) continue;
    // Present views end at or before `ordinal`, so in them the previous version lives on.
    slab_.SetDiedAt(previous, ordinal);
    ++*replaced;
  }
}

bool SlabSpaceIndex::Forget(std::string_view id) {
  const Ordinal newest = ids_.Newest(id);
  return newest != kNoOrdinal && ForgetOrdinal(newest);
}

bool SlabSpaceIndex::ForgetOrdinal(Ordinal ordinal) {
  if (ordinal >= slab_.size() || slab_.DiedAt(ordinal) != Slab::kLive) return false;
  // Earlier versions go too: a view pinned before a replacement still shows them. What lies behind one that is 0
  // already is 0 as well, so the walk costs no more than the appends did.
  for (Ordinal version = ordinal; version != kNoOrdinal && slab_.DiedAt(version) != 0;
       version = slab_.Previous(version)) {
    slab_.SetDiedAt(version, 0);
  }
  live_.fetch_sub(1, std::memory_order_relaxed);
  return true;
}

uint32_t SlabSpaceIndex::Link(uint32_t most, const std::function<bool()>& yield) {
  if (!graph_owner_ && live() <= options_.flat_threshold) return 0;
  const Ordinal visible = slab_.size();
  if (!graph_owner_) {
    try {
      graph_owner_ = std::make_unique<Graph>(slab_, similarity_, graph_options(), std::bit_ceil(std::min(visible, 1u << 30)));
    } catch (const std::bad_alloc&) {
      return 0;
    }
    graph_.store(graph_owner_.get(), std::memory_order_release);
  }
  const Ordinal begin = linked_.load(std::memory_order_relaxed);
  Ordinal at = begin;
  for (uint32_t inserted = 0; at < visible && inserted < most; ++at) {
    if (slab_.DiedAt(at) == Slab::kLive) {
      if (inserted != 0 && yield && yield()) break;
      // Out of memory: it stays in the tail, which finds it too.
      if (!graph_owner_->Insert(at)) break;
      ++inserted;
    }
    // Pairs with the load in Search: what lies below is in the graph, links and all.
    linked_.store(at + 1, std::memory_order_release);
  }
  return at - begin;
}

absl::Status SlabSpaceIndex::AttachGraph(ImageSource& source) {
  if (graph_owner_) return absl::FailedPreconditionError("the space has a graph already");
  ENGRAM_ASSIGN_OR_RETURN(Graph::Loaded loaded, Graph::Load(slab_, similarity_, graph_options(), source));
  if (!loaded.graph) return absl::OkStatus();
  graph_owner_ = std::move(loaded.graph);
  graph_.store(graph_owner_.get(), std::memory_order_release);
  linked_.store(loaded.end, std::memory_order_release);
  return absl::OkStatus();
}

absl::Status SlabSpaceIndex::Load(ImageSource& source) {
  ENGRAM_ASSIGN_OR_RETURN(const uint64_t live,
                          engram::LoadRows(source, options_.metric, similarity_, slab_, arena_, ids_));
  live_.store(live, std::memory_order_relaxed);
  return absl::OkStatus();
}

absl::Status SlabSpaceIndex::SaveGraph(IndexView view, ImageSink& sink) const {
  // Before the graph: what lies below is in it, links and all.
  const Ordinal linked = std::min(linked_.load(std::memory_order_acquire), view.visible);
  const Graph* const graph = graph_.load(std::memory_order_acquire);
  return graph != nullptr ? graph->Save(linked, sink) : Graph::SaveNone(graph_options(), sink);
}

std::optional<Ordinal> SlabSpaceIndex::Find(std::string_view id, IndexView view) const {
  Ordinal ordinal = ids_.Newest(id);
  while (ordinal != kNoOrdinal && ordinal >= view.visible) ordinal = slab_.Previous(ordinal);
  if (ordinal == kNoOrdinal || !Live(ordinal, view)) return std::nullopt;
  return ordinal;
}

uint64_t SlabSpaceIndex::ScanMatches(const Similarity::Query& query, Ordinal begin, Ordinal end, IndexView view,
                                     const OrdinalSet& matches, TopK& top) const {
  std::array<Ordinal, kMatchStep> listed;
  uint64_t compared = 0;
  for (size_t count = listed.size(); count == listed.size();) {
    count = matches.List(begin, end, listed);
    for (size_t i = 0; i < count; ++i) {
      if (i + kMatchesAhead < count) Prefetch(listed[i + kMatchesAhead]);
      const Ordinal ordinal = listed[i];
      if (!Live(ordinal, view)) continue;
      ++compared;
      const float similarity = similarity_.Of(query, slab_.Row(ordinal), slab_.InverseNorm(ordinal));
      if (similarity >= top.floor()) top.Offer({ordinal, similarity});
    }
    if (count != 0) begin = listed[count - 1] + 1;
  }
  return compared;
}

uint64_t SlabSpaceIndex::Scan(const Similarity::Query& query, Ordinal begin, Ordinal end, IndexView view,
                              TopK& top) const {
  constexpr uint32_t kRows = Slab::kBlockRows;
  uint64_t compared = 0;
  std::array<float, kRows> similarities;
  for (uint64_t at = begin; at < end;) {
    const auto base = static_cast<Ordinal>(at - at % kRows);
    const auto from = static_cast<uint32_t>(at - base);
    const uint32_t to = std::min<uint32_t>(kRows, end - base);
    at = uint64_t{base} + kRows;

    const Slab::Block& block = slab_.BlockOf(base);
    uint32_t wanted = 0;
    for (uint32_t lane = from; lane < to; ++lane) wanted |= uint32_t{block.LiveIn(lane, view.visible)} << lane;
    if (wanted == 0) continue;

    const float* const rows = slab_.Row(base);
    if (wanted == (1u << kRows) - 1) {
      similarity_.OfRows(query, rows, block.inverse_norm.data(), kRows, similarities.data());
    } else {
      for (uint32_t left = wanted; left != 0; left &= left - 1) {
        const auto lane = static_cast<uint32_t>(__builtin_ctz(left));
        similarities[lane] = similarity_.Of(query, rows + size_t{lane} * slab_.stride(), block.inverse_norm[lane]);
      }
    }
    compared += static_cast<uint64_t>(__builtin_popcount(wanted));
    for (uint32_t left = wanted; left != 0; left &= left - 1) {
      const auto lane = static_cast<uint32_t>(__builtin_ctz(left));
      if (similarities[lane] >= top.floor()) top.Offer({base + lane, similarities[lane]});
    }
  }
  return compared;
}

bool SlabSpaceIndex::WalkGraph(const SearchRequest& request, const Similarity::Query& query, Ordinal linked,
                               IndexView view, SearchResult* result, TopK& top) const {
  const Graph* const graph = graph_.load(std::memory_order_acquire);
  const uint64_t live = this->live();
  if (graph == nullptr || linked == 0 || request.exact) return false;
  if (live <= options_.flat_threshold || live <= request.k) return false;
  const uint32_t ef = std::max(request.ef, request.k);
  Graph::Scope scope = {.end = linked,
                        .visible = view.visible,
                        .most_compared = std::max(live / kWalkShare, ef * kFreePerWidth),
                        .among = request.filter};
  if (request.filter != nullptr) {
    const FilterChoice choice = ChooseForFilter(request.filter->estimate(), view.visible, ef);
    if (!choice.walk) return false;
    scope.most_compared = choice.most_compared;
  }
  const std::optional<Graph::Walk> walk = graph->Search(query, ef, scope);
  if (!walk) return false;
  for (const Graph::Found& found : walk->found) top.Offer({found.ordinal, found.similarity});
  result->graph_candidates = walk->compared;
  return true;
}

SearchResult SlabSpaceIndex::Search(const SearchRequest& request, IndexView view) const {
  ENGRAM_CHECK(request.k >= 1);
  const Similarity::Query query = similarity_.Prepare(request.query);
  TopK top(request.k, view.visible);
  SearchResult result;
  // Before the walk: what is linked during it is compared in the tail.
  const Ordinal linked = std::min(linked_.load(std::memory_order_acquire), view.visible);
  bool walked = WalkGraph(request, query, linked, view, &result, top);
  if (walked) {
    result.tail_scanned = Scan(request, query, linked, view, top);
    // The graph promises nothing; k hits come back whenever k exist.
    walked = top.size() >= request.k;
  }
  if (!walked) {
    top.Clear();
    result.tail_scanned = Scan(request, query, 0, view, top);
    result.exact = true;
  }
  result.hits = top.Take();
  if (request.min_similarity) {
    while (!result.hits.empty() && result.hits.back().similarity < *request.min_similarity) result.hits.pop_back();
  }
  return result;
}

uint64_t SlabSpaceIndex::link_backlog() const {
  return live() > options_.flat_threshold || has_graph() ? size() - linked() : 0;
}

uint64_t SlabSpaceIndex::resident_bytes() const {
  const Graph* const graph = graph_.load(std::memory_order_acquire);
  return sizeof(*this) + slab_.resident_bytes() + arena_.resident_bytes() + ids_.resident_bytes() +
         (graph != nullptr ? graph->resident_bytes() : 0);
}

}  // namespace

std::unique_ptr<SpaceIndex> SpaceIndex::Create(const IndexOptions& options) {
  return std::make_unique<SlabSpaceIndex>(options);
}

absl::StatusOr<std::unique_ptr<SpaceIndex>> SpaceIndex::LoadRows(const IndexOptions& options, ImageSource& source) {
  auto index = std::make_unique<SlabSpaceIndex>(options);
  ENGRAM_RETURN_IF_ERROR(index->Load(source));
  return index;
}

}  // namespace engram

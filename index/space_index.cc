#include "index/space_index.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/base/status.h"
#include "index/code_graph.h"
#include "index/code_query.h"
#include "index/code_scan.h"
#include "index/code_slab.h"
#include "index/filter_choice.h"
#include "index/id_map.h"
#include "index/kept_rows.h"
#include "index/serving_graph.h"
#include "index/slab_image.h"
#include "index/stopwatch.h"
#include "index/top_k.h"

namespace engram {
namespace {

// Entries prepared together: enough to hide the cache misses of the id table, few enough to keep its lock short.
constexpr size_t kAppendStep = 64;
// A walk reads codes here and there, a scan one after the other at a fraction of the cost each. So a walk that has
// compared half of what is live gives way to the scan; but the first so many comparisons for each unit of its width are
// free.
constexpr uint64_t kWalkShare = 2;
constexpr uint64_t kFreePerWidth = 32;
// So few are scanned exactly whether or not that was asked for. docs/tuning.md says so.
constexpr uint64_t kScannedExactly = 8192;
// Bits do not quicken the scan of a shorter tail; behind one that has them, fewer rows by bytes than these are not felt.
constexpr Ordinal kLongTail = 8192;
constexpr Ordinal kShortRest = 1024;
// A scan by bits is to find the best so many times k. Which of those are the best k is told by bytes and by the vectors
// themselves; the more that are to be found, the more often the bits are not enough.
constexpr uint32_t kSurePerHit = 3;

// A vector on its way to its code: one per thread that writes, not per space.
std::vector<float>& Widened() {
  thread_local std::vector<float> widened;
  return widened;
}

class CodedSpaceIndex final : public SpaceIndex {
 public:
  explicit CodedSpaceIndex(const IndexOptions& options)
      : options_(options),
        slab_(options.metric, options.dimension),
        ids_(slab_),
        graph_(slab_, {options.max_connections, options.ef_construction, options.seed}) {
    if (options.keep_rows) rows_.emplace(options.dimension);
  }

  Appended Append(std::span<const Entry> entries) override;
  bool Forget(std::string_view id) override;
  bool ForgetOrdinal(Ordinal ordinal) override;

  uint32_t Link(uint32_t most, const std::function<bool()>& yield) override;
  uint32_t AssistLink(const std::function<bool()>& yield) override { return graph_.Assist(yield); }
  Rebuilt Rebuild(uint32_t most, uint64_t spare, const std::function<bool()>& yield) override {
    const ServingGraph::Rebuilt rebuilt = graph_.Rebuild(live(), most, spare, yield);
    return {rebuilt.moved != 0, rebuilt.replaced};
  }
  uint32_t MakeBits(uint32_t most) override;
  absl::Status AttachGraph(ImageSource& source) override;

  // Before anybody else knows the index.
  absl::Status Load(ImageSource& source);
  absl::Status SaveRows(IndexView view, ImageSink& sink) const override {
    return engram::SaveRows(slab_, view.visible, sink);
  }
  absl::Status SaveGraph(IndexView view, ImageSink& sink) const override;

  IndexView Pin() const override {
    // In this order: what linking has left out below `linked` was dead to the views that end at or beyond `visible`.
    const Ordinal linked = graph_.linked();
    return {slab_.size(), linked};
  }
  SearchResult Search(const SearchRequest& request, IndexView view) const override;
  std::optional<Ordinal> Find(std::string_view id, IndexView view) const override;
  bool Live(Ordinal ordinal, IndexView view) const override {
    return ordinal < view.visible && slab_.DiedAt(ordinal) >= view.visible;
  }
  Ordinal Newest(std::string_view id) const override { return ids_.Newest(id); }
  Ordinal Previous(Ordinal ordinal) const override { return slab_.Previous(ordinal); }
  std::string_view IdOf(Ordinal ordinal) const override {
    return IdArena::View(slab_.BlockOf(ordinal).id[CodeSlab::Lane(ordinal)]);
  }
  std::span<const float> KeptRow(Ordinal ordinal) const override {
    ENGRAM_CHECK(rows_.has_value());
    return std::as_const(*rows_).RowOf(ordinal);
  }

  const IndexOptions& options() const override { return options_; }
  uint64_t size() const override { return slab_.size(); }
  uint64_t live() const override { return live_.load(std::memory_order_relaxed); }
  uint64_t linked() const override { return graph_.linked(); }
  uint64_t link_backlog() const override;
  bool graph_due() const override { return link_backlog() != 0 || graph_.RebuildDue(live()); }
  bool bits_due() const override {
    return bits_backlog() >= (graph_.exists() || slab_.size() < kLongTail ? kLongTail : kShortRest);
  }
  uint64_t bits_backlog() const override {
    // In this order: bits are made of what has been seen to be there.
    const Ordinal through = slab_.bits_through();
    return slab_.bits() ? slab_.size() - through : 0;
  }
  bool has_graph() const override { return graph_.exists(); }
  double graph_dead_share() const override { return graph_.DeadShare(live()); }
  uint64_t resident_bytes() const override;

 private:
  void AppendStep(std::span<const Entry> entries, Ordinal first, uint32_t* replaced);
  // Offers what the graph finds below `linked`; false when a scan is the better way or the only one.
  bool WalkGraph(const SearchRequest& request, const CodeQuery& query, Ordinal linked, IndexView view,
                 SearchResult* result, TopK& near) const;
  // Reads the best of `near`, and makes hits of the best of those.
  void Read(const SearchRequest& request, const CodeQuery& query, TopK& near, SearchResult* result) const;
  void Scan(const SearchRequest& request, const CodeQuery& query, const ScanScope& scope, TopK& near,
            SearchResult* result) const;
  void ScanTimed(const SearchRequest& request, const CodeQuery& query, const ScanScope& scope, TopK& near,
                 SearchResult* result) const;
  const VectorSource& SourceOf(const SearchRequest& request) const {
    if (request.source != nullptr) return *request.source;
    ENGRAM_CHECK(rows_.has_value());
    return *rows_;
  }
  static uint32_t Sure(const SearchRequest& request) {
    const uint64_t sure = uint64_t{request.k} * std::min(request.oversample, kSurePerHit);
    return static_cast<uint32_t>(std::min<uint64_t>(sure, UINT32_MAX));
  }

  // Constant after construction.
  const IndexOptions options_;

  // Own synchronisation: a writer's side and readers' side each.
  CodeSlab slab_;
  std::optional<KeptRows> rows_;
  IdArena arena_;
  IdMap ids_;
  std::atomic<uint64_t> live_{0};
  ServingGraph graph_;
};

SpaceIndex::Appended CodedSpaceIndex::Append(std::span<const Entry> entries) {
  const Ordinal first = slab_.size();
  if (entries.empty()) return {first, 0};
  ENGRAM_CHECK(entries.size() < kNoOrdinal - first);
  const auto end = static_cast<Ordinal>(first + entries.size());
  size_t id_bytes = 0;
  for (const Entry& entry : entries) id_bytes += entry.id.size();

  // All that can fail comes first; from here on nothing throws.
  slab_.Reserve(end);
  if (rows_) {
    rows_->Reserve(end);
  } else {
    Widened().resize(options_.dimension);
  }
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

void CodedSpaceIndex::AppendStep(std::span<const Entry> entries, Ordinal first, uint32_t* replaced) {
  std::array<uint32_t, kAppendStep> hashes;
  std::vector<float>& widened = Widened();
  for (size_t i = 0; i < entries.size(); ++i) {
    hashes[i] = ids_.Hash(entries[i].id);
    ids_.Prefetch(hashes[i]);
  }
  for (size_t i = 0; i < entries.size(); ++i) {
    const Ordinal ordinal = first + static_cast<Ordinal>(i);
    ENGRAM_CHECK(entries[i].embedding.dimension == options_.dimension);
    const std::span<float> row = rows_ ? rows_->RowOf(ordinal) : std::span<float>(widened);
    WidenVector(entries[i].embedding, row);
    slab_.Append(ordinal, row.data());
    slab_.BlockOf(ordinal).id[CodeSlab::Lane(ordinal)] = arena_.Append(entries[i].id);
  }
  ids_.Assign({hashes.data(), entries.size()}, first);
  for (size_t i = 0; i < entries.size(); ++i) {
    const Ordinal ordinal = first + static_cast<Ordinal>(i);
    const Ordinal previous = slab_.Previous(ordinal);
    if (previous == kNoOrdinal || slab_.DiedAt(previous) != CodeSlab::kLive) continue;
    // Present views end at or before `ordinal`, so in them the previous version lives on.
    slab_.SetDiedAt(previous, ordinal);
    ++*replaced;
  }
}

bool CodedSpaceIndex::Forget(std::string_view id) {
  const Ordinal newest = ids_.Newest(id);
  return newest != kNoOrdinal && ForgetOrdinal(newest);
}

bool CodedSpaceIndex::ForgetOrdinal(Ordinal ordinal) {
  if (ordinal >= slab_.size() || slab_.DiedAt(ordinal) != CodeSlab::kLive) return false;
  // Earlier versions go too: a view pinned before a replacement still shows them. What lies behind one that is 0
  // already is 0 as well, so the walk costs no more than the appends did.
  for (Ordinal version = ordinal; version != kNoOrdinal && slab_.DiedAt(version) != 0;
       version = slab_.Previous(version)) {
    slab_.SetDiedAt(version, 0);
  }
  live_.fetch_sub(1, std::memory_order_relaxed);
  return true;
}

uint32_t CodedSpaceIndex::MakeBits(uint32_t most) {
  const Ordinal begin = slab_.bits_through();
  const Ordinal size = slab_.size();
  if (!slab_.bits() || begin >= size) return 0;
  const Ordinal end = begin + std::min(most, size - begin);
  slab_.MakeBits(end);
  return end - begin;
}

uint32_t CodedSpaceIndex::Link(uint32_t most, const std::function<bool()>& yield) {
  if (!graph_.exists()) {
    if (live() <= options_.flat_threshold) return 0;
    try {
      graph_.Begin();
    } catch (const std::bad_alloc&) {
      // Everything stays in the tail, which finds it too.
      return 0;
    }
  }
  return graph_.Link(most, yield);
}

absl::Status CodedSpaceIndex::AttachGraph(ImageSource& source) {
  if (graph_.exists()) return absl::FailedPreconditionError("the space has a graph already");
  try {
    slab_.MakeBits(slab_.size());
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("no memory for the bits of the rows of the image");
  }
  ENGRAM_ASSIGN_OR_RETURN(CodeGraph::Loaded loaded, CodeGraph::Load(slab_, graph_.options(), source));
  if (loaded.graph) graph_.Adopt(std::move(loaded.graph), loaded.end);
  return absl::OkStatus();
}

absl::Status CodedSpaceIndex::Load(ImageSource& source) {
  ENGRAM_ASSIGN_OR_RETURN(const uint64_t live, engram::LoadRows(source, slab_, arena_, ids_));
  live_.store(live, std::memory_order_relaxed);
  return absl::OkStatus();
}

absl::Status CodedSpaceIndex::SaveGraph(IndexView view, ImageSink& sink) const {
  // Before the graph: what lies below is in it, links and all.
  const Ordinal linked = std::min(graph_.linked(), view.visible);
  // What it has left out is dead by a record behind the view, which says so again.
  const std::shared_ptr<const CodeGraph> graph = graph_.Share(kNoOrdinal);
  return graph != nullptr ? graph->Save(linked, sink) : CodeGraph::SaveNone(graph_.options(), sink);
}

std::optional<Ordinal> CodedSpaceIndex::Find(std::string_view id, IndexView view) const {
  Ordinal ordinal = ids_.Newest(id);
  while (ordinal != kNoOrdinal && ordinal >= view.visible) ordinal = slab_.Previous(ordinal);
  if (ordinal == kNoOrdinal || !Live(ordinal, view)) return std::nullopt;
  return ordinal;
}

bool CodedSpaceIndex::WalkGraph(const SearchRequest& request, const CodeQuery& query, Ordinal linked, IndexView view,
                                SearchResult* result, TopK& near) const {
  const uint64_t live = this->live();
  if (linked == 0 || request.exact) return false;
  if (live <= options_.flat_threshold || live <= request.k) return false;
  const uint32_t ef = std::max(request.ef, request.k);
  CodeGraph::Scope scope = {.end = linked,
                            .visible = view.visible,
                            .most_compared = std::max(live / kWalkShare, ef * kFreePerWidth),
                            .among = request.filter};
  if (request.filter != nullptr) {
    const FilterChoice choice = ChooseForFilter(request.filter->estimate(), view.visible, ef);
    if (!choice.walk) return false;
    scope.most_compared = choice.most_compared;
  }
  const std::shared_ptr<const CodeGraph> graph = graph_.Share(view.visible);
  if (graph == nullptr) return false;
  const Stopwatch watch(request.clock, &result->walk_time);
  const std::optional<CodeGraph::Walk> walk = graph->Search(query, ef, scope, &result->graph_candidates);
  if (!walk) return false;
  for (const CodeGraph::Found& found : walk->found) near.Offer({found.ordinal, found.similarity});
  return true;
}

void CodedSpaceIndex::Read(const SearchRequest& request, const CodeQuery& query, TopK& near,
                           SearchResult* result) const {
  const Stopwatch watch(request.clock, &result->rerank_time);
  std::vector<Candidate> candidates;
  candidates.reserve(near.size());
  for (const SearchHit& hit : near.Take()) candidates.push_back(BoundedCandidate(slab_, query, hit.ordinal));
  Reranked reranked = RerankBest(options_.metric, request.query, SourceOf(request), candidates, request.k);
  result->hits = std::move(reranked.hits);
  result->read += reranked.read;
  result->unreadable = reranked.unreadable;
}

void CodedSpaceIndex::ScanTimed(const SearchRequest& request, const CodeQuery& query, const ScanScope& scope, TopK& near,
                                SearchResult* result) const {
  Stopwatch watch(request.clock, &result->scan_time);
  result->tail_scanned = ScanQuickly(slab_, query, scope, Sure(request), near);
  result->tail_time = watch.Stop();
}

void CodedSpaceIndex::Scan(const SearchRequest& request, const CodeQuery& query, const ScanScope& scope, TopK& near,
                           SearchResult* result) const {
  // What is dead is passed over, and neither rows nor a filter's estimate tell how much of them is.
  uint64_t some = std::min<uint64_t>(live(), scope.end);
  if (request.filter != nullptr) some = std::min(some, request.filter->estimate());
  if (!request.exact && some > kScannedExactly) {
    ScanTimed(request, query, scope, near, result);
    Read(request, query, near, result);
    return;
  }
  const Stopwatch watch(request.clock, &result->scan_time);
  RankedWish wish = {.k = request.k, .score = request.score};
  if (request.min_similarity) wish.min_similarity = *request.min_similarity;
  ExactScan scan = request.score == nullptr
                       ? ScanExact(slab_, request.query, scope, request.k, SourceOf(request))
                       : ScanRanked(slab_, request.query, scope, wish, SourceOf(request));
  result->hits = std::move(scan.hits);
  result->tail_scanned = scan.compared;
  result->read += scan.read;
  result->unreadable = scan.unreadable;
  result->exact = true;
}

SearchResult CodedSpaceIndex::Search(const SearchRequest& request, IndexView view) const {
  ENGRAM_CHECK(request.k >= 1 && request.oversample >= 1 && (request.score == nullptr || request.exact));
  const CodeQuery query(slab_.coder(), request.query);
  const uint64_t oversampled = uint64_t{request.k} * request.oversample;
  const auto wanted = static_cast<uint32_t>(std::min<uint64_t>(oversampled, UINT32_MAX));
  TopK near(wanted, view.visible);
  SearchResult result;
  // Before the walk: what is linked during it is compared in the tail.
  const Ordinal linked = std::min({graph_.linked(), view.visible, view.linked});
  ScanScope scope = {linked, view.visible, view.visible, request.filter};
  bool walked = WalkGraph(request, query, linked, view, &result, near);
  if (walked) {
    ScanTimed(request, query, scope, near, &result);
    // The graph promises nothing; k hits come back whenever k exist.
    walked = near.size() >= request.k;
    if (walked) Read(request, query, near, &result);
  }
  if (!walked) {
    near.Clear();
    result = {.graph_candidates = request.exact ? 0 : result.graph_candidates,
              .walk_time = result.walk_time,
              .scan_time = result.scan_time};
    scope.begin = 0;
    Scan(request, query, scope, near, &result);
  }
  if (request.min_similarity) {
    while (!result.hits.empty() && result.hits.back().similarity < *request.min_similarity) result.hits.pop_back();
  }
  return result;
}

uint64_t CodedSpaceIndex::link_backlog() const {
  if (live() <= options_.flat_threshold && !has_graph()) return 0;
  // In this order: what is linked has been seen to be there.
  const Ordinal linked = graph_.linked();
  return slab_.size() - linked;
}

uint64_t CodedSpaceIndex::resident_bytes() const {
  return sizeof(*this) + slab_.resident_bytes() + (rows_ ? rows_->ResidentBytes(slab_.size()) : 0) +
         arena_.resident_bytes() + ids_.resident_bytes() + graph_.resident_bytes();
}

}  // namespace

std::unique_ptr<SpaceIndex> SpaceIndex::Create(const IndexOptions& options) {
  return std::make_unique<CodedSpaceIndex>(options);
}

absl::StatusOr<std::unique_ptr<SpaceIndex>> SpaceIndex::LoadRows(const IndexOptions& options, ImageSource& source) {
  if (options.keep_rows) return absl::FailedPreconditionError("an image has no rows to keep");
  auto index = std::make_unique<CodedSpaceIndex>(options);
  ENGRAM_RETURN_IF_ERROR(index->Load(source));
  return index;
}

}  // namespace engram

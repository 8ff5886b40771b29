// The searchable side of one memory space: ids, codes of vectors and the graph over them.
//
// A slab of codes only grows; a vector's place in it is its *ordinal*. Ordinals [0, linked) may be in the graph, the
// *tail* [linked, visible) is scanned one by one, so what is appended is found at once. Up to `flat_threshold` live
// observations no graph is built and everything is tail. Codes choose whom to look at again; what a hit's similarity is
// tells its vector in full precision, which comes from the search's VectorSource.
//
// Threads:
//   writer   one at a time, the caller sees to it: Append, Forget, ForgetOrdinal.
//   linker   one at a time, beside the writer and the readers: Link, Rebuild, AttachGraph. Any number of others may take
//            a part of its Link (AssistLink) and make bits (MakeBits).
//   readers  any number at any time: everything const.
// Ownership: owns its memory; results hold copies (ids of hits are views that live as long as the index). A reader that
//            walks a graph shares it, so a graph that was replaced goes with the last walk over it.
// Blocking:  readers wait for the moment a pointer is copied, for what waits in the id map, and for their VectorSource;
//            never for a writer's batch, nor for linking.
// Errors:    std::bad_alloc may leave Append, Search and MakeBits, and then nothing has changed. An image may be
//            anything: a bad one is a status. All other input is the caller's to validate.
// Why:       docs/architecture.md, "life of a recall"; docs/decisions/0014-codes-in-memory.md; the graph is a cache that
//            catches up.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/types.h"
#include "index/hit_score.h"
#include "index/image.h"
#include "index/ordinal_set.h"
#include "index/vector_source.h"

namespace engram {

struct IndexOptions {
  Metric metric = Metric::kCosine;
  uint32_t dimension = 0;  // At least 1.
  uint64_t flat_threshold = 4000;
  uint32_t max_connections = 16;
  uint32_t ef_construction = 56;
  // Seeds the graph's levels: the same appends and links make the same graph.
  uint64_t seed = 1;
  // The vectors stay here in full precision too: nobody else has them.
  bool keep_rows = false;
};

// What a reader sees: the ordinals below `visible`. One view shows exactly one version of every id.
struct IndexView {
  Ordinal visible = 0;
  // Not more than this is looked for in the graph: linking leaves out what is dead by then, and it may live in this view.
  Ordinal linked = kNoOrdinal;
};

struct SearchRequest {
  std::span<const float> query;  // `dimension` finite elements; not zero under cosine.
  uint32_t k = 10;               // At least 1.
  uint32_t ef = 64;              // Width of the graph walk; at least k is used.
  bool exact = false;            // The best k for certain.
  // So many times k, the best by their codes, may be read in full precision. At least 1.
  uint32_t oversample = 3;
  // Where vectors are read. Null: the index keeps rows.
  const VectorSource* source = nullptr;
  // Null: no filter. Few matches are scanned, among many the graph is walked (index/filter_choice.h); either way k hits
  // come back whenever k exist.
  const OrdinalSet* filter = nullptr;
  std::optional<float> min_similarity;
  // With `exact` only: the best k by score, then similarity, then ordinal. Null: by similarity.
  const HitScore* score = nullptr;
  // Null: nothing is timed.
  const Clock* clock = nullptr;
};

struct SearchHit {
  Ordinal ordinal = kNoOrdinal;
  float similarity = 0;  // As engram.v1.Metric documents it; larger is closer.
};

struct SearchResult {
  std::vector<SearchHit> hits;  // By similarity (or score) descending, then ordinal ascending.
  uint64_t graph_candidates = 0;
  // By bits also those that are dead or do not pass the filter: to tell them apart would cost the scan a cache miss each.
  uint64_t tail_scanned = 0;
  // What looking at those took, where it was by codes alone.
  std::chrono::nanoseconds tail_time{0};
  // What walking the graph, comparing one by one, and reading and comparing in full precision took.
  std::chrono::nanoseconds walk_time{0};
  std::chrono::nanoseconds scan_time{0};
  std::chrono::nanoseconds rerank_time{0};
  // No vector that could be read is missing: not one that is live, passes the filter, and is closer than a hit.
  bool exact = false;
  uint64_t read = 0;        // Vectors that were read in full precision.
  uint64_t unreadable = 0;  // Those that could not be, and may have been hits.
};

class SpaceIndex {
 public:
  // Ids in one Append may repeat: the last one stays.
  struct Entry {
    std::string_view id;  // Not empty.
    EmbeddingView embedding;
  };

  struct Appended {
    Ordinal first = 0;      // Entries lie at first, first + 1, ...
    uint32_t replaced = 0;  // Earlier observations with the same id that are dead now.
  };

  static std::unique_ptr<SpaceIndex> Create(const IndexOptions& options);
  // The index whose rows SaveRows wrote, all of it tail; it serves at once, and AttachGraph or Link makes it fast.
  // DATA_LOSS for what is no image, FAILED_PRECONDITION for one of another version, metric or dimension, or when rows
  // are to be kept, which no image has; RESOURCE_EXHAUSTED when memory is out.
  static absl::StatusOr<std::unique_ptr<SpaceIndex>> LoadRows(const IndexOptions& options, ImageSource& source);
  virtual ~SpaceIndex() = default;

  // --- writer ---

  // Makes all entries visible in one step. A replaced ordinal dies in the same step.
  virtual Appended Append(std::span<const Entry> entries) = 0;
  // False when there is no live observation of that id. When it returns, no search that begins later finds it.
  virtual bool Forget(std::string_view id) = 0;
  virtual bool ForgetOrdinal(Ordinal ordinal) = 0;

  // --- linker ---

  // Inserts up to `most` ordinals into the graph, in order, stopping early when `yield` (null: never) answers true
  // between two. Returns how far `linked` moved. Does nothing while the space is below flat_threshold.
  virtual uint32_t Link(uint32_t most, const std::function<bool()>& yield) = 0;

  // Beside the linker: takes a part of the Link that is under way, if one is, until that ends or `yield` answers true.
  // Returns how many it inserted.
  virtual uint32_t AssistLink(const std::function<bool()>& yield) = 0;

  struct Rebuilt {
    bool moved = false;     // False: nothing is due, or nothing can be done about it now.
    bool replaced = false;  // The graph was replaced.
  };
  // Takes a graph of which more than a quarter is dead closer to being replaced by one over what lives, by up to `most`
  // insertions and as Link yields. Searches walk the old one until the new one has all that is linked. `spare` bytes may
  // be taken: what would not hold another graph begins none, and 0 gives up the one that is under way.
  virtual Rebuilt Rebuild(uint32_t most, uint64_t spare, const std::function<bool()>& yield) = 0;

  // Makes the bits of up to `most` ordinals, in order, which quicken a long scan of the tail; returns of how many. Link
  // makes those of what it links.
  virtual uint32_t MakeBits(uint32_t most) = 0;

  // Takes over the graph that SaveGraph wrote beside the rows this index was loaded from; ordinals beyond it stay tail.
  // After an error the index is as before, and Link begins from 0: DATA_LOSS and so on as LoadRows,
  // FAILED_PRECONDITION also for another number of connections, or when there is a graph already.
  virtual absl::Status AttachGraph(ImageSource& source) = 0;

  // --- readers ---

  // Write an image of the ordinals `view` shows: what is forgotten by now is, what dies later lives. The same rows give
  // the same bytes. Save the graph with the same view and soon after the rows: it holds what is linked by then, and the
  // further linking has got beyond the view, the more links are replaced by others.
  virtual absl::Status SaveRows(IndexView view, ImageSink& sink) const = 0;
  virtual absl::Status SaveGraph(IndexView view, ImageSink& sink) const = 0;

  virtual IndexView Pin() const = 0;
  virtual SearchResult Search(const SearchRequest& request, IndexView view) const = 0;
  // The live ordinal of `id` in `view`.
  virtual std::optional<Ordinal> Find(std::string_view id, IndexView view) const = 0;
  virtual bool Live(Ordinal ordinal, IndexView view) const = 0;
  // The versions of an id, newest first: the newest ordinal that ever had `id`, and the one before `ordinal` with its id.
  // kNoOrdinal when there is none. To the writer all of them are visible.
  virtual Ordinal Newest(std::string_view id) const = 0;
  virtual Ordinal Previous(Ordinal ordinal) const = 0;
  virtual std::string_view IdOf(Ordinal ordinal) const = 0;
  // The vector as it was given, widened to binary32: `dimension` elements. REQUIRES: options().keep_rows.
  virtual std::span<const float> KeptRow(Ordinal ordinal) const = 0;

  virtual const IndexOptions& options() const = 0;
  virtual uint64_t size() const = 0;    // Ordinals, dead ones included.
  virtual uint64_t live() const = 0;
  virtual uint64_t linked() const = 0;  // Ordinals the graph accounts for; 0 without a graph.
  // Ordinals that wait to be linked: size - linked above flat_threshold, else 0.
  virtual uint64_t link_backlog() const = 0;
  bool linking_due() const { return graph_due() || bits_due(); }
  // There is something to link or to rebuild.
  virtual bool graph_due() const = 0;
  // There is a tail so long that bits would quicken its scan, and they have not been made, or not to its end.
  // A graph's own linking makes those of what lies behind it.
  virtual bool bits_due() const = 0;
  // Rows without bits; 0 where none are made.
  virtual uint64_t bits_backlog() const = 0;
  virtual bool has_graph() const = 0;
  // Of the graph's nodes: exact when nothing waits to be linked, else no more than that.
  virtual double graph_dead_share() const = 0;
  virtual uint64_t resident_bytes() const = 0;
};

// What a vector must be before it is appended or searched for; checked by whoever lets it in.
struct VectorCheck {
  bool finite = false;
  bool zero = false;  // Its norm is 0 or too small to divide by.
};
VectorCheck CheckVector(EmbeddingView embedding);
// Widens to binary32. `out` holds `embedding.dimension` elements.
void WidenVector(EmbeddingView embedding, std::span<float> out);
// Rounds a vector of binary32 to binary16, which takes `2 * dimension` bytes. False when it would not be the same vector to
// within 2^-10 of its norm: its largest magnitude is not in 2^-7 .. 65504. REQUIRES: its elements are finite.
bool NarrowVector(EmbeddingView embedding, std::byte* out);
// The name of the kernels in use: "avx512", "avx2" or "portable".
std::string_view KernelName();

}  // namespace engram

// The searchable side of one memory space: ids, vectors and the graph over them.
//
// A slab of vectors only grows; a vector's place in it is its *ordinal*. Ordinals [0, linked) may be in the graph, the
// *tail* [linked, visible) is scanned one by one, so what is appended is found at once. Up to `flat_threshold` live
// observations no graph is built and everything is tail.
//
// Threads:
//   writer   one at a time, the caller sees to it: Append, Forget, ForgetOrdinal.
//   linker   one at a time, beside the writer and the readers: Link, AttachGraph.
//   readers  any number at any time: everything const.
// Ownership: owns its memory; results hold copies (ids of hits are views that live as long as the index).
// Blocking:  readers wait for a node's links or, in the graph, for an entry-point change; never for a writer's batch.
// Errors:    std::bad_alloc may leave Append, and then nothing has changed. An image may be anything: a bad one is a
//            status. All other input is the caller's to validate.
// Why:       docs/architecture.md, "life of a recall"; the graph is a cache that catches up.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "index/image.h"
#include "index/ordinal_set.h"

namespace engram {

struct IndexOptions {
  Metric metric = Metric::kCosine;
  uint32_t dimension = 0;  // At least 1.
  uint64_t flat_threshold = 4000;
  uint32_t max_connections = 16;
  uint32_t ef_construction = 200;
  // Seeds the graph's levels: the same appends and links make the same graph.
  uint64_t seed = 1;
};

// What a reader sees: the ordinals below `visible`. One view shows exactly one version of every id.
struct IndexView {
  Ordinal visible = 0;
};

struct SearchRequest {
  std::span<const float> query;  // `dimension` finite elements; not zero under cosine.
  uint32_t k = 10;               // At least 1.
  uint32_t ef = 64;              // Width of the graph walk; at least k is used.
  bool exact = false;            // Scan everything.
  // Null: no filter. Few matches are scanned, among many the graph is walked (index/filter_choice.h); either way k hits
  // come back whenever k exist.
  const OrdinalSet* filter = nullptr;
  std::optional<float> min_similarity;
};

struct SearchHit {
  Ordinal ordinal = kNoOrdinal;
  float similarity = 0;  // As engram.v1.Metric documents it; larger is closer.
};

struct SearchResult {
  std::vector<SearchHit> hits;  // By similarity descending, then ordinal ascending.
  uint64_t graph_candidates = 0;
  uint64_t tail_scanned = 0;
  bool exact = false;
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
  // DATA_LOSS for what is no image, FAILED_PRECONDITION for one of another version, metric or dimension,
  // RESOURCE_EXHAUSTED when memory is out.
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
  // The vector as it was given, widened to binary32: `dimension` elements.
  virtual std::span<const float> VectorOf(Ordinal ordinal) const = 0;

  virtual const IndexOptions& options() const = 0;
  virtual uint64_t size() const = 0;    // Ordinals, dead ones included.
  virtual uint64_t live() const = 0;
  virtual uint64_t linked() const = 0;  // Ordinals the graph accounts for; 0 without a graph.
  // Ordinals that wait to be linked: size - linked above flat_threshold, else 0.
  virtual uint64_t link_backlog() const = 0;
  virtual bool has_graph() const = 0;
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
// The name of the kernels in use: "avx512", "avx2" or "portable".
std::string_view KernelName();

}  // namespace engram

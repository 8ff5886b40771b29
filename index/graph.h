// A navigable graph over the vectors of a slab: hierarchical, small-world, approximate.
//
// Threads:   Insert, Search and Save from any number of threads at once; size and resident_bytes too.
// Ownership: the slab and the similarity outlive the graph.
// Blocking:  a search waits for the links of a node that is being written, and for the first insertion, a new top level
//            or a doubling of the capacity, which are rare and exclude everything else. Save holds up those for a few
//            hundred nodes at a time, and nobody while it writes to its sink.
// Errors:    Insert and Search answer false or nothing when memory runs out; what is in the graph stays usable. Only the
//            constructor throws (std::bad_alloc). Load: DATA_LOSS for what is no image, FAILED_PRECONDITION for one of
//            another version or number of connections, RESOURCE_EXHAUSTED when memory is out.
// Why:       hnswlib has the algorithm but not the contract: its public calls are unsafe beside each other, keep their
//            own copy of each vector and know no views. docs/decisions/0007 has the list.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/types.h"
#include "index/image.h"
#include "index/level_generator.h"
#include "index/ordinal_set.h"
#include "index/similarity.h"
#include "index/slab.h"

namespace engram {

struct GraphOptions {
  uint32_t max_connections = 16;
  uint32_t ef_construction = 200;
  uint64_t seed = 1;
};

class Graph {
 public:
  struct Found {
    Ordinal ordinal = kNoOrdinal;
    float similarity = 0;
  };

  struct Walk {
    std::vector<Found> found;  // Each ordinal once, in no order.
    uint64_t compared = 0;     // Nodes a similarity was computed for.
  };

  // What a walk returns: ordinals below `end` that are live in the view that ends at `visible`, and in `among` unless that
  // is null. Others are passed through. A walk that compares more than `most_compared` nodes gives up.
  struct Scope {
    Ordinal end = 0;
    Ordinal visible = 0;
    uint64_t most_compared = UINT64_MAX;
    const OrdinalSet* among = nullptr;
  };

  Graph(const Slab& slab, const Similarity& similarity, const GraphOptions& options, uint32_t capacity);
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  // Links a published ordinal, at the level the generator gives it or at `level`. After false it may be inserted again.
  bool Insert(Ordinal ordinal);
  bool Insert(Ordinal ordinal, uint32_t level);

  // The best `ef` in scope that the walk met; nothing when it gave up.
  std::optional<Walk> Search(const Similarity::Query& query, uint32_t ef, const Scope& scope) const;

  // An image of the nodes whose ordinals lie below `end`, as index/graph_image.cc describes it. Links to others are
  // replaced by what those lead to. REQUIRES: ordinals were inserted in order, and those below `end` are.
  absl::Status Save(Ordinal end, ImageSink& sink) const;

  // The image of a graph without nodes.
  static absl::Status SaveNone(const GraphOptions& options, ImageSink& sink);

  struct Loaded {
    std::unique_ptr<Graph> graph;  // Null: the image holds no node.
    Ordinal end = 0;               // What Save was called with.
  };
  // REQUIRES: the rows the image was saved over lie in `slab`, at the same ordinals. An image that names ordinals which
  // are not published is refused; one that was saved over other rows finds less.
  static absl::StatusOr<Loaded> Load(const Slab& slab, const Similarity& similarity, const GraphOptions& options,
                                     ImageSource& source);

  uint64_t size() const;
  uint64_t resident_bytes() const;

 private:
  class Links;
  std::unique_ptr<Links> links_;
};

}  // namespace engram

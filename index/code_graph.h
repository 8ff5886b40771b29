// A navigable graph over the codes of a slab: hierarchical, small-world, approximate.
//
// Nodes are ordinals. Where the coder makes bits, walks go by those and what they come back with is ranked by bytes;
// elsewhere by bytes alone. Similarities are estimates: whoever answers a recall ranks again with full precision.
//
// Threads:   Insert, Search and Save from any number of threads at once; size and resident_bytes too. An ordinal is
//            inserted by one thread.
// Ownership: the slab outlives the graph.
// Blocking:  Search and Save wait for nobody. Insert waits for another one that writes the same list, and for the first
//            insertion and those that raise the top level.
// Errors:    Insert answers false and Search nothing when memory runs out; what is in the graph stays usable. Load:
//            DATA_LOSS for what is no image, FAILED_PRECONDITION for one of another version or number of connections,
//            RESOURCE_EXHAUSTED when memory is out.
// Why:       docs/decisions/0015-a-graph-over-codes.md
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/types.h"
#include "index/code_query.h"
#include "index/code_slab.h"
#include "index/image.h"
#include "index/ordinal_set.h"

namespace engram {

struct CodeGraphOptions {
  uint32_t max_connections = 16;
  uint32_t ef_construction = 56;
  uint64_t seed = 1;
};

class CodeGraph {
 public:
  struct Found {
    Ordinal ordinal = kNoOrdinal;
    float similarity = 0;  // Estimated from the codes.
  };

  struct Walk {
    std::vector<Found> found;  // Each ordinal once, in no order.
    uint64_t compared = 0;     // How often a distance was taken on the way.
  };

  // What a walk returns: ordinals below `end` that are live in the view that ends at `visible` and pass the filter.
  // Others are passed through. A walk that compares more than `most_compared` nodes gives up.
  struct Scope {
    Ordinal end = 0;
    Ordinal visible = 0;
    uint64_t most_compared = UINT64_MAX;
    const OrdinalSet* among = nullptr;  // Null: no filter.
  };

  CodeGraph(const CodeSlab& slab, const CodeGraphOptions& options);
  ~CodeGraph();
  CodeGraph(const CodeGraph&) = delete;
  CodeGraph& operator=(const CodeGraph&) = delete;

  // Links a published ordinal, at the level the generator gives it or at `level`. Does nothing for one that is linked.
  // After false it may be inserted again.
  bool Insert(Ordinal ordinal);
  bool Insert(Ordinal ordinal, uint32_t level);

  // The best `ef` in scope that the walk met; nothing when it gave up. `compared`, if given, is told how often a distance
  // was taken either way.
  std::optional<Walk> Search(const CodeQuery& query, uint32_t ef, const Scope& scope, uint64_t* compared = nullptr) const;

  // An image of the nodes below `end`, as index/code_graph_image.cc describes it. Links to others are replaced by what
  // those lead to. REQUIRES: Insert has returned for the nodes below `end`.
  absl::Status Save(Ordinal end, ImageSink& sink) const;

  // The image of a graph without nodes.
  static absl::Status SaveNone(const CodeGraphOptions& options, ImageSink& sink);

  struct Loaded {
    std::unique_ptr<CodeGraph> graph;  // Null: the image holds no node.
    Ordinal end = 0;                   // What Save was called with.
  };
  // REQUIRES: the codes the image was saved over lie in `slab`, at the same ordinals. An image that names ordinals which
  // are not published is refused; one that was saved over other codes finds less.
  static absl::StatusOr<Loaded> Load(const CodeSlab& slab, const CodeGraphOptions& options, ImageSource& source);

  uint64_t size() const;
  uint64_t resident_bytes() const;

 private:
  class Nodes;
  std::unique_ptr<Nodes> nodes_;
};

}  // namespace engram

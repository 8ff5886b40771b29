// Vectors in a coded slab, for the tests of the graph over it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/base/types.h"
#include "index/code_graph.h"
#include "index/code_query.h"
#include "index/code_slab.h"
#include "tests/index/vectors.h"

namespace engram::testing {

inline void Fill(CodeSlab& slab, const std::vector<Vector>& vectors) {
  slab.Reserve(static_cast<Ordinal>(vectors.size()));
  for (Ordinal o = 0; o < vectors.size(); ++o) slab.Append(o, vectors[o].data());
  slab.Publish(static_cast<Ordinal>(vectors.size()));
  slab.MakeBits(slab.size());
}

// The `k` live ordinals that are the closest, in full precision.
inline std::vector<Ordinal> Nearest(const CodeSlab& slab, Metric metric, const std::vector<Vector>& vectors,
                                    const Vector& query, size_t k) {
  std::vector<std::pair<double, Ordinal>> all;
  for (Ordinal o = 0; o < vectors.size(); ++o) {
    if (slab.DiedAt(o) == CodeSlab::kLive) all.emplace_back(-ExactSimilarity(metric, query, vectors[o]), o);
  }
  k = std::min(k, all.size());
  std::partial_sort(all.begin(), all.begin() + static_cast<ptrdiff_t>(k), all.end());
  std::vector<Ordinal> nearest;
  for (size_t i = 0; i < k; ++i) nearest.push_back(all[i].second);
  return nearest;
}

// What a recall makes of a walk: the best 30 of it ranked again in full precision, and the best 10 of those.
inline std::vector<Ordinal> Reranked(std::vector<CodeGraph::Found> found, Metric metric,
                                     const std::vector<Vector>& vectors, const Vector& query) {
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.similarity > b.similarity; });
  found.resize(std::min<size_t>(found.size(), 30));
  std::vector<std::pair<double, Ordinal>> exact;
  for (const auto& f : found) exact.emplace_back(-ExactSimilarity(metric, query, vectors[f.ordinal]), f.ordinal);
  std::sort(exact.begin(), exact.end());
  std::vector<Ordinal> best;
  for (size_t i = 0; i < std::min<size_t>(exact.size(), 10); ++i) best.push_back(exact[i].second);
  return best;
}

}  // namespace engram::testing

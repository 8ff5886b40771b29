// Any bytes as the image of an index: a status, or an index that answers, goes on growing and saves what it loaded.
//
// Input: metric, dimension, connections, one byte each; the length of the rows' image, u16; it; the graph's image.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "core/base/check.h"
#include "index/space_index.h"
#include "tests/index/memory_image.h"
#include "tests/index/vectors.h"

namespace engram {
namespace {

using testing::AttachedGraph;
using testing::Bytes;
using testing::LoadedRows;
using testing::SavedGraph;
using testing::SavedRows;

void Use(SpaceIndex& index) {
  const IndexView view = index.Pin();
  uint64_t live = 0;
  for (Ordinal o = 0; o < view.visible; ++o) {
    if (!index.Live(o, view)) continue;
    ++live;
    ENGRAM_CHECK(index.Find(index.IdOf(o), view) == o);
  }
  ENGRAM_CHECK(live == index.live());
  const std::vector<float> query(index.options().dimension, 0.5f);
  // Not what the codes are of: those may be anything.
  const testing::VectorsBy vectors([&query](Ordinal o) { return testing::Vector(query.size(), o % 2 == 0 ? 0.5f : 1.0f); });
  for (const bool exact : {false, true}) {
    SearchRequest request;
    request.query = query;
    request.exact = exact;
    request.source = &vectors;
    const SearchResult result = index.Search(request, view);
    ENGRAM_CHECK(result.hits.size() == std::min<uint64_t>(live, request.k));
    for (const SearchHit& hit : result.hits) {
      ENGRAM_CHECK(index.Live(hit.ordinal, view) && std::isfinite(hit.similarity));
    }
  }
}

void Grow(SpaceIndex& index) {
  std::vector<float> vector(index.options().dimension, 1.0f);
  for (int i = 0; i < 20; ++i) {
    vector[static_cast<size_t>(i) % vector.size()] += 0.25f;
    const std::string id = "new" + std::to_string(i % 15);
    const EmbeddingView embedding = {reinterpret_cast<const std::byte*>(vector.data()), index.options().dimension,
                                     Encoding::kF32};
    const SpaceIndex::Entry entry = {id, embedding};
    index.Append({&entry, 1});
  }
  index.Forget("new3");
  while (index.link_backlog() != 0 && index.Link(8, nullptr) != 0) continue;
}

}  // namespace
}  // namespace engram

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 5) return 0;
  engram::IndexOptions options;
  options.metric = static_cast<engram::Metric>(1 + data[0] % 3);
  options.dimension = 1 + data[1] % 40;
  options.max_connections = 2 + data[2] % 6;
  options.ef_construction = 10;
  options.flat_threshold = 0;
  uint16_t row_bytes = 0;
  std::memcpy(&row_bytes, data + 3, sizeof(row_bytes));
  const auto rest = std::as_bytes(std::span(data + 5, size - 5));
  const auto rows = rest.first(std::min<size_t>(row_bytes, rest.size()));
  const auto index = engram::LoadedRows(options, rows);
  if (!index.ok()) return 0;
  engram::SpaceIndex& space = **index;
  engram::Use(space);
  // One image for each state: what was taken is what is given back.
  const engram::Bytes again = engram::SavedRows(space, space.Pin());
  ENGRAM_CHECK(std::equal(again.begin(), again.end(), rows.begin(), rows.end()));

  const bool attached = engram::AttachedGraph(space, rest.subspan(rows.size())).ok();
  ENGRAM_CHECK(attached || !space.has_graph());
  engram::Use(space);
  engram::Grow(space);
  engram::Use(space);
  const auto copy = engram::LoadedRows(options, engram::SavedRows(space, space.Pin()));
  ENGRAM_CHECK(copy.ok());
  ENGRAM_CHECK(engram::AttachedGraph(**copy, engram::SavedGraph(space, space.Pin())).ok());
  ENGRAM_CHECK((*copy)->linked() == space.linked() || !space.has_graph());
  return 0;
}

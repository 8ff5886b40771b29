#include "tests/index/stock_hnswlib.h"

// Its functions and classes go by other names here than in index/graph_links.h, which leaves its kernels out.
// This file is compiled for the processor it runs on, or the library would leave its AVX kernels out.
#define hnswlib stock_hnswlib
#define cpuid stock_cpuid
#define xgetbv stock_xgetbv
#define AVXCapable StockAvxCapable
#define AVX512Capable StockAvx512Capable
#include <hnswlib/hnswlib.h>

namespace engram::testing {

struct StockHnswlib::Index {
  Index(uint32_t dimension, size_t capacity, uint32_t max_connections, uint32_t ef_construction)
      : space(dimension), graph(&space, capacity, max_connections, ef_construction) {}
  hnswlib::InnerProductSpace space;
  hnswlib::HierarchicalNSW<float> graph;
};

StockHnswlib::StockHnswlib(uint32_t dimension, size_t capacity, uint32_t max_connections, uint32_t ef_construction)
    : index_(std::make_unique<Index>(dimension, capacity, max_connections, ef_construction)) {}
StockHnswlib::~StockHnswlib() = default;

void StockHnswlib::Add(const float* vector, uint32_t label) { index_->graph.addPoint(vector, label); }

std::vector<uint32_t> StockHnswlib::Search(const float* query, uint32_t k, uint32_t ef) {
  index_->graph.setEf(ef);
  auto found = index_->graph.searchKnn(query, k);
  std::vector<uint32_t> labels;
  for (; !found.empty(); found.pop()) labels.push_back(static_cast<uint32_t>(found.top().second));
  return labels;
}

}  // namespace engram::testing

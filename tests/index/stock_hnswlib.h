// hnswlib as it comes, the baseline of index_bench: its own vectors, kernels, addPoint and searchKnn.
//
// Threads: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace engram::testing {

class StockHnswlib {
 public:
  StockHnswlib(uint32_t dimension, size_t capacity, uint32_t max_connections, uint32_t ef_construction);
  ~StockHnswlib();

  // Unit vectors: it compares by inner product.
  void Add(const float* vector, uint32_t label);
  std::vector<uint32_t> Search(const float* query, uint32_t k, uint32_t ef);

 private:
  struct Index;
  std::unique_ptr<Index> index_;
};

}  // namespace engram::testing

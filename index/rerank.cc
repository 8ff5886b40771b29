#include "index/rerank.h"

#include <algorithm>
#include <cmath>

#include "core/base/status.h"
#include "index/kernels.h"

namespace engram {

Reranker::Reranker(Metric metric, std::span<const float> query, const VectorSource& source)
    : dimension_(static_cast<uint32_t>(query.size())),
      similarity_(metric, dimension_, dimension_, BestKernels()),
      query_(similarity_.Prepare(query)),
      source_(source) {}

absl::Status Reranker::Offer(std::span<const Ordinal> ordinals, TopK& top) {
  sorted_.assign(ordinals.begin(), ordinals.end());
  std::sort(sorted_.begin(), sorted_.end());
  rows_.resize(sorted_.size() * dimension_);
  ENGRAM_RETURN_IF_ERROR(source_.Read(sorted_, rows_.data()));
  read_ += sorted_.size();
  for (size_t i = 0; i < sorted_.size(); ++i) {
    const float* const row = rows_.data() + i * dimension_;
    if (std::isnan(row[0])) {
      ++unreadable_;
      continue;
    }
    top.Offer({sorted_[i], similarity_.Of(query_, row, similarity_.InverseNorm(row))});
  }
  return absl::OkStatus();
}

}  // namespace engram

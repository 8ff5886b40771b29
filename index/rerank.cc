#include "index/rerank.h"

#include <algorithm>
#include <cmath>

#include "index/kernels.h"

namespace engram {

Reranker::Reranker(Metric metric, std::span<const float> query, const VectorSource& source)
    : dimension_(static_cast<uint32_t>(query.size())),
      similarity_(metric, dimension_, dimension_, BestKernels()),
      query_(similarity_.Prepare(query)),
      source_(source) {}

void Reranker::Offer(std::span<const Ordinal> ordinals, TopK& top) {
  sorted_.assign(ordinals.begin(), ordinals.end());
  std::sort(sorted_.begin(), sorted_.end());
  rows_.resize(sorted_.size() * dimension_);
  source_.Read(sorted_, rows_.data());
  read_ += sorted_.size();
  for (size_t i = 0; i < sorted_.size(); ++i) {
    const float* const row = rows_.data() + i * dimension_;
    if (std::isnan(row[0])) {
      unreadable_.push_back(sorted_[i]);
      continue;
    }
    top.Offer({sorted_[i], similarity_.Of(query_, row, similarity_.InverseNorm(row))});
  }
}

Reranked RerankBest(Metric metric, std::span<const float> query, const VectorSource& source,
                    std::vector<Candidate>& candidates, uint32_t k) {
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.high != b.high ? a.high > b.high : a.ordinal < b.ordinal;
  });
  Reranker reranker(metric, query, source);
  TopK top(k, candidates.size());
  std::vector<Ordinal> batch;
  // The first k are read in any case, and then a few at a time.
  size_t step = std::min<size_t>(k, candidates.size());
  for (size_t at = 0; at < candidates.size() && candidates[at].high >= top.floor();) {
    batch.clear();
    for (; at < candidates.size() && batch.size() < step && candidates[at].high >= top.floor(); ++at) {
      batch.push_back(candidates[at].ordinal);
    }
    reranker.Offer(batch, top);
    step = std::max<size_t>(4, step / 2);
  }
  Reranked result;
  result.read = reranker.read();
  if (!reranker.unreadable().empty()) {
    std::vector<Ordinal> unreadable(reranker.unreadable().begin(), reranker.unreadable().end());
    std::sort(unreadable.begin(), unreadable.end());
    for (const Candidate& candidate : candidates) {
      if (candidate.high < top.floor()) break;
      result.unreadable += std::binary_search(unreadable.begin(), unreadable.end(), candidate.ordinal);
    }
  }
  result.hits = top.Take();
  return result;
}

}  // namespace engram

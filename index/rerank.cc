#include "index/rerank.h"

#include <algorithm>

#include "index/kernels.h"

namespace engram {

Reranker::Reranker(Metric metric, std::span<const float> query, const VectorSource& source)
    : dimension_(static_cast<uint32_t>(query.size())),
      similarity_(metric, dimension_, dimension_, BestKernels()),
      query_(similarity_.Prepare(query)),
      source_(source) {}

void Reranker::Read(std::span<const Ordinal> ordinals) {
  sorted_.assign(ordinals.begin(), ordinals.end());
  std::sort(sorted_.begin(), sorted_.end());
  rows_.resize(sorted_.size() * dimension_);
  source_.Read(sorted_, rows_.data());
  read_ += sorted_.size();
}

void Reranker::KeepOnly(std::vector<Ordinal>& ordinals) {
  std::sort(ordinals.begin(), ordinals.end());
  source_.KeepOnly(ordinals);
  told_at_ = read_;
}

Reranked RerankBest(Metric metric, std::span<const float> query, const VectorSource& source,
                    std::vector<Candidate>& candidates, uint32_t k) {
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.high != b.high ? a.high > b.high : a.ordinal < b.ordinal;
  });
  Reranker reranker(metric, query, source);
  TopK top(k, candidates.size());
  std::vector<Ordinal> some;
  ReadSteps steps(std::min<size_t>(k, candidates.size()));
  for (size_t at = 0; at < candidates.size() && candidates[at].high >= top.floor();) {
    some.clear();
    const size_t step = steps.Next();
    for (; at < candidates.size() && some.size() < step && candidates[at].high >= top.floor(); ++at) {
      some.push_back(candidates[at].ordinal);
    }
    reranker.Offer(some, top);
    if (!reranker.holds_many()) continue;
    some.clear();
    for (const SearchHit& hit : top.hits()) some.push_back(hit.ordinal);
    reranker.KeepOnly(some);
  }
  Reranked result;
  result.read = reranker.read();
  result.unreadable = reranker.CountUnreadable([&](const auto& count) {
    for (const Candidate& candidate : candidates) {
      if (candidate.high < top.floor()) break;
      count(candidate.ordinal);
    }
  });
  result.hits = top.Take();
  return result;
}

}  // namespace engram

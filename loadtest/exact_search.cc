#include "loadtest/exact_search.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace engram {
namespace {

// Two similarities closer than this are one: the embeddings have eleven bits.
constexpr double kEqual = 1e-6;

double Dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += double{a[i]} * double{b[i]};
  return sum;
}

}  // namespace

ExactSearch::ExactSearch(const Matrix& matrix) : matrix_(matrix) {
  for (size_t row = 0; row < matrix.rows(); ++row) {
    norms_.push_back(std::sqrt(Dot(matrix.row(row), matrix.row(row))));
  }
}

double ExactSearch::Similarity(std::span<const float> cue, size_t row) const {
  return Dot(cue, matrix_.row(row)) / (std::sqrt(Dot(cue, cue)) * norms_[row]);
}

std::vector<ExactSearch::Neighbour> ExactSearch::Best(std::span<const float> cue, size_t k) const {
  const double cue_norm = std::sqrt(Dot(cue, cue));
  std::vector<Neighbour> all;
  all.reserve(matrix_.rows());
  for (size_t row = 0; row < matrix_.rows(); ++row) {
    all.push_back({Dot(cue, matrix_.row(row)) / (cue_norm * norms_[row]), row});
  }
  k = std::min(k, all.size());
  std::partial_sort(all.begin(), all.begin() + static_cast<ptrdiff_t>(k), all.end(),
                    [](const Neighbour& a, const Neighbour& b) {
                      return a.similarity != b.similarity ? a.similarity > b.similarity : a.row < b.row;
                    });
  all.resize(k);
  return all;
}

size_t ExactSearch::CountCorrect(std::span<const float> cue, std::span<const size_t> rows, size_t k) const {
  const std::vector<Neighbour> best = Best(cue, k);
  if (best.empty()) return 0;
  const double worst = best.back().similarity - kEqual;
  const std::set<size_t> distinct(rows.begin(), rows.end());
  const auto correct =
      std::count_if(distinct.begin(), distinct.end(), [&](size_t row) { return Similarity(cue, row) >= worst; });
  return std::min(static_cast<size_t>(correct), best.size());
}

}  // namespace engram

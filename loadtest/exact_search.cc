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

// Rows kept beyond k while single precision chooses: what it takes for equal lies within its error.
constexpr size_t kSpare = 16;

// Eight sums side by side, which the compiler keeps in vector registers.
float QuickDot(std::span<const float> a, std::span<const float> b) {
  constexpr size_t kSums = 8;
  using Sums [[gnu::vector_size(kSums * sizeof(float)), gnu::aligned(4), gnu::may_alias]] = float;
  Sums sums = {};
  const size_t whole = a.size() - a.size() % kSums;
  for (size_t i = 0; i < whole; i += kSums) {
    sums += *reinterpret_cast<const Sums*>(a.data() + i) * *reinterpret_cast<const Sums*>(b.data() + i);
  }
  float sum = 0;
  for (size_t i = 0; i < kSums; ++i) sum += sums[i];
  for (size_t i = whole; i < a.size(); ++i) sum += a[i] * b[i];
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

std::vector<std::vector<ExactSearch::Neighbour>> ExactSearch::BestForEach(const Matrix& cues, size_t k,
                                                                          std::span<const uint32_t> users) const {
  const auto better = [](const Neighbour& a, const Neighbour& b) {
    return a.similarity != b.similarity ? a.similarity > b.similarity : a.row < b.row;
  };
  const size_t kept = k + kSpare;
  // Heaps with the worst in front.
  std::vector<std::vector<Neighbour>> best(cues.rows());
  for (size_t row = 0; row < matrix_.rows(); ++row) {
    if (!users.empty() && users[row] == 0) continue;
    for (size_t cue = 0; cue < cues.rows(); ++cue) {
      std::vector<Neighbour>& heap = best[cue];
      const Neighbour neighbour{QuickDot(cues.row(cue), matrix_.row(row)) / norms_[row], row};
      if (heap.size() == kept && !better(neighbour, heap.front())) continue;
      if (heap.size() == kept) {
        std::pop_heap(heap.begin(), heap.end(), better);
        heap.pop_back();
      }
      heap.push_back(neighbour);
      std::push_heap(heap.begin(), heap.end(), better);
    }
  }
  for (size_t cue = 0; cue < cues.rows(); ++cue) {
    for (Neighbour& neighbour : best[cue]) neighbour.similarity = Similarity(cues.row(cue), neighbour.row);
    std::sort(best[cue].begin(), best[cue].end(), better);
    std::vector<Neighbour> counted;
    for (const Neighbour& neighbour : best[cue]) {
      const size_t times = users.empty() ? 1 : users[neighbour.row];
      counted.insert(counted.end(), std::min(times, k - counted.size()), neighbour);
    }
    best[cue] = std::move(counted);
  }
  return best;
}

size_t ExactSearch::CountCorrect(std::span<const float> cue, std::span<const size_t> rows, size_t k) const {
  const std::set<size_t> distinct(rows.begin(), rows.end());
  return CountCorrect(cue, std::vector<size_t>(distinct.begin(), distinct.end()), Best(cue, k));
}

size_t ExactSearch::CountCorrect(std::span<const float> cue, std::span<const size_t> rows,
                                 std::span<const Neighbour> best) const {
  if (best.empty()) return 0;
  const double worst = best.back().similarity - kEqual;
  const auto correct =
      std::count_if(rows.begin(), rows.end(), [&](size_t row) { return Similarity(cue, row) >= worst; });
  return std::min(static_cast<size_t>(correct), best.size());
}

}  // namespace engram

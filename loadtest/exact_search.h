// Exact nearest neighbours by cosine, in double precision: what a recall is judged against.
//
// Threads: any; constant after construction. The matrix must outlive it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "loadtest/dataset.h"

namespace engram {

class ExactSearch {
 public:
  explicit ExactSearch(const Matrix& matrix);

  double Similarity(std::span<const float> cue, size_t row) const;
  // The k best rows and their similarities, best first; ties by row.
  struct Neighbour {
    double similarity;
    size_t row;
  };
  std::vector<Neighbour> Best(std::span<const float> cue, size_t k) const;

  // The same for each cue, a block of rows at a time, in single precision first and exactly for the best of those; each
  // row as often as `users` says (empty: once). `users` as LiveRows has them.
  std::vector<std::vector<Neighbour>> BestForEach(const Matrix& cues, size_t k, std::span<const uint32_t> users) const;

  // How many of `rows` belong to the best k. A row as similar as the k-th belongs: which of equals is returned is no
  // error.
  size_t CountCorrect(std::span<const float> cue, std::span<const size_t> rows, size_t k) const;
  // The same with the best already known, each of `rows` counted as often as it stands there: two ids may stand for one
  // row.
  size_t CountCorrect(std::span<const float> cue, std::span<const size_t> rows,
                      std::span<const Neighbour> best) const;

 private:
  const Matrix& matrix_;
  std::vector<double> norms_;
};

}  // namespace engram

// How far chance alone moves the median of a few rounds.
//
// Threads: pure functions. Errors: none.
// Why:     rounds are few, so Student's t and not the normal distribution; and what is tested is many figures at once, so
//          chances far smaller than tables have, of any number of degrees of freedom.
#pragma once

#include <vector>

namespace engram {

// The chance that Student's t with so many degrees of freedom (a fraction of one may be among them) is above `t`.
// REQUIRES: t > 0, freedom >= 1.
double StudentTail(double t, double freedom);
// What Student's t is above with this chance. REQUIRES: 0 < chance <= 0.1, freedom >= 1.
double StudentQuantile(double chance, double freedom);

// The error of a figure, and how well it is known.
struct MedianError {
  double error = 0;
  double freedom = 1;

  // How far chance moves the figure one way, but for one in 1 / `chance` times.
  double Reach(double chance) const { return StudentQuantile(chance, freedom) * error; }
};
// Of the median of the values. REQUIRES: at least two values.
MedianError ErrorOfMedian(const std::vector<double>& values);
// Of the difference of the medians of both, whose spreads may differ. REQUIRES: at least two values each.
MedianError ErrorOfDifference(const std::vector<double>& one, const std::vector<double>& other);

// Logarithms, so that half and twice are as far from one. What is none of a positive number is that of a very small one.
std::vector<double> LogsOf(std::vector<double> values);

}  // namespace engram

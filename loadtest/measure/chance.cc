#include "loadtest/measure/chance.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace engram {
namespace {

// The median of normal values varies by so much more than their mean: of infinitely many by sqrt(pi / 2), of three by
// 1.16.
const double kMedianBesideMean = std::sqrt(std::numbers::pi / 2);
// Beyond it the distribution is the normal one to three digits, and the gamma function still has a value.
constexpr double kMostFreedom = 200;
constexpr double kLeastPositive = 1e-12;

double VarianceOf(const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  double mean = 0, squares = 0;
  for (const double value : values) mean += value / count;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return squares / (count - 1);
}

}  // namespace

// Half of the incomplete beta function I_x(a, 1/2), a = freedom / 2, x = freedom / (freedom + t^2), by its series
//   x^a (1 - x)^(1/2) / (a B(a, 1/2)) * (1 + (a + 1/2)/(a + 1) x + (a + 1/2)(a + 3/2)/((a + 1)(a + 2)) x^2 + ...),
// whose terms are all positive, so that small chances keep their digits.
double StudentTail(double t, double freedom) {
  const double a = std::min(freedom, kMostFreedom) / 2;
  const double x = 2 * a / (2 * a + t * t);
  const double beta = std::tgamma(a) * std::sqrt(std::numbers::pi) / std::tgamma(a + 0.5);
  double sum = 0, term = 1;
  // Each term is below x times the one before it, so what is left out is below the last one's x / (1 - x).
  for (double n = 0; term > 1e-12 * sum * (1 - x); ++n) {
    sum += term;
    term *= (a + 0.5 + n) / (a + 1 + n) * x;
  }
  return std::pow(x, a) * std::sqrt(1 - x) / (a * beta) * sum / 2;
}

double StudentQuantile(double chance, double freedom) {
  // At 1 every t has more than a tenth above it.
  double least = 1, most = 2;
  while (StudentTail(most, freedom) > chance) {
    least = most;
    most *= 2;
  }
  while (most - least > 1e-6 * most) {
    const double middle = (least + most) / 2;
    (StudentTail(middle, freedom) > chance ? least : most) = middle;
  }
  return most;
}

MedianError ErrorOfMedian(const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  return {kMedianBesideMean * std::sqrt(VarianceOf(values) / count), count - 1};
}

// The degrees of freedom after Welch and Satterthwaite.
MedianError ErrorOfDifference(const std::vector<double>& one, const std::vector<double>& other) {
  const auto ones = static_cast<double>(one.size()), others = static_cast<double>(other.size());
  const double of_one = VarianceOf(one) / ones, of_other = VarianceOf(other) / others;
  const double both = of_one + of_other;
  if (both <= 0) return {0, ones + others - 2};
  return {kMedianBesideMean * std::sqrt(both),
          both * both / (of_one * of_one / (ones - 1) + of_other * of_other / (others - 1))};
}

std::vector<double> LogsOf(std::vector<double> values) {
  for (double& value : values) value = std::log(std::max(value, kLeastPositive));
  return values;
}

}  // namespace engram

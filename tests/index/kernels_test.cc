#include "index/kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "index/space_index.h"

namespace engram {
namespace {

constexpr uint64_t kSeed = 20240611;

// Vectors one float off a cache line, with something after the end that must not be read into the sum.
struct Unaligned {
  explicit Unaligned(size_t n) : storage(n + 2, std::numeric_limits<float>::quiet_NaN()), data(storage.data() + 1) {}
  std::vector<float> storage;
  float* data;
};

enum class Values { kGaussian, kDenormal, kHuge, kSignedZero, kMixed };

float Draw(Values values, std::mt19937_64& random) {
  std::normal_distribution<float> normal;
  std::uniform_int_distribution<int> pick(0, 3);
  switch (values) {
    case Values::kGaussian:
      return normal(random);
    case Values::kDenormal:
      return normal(random) * 1e-40f;
    case Values::kHuge:
      return normal(random) * 1e17f;
    case Values::kSignedZero:
      return pick(random) < 2 ? 0.0f : -0.0f;
    case Values::kMixed:
      return Draw(static_cast<Values>(pick(random)), random);
  }
  return 0;
}

class KernelsTest : public ::testing::TestWithParam<std::string_view> {
 protected:
  const Kernels* kernels_ = KernelsFor(GetParam());
};

TEST_P(KernelsTest, AgreesWithBinary64OnHostileValuesOfEveryLength) {
  if (kernels_ == nullptr) GTEST_SKIP() << "this processor lacks " << GetParam();
  std::mt19937_64 random(kSeed);
  for (const Values values : {Values::kGaussian, Values::kDenormal, Values::kHuge, Values::kSignedZero, Values::kMixed}) {
    for (size_t n = 1; n <= 67; ++n) {
      SCOPED_TRACE("values " + std::to_string(static_cast<int>(values)) + ", n " + std::to_string(n));
      Unaligned a(n), b(n);
      double dot = 0, squares = 0, difference = 0, magnitude = 0, difference_magnitude = 0;
      for (size_t i = 0; i < n; ++i) {
        a.data[i] = Draw(values, random);
        b.data[i] = Draw(values, random);
        dot += double{a.data[i]} * b.data[i];
        magnitude += std::abs(double{a.data[i]} * b.data[i]);
        squares += double{a.data[i]} * a.data[i];
        difference += (double{a.data[i]} - b.data[i]) * (double{a.data[i]} - b.data[i]);
      }
      difference_magnitude = difference;
      // Each product and addition rounds once; products below the smallest denormal vanish.
      const double epsilon = static_cast<double>(n + 2) * 1.2e-7;
      const double tiny = static_cast<double>(n) * 1.5e-45;
      EXPECT_NEAR(kernels_->dot(a.data, b.data, n), dot, magnitude * epsilon + tiny);
      EXPECT_NEAR(kernels_->sum_of_squares(a.data, n), squares, squares * epsilon + tiny);
      EXPECT_NEAR(kernels_->squared_l2(a.data, b.data, n), difference, difference_magnitude * 2 * epsilon + tiny);
    }
  }
}

TEST_P(KernelsTest, RowsGiveTheBitsOfTheSingleVersion) {
  if (kernels_ == nullptr) GTEST_SKIP() << "this processor lacks " << GetParam();
  std::mt19937_64 random(kSeed);
  for (const size_t n : {1, 7, 16, 31, 64, 67, 80, 128, 200}) {
    for (size_t rows = 1; rows <= 16; ++rows) {
      const size_t stride = n + 3;
      Unaligned query(n), all(stride * rows);
      for (size_t i = 0; i < n; ++i) query.data[i] = Draw(Values::kGaussian, random);
      for (size_t i = 0; i < stride * rows; ++i) all.data[i] = Draw(Values::kGaussian, random);
      std::vector<float> dots(rows), squares(rows);
      kernels_->dot_rows(query.data, all.data, stride, rows, n, dots.data());
      kernels_->squared_l2_rows(query.data, all.data, stride, rows, n, squares.data());
      for (size_t r = 0; r < rows; ++r) {
        EXPECT_EQ(dots[r], kernels_->dot(query.data, all.data + r * stride, n)) << n << " " << r;
        EXPECT_EQ(squares[r], kernels_->squared_l2(query.data, all.data + r * stride, n)) << n << " " << r;
      }
    }
  }
}

TEST_P(KernelsTest, SumOfSquaresShowsWhatIsNotFinite) {
  if (kernels_ == nullptr) GTEST_SKIP() << "this processor lacks " << GetParam();
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    for (size_t n = 1; n <= 67; ++n) {
      for (size_t at = 0; at < n; ++at) {
        Unaligned a(n);
        for (size_t i = 0; i < n; ++i) a.data[i] = i == at ? bad : 1.0f;
        EXPECT_FALSE(std::isfinite(kernels_->sum_of_squares(a.data, n))) << n << " " << at;
      }
    }
  }
}

TEST_P(KernelsTest, WidensEveryBinary16) {
  if (kernels_ == nullptr) GTEST_SKIP() << "this processor lacks " << GetParam();
  // One byte off, and a length that is no multiple of a register.
  constexpr size_t kCount = 65536 + 5;
  std::vector<std::byte> bytes(1 + 2 * kCount);
  for (size_t i = 0; i < kCount; ++i) {
    const auto half = static_cast<uint16_t>(i);
    std::memcpy(bytes.data() + 1 + 2 * i, &half, 2);
  }
  std::vector<float> wide(kCount);
  kernels_->widen_f16(bytes.data() + 1, wide.data(), kCount);
  for (size_t i = 0; i < kCount; ++i) {
    const uint32_t half = i & 0xffff;
    const int exponent = static_cast<int>((half >> 10) & 0x1f);
    const double fraction = half & 0x3ff;
    double expected = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    if (exponent == 31) expected = std::numeric_limits<double>::infinity();
    if (half & 0x8000) expected = -expected;
    if (exponent == 31 && fraction != 0) {
      EXPECT_TRUE(std::isnan(wide[i])) << half;
    } else {
      EXPECT_EQ(wide[i], expected) << half;
      EXPECT_EQ(std::signbit(wide[i]), (half & 0x8000) != 0) << half;
    }
  }
}

// What binary16 is nearest, by trying: the neighbours of all that are, half way between them and a little to either side.
TEST_P(KernelsTest, NarrowsToTheNearestBinary16) {
  if (kernels_ == nullptr) GTEST_SKIP() << "this processor lacks " << GetParam();
  constexpr uint16_t kLargest = 0x7bff;
  const auto widened = [](uint16_t half) {
    const int exponent = half >> 10;
    const double fraction = half & 0x3ff;
    return exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  };
  std::vector<float> in;
  std::vector<uint16_t> expected;
  const auto add = [&](double value, uint16_t half) {
    for (const uint16_t sign : {0, 0x8000}) {
      in.push_back(static_cast<float>(sign ? -value : value));
      expected.push_back(half | sign);
    }
  };
  for (uint16_t half = 0; half <= kLargest; ++half) {
    // Beyond the largest the next would be 65536, and stands for infinity.
    const double here = widened(half), next = half == kLargest ? 65536 : widened(half + 1), middle = (here + next) / 2;
    add(here, half);
    add(middle, half % 2 == 0 ? half : half + 1);
    add(std::nextafter(static_cast<float>(middle), 0.0f), half);
    add(std::nextafter(static_cast<float>(middle), 1e9f), half + 1);
  }
  add(3e38, 0x7c00);
  add(1e-30, 0);
  add(1e-42, 0);
  // One byte off on either side, and a length that is no multiple of a register.
  while (in.size() % 16 != 5) in.push_back(1.0f);
  expected.resize(in.size(), 0x3c00);
  std::vector<std::byte> wide(1 + 4 * in.size()), narrow(1 + 2 * in.size());
  std::memcpy(wide.data() + 1, in.data(), 4 * in.size());
  EXPECT_EQ(kernels_->narrow_f16(wide.data() + 1, narrow.data() + 1, in.size()), 3e38f);
  for (size_t i = 0; i < in.size(); ++i) {
    uint16_t got = 0;
    std::memcpy(&got, narrow.data() + 1 + 2 * i, sizeof(got));
    ASSERT_EQ(got, expected[i]) << in[i];
  }
}

TEST_P(KernelsTest, NarrowingTellsTheLargestMagnitudeWhereverItIs) {
  if (kernels_ == nullptr) GTEST_SKIP() << "this processor lacks " << GetParam();
  for (size_t n = 1; n <= 37; ++n) {
    for (size_t at = 0; at < n; ++at) {
      std::vector<float> in(n, 0.25f);
      in[at] = -3.0f;
      std::vector<std::byte> out(2 * n);
      EXPECT_EQ(kernels_->narrow_f16(reinterpret_cast<const std::byte*>(in.data()), out.data(), n), 3.0f) << n << " " << at;
    }
  }
  EXPECT_EQ(kernels_->narrow_f16(nullptr, nullptr, 0), 0.0f);
}

INSTANTIATE_TEST_SUITE_P(Versions, KernelsTest, ::testing::ValuesIn(KernelNames().begin(), KernelNames().end()),
                         [](const auto& info) { return std::string(info.param); });

TEST(KernelNameTest, IsTheFastestThatRuns) {
  for (std::string_view name : KernelNames()) {
    if (KernelsFor(name) == nullptr) continue;
    EXPECT_EQ(KernelName(), name);
    break;
  }
  EXPECT_NE(KernelsFor("portable"), nullptr);
  EXPECT_EQ(KernelsFor("abacus"), nullptr);
}

VectorCheck Check(const std::vector<float>& vector) {
  // Through bytes of no alignment.
  std::vector<std::byte> bytes(1 + vector.size() * 4);
  std::memcpy(bytes.data() + 1, vector.data(), vector.size() * 4);
  return CheckVector({bytes.data() + 1, static_cast<uint32_t>(vector.size()), Encoding::kF32});
}

TEST(CheckVectorTest, TellsFiniteFromNotAndZeroFromSmall) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(Check({1, 2, 3}).finite);
  EXPECT_FALSE(Check({1, 2, 3}).zero);
  EXPECT_TRUE(Check({0, -0.0f}).zero);
  EXPECT_TRUE(Check({0, -0.0f}).finite);
  EXPECT_FALSE(Check({0, nan}).finite);
  EXPECT_FALSE(Check({infinity, 1}).finite);
  // A sum of squares that binary32 cannot hold is no reason to refuse.
  EXPECT_TRUE(Check({3e38f, 3e38f}).finite);
  EXPECT_FALSE(Check({3e38f, 3e38f}).zero);
  EXPECT_FALSE(Check({1e-30f}).zero);
  // One over this norm is beyond binary32.
  EXPECT_TRUE(Check({1e-45f}).zero);

  std::vector<float> large(3000, 0.5f);
  EXPECT_TRUE(Check(large).finite);
  large[2999] = nan;
  EXPECT_FALSE(Check(large).finite);
  std::vector<float> sparse(3000, 0.0f);
  EXPECT_TRUE(Check(sparse).zero);
  sparse[1500] = 1;
  EXPECT_FALSE(Check(sparse).zero);
}

TEST(CheckVectorTest, ReadsBinary16) {
  const uint16_t halves[] = {0x3c00, 0xc000, 0x7c00};  // 1, -2, infinity.
  EmbeddingView view = {reinterpret_cast<const std::byte*>(halves), 2, Encoding::kF16};
  EXPECT_TRUE(CheckVector(view).finite);
  std::vector<float> wide(2);
  WidenVector(view, wide);
  EXPECT_EQ(wide, (std::vector<float>{1, -2}));
  view.dimension = 3;
  EXPECT_FALSE(CheckVector(view).finite);
}

}  // namespace
}  // namespace engram

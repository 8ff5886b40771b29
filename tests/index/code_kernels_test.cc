#include "index/code_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "index/coder.h"
#include "index/similarity.h"

namespace engram {
namespace {

constexpr uint64_t kSeed = 20261124;
constexpr size_t kRows = 19;  // Fours and a rest.

std::vector<size_t> Dimensions() {
  std::vector<size_t> dimensions;
  for (size_t n = 1; n <= 130; ++n) dimensions.push_back(n);
  for (const size_t n : {256, 384, 768, 1000, 1536, 65536}) dimensions.push_back(n);
  return dimensions;
}

enum class Bytes { kUniform, kAllLargest, kAllSmallest, kOpposite, kZero, kSparse };

// Padded and aligned as rows of a slab are. -128 is not among them.
struct ByteRows {
  ByteRows(Bytes kind, size_t n, size_t rows, std::mt19937_64& random)
      : stride((n + 63) / 64 * 64), storage(stride * rows / sizeof(float)),
        first(reinterpret_cast<int8_t*>(storage.data())) {
    std::uniform_int_distribution<int> any(-127, 127);
    std::memset(first, 0, stride * rows);
    for (size_t r = 0; r < rows; ++r) {
      for (size_t i = 0; i < n; ++i) {
        int value = any(random);
        if (kind == Bytes::kAllLargest) value = 127;
        if (kind == Bytes::kAllSmallest) value = -127;
        if (kind == Bytes::kOpposite) value = (i + r) % 2 == 0 ? 127 : -127;
        if (kind == Bytes::kZero) value = 0;
        if (kind == Bytes::kSparse && random() % 16 != 0) value = 0;
        first[r * stride + i] = static_cast<int8_t>(value);
      }
    }
  }
  size_t stride;
  AlignedFloats storage;
  int8_t* first;
};

class CodeKernelsTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    kernels_ = CodeKernelsFor(GetParam());
    if (kernels_ == nullptr) GTEST_SKIP() << "this processor has no " << GetParam();
  }
  const CodeKernels* kernels_ = nullptr;
};

TEST_P(CodeKernelsTest, DotsAreExactForEveryDimensionAndHostileBytes) {
  std::mt19937_64 random(kSeed);
  for (const Bytes kind : {Bytes::kUniform, Bytes::kAllLargest, Bytes::kAllSmallest, Bytes::kOpposite, Bytes::kZero,
                           Bytes::kSparse}) {
    for (const size_t n : Dimensions()) {
      ByteRows query(kind == Bytes::kSparse ? Bytes::kUniform : kind, n, 1, random);
      ByteRows rows(kind, n, kRows, random);
      std::vector<int32_t> expected(kRows), many(kRows);
      for (size_t r = 0; r < kRows; ++r) {
        int64_t sum = 0;
        for (size_t i = 0; i < n; ++i) sum += int64_t{query.first[i]} * rows.first[r * rows.stride + i];
        expected[r] = static_cast<int32_t>(sum);
        ASSERT_EQ(kernels_->dot(query.first, rows.first + r * rows.stride, rows.stride), sum) << n;
      }
      kernels_->dot_rows(query.first, rows.first, rows.stride, kRows, many.data());
      ASSERT_EQ(many, expected) << n;
      const size_t which[4] = {11, 0, 18, 3};
      const int8_t* four[4];
      for (size_t v = 0; v < 4; ++v) four[v] = rows.first + which[v] * rows.stride;
      int32_t dots[4];
      kernels_->dot_four(query.first, four, rows.stride, dots);
      for (size_t v = 0; v < 4; ++v) ASSERT_EQ(dots[v], expected[which[v]]) << n;
    }
  }
}

TEST_P(CodeKernelsTest, FloatDotsAreGoodToTheRoundingThatBoundsAllow) {
  std::mt19937_64 random(kSeed);
  std::normal_distribution<float> normal;
  for (const size_t n : Dimensions()) {
    ByteRows rows(Bytes::kUniform, n, kRows, random);
    AlignedFloats query(rows.stride);
    std::fill(query.data(), query.data() + rows.stride, 0.0f);
    for (size_t i = 0; i < n; ++i) query.data()[i] = normal(random);
    std::vector<float> dots(kRows);
    kernels_->dot_float_rows(query.data(), rows.first, rows.stride, kRows, dots.data());
    for (size_t r = 0; r < kRows; ++r) {
      double sum = 0, sizes = 0;
      for (size_t i = 0; i < n; ++i) {
        const double product = double{query.data()[i]} * rows.first[r * rows.stride + i];
        sum += product;
        sizes += std::abs(product);
      }
      ASSERT_NEAR(dots[r], sum, sizes * static_cast<double>(n / 4 + 64) * 0x1p-24) << n;
    }
  }
}

TEST_P(CodeKernelsTest, HammingDistancesAreExact) {
  std::mt19937_64 random(kSeed);
  for (const size_t words : {4, 8, 12, 16, 20, 24, 1024}) {
    AlignedFloats storage((kRows + 1) * words * 2);
    auto* const rows = reinterpret_cast<uint64_t*>(storage.data());
    for (size_t i = 0; i < (kRows + 1) * words; ++i) rows[i] = random();
    std::fill(rows, rows + words, 0);
    std::fill(rows + words, rows + 2 * words, UINT64_MAX);
    for (const uint64_t* query : {rows, rows + words, rows + 7 * words}) {
      std::vector<uint32_t> expected(kRows);
      for (size_t r = 0; r < kRows; ++r) {
        for (size_t i = 0; i < words; ++i) {
          expected[r] += static_cast<uint32_t>(std::popcount(query[i] ^ rows[r * words + i]));
        }
        ASSERT_EQ(kernels_->hamming(query, rows + r * words, words), expected[r]);
      }
      const size_t which[4] = {11, 0, 18, 3};
      const uint64_t* four[4];
      for (size_t v = 0; v < 4; ++v) four[v] = rows + which[v] * words;
      uint32_t distances[4];
      kernels_->hamming_four(query, four, words, distances);
      for (size_t v = 0; v < 4; ++v) ASSERT_EQ(distances[v], expected[which[v]]);
    }
  }
}

TEST_P(CodeKernelsTest, ScoresByBitsAreFactorTimesAgreement) {
  constexpr size_t kRows = 16;
  std::mt19937_64 random(kSeed);
  std::uniform_real_distribution<float> factor(1, 1.5);
  for (const size_t words : {4, 8, 12, 24, 256}) {
    AlignedFloats storage((kRows + 1) * words * 2);
    auto* const rows = reinterpret_cast<uint64_t*>(storage.data());
    for (size_t i = 0; i < (kRows + 1) * words; ++i) rows[i] = random();
    const uint64_t* const query = rows + kRows * words;
    std::fill(rows, rows + words, 0);
    std::copy_n(query, words, rows + words);
    for (size_t i = 0; i < words; ++i) rows[2 * words + i] = ~query[i];
    const auto elements = static_cast<float>(64 * words);
    for (size_t count = 1; count <= kRows; ++count) {
      float factors[kRows], scores[kRows];
      for (float& one : factors) one = factor(random);
      for (const float floor : {-std::numeric_limits<float>::infinity(), -100.0f, 0.0f, 0.1f * elements}) {
        const uint32_t above = kernels_->score_bits(query, rows, words, count, factors, elements, floor, scores);
        for (size_t r = 0; r < count; ++r) {
          uint32_t differing = 0;
          for (size_t i = 0; i < words; ++i) {
            differing += static_cast<uint32_t>(std::popcount(query[i] ^ rows[r * words + i]));
          }
          ASSERT_EQ(scores[r], factors[r] * (elements - 2 * static_cast<float>(differing)));
          ASSERT_EQ((above >> r) & 1, uint32_t{scores[r] >= floor}) << r << " of " << count;
        }
      }
    }
  }
}

TEST_P(CodeKernelsTest, EncodesToTheSameBytesAndBitsAsThePortableVersion) {
  std::mt19937_64 random(kSeed);
  std::normal_distribution<float> normal;
  for (const float magnitude : {1.0f, 1e-44f, 1e-37f, 1e-20f, 1e20f, 3e38f}) {
    for (const size_t n : Dimensions()) {
      const Coder ours(Metric::kCosine, static_cast<uint32_t>(n), *kernels_);
      const Coder portable(Metric::kCosine, static_cast<uint32_t>(n), *CodeKernelsFor("portable"));
      std::vector<float> vector(n);
      // One in eight is as large as any, and ties and zeros occur.
      for (size_t i = 0; i < n; ++i) {
        const float x = std::clamp(normal(random) / 4, -1.0f, 1.0f);
        vector[i] = magnitude * (random() % 8 == 0 ? (x < 0 ? -1.0f : 1.0f) : random() % 8 == 0 ? 0.0f : x);
      }
      AlignedFloats ours_code(ours.stride()), portable_code(ours.stride());
      std::vector<uint64_t> ours_bits(ours.bit_words()), portable_bits(ours.bit_words());
      std::memset(ours_code.data(), 0x55, ours.stride());
      std::memset(portable_code.data(), 0x55, ours.stride());
      const CodeColumns a = ours.Encode(vector.data(), reinterpret_cast<int8_t*>(ours_code.data()), ours_bits.data());
      const CodeColumns b =
          portable.Encode(vector.data(), reinterpret_cast<int8_t*>(portable_code.data()), portable_bits.data());
      ASSERT_EQ(std::memcmp(ours_code.data(), portable_code.data(), ours.stride()), 0) << n << " " << magnitude;
      ASSERT_EQ(ours_bits, portable_bits) << n << " " << magnitude;
      ASSERT_EQ(a.squares, b.squares);
      ASSERT_FLOAT_EQ(a.scale, b.scale);
      ASSERT_NEAR(a.residual, b.residual, 1e-3 * b.residual + 1e-9) << n << " " << magnitude;
      ASSERT_NEAR(a.bit_factor, b.bit_factor, 1e-3);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, CodeKernelsTest,
                         ::testing::ValuesIn(std::vector<std::string>(CodeKernelNames().begin(),
                                                                      CodeKernelNames().end())),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace engram

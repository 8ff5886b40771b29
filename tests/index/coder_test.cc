#include "index/coder.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include "index/code_slab.h"
#include "tests/index/vectors.h"

namespace engram {
namespace {

using testing::ClusteredVectors;
using testing::GaussianVector;
using testing::Vector;

constexpr uint64_t kSeed = 41;

struct Encoded {
  Encoded(const Coder& coder, const Vector& vector) : code(coder.stride()), bits(coder.bit_words()) {
    columns = coder.Encode(vector.data(), code.data(), bits.data());
  }
  std::vector<int8_t> code;
  std::vector<uint64_t> bits;
  CodeColumns columns;
};

double Norm(const Vector& vector) {
  double squares = 0;
  for (const float x : vector) squares += double{x} * x;
  return std::sqrt(squares);
}

// |x - scale * code|, x at unit length under cosine.
double Lost(Metric metric, const Vector& vector, const Encoded& encoded) {
  const double length = metric == Metric::kCosine && Norm(vector) > 0 ? Norm(vector) : 1;
  double squares = 0;
  for (size_t i = 0; i < vector.size(); ++i) {
    const double lost = vector[i] / length - double{encoded.columns.scale} * encoded.code[i];
    squares += lost * lost;
  }
  return std::sqrt(squares);
}

uint32_t Differing(const std::vector<uint64_t>& a, const std::vector<uint64_t>& b) {
  int differ = 0;
  for (size_t i = 0; i < a.size(); ++i) differ += std::popcount(a[i] ^ b[i]);
  return static_cast<uint32_t>(differ);
}

std::vector<Vector> HostileVectors(std::mt19937_64& random, uint32_t dimension) {
  std::vector<Vector> vectors = {Vector(dimension, 0.0f), Vector(dimension, 1e-45f), Vector(dimension, -3.4028235e38f),
                                 Vector(dimension, 1e-10f), Vector(dimension, 1.0f)};
  for (const float magnitude : {1e-44f, 1e-40f, 1e-37f, 1e-20f, 1e-10f, 1.0f, 1e10f, 1e20f, 5e37f}) {
    vectors.push_back(GaussianVector(random, dimension));
    for (float& x : vectors.back()) x *= magnitude;
  }
  // One element so large that nothing else is seen, and every magnitude at once.
  vectors.push_back(GaussianVector(random, dimension));
  vectors.back()[dimension / 2] = 3e38f;
  vectors.push_back(GaussianVector(random, dimension));
  for (float& x : vectors.back()) x = std::ldexp(x, static_cast<int>(random() % 240) - 120);
  return vectors;
}

TEST(CoderTest, TheResidualBoundsWhatTheCodeLosesWhateverTheMagnitude) {
  std::mt19937_64 random(kSeed);
  for (const Metric metric : {Metric::kCosine, Metric::kInnerProduct, Metric::kL2}) {
    for (const uint32_t dimension : {1u, 2u, 31u, 64u, 129u, 768u, 2500u, 65536u}) {
      const Coder coder(metric, dimension);
      for (const Vector& vector : HostileVectors(random, dimension)) {
        const Encoded encoded(coder, vector);
        ASSERT_TRUE(std::isfinite(encoded.columns.scale));
        ASSERT_TRUE(std::isfinite(encoded.columns.residual));
        ASSERT_TRUE(std::isfinite(encoded.columns.bit_factor));
        const double lost = Lost(metric, vector, encoded);
        ASSERT_GE(encoded.columns.residual, lost) << dimension << " " << vector[0];
        // And it is no more than that, but for elements so small that it does not matter, and for what a norm is rounded by.
        const double rounded = metric == Metric::kCosine ? 2e-7 : 0;
        ASSERT_LE(encoded.columns.residual, lost * 1.01 + 1e-4 * encoded.columns.scale + rounded + 1e-35) << dimension;
        uint32_t squares = 0;
        for (size_t i = 0; i < encoded.code.size(); ++i) {
          ASSERT_NE(encoded.code[i], -128);
          ASSERT_TRUE(i < dimension || encoded.code[i] == 0);
          squares += static_cast<uint32_t>(encoded.code[i] * encoded.code[i]);
        }
        ASSERT_EQ(encoded.columns.squares, squares);
      }
    }
  }
}

TEST(CoderTest, UnderCosineLengthChangesNothing) {
  std::mt19937_64 random(kSeed);
  const Coder coder(Metric::kCosine, 300);
  const Vector vector = GaussianVector(random, 300);
  const Encoded encoded(coder, vector);
  // The smallest, 2^-124, still has all its digits.
  for (const int exponent : {-120, -60, -1, 7, 60, 120}) {
    Vector scaled = vector;
    for (float& x : scaled) x = std::ldexp(x, exponent);
    const Encoded other(coder, scaled);
    ASSERT_EQ(other.code, encoded.code) << exponent;
    ASSERT_EQ(other.bits, encoded.bits) << exponent;
    ASSERT_FLOAT_EQ(other.columns.scale, encoded.columns.scale) << exponent;
  }
}

TEST(CoderTest, OnlyCosineFrom256DimensionsOnHasBits) {
  EXPECT_FALSE(Coder(Metric::kCosine, 255).bits());
  EXPECT_EQ(Coder(Metric::kCosine, 256).bit_words(), 4u);
  EXPECT_EQ(Coder(Metric::kCosine, 257).bit_words(), 8u);
  EXPECT_EQ(Coder(Metric::kCosine, 768).bit_words(), 12u);
  EXPECT_FALSE(Coder(Metric::kInnerProduct, 768).bits());
  EXPECT_FALSE(Coder(Metric::kL2, 768).bits());
}

// Of random signs of vectors at an angle, that share of pi differs. A rotation that does not mix would show here: the
// vectors lie in few elements, where only mixing spreads them.
TEST(CoderTest, TheShareOfDifferingBitsIsTheAngle) {
  std::mt19937_64 random(kSeed);
  std::normal_distribution<float> normal;
  for (const uint32_t dimension : {256u, 384u, 768u, 1536u, 4096u}) {
    const Coder coder(Metric::kCosine, dimension);
    double worst = 0;
    for (int round = 0; round < 40; ++round) {
      Vector a(dimension, 0.0f), b(dimension, 0.0f);
      const double mix = (round % 20) / 20.0;
      for (size_t i = 0; i < 24; ++i) {
        a[i * 3 + 5] = normal(random);
        b[i * 3 + 5] = static_cast<float>(mix * a[i * 3 + 5] + (1 - mix) * normal(random));
      }
      double dot = 0;
      for (size_t i = 0; i < dimension; ++i) dot += double{a[i]} * b[i];
      const double angle = std::acos(dot / Norm(a) / Norm(b)) / M_PI;
      const Encoded x(coder, a), y(coder, b);
      const double share = static_cast<double>(Differing(x.bits, y.bits)) /
                           (64.0 * coder.bit_words());
      worst = std::max(worst, std::abs(share - angle));
      EXPECT_GE(x.columns.bit_factor, 1.0f);
      EXPECT_LT(x.columns.bit_factor, 1.5f);  // sqrt(pi / 2) = 1.253 for a Gaussian.
    }
    // Five deviations of a fair coin.
    EXPECT_LT(worst, 2.5 / std::sqrt(dimension)) << dimension;
  }
}

TEST(CodeSlabTest, RowsStayAlignedAndInPlaceAcrossExtents) {
  for (const uint32_t dimension : {1u, 64u, 100u, 300u}) {
    CodeSlab slab(Metric::kCosine, dimension);
    ClusteredVectors source(kSeed, dimension);
    constexpr Ordinal kCount = 3500;  // Into the third extent.
    const std::vector<Vector> vectors = source.Next(kCount);
    std::vector<const int8_t*> rows;
    for (Ordinal o = 0; o < kCount; ++o) {
      slab.Reserve(o + 1);
      slab.Append(o, vectors[o].data());
      slab.BlockOf(o).previous[CodeSlab::Lane(o)] = o;
      rows.push_back(slab.Code(o));
    }
    slab.Publish(kCount);
    ASSERT_EQ(slab.size(), kCount);
    ASSERT_EQ(slab.Columns(7).bit_factor, 0);
    // In pieces that end inside of a block.
    for (const Ordinal end : {5u, 5u, 700u, kCount}) slab.MakeBits(end);
    ASSERT_EQ(slab.bits_through(), slab.bits() ? kCount : 0);
    for (Ordinal o = 0; o < kCount; ++o) {
      const Encoded expected(slab.coder(), vectors[o]);
      ASSERT_EQ(slab.Code(o), rows[o]);
      ASSERT_EQ(reinterpret_cast<uintptr_t>(slab.Code(o)) % 64, 0u);
      ASSERT_TRUE(std::equal(expected.code.begin(), expected.code.end(), slab.Code(o)));
      const CodeColumns columns = slab.Columns(o);
      ASSERT_EQ(columns.scale, expected.columns.scale);
      ASSERT_EQ(columns.residual, expected.columns.residual);
      ASSERT_EQ(columns.squares, expected.columns.squares);
      ASSERT_EQ(columns.bit_factor, expected.columns.bit_factor);
      if (slab.bits()) {
        ASSERT_EQ(reinterpret_cast<uintptr_t>(slab.Bits(o)) % 32, 0u);
        ASSERT_TRUE(std::equal(expected.bits.begin(), expected.bits.end(), slab.Bits(o)));
      }
      ASSERT_EQ(slab.Previous(o), o);
      ASSERT_EQ(slab.DiedAt(o), CodeSlab::kLive);
      if (o % CodeSlab::kBlockRows != 0) {
        ASSERT_EQ(slab.Code(o), slab.Code(o - 1) + slab.stride());
      }
    }
  }
}

TEST(CodeSlabTest, ACodeThatIsKnownIsTakenAsItIs) {
  for (const uint32_t dimension : {3u, 64u, 300u}) {
    CodeSlab encoded(Metric::kCosine, dimension), copied(Metric::kCosine, dimension);
    ClusteredVectors source(kSeed, dimension);
    encoded.Reserve(40);
    copied.Reserve(40);
    for (Ordinal o = 0; o < 40; ++o) {
      encoded.Append(o, source.Next().data());
      const CodeColumns columns = encoded.Columns(o);
      copied.SetCode(o, encoded.Code(o), columns.scale, columns.residual);
      ASSERT_TRUE(std::equal(encoded.Code(o), encoded.Code(o) + encoded.stride(), copied.Code(o)));
      ASSERT_EQ(copied.Columns(o).squares, columns.squares);
      ASSERT_EQ(copied.DiedAt(o), CodeSlab::kLive);
    }
  }
}

TEST(CodeSlabTest, AViewShowsWhatHadNotDiedByItsEnd) {
  CodeSlab slab(Metric::kCosine, 4);
  slab.Reserve(20);
  const Vector vector(4, 1.0f);
  for (Ordinal o = 0; o < 20; ++o) slab.Append(o, vector.data());
  slab.Publish(20);
  slab.SetDiedAt(3, 17);  // Replaced by ordinal 17.
  slab.SetDiedAt(4, 0);   // Forgotten.
  const CodeSlab::Block& block = slab.BlockOf(0);
  EXPECT_TRUE(block.LiveIn(3, 17));
  EXPECT_FALSE(block.LiveIn(3, 18));
  EXPECT_FALSE(block.LiveIn(4, 5));
  EXPECT_TRUE(block.LiveIn(5, 20));
}

TEST(CodeSlabTest, HoldsA768DimensionalVectorInNineHundredBytes) {
  CodeSlab slab(Metric::kCosine, 768);
  EXPECT_EQ(slab.resident_bytes(), 0u);
  const Vector vector(768, 1.0f);
  constexpr Ordinal kCount = 20000;
  slab.Reserve(kCount);
  for (Ordinal o = 0; o < kCount; ++o) slab.Append(o, vector.data());
  slab.Publish(kCount);
  EXPECT_LE(slab.resident_bytes(), uint64_t{kCount} * 800);
  slab.MakeBits(kCount);
  EXPECT_GE(slab.resident_bytes(), uint64_t{kCount} * (768 + 96));
  EXPECT_LE(slab.resident_bytes(), uint64_t{kCount} * 900);
}

}  // namespace
}  // namespace engram

#include "core/base/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <string_view>
#include <vector>

namespace engram {
namespace {

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::vector<std::byte> Random(size_t size, uint64_t seed) {
  std::mt19937_64 rng(seed);
  std::vector<std::byte> bytes(size);
  for (auto& b : bytes) b = static_cast<std::byte>(rng());
  return bytes;
}

// The definition, a bit at a time.
uint32_t ByDefinition(uint32_t seed_crc, std::span<const std::byte> bytes) {
  uint32_t crc = ~seed_crc;
  for (const std::byte b : bytes) {
    crc ^= std::to_integer<uint32_t>(b);
    for (int i = 0; i < 8; ++i) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0);
  }
  return ~crc;
}

TEST(Crc32cTest, AgreesWithPublishedValues) {
  EXPECT_EQ(Crc32c(0, {}), 0u);
  EXPECT_EQ(Crc32c(0, Bytes("123456789")), 0xE3069283u);
  // RFC 3720, B.4.
  const std::vector<std::byte> zeros(32, std::byte{0}), ones(32, std::byte{0xFF});
  EXPECT_EQ(Crc32c(0, zeros), 0x8A9136AAu);
  EXPECT_EQ(Crc32c(0, ones), 0x62A8AB43u);
  std::vector<std::byte> ascending;
  for (int i = 0; i < 32; ++i) ascending.push_back(static_cast<std::byte>(i));
  EXPECT_EQ(Crc32c(0, ascending), 0x46DD794Eu);
}

TEST(Crc32cTest, EveryLengthUpToSeveralStretchesAgreesWithTheDefinition) {
  const auto bytes = Random(2000, 1);
  for (size_t size = 0; size <= bytes.size(); ++size) {
    const auto part = std::span(bytes).first(size);
    const uint32_t seed = static_cast<uint32_t>(size * 2654435761u);
    const uint32_t expected = ByDefinition(seed, part);
    ASSERT_EQ(Crc32cByTables(seed, part), expected) << size;
    if (HasCrc32cHardware()) {
      ASSERT_EQ(Crc32cByHardware(seed, part), expected) << size;
    }
  }
}

TEST(Crc32cTest, HardwareAgreesWithTablesAtAnyLengthAlignmentAndSeed) {
  if (!HasCrc32cHardware()) GTEST_SKIP() << "no SSE4.2 and PCLMUL here";
  const auto bytes = Random(100'000, 2);
  std::mt19937_64 rng(3);
  for (int i = 0; i < 2000; ++i) {
    const size_t offset = rng() % 64;
    // Around the ends of the longest stretch (3 * 2048 bytes) as well as anywhere.
    const size_t size = i % 2 == 0 ? rng() % (bytes.size() - offset) : 6144 * (1 + rng() % 4) - 32 + rng() % 64;
    const auto seed = static_cast<uint32_t>(rng());
    const auto part = std::span(bytes).subspan(offset, size);
    ASSERT_EQ(Crc32cByHardware(seed, part), Crc32cByTables(seed, part)) << offset << " " << size << " " << seed;
  }
}

TEST(Crc32cTest, GoesOnFromWhatCameBefore) {
  const auto bytes = Random(20'000, 4);
  std::mt19937_64 rng(5);
  for (int i = 0; i < 500; ++i) {
    const size_t split = rng() % bytes.size();
    const auto seed = static_cast<uint32_t>(rng());
    const uint32_t before = Crc32c(seed, std::span(bytes).first(split));
    ASSERT_EQ(Crc32c(before, std::span(bytes).subspan(split)), Crc32c(seed, bytes)) << split << " " << seed;
  }
}

TEST(Crc32cTest, NoticesEveryFlippedBit) {
  auto bytes = Random(777, 6);
  const uint32_t whole = Crc32c(7, bytes);
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    ASSERT_NE(Crc32c(7, bytes), whole) << bit;
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
  }
}

}  // namespace
}  // namespace engram

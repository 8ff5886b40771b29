#include "core/base/crc32c.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "core/base/check.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace engram {
namespace {

static_assert(std::endian::native == std::endian::little);

// Polynomials over GF(2) are reflected here: bit 31 is the coefficient of x^0, bit 0 that of x^31.
constexpr uint32_t kPolynomial = 0x82F63B78;
constexpr uint32_t kOne = 0x80000000;

constexpr uint32_t TimesX(uint32_t a) { return (a >> 1) ^ ((a & 1) != 0 ? kPolynomial : 0); }

constexpr uint32_t Times(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (uint32_t bit = kOne; bit != 0; bit >>= 1, b = TimesX(b)) {
    if ((a & bit) != 0) product ^= b;
  }
  return product;
}

// tables[k][b]: what byte b does to the register when k more bytes follow it.
constexpr auto kTables = [] {
  std::array<std::array<uint32_t, 256>, 8> tables{};
  for (uint32_t b = 0; b < 256; ++b) {
    uint32_t crc = b;
    for (int i = 0; i < 8; ++i) crc = TimesX(crc);
    tables[0][b] = crc;
  }
  for (size_t k = 1; k < tables.size(); ++k) {
    for (uint32_t b = 0; b < 256; ++b) {
      tables[k][b] = (tables[k - 1][b] >> 8) ^ tables[0][tables[k - 1][b] & 0xFF];
    }
  }
  return tables;
}();

uint64_t Load(const std::byte* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

#if defined(__x86_64__)

constexpr size_t kWord = sizeof(uint64_t);
// The longest stretch of one of the three chains, in words: joining costs about 15 cycles, by now once in 1500.
constexpr size_t kMostWords = 256;

// shifts[w] is x^(64w - 33). The product of two reflected polynomials of 32 bits, read as a message of 64 bits, stands
// for A * B * x, and the instruction multiplies a message by x^32: so instruction(clmul(A, shifts[w])) is A * x^(64w),
// the register A after w words of zeros.
constexpr auto kShifts = [] {
  std::array<uint32_t, 2 * kMostWords + 1> shifts{};
  uint32_t word = kOne;
  uint32_t first = kOne;
  for (int i = 0; i < 64; ++i) word = TimesX(word);
  for (int i = 0; i < 64 - 33; ++i) first = TimesX(first);
  shifts[1] = first;
  for (size_t w = 2; w < shifts.size(); ++w) shifts[w] = Times(shifts[w - 1], word);
  return shifts;
}();

[[gnu::target("sse4.2,pclmul")]] uint64_t Shifted(uint32_t crc, size_t words) {
  const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi32_si128(static_cast<int>(crc)),
                                               _mm_cvtsi32_si128(static_cast<int>(kShifts[words])), 0);
  return static_cast<uint64_t>(_mm_cvtsi128_si64(product));
}

[[gnu::target("sse4.2,pclmul")]] uint32_t Hardware(uint32_t crc, const std::byte* at, size_t size) {
  uint64_t a = crc;
  while (size >= 3 * kWord) {
    const size_t words = std::min(size / (3 * kWord), kMostWords);
    const std::byte* const second = at + words * kWord;
    const std::byte* const third = second + words * kWord;
    uint64_t b = 0;
    uint64_t c = 0;
    for (size_t i = 0; i < words * kWord; i += kWord) {
      a = _mm_crc32_u64(a, Load(at + i));
      b = _mm_crc32_u64(b, Load(second + i));
      c = _mm_crc32_u64(c, Load(third + i));
    }
    const uint64_t before = Shifted(static_cast<uint32_t>(a), 2 * words) ^ Shifted(static_cast<uint32_t>(b), words);
    a = _mm_crc32_u64(0, before) ^ c;
    at = third + words * kWord;
    size -= 3 * words * kWord;
  }
  for (; size >= kWord; at += kWord, size -= kWord) a = _mm_crc32_u64(a, Load(at));
  auto tail = static_cast<uint32_t>(a);
  for (; size > 0; ++at, --size) tail = _mm_crc32_u8(tail, std::to_integer<uint8_t>(*at));
  return tail;
}

#endif

}  // namespace

bool HasCrc32cHardware() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
#else
  return false;
#endif
}

uint32_t Crc32cByHardware(uint32_t seed_crc, std::span<const std::byte> bytes) {
#if defined(__x86_64__)
  return ~Hardware(~seed_crc, bytes.data(), bytes.size());
#else
  ENGRAM_CHECK(HasCrc32cHardware());
  return Crc32cByTables(seed_crc, bytes);
#endif
}

uint32_t Crc32cByTables(uint32_t seed_crc, std::span<const std::byte> bytes) {
  uint32_t crc = ~seed_crc;
  const std::byte* at = bytes.data();
  size_t size = bytes.size();
  for (; size >= 8; at += 8, size -= 8) {
    const uint64_t word = Load(at) ^ crc;
    crc = 0;
    for (size_t k = 0; k < 8; ++k) crc ^= kTables[7 - k][(word >> (8 * k)) & 0xFF];
  }
  for (; size > 0; ++at, --size) crc = (crc >> 8) ^ kTables[0][(crc ^ std::to_integer<uint32_t>(*at)) & 0xFF];
  return ~crc;
}

uint32_t Crc32c(uint32_t seed_crc, std::span<const std::byte> bytes) {
  return HasCrc32cHardware() ? Crc32cByHardware(seed_crc, bytes) : Crc32cByTables(seed_crc, bytes);
}

}  // namespace engram

#include "server/utf8.h"

#include <cstdint>
#include <cstring>

namespace engram {

bool IsUtf8Text(std::string_view text) {
  const auto* at = reinterpret_cast<const uint8_t*>(text.data());
  const uint8_t* const end = at + text.size();
  while (at < end) {
    // Eight plain characters at a time.
    uint64_t word;
    while (end - at >= 8 && (std::memcpy(&word, at, 8), (word & 0x8080808080808080u) == 0)) at += 8;
    if (at == end) break;
    const uint8_t lead = *at++;
    if (lead < 0x80) continue;
    // The continuation bytes wanted, and the range of the first of them: what keeps out overlong forms (E0, F0),
    // surrogates (ED) and what lies above U+10FFFF (F4).
    int wanted = 0;
    uint8_t least = 0x80, most = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf) {
      wanted = 1;
    } else if (lead >= 0xe0 && lead <= 0xef) {
      wanted = 2;
      if (lead == 0xe0) least = 0xa0;
      if (lead == 0xed) most = 0x9f;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      wanted = 3;
      if (lead == 0xf0) least = 0x90;
      if (lead == 0xf4) most = 0x8f;
    } else {
      return false;
    }
    if (end - at < wanted || *at < least || *at > most) return false;
    for (int i = 1; i < wanted; ++i) {
      if ((at[i] & 0xc0) != 0x80) return false;
    }
    at += wanted;
  }
  return true;
}

}  // namespace engram

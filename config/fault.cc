#include "config/fault.h"

#include <fmt/format.h>

namespace engram {
namespace {

// A value is recognised by its start; a path is needed whole.
constexpr size_t kLongestQuoted = 80;
constexpr size_t kLongestPrintable = 4096;

// Bytes of the well-formed UTF-8 character at the front of `text`; 0 when there is none.
size_t CharacterBytes(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto continues = [&](size_t i, unsigned least = 0x80, unsigned most = 0xBF) {
    return byte(i) >= least && byte(i) <= most;
  };
  const unsigned first = byte(0);
  if (first == 0) return 0;
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned least = first == 0xE0 ? 0xA0 : 0x80;
    const unsigned most = first == 0xED ? 0x9F : 0xBF;
    return continues(1, least, most) && continues(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned least = first == 0xF0 ? 0x90 : 0x80;
    const unsigned most = first == 0xF4 ? 0x8F : 0xBF;
    return continues(1, least, most) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

std::string Escaped(std::string_view text, bool quotes) {
  const size_t longest = quotes ? kLongestQuoted : kLongestPrintable;
  std::string out;
  while (!text.empty()) {
    if (out.size() >= longest) return out + "...";
    const size_t bytes = CharacterBytes(text);
    const auto first = static_cast<unsigned char>(text[0]);
    if (bytes == 0 || first < 0x20 || first == 0x7F) {
      out += first == '\n' ? "\\n" : first == '\t' ? "\\t" : fmt::format("\\x{:02x}", first);
      text.remove_prefix(1);
      continue;
    }
    if (quotes && (first == '"' || first == '\\')) out += '\\';
    out += text.substr(0, bytes);
    text.remove_prefix(bytes);
  }
  return out;
}

}  // namespace

std::string Fault::Render() const {
  std::string out = where;
  if (!key.empty()) out += (out.empty() ? "" : ": ") + key;
  return out + ": " + message;
}

std::string RenderFaults(const std::vector<Fault>& faults) {
  std::string out;
  for (const Fault& fault : faults) out += fault.Render() + "\n";
  return out;
}

std::string Quoted(std::string_view text) { return '"' + Escaped(text, true) + '"'; }

std::string Printable(std::string_view text) { return Escaped(text, false); }

bool IsUtf8(std::string_view text, size_t* at) {
  size_t offset = 0;
  while (offset < text.size()) {
    const size_t bytes = CharacterBytes(text.substr(offset, 4));
    if (bytes == 0) {
      if (at != nullptr) *at = offset;
      return false;
    }
    offset += bytes;
  }
  return true;
}

}  // namespace engram

#include "clients/cli/render.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

namespace engram {
namespace {

struct Character {
  char32_t code = 0xfffd;
  size_t bytes = 1;
  bool valid = false;
};

// The first character of text that is not empty.
Character FirstCharacter(std::string_view text) {
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const size_t length = lead >= 0xf0 && lead < 0xf5   ? 4
                        : lead >= 0xe0 && lead < 0xf0 ? 3
                        : lead >= 0xc2 && lead < 0xe0 ? 2
                                                      : 0;
  if (length == 0 || text.size() < length) return {};
  char32_t code = lead & (0x7f >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3f);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  if (overlong || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return {};
  return {code, length, true};
}

struct Range {
  char32_t first;
  char32_t last;
};

template <size_t kSize>
bool Within(const std::array<Range, kSize>& ranges, char32_t code) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const Range& range) { return range.first <= code && code <= range.last; });
}

// Combining marks and invisible joiners, by block; enough for text that people store.
constexpr std::array<Range, 15> kZeroWidth = {{{0x0300, 0x036f},
                                               {0x0483, 0x0489},
                                               {0x0591, 0x05bd},
                                               {0x0610, 0x061a},
                                               {0x064b, 0x065f},
                                               {0x0900, 0x0902},
                                               {0x093c, 0x093c},
                                               {0x0941, 0x0948},
                                               {0x0e34, 0x0e3a},
                                               {0x0e47, 0x0e4e},
                                               {0x1ab0, 0x1aff},
                                               {0x1dc0, 0x1dff},
                                               {0x200b, 0x200f},
                                               {0x20d0, 0x20ff},
                                               {0xfe00, 0xfe0f}}};
constexpr std::array<Range, 12> kTwoWide = {{{0x1100, 0x115f},
                                             {0x2e80, 0x303e},
                                             {0x3041, 0x33ff},
                                             {0x3400, 0x4dbf},
                                             {0x4e00, 0x9fff},
                                             {0xa000, 0xa4cf},
                                             {0xac00, 0xd7a3},
                                             {0xf900, 0xfaff},
                                             {0xfe30, 0xfe6f},
                                             {0xff00, 0xff60},
                                             {0x1f300, 0x1faff},
                                             {0x20000, 0x3fffd}}};

size_t WidthOf(char32_t code) {
  if (code < 0x300) return 1;
  if (Within(kZeroWidth, code)) return 0;
  return Within(kTwoWide, code) ? 2 : 1;
}

// Directional overrides reorder what follows on the line, so they count as controls.
bool IsControl(char32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
         (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

}  // namespace

Terminal Terminal::Of(int fd, bool no_color) {
  Terminal terminal;
  terminal.is_terminal = isatty(fd) == 1;
  if (!terminal.is_terminal) return terminal;
  const char* no_color_set = std::getenv("NO_COLOR");
  const char* kind = std::getenv("TERM");
  const bool dumb = kind == nullptr || std::string_view(kind) == "dumb";
  terminal.colour = !no_color && !dumb && (no_color_set == nullptr || *no_color_set == '\0');
  winsize size = {};
  const bool known = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
  terminal.width = known ? size.ws_col : 80;
  terminal.height = known ? size.ws_row : 24;
  return terminal;
}

std::string Styled(const Terminal& terminal, Style style, const std::string& text) {
  if (!terminal.colour || text.empty()) return text;
  constexpr std::array<int, 6> kCodes = {1, 2, 32, 33, 31, 36};
  return fmt::format("\x1b[{}m{}\x1b[0m", kCodes[static_cast<size_t>(style)], text);
}

std::string Printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool after_space = false;
  while (!text.empty()) {
    const Character character = FirstCharacter(text);
    const bool space = character.code == ' ' || (character.valid && IsControl(character.code));
    if (!character.valid) {
      out += "\xef\xbf\xbd";
    } else if (!space) {
      out += text.substr(0, character.bytes);
    } else if (!after_space) {
      out += ' ';
    }
    after_space = space;
    text.remove_prefix(character.bytes);
  }
  return out;
}

size_t DisplayWidth(std::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    const Character character = FirstCharacter(text);
    width += WidthOf(character.code);
    text.remove_prefix(character.bytes);
  }
  return width;
}

std::string CutTo(std::string_view text, size_t width) {
  if (width == 0 || DisplayWidth(text) <= width) return std::string(text);
  std::string out;
  size_t used = 0;
  while (!text.empty()) {
    const Character character = FirstCharacter(text);
    used += WidthOf(character.code);
    if (used > width - 1) break;
    out += text.substr(0, character.bytes);
    text.remove_prefix(character.bytes);
  }
  return out + "\u2026";
}

std::string Table::Render(const Terminal& terminal) const {
  std::vector<size_t> widths(columns_.size());
  std::vector<std::vector<std::string>> rows;
  for (size_t i = 0; i < columns_.size(); ++i) widths[i] = DisplayWidth(columns_[i].title);
  for (const std::vector<std::string>& row : rows_) {
    std::vector<std::string>& cells = rows.emplace_back();
    for (size_t i = 0; i < row.size(); ++i) {
      cells.push_back(Printable(row[i]));
      widths[i] = std::max(widths[i], DisplayWidth(cells[i]));
    }
  }
  const auto line = [&](const auto& cell_of) {
    std::string out;
    size_t used = 0;
    for (size_t i = 0; i < columns_.size(); ++i) {
      std::string cell = cell_of(i);
      const bool last = i + 1 == columns_.size();
      if (last && terminal.width > 0) cell = CutTo(cell, terminal.width > used + 8 ? terminal.width - used : 8);
      const std::string padding(widths[i] - std::min(widths[i], DisplayWidth(cell)), ' ');
      if (columns_[i].right) {
        out += padding + cell;
      } else {
        out += last ? cell : cell + padding;
      }
      if (!last) out += "  ";
      used += widths[i] + 2;
    }
    return out.substr(0, out.find_last_not_of(' ') + 1);
  };
  std::string out = Styled(terminal, Style::kBold, line([&](size_t i) { return columns_[i].title; })) + "\n";
  for (const std::vector<std::string>& row : rows) out += line([&](size_t i) { return row[i]; }) + "\n";
  return out;
}

std::string Bar(double share, size_t width) {
  const double clamped = std::clamp(share, 0.0, 1.0);
  size_t full = static_cast<size_t>(clamped * static_cast<double>(width) + 0.5);
  if (clamped > 0 && full == 0) full = 1;
  return fmt::format("[{}{}]", std::string(full, '#'), std::string(width - full, '.'));
}

std::string Grouped(uint64_t number) {
  const std::string digits = fmt::format("{}", number);
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string Rough(double number) {
  if (number < 9.995)
    return number == static_cast<int>(number) ? fmt::format("{:.0f}", number) : fmt::format("{:.1f}", number);
  if (number < 999.5) return fmt::format("{:.0f}", number);
  constexpr std::array<const char*, 4> kUnits = {"K", "M", "G", "T"};
  size_t unit = 0;
  for (number /= 1000; number >= 999.5 && unit + 1 < kUnits.size(); ++unit) number /= 1000;
  return fmt::format("{:.{}f} {}", number, number < 9.995 ? 2 : number < 99.95 ? 1 : 0, kUnits[unit]);
}

std::string FormatBytes(uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1023.5 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

}  // namespace engram

// Text for terminals: display width, colour, tables, bars, figures. What comes from the daemon is made printable first:
// a stored text cannot move the cursor or change the title of a window. Pure functions, any thread, but for Terminal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

// What stands at the other end of a stream.
struct Terminal {
  bool is_terminal = false;
  bool colour = false;
  // Columns; 0 where there is no terminal, which cuts nothing.
  size_t width = 0;
  size_t height = 0;

  // Asks about the file descriptor; `no_color`, NO_COLOR and TERM=dumb take the colour away.
  static Terminal Of(int fd, bool no_color);
};

enum class Style { kBold, kDim, kGreen, kYellow, kRed, kCyan };
std::string Styled(const Terminal& terminal, Style style, const std::string& text);

// White space and control characters become single spaces, bytes that are not UTF-8 become U+FFFD.
std::string Printable(std::string_view text);

// Columns a terminal needs for UTF-8 text: 2 for East Asian wide characters and most emoji, 0 for combining marks.
size_t DisplayWidth(std::string_view text);

// The longest beginning that fits into `width` columns, with an ellipsis where something was cut. 0: no limit.
std::string CutTo(std::string_view text, size_t width);

// A table without lines: a header, columns padded to their widest cell, two spaces between. The last column is cut
// where the terminal ends. Cells are made printable.
class Table {
 public:
  struct Column {
    std::string title;
    bool right = false;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // As many cells as there are columns.
  void Add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  // Lines, each with its line break.
  std::string Render(const Terminal& terminal) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// "[#####.....]": `share` (0..1) of `width` cells.
std::string Bar(double share, size_t width);

// 1234567 -> "1,234,567".
std::string Grouped(uint64_t number);

// Three figures: "1.24 K", "12.3 M".
std::string Rough(double number);

// 1536 -> "1.5 KiB".
std::string FormatBytes(uint64_t bytes);

}  // namespace engram

// Plots as SVG text to stand in an HTML page: lines over time, bars.
//
// Threads: pure functions. Errors: none; what is not finite is left out, a plot without points says so.
// Why:     no script and no library: a report has to open years later, from a mail, without a network.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace engram {

struct PlotLine {
  std::string name;
  std::vector<double> x, y;
};

struct Plot {
  std::string title;
  std::string x_label;
  // How a value of the axis is written.
  std::function<std::string(double)> x_text, y_text;
  bool log_x = false, log_y = false;
};

// One line for each, from left to right; a point that is missing breaks it.
std::string DrawLines(const Plot& plot, const std::vector<PlotLine>& lines);
// A bar from each x to the next.
std::string DrawSteps(const Plot& plot, const PlotLine& steps);

struct PlotPair {
  std::string name;
  double before = 0, now = 0;
  std::string before_text, now_text;
};
// Two bars each, the larger of which is as long as the plot is wide.
std::string DrawPairs(const std::string& title, const std::vector<PlotPair>& pairs);

// For text of an HTML page.
std::string EscapeHtml(const std::string& text);

}  // namespace engram

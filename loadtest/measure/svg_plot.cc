#include "loadtest/measure/svg_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace engram {
namespace {

constexpr double kWidth = 720, kHeight = 240, kLeft = 84, kRight = 36, kTop = 16, kBottom = 40;
constexpr int kTicks = 4;
constexpr const char* kColours[] = {"var(--a)", "var(--b)", "var(--c)"};

// An axis: from values to places.
class Axis {
 public:
  Axis(double least, double most, double from, double to, bool log) : from_(from), to_(to), log_(log) {
    least_ = Of(least);
    most_ = Of(most);
    if (!(most_ > least_)) most_ = least_ + 1;
  }
  double Place(double value) const { return from_ + (Of(value) - least_) / (most_ - least_) * (to_ - from_); }
  double Value(double share) const {
    const double at = least_ + share * (most_ - least_);
    return log_ ? std::pow(10, at) : at;
  }

 private:
  double Of(double value) const { return log_ ? std::log10(std::max(value, 1e-9)) : value; }

  const double from_, to_;
  const bool log_;
  double least_ = 0, most_ = 1;
};

struct Range {
  double least = std::numeric_limits<double>::infinity(), most = -std::numeric_limits<double>::infinity();

  void Take(double value, bool log) {
    if (!std::isfinite(value) || (log && value <= 0)) return;
    least = std::min(least, value);
    most = std::max(most, value);
  }
  bool empty() const { return !(least <= most); }
};

std::string Opening(const std::string& title) {
  return fmt::format("<figure><figcaption>{0}</figcaption><svg viewBox=\"0 0 {1} {2}\" role=\"img\" aria-label=\"{0}\">",
                     EscapeHtml(title), kWidth, kHeight);
}

std::string Text(double x, double y, const char* anchor, const std::string& text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>", x, y, anchor, EscapeHtml(text));
}

std::string Grid(const Plot& plot, const Axis& x, const Axis& y) {
  std::string out;
  for (int i = 0; i <= kTicks; ++i) {
    const double share = static_cast<double>(i) / kTicks;
    const double at = kHeight - kBottom - share * (kHeight - kBottom - kTop);
    out += fmt::format("<line class=\"grid\" x1=\"{}\" y1=\"{:.1f}\" x2=\"{}\" y2=\"{:.1f}\"/>", kLeft, at,
                       kWidth - kRight, at);
    out += Text(kLeft - 6, at + 4, "end", plot.y_text(y.Value(share)));
    out += Text(kLeft + share * (kWidth - kLeft - kRight), kHeight - kBottom + 16, "middle", plot.x_text(x.Value(share)));
  }
  return out + Text((kLeft + kWidth - kRight) / 2, kHeight - 6, "middle", plot.x_label);
}

std::string Nothing(const std::string& title) {
  return Opening(title) + Text(kWidth / 2, kHeight / 2, "middle", "nothing was measured") + "</svg></figure>\n";
}

}  // namespace

std::string EscapeHtml(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string DrawLines(const Plot& plot, const std::vector<PlotLine>& lines) {
  Range of_x, of_y;
  for (const PlotLine& line : lines) {
    for (const double value : line.x) of_x.Take(value, plot.log_x);
    for (const double value : line.y) of_y.Take(value, plot.log_y);
  }
  if (of_x.empty() || of_y.empty()) return Nothing(plot.title);
  const Axis x(of_x.least, of_x.most, kLeft, kWidth - kRight, plot.log_x);
  const Axis y(plot.log_y ? of_y.least : 0, of_y.most, kHeight - kBottom, kTop, plot.log_y);
  std::string out = Opening(plot.title) + Grid(plot, x, y);
  for (size_t i = 0; i < lines.size(); ++i) {
    const PlotLine& line = lines[i];
    const char* colour = kColours[i % std::size(kColours)];
    std::string path;
    bool begun = false;
    for (size_t p = 0; p < std::min(line.x.size(), line.y.size()); ++p) {
      const bool there = std::isfinite(line.y[p]) && (!plot.log_y || line.y[p] > 0);
      if (there) path += fmt::format("{}{:.1f} {:.1f}", begun ? "L" : "M", x.Place(line.x[p]), y.Place(line.y[p]));
      begun = there;
    }
    out += fmt::format("<path class=\"line\" style=\"stroke:{}\" d=\"{}\"/>", colour, path);
    if (lines.size() > 1) {
      const double at = kLeft + 10 + 110 * static_cast<double>(i);
      out += fmt::format("<rect x=\"{:.1f}\" y=\"2\" width=\"10\" height=\"10\" style=\"fill:{}\"/>", at, colour);
      out += Text(at + 14, 11, "start", line.name);
    }
  }
  return out + "</svg></figure>\n";
}

std::string DrawSteps(const Plot& plot, const PlotLine& steps) {
  Range of_x, of_y;
  for (const double value : steps.x) of_x.Take(value, plot.log_x);
  for (const double value : steps.y) of_y.Take(value, false);
  if (of_x.empty() || of_y.empty()) return Nothing(plot.title);
  const Axis x(of_x.least, of_x.most, kLeft, kWidth - kRight, plot.log_x);
  const Axis y(0, of_y.most, kHeight - kBottom, kTop, false);
  std::string out = Opening(plot.title) + Grid(plot, x, y);
  for (size_t i = 0; i + 1 < steps.x.size() && i < steps.y.size(); ++i) {
    const double from = x.Place(steps.x[i]), to = x.Place(steps.x[i + 1]), top = y.Place(steps.y[i]);
    out += fmt::format("<rect class=\"bar\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>", from, top,
                       std::max(to - from - 0.5, 0.5), kHeight - kBottom - top);
  }
  return out + "</svg></figure>\n";
}

std::string DrawPairs(const std::string& title, const std::vector<PlotPair>& pairs) {
  constexpr double kRow = 34, kNames = 330, kTexts = 110;
  const double height = kRow * static_cast<double>(pairs.size()) + 24;
  std::string out = fmt::format("<figure><figcaption>{0}</figcaption><svg viewBox=\"0 0 {1} {2}\" role=\"img\" "
                                "aria-label=\"{0}\">",
                                EscapeHtml(title), kWidth, height);
  out += fmt::format("<rect x=\"{0}\" y=\"2\" width=\"10\" height=\"10\" style=\"fill:var(--b)\"/>", kNames);
  out += Text(kNames + 14, 11, "start", "before");
  out += fmt::format("<rect x=\"{0}\" y=\"2\" width=\"10\" height=\"10\" style=\"fill:var(--a)\"/>", kNames + 80);
  out += Text(kNames + 94, 11, "start", "now");
  for (size_t i = 0; i < pairs.size(); ++i) {
    const PlotPair& pair = pairs[i];
    const double top = 20 + kRow * static_cast<double>(i), most = std::max({pair.before, pair.now, 1e-12});
    out += Text(kNames - 8, top + 18, "end", pair.name);
    const std::pair<double, const std::string*> bars[] = {{pair.before, &pair.before_text}, {pair.now, &pair.now_text}};
    for (size_t b = 0; b < 2; ++b) {
      const double length = std::max(1.0, bars[b].first / most * (kWidth - kNames - kTexts));
      const double at = top + 13 * static_cast<double>(b);
      out += fmt::format("<rect class=\"pair\" x=\"{}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"11\" style=\"fill:{}\"/>",
                         kNames, at, length, b == 0 ? "var(--b)" : "var(--a)");
      out += Text(kNames + length + 6, at + 10, "start", *bars[b].second);
    }
  }
  return out + "</svg></figure>\n";
}

}  // namespace engram

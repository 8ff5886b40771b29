#include "loadtest/measure/bench_html.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "loadtest/measure/bench_text.h"
#include "loadtest/measure/svg_plot.h"

namespace engram {
namespace {

constexpr const char* kStyle = R"(
:root { --a: #1668b8; --b: #c2571a; --c: #2c8a4b; --ink: #1b1f24; --faint: #8a929c; --line: #dfe3e8; --paper: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --a: #63a9f0; --b: #f0975d; --c: #6cc98a; --ink: #e6e9ed; --faint: #98a1ab; --line: #333a42; --paper: #15181c; }
}
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 760px;
       margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.1rem; margin: 1.8rem 0 .4rem }
p.sub { color: var(--faint); margin-top: 0 } table { border-collapse: collapse; width: 100% }
td, th { padding: .2rem .6rem; border-bottom: 1px solid var(--line); text-align: right; font-variant-numeric: tabular-nums;
         overflow-wrap: anywhere }
td:first-child, th:first-child, table.text td { text-align: left; padding-left: 0 }
th { color: var(--faint); font-weight: 500 } .worse { color: var(--b); font-weight: 600 } .better { color: var(--c) }
figure { margin: 1.2rem 0 } figcaption { font-weight: 600; margin-bottom: .3rem } svg { width: 100%; height: auto }
svg text { font: 11px system-ui, sans-serif; fill: var(--faint) } .grid { stroke: var(--line) }
.line { fill: none; stroke-width: 1.5 } .bar { fill: var(--a) }
.verdict { border-left: 4px solid var(--a); padding: .2rem 0 .2rem 1rem }
)";
constexpr size_t kHistogramBars = 60;

std::vector<double> NumbersOf(const BenchDocument& document, const std::string& path) {
  std::vector<double> values;
  const Json* list = document.Find(path);
  if (list == nullptr || !list->is_array()) return values;
  for (const Json& value : *list) {
    values.push_back(value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN());
  }
  return values;
}

std::string TableOf(const BenchSection& section) {
  const bool is_text = section.title == "Where", has_head = section.rows.front().size() > 2;
  std::string out = fmt::format("<h2>{}</h2><table{}>", EscapeHtml(section.title), is_text ? " class=\"text\"" : "");
  for (size_t r = has_head ? 0 : 1; r < section.rows.size(); ++r) {
    out += "<tr>";
    const char* cell = r == 0 ? "th" : "td";
    for (const std::string& text : section.rows[r]) {
      const bool verdict = text == "worse" || text == "better";
      out += fmt::format("<{0}{1}>{2}</{0}>", cell, verdict ? " class=\"" + text + "\"" : "", EscapeHtml(text));
    }
    out += "</tr>\n";
  }
  return out + "</table>\n";
}

std::string DiagnosisOf(const BenchDocument& document) {
  if (document.Text("diagnosis.bottleneck").empty()) return "";
  std::string out = fmt::format("<h2>Diagnosis: {}</h2><div class=\"verdict\"><ul>",
                                EscapeHtml(document.Text("diagnosis.bottleneck")));
  for (const Json& evidence : *document.Find("diagnosis.evidence")) {
    out += "<li>" + EscapeHtml(evidence.get<std::string>()) + "</li>";
  }
  return out + fmt::format("</ul><p>Try <b>{}</b>: {}.</p></div>\n", EscapeHtml(document.Text("diagnosis.knob")),
                           EscapeHtml(document.Text("diagnosis.advice")));
}

std::string TimePlots(const BenchDocument& document) {
  const std::vector<double> seconds = NumbersOf(document, "series.seconds");
  const auto line = [&](const char* name, const char* path) {
    return PlotLine{name, seconds, NumbersOf(document, path)};
  };
  Plot plot;
  plot.x_label = "seconds: the steady parts of all rounds, then their bursts";
  plot.x_text = [](double value) { return fmt::format("{:.0f}", value); };
  plot.y_text = [](double value) { return FigureText("", std::round(value)); };
  plot.title = "Throughput over time, observations/s";
  std::string out = DrawLines(plot, {line("throughput", "series.observations_per_second")});
  plot.title = "Queue depth over time";
  const std::string depth = DrawLines(plot, {line("depth", "series.queue_depth")});
  plot.title = "Latency to the durable acknowledgement over time";
  plot.log_y = true;
  plot.y_text = [](double value) { return FigureText("_seconds", value); };
  out += DrawLines(plot, {line("p50", "series.p50_seconds"), line("p99", "series.p99_seconds")});
  plot.title = "Recall latency over time";
  out += DrawLines(plot, {line("p50", "series.recall_p50_seconds"), line("p99", "series.recall_p99_seconds")});
  return out + depth;
}

// The fine buckets put together into bars of equal width on a logarithmic axis.
std::string HistogramPlot(const BenchDocument& document, const char* name, const char* title) {
  const std::vector<double> bounds = NumbersOf(document, fmt::format("histogram.{}.upper_seconds", name));
  const std::vector<double> counts = NumbersOf(document, fmt::format("histogram.{}.count", name));
  Plot plot;
  plot.title = title;
  plot.log_x = true;
  plot.x_label = "from the due instant";
  plot.x_text = [](double value) { return FigureText("_seconds", value); };
  plot.y_text = [](double value) { return FigureText("", std::round(value)); };
  PlotLine steps;
  if (!bounds.empty() && bounds.size() == counts.size()) {
    const double least = std::log10(std::max(bounds.front(), 1e-9)) - 0.01;
    const double most = std::max(std::log10(std::max(bounds.back(), 1e-9)), least + 0.02);
    steps.y.assign(kHistogramBars, 0);
    for (size_t i = 0; i <= kHistogramBars; ++i) {
      steps.x.push_back(std::pow(10, least + (most - least) * static_cast<double>(i) / kHistogramBars));
    }
    for (size_t i = 0; i < bounds.size(); ++i) {
      const double share = (std::log10(std::max(bounds[i], 1e-9)) - least) / (most - least);
      steps.y[std::min(static_cast<size_t>(share * kHistogramBars), kHistogramBars - 1)] += counts[i];
    }
  }
  return DrawSteps(plot, steps);
}

std::string BeforeAfter(const BenchDocument& document) {
  const Json* figures = document.Find("comparison.figures");
  if (figures == nullptr) return "";
  std::vector<PlotPair> pairs;
  for (const Json& figure : *figures) {
    const std::string path = figure.value("figure", "");
    if (figure.value("verdict", "") == "told") continue;
    const double before = figure.value("base", 0.0), now = figure.value("now", 0.0);
    pairs.push_back({path, before, now, FigureText(path, before), FigureText(path, now)});
  }
  return DrawPairs("Before and after", pairs);
}

}  // namespace

std::string RenderHtml(const BenchDocument& document) {
  std::string name = document.Text("name");
  if (name.empty()) name = document.Text("environment.measured_at");
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\"><link rel=\"icon\" href=\"data:,\"><title>Benchmark {0}</title>"
      "<style>{1}</style></head><body>\n<h1>Benchmark {0}</h1><p class=\"sub\">{2}, {3}</p>\n",
      EscapeHtml(name), kStyle, EscapeHtml(document.Text("environment.measured_at")),
      EscapeHtml(document.Text("environment.daemon.cpu")));
  out += DiagnosisOf(document) + BeforeAfter(document) + TimePlots(document);
  out += HistogramPlot(document, "durable", "Streamed observations to their durable acknowledgement");
  out += HistogramPlot(document, "recall", "Recalls");
  for (const BenchSection& section : SectionsOf(document)) out += TableOf(section);
  return out + "</body></html>\n";
}

}  // namespace engram

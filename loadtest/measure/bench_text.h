// A benchmark's document as text: for people, as Markdown, as CSV.
//
// Threads: pure functions. Errors: none; what was not measured is left out.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "loadtest/measure/bench_document.h"

namespace engram {

// A table of the report. The first row is its head.
struct BenchSection {
  std::string title;
  std::vector<std::vector<std::string>> rows;
};
// In the order of seed and screen: throughput, latency, stages, recall, limits, resources, scheduling, then what it was
// compared with, and where it was measured.
std::vector<BenchSection> SectionsOf(const BenchDocument& document);

// How a figure named by its path is written: 1 234 567, 4.21 ms, 12.5 MB, 71 %.
std::string FigureText(const std::string& path, double value);

// Colours a piece of text; `good`, `bad`, `heading` and `dim` are the roles. Without colours: returns it as it is.
using Paint = std::function<std::string(const std::string& role, const std::string& text)>;
std::string RenderPretty(const BenchDocument& document, const Paint& paint);
std::string RenderMarkdown(const BenchDocument& document);
// `figure,value` for every number of the document but the series, histograms and rounds, and for all of a comparison:
// `comparison.regressed,false`, `comparison.figures.latency.recall.p50_seconds.verdict,same`.
std::string RenderCsv(const BenchDocument& document);

}  // namespace engram

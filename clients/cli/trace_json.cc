#include "clients/cli/trace_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "clients/cli/time_text.h"

namespace engram {
namespace {

using nlohmann::ordered_json;

std::string Text(const ordered_json& document) {
  return document.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

double Micros(int64_t nanos) { return static_cast<double>(nanos) / 1000; }

ordered_json BuffersOf(const v1::TraceBuffers& buffers) {
  return {{"frame", {{"bytes", buffers.frame_bytes()},
                     {"observations", buffers.frame_observations()},
                     {"reused", buffers.frame_reused()}}},
          {"record", {{"bytes", buffers.record_bytes()},
                      {"observations", buffers.record_observations()},
                      {"reused", buffers.record_reused()}}},
          {"group", {{"bytes", buffers.group_bytes()}, {"records", buffers.group_records()}}}};
}

// What is known of it but for its spans.
ordered_json FactsOf(const v1::Trace& trace, bool buffers) {
  ordered_json facts = {{"number", trace.number()}, {"space", trace.space()}, {"only_slow", trace.only_slow()},
                        {"position", trace.position()}};
  if (!trace.id().empty()) facts["id"] = trace.id();
  if (trace.kind() == v1::TRACE_KIND_RECALL) {
    facts["k"] = trace.k();
    facts["hits"] = trace.hits();
    facts["graph_candidates"] = trace.graph_candidates();
    facts["tail_scanned"] = trace.tail_scanned();
    return facts;
  }
  facts["stream_id"] = trace.stream_id();
  facts["sequence"] = trace.sequence();
  facts["ordinal"] = trace.ordinal();
  facts["priority"] = trace.priority() == v1::PRIORITY_HIGH ? "high" : "normal";
  facts["lane"] = trace.lane();
  facts["worker"] = trace.worker();
  facts["batch"] = trace.batch();
  facts["batch_observations"] = trace.batch_observations();
  if (buffers) facts["buffers"] = BuffersOf(trace.buffers());
  return facts;
}

// The spans below `parent`, each with its own.
ordered_json TreeOf(const v1::Trace& trace, int parent) {
  ordered_json below = ordered_json::array();
  for (int i = std::max(parent, -1) + 1; i < trace.spans_size(); ++i) {
    const v1::Span& span = trace.spans(i);
    if (span.parent() != parent) continue;
    ordered_json one = {{"name", span.name()},
                        {"start_us", Micros(span.start_ns())},
                        {"duration_us", Micros(span.duration_ns())}};
    if (ordered_json children = TreeOf(trace, i); !children.empty()) one["children"] = std::move(children);
    below.push_back(std::move(one));
  }
  return below;
}

// The place of the root a span belongs to.
int RootOf(const v1::Trace& trace, int span) {
  while (trace.spans(span).parent() >= 0) span = trace.spans(span).parent();
  return span;
}

enum Process { kObservations = 1, kRecalls = 2, kLinking = 3 };

// A tree of spans that has to lie on one thread.
struct Tree {
  const v1::Trace* trace;
  int root;
  Process process;
  int64_t start_ns;  // Since the first trace began.
  int64_t end_ns;
  size_t thread = 0;
};

std::vector<Tree> TreesOf(const std::vector<v1::Trace>& traces, int64_t first_us) {
  std::vector<Tree> trees;
  for (const v1::Trace& trace : traces) {
    const int64_t began_ns = (trace.started_at_us() - first_us) * 1000;
    for (int i = 0; i < trace.spans_size(); ++i) {
      const v1::Span& span = trace.spans(i);
      if (span.parent() >= 0) continue;
      const Process process = i > 0 ? kLinking : trace.kind() == v1::TRACE_KIND_RECALL ? kRecalls : kObservations;
      const int64_t start_ns = began_ns + span.start_ns();
      trees.push_back({&trace, i, process, start_ns, start_ns + span.duration_ns()});
    }
  }
  std::sort(trees.begin(), trees.end(), [](const Tree& a, const Tree& b) { return a.start_ns < b.start_ns; });
  return trees;
}

// Gives each tree the first thread of its process that is free by then; how many threads each process has.
std::array<size_t, 4> Spread(std::vector<Tree>& trees) {
  std::array<std::vector<int64_t>, 4> free_from;
  for (Tree& tree : trees) {
    std::vector<int64_t>& threads = free_from[tree.process];
    auto thread = std::find_if(threads.begin(), threads.end(), [&](int64_t from) { return from <= tree.start_ns; });
    if (thread == threads.end()) thread = threads.insert(threads.end(), 0);
    *thread = tree.end_ns;
    tree.thread = static_cast<size_t>(thread - threads.begin()) + 1;
  }
  std::array<size_t, 4> count{};
  for (size_t i = 0; i < count.size(); ++i) count[i] = free_from[i].size();
  return count;
}

}  // namespace

std::string TraceJson(const v1::Trace& trace, bool buffers) {
  ordered_json document = {{"kind", trace.kind() == v1::TRACE_KIND_RECALL ? "recall" : "observation"},
                           {"started_at", FormatInstant(trace.started_at_us())},
                           {"total_us", Micros(trace.total_ns())}};
  document.update(FactsOf(trace, buffers));
  document["spans"] = TreeOf(trace, -1);
  return Text(document);
}

std::string ChromeTrace(const std::vector<v1::Trace>& traces, bool buffers) {
  constexpr std::array<const char*, 4> kProcesses = {"", "observations", "recalls", "linking"};
  int64_t first_us = traces.empty() ? 0 : traces.front().started_at_us();
  for (const v1::Trace& trace : traces) first_us = std::min<int64_t>(first_us, trace.started_at_us());
  std::vector<Tree> trees = TreesOf(traces, first_us);
  const std::array<size_t, 4> threads = Spread(trees);

  ordered_json events = ordered_json::array();
  for (int process = kObservations; process <= kLinking; ++process) {
    const size_t count = threads[static_cast<size_t>(process)];
    if (count == 0) continue;
    const char* name = kProcesses[static_cast<size_t>(process)];
    events.push_back({{"ph", "M"}, {"name", "process_name"}, {"pid", process}, {"tid", 0}, {"args", {{"name", name}}}});
    for (size_t thread = 1; thread <= count; ++thread) {
      events.push_back({{"ph", "M"}, {"name", "thread_name"}, {"pid", process}, {"tid", thread},
                        {"args", {{"name", fmt::format("{} {}", name, thread)}}}});
    }
  }
  for (const Tree& tree : trees) {
    const v1::Trace& trace = *tree.trace;
    const int64_t began_ns = (trace.started_at_us() - first_us) * 1000;
    for (int i = tree.root; i < trace.spans_size(); ++i) {
      if (RootOf(trace, i) != tree.root) continue;
      const v1::Span& span = trace.spans(i);
      ordered_json event = {{"ph", "X"},
                            {"name", span.name()},
                            {"cat", kProcesses[tree.process]},
                            {"pid", static_cast<int>(tree.process)},
                            {"tid", tree.thread},
                            {"ts", Micros(began_ns + span.start_ns())},
                            {"dur", Micros(span.duration_ns())}};
      if (i == tree.root) event["args"] = FactsOf(trace, buffers && i == 0);
      events.push_back(std::move(event));
    }
  }
  return Text({{"traceEvents", std::move(events)},
               {"displayTimeUnit", "ms"},
               {"otherData", {{"started_at", FormatInstant(first_us)}}}});
}

}  // namespace engram

#include "clients/cli/trace_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "clients/cli/time_text.h"

namespace engram {
namespace {

constexpr size_t kNameWidth = 22;
constexpr size_t kTimeWidth = 9;

std::string Took(int64_t nanos) {
  return nanos < 10'000 ? fmt::format("{:.1f} us", static_cast<double>(nanos) / 1000)
                        : FormatDurationRough(static_cast<double>(nanos) / 1000);
}

// Where the span lies within [0, whole).
std::string TimeLine(const v1::Span& span, int64_t whole, size_t width) {
  const auto column = [&](int64_t at) {
    const double share = static_cast<double>(at) / static_cast<double>(std::max<int64_t>(whole, 1));
    return static_cast<size_t>(std::clamp(share, 0.0, 1.0) * static_cast<double>(width - 1));
  };
  const size_t begin = column(span.start_ns()), end = column(span.start_ns() + span.duration_ns());
  return std::string(begin, ' ') + std::string(end - begin + 1, '#');
}

class TreeText {
 public:
  TreeText(const Terminal& terminal, const v1::Trace& trace) : terminal_(terminal), trace_(trace) {
    constexpr size_t kWidest = 60;
    const size_t before = kNameWidth + 2 * (kTimeWidth + 2);
    const size_t columns = terminal.width == 0 ? 100 : terminal.width;
    line_width_ = columns > before + 10 ? std::min(columns - before - 1, kWidest) : 0;
  }

  std::string Render() {
    for (int i = 0; i < trace_.spans_size(); ++i) {
      if (trace_.spans(i).parent() < 0) Add(i, "", "", trace_.spans(i));
    }
    return std::move(out_);
  }

 private:
  // A root has a time line of its own: what goes on behind the answer may take a thousand times as long.
  void Add(int place, const std::string& branch, const std::string& below, const v1::Span& root) {
    const v1::Span& span = trace_.spans(place);
    const size_t width = DisplayWidth(branch) + span.name().size();
    v1::Span moved = span;
    moved.set_start_ns(span.start_ns() - root.start_ns());
    const std::string line = line_width_ == 0 ? "" : "  " + TimeLine(moved, root.duration_ns(), line_width_);
    out_ += fmt::format("{}{}{}{:>{}}  {:>{}}{}\n", Styled(terminal_, Style::kDim, branch),
                        Styled(terminal_, span.parent() < 0 ? Style::kBold : Style::kCyan, span.name()),
                        std::string(kNameWidth - std::min(width, kNameWidth), ' '), Took(span.duration_ns()), kTimeWidth,
                        "+" + Took(span.start_ns()), kTimeWidth + 1, Styled(terminal_, Style::kDim, line));
    std::vector<int> children;
    for (int i = place + 1; i < trace_.spans_size(); ++i) {
      if (trace_.spans(i).parent() == place) children.push_back(i);
    }
    for (const int child : children) {
      const bool last = child == children.back();
      Add(child, below + (last ? "└─ " : "├─ "), below + (last ? "   " : "│  "), root);
    }
  }

  const Terminal& terminal_;
  const v1::Trace& trace_;
  size_t line_width_ = 0;
  std::string out_;
};

std::string HeadOf(const Terminal& terminal, const v1::Trace& trace) {
  const bool recall = trace.kind() == v1::TRACE_KIND_RECALL;
  std::string out = fmt::format("#{} {} ", trace.number(), recall ? "recall" : "observation");
  out = Styled(terminal, Style::kBold, out + Printable(trace.space() + (trace.id().empty() ? "" : " " + trace.id())));
  out += "  " + FormatInstant(trace.started_at_us()) + (trace.only_slow() ? "  (not sampled: slow)" : "") + "\n";
  if (recall) {
    return out + fmt::format("  k {}, {} hits, {} compared by graph, {} one by one\n", trace.k(), trace.hits(),
                             Grouped(trace.graph_candidates()), Grouped(trace.tail_scanned()));
  }
  return out + fmt::format("  stream {} sequence {}, position {}, lane {}, batch {} of worker {} ({} observations)\n",
                           Printable(trace.stream_id()), trace.sequence(), trace.position(), trace.lane(),
                           trace.batch(), trace.worker(), Grouped(trace.batch_observations()));
}

std::string BuffersText(const v1::TraceBuffers& buffers) {
  const auto from = [](bool reused) { return reused ? "pooled" : "allocated"; };
  std::string out = fmt::format("  frame {} ({}, {} observations), record {} ({}, {} observations)",
                                FormatBytes(buffers.frame_bytes()), from(buffers.frame_reused()),
                                Grouped(buffers.frame_observations()), FormatBytes(buffers.record_bytes()),
                                from(buffers.record_reused()), Grouped(buffers.record_observations()));
  if (buffers.group_bytes() != 0) {
    out += fmt::format(", group {} ({} records)", FormatBytes(buffers.group_bytes()), Grouped(buffers.group_records()));
  }
  return out + "\n";
}

// The value that a share `quantile` of them does not exceed.
int64_t Quantile(std::vector<int64_t> values, double quantile) {
  const auto rank = static_cast<size_t>(std::ceil(quantile * static_cast<double>(values.size())));
  const auto at = values.begin() + static_cast<ptrdiff_t>(std::max<size_t>(rank, 1) - 1);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

// What the spans directly below the first one took, by name and in the order they come.
std::string StagesText(const Terminal& terminal, const std::vector<v1::Trace>& traces) {
  std::vector<std::string> order;
  std::map<std::string, std::vector<int64_t>> took;
  const auto note = [&](const v1::Span& span) {
    std::vector<int64_t>& values = took[span.name()];
    if (values.empty()) order.push_back(span.name());
    values.push_back(span.duration_ns());
  };
  for (const v1::Trace& trace : traces) {
    for (const v1::Span& span : trace.spans()) {
      if (span.parent() <= 0) note(span);
    }
  }
  Table table({{"span"}, {"traces", true}, {"p50", true}, {"p99", true}, {"most", true}});
  for (const std::string& name : order) {
    const std::vector<int64_t>& values = took[name];
    table.Add({name, Grouped(values.size()), Took(Quantile(values, 0.5)), Took(Quantile(values, 0.99)),
               Took(Quantile(values, 1))});
  }
  return table.Render(terminal);
}

std::string PoolText(const char* name, uint64_t reused, uint64_t allocated) {
  const uint64_t all = reused + allocated;
  if (all == 0) return "";
  return fmt::format("{} from the pool: {} of {} ({:.1f} %)\n", name, Grouped(reused), Grouped(all),
                     100 * static_cast<double>(reused) / static_cast<double>(all));
}

}  // namespace

std::string TraceText(const Terminal& terminal, const std::vector<v1::Trace>& traces, const v1::TraceState& state,
                      bool buffers) {
  if (traces.empty()) return "";
  std::string out;
  for (const v1::Trace& trace : traces) {
    out += HeadOf(terminal, trace);
    if (buffers && trace.has_buffers()) out += BuffersText(trace.buffers());
    out += TreeText(terminal, trace).Render() + "\n";
  }
  out += StagesText(terminal, traces);
  out += state.sample_period() == 0
             ? "tracing is off\n"
             : fmt::format("one of every {} sampled, {} and slower kept apart\n", Grouped(state.sample_period()),
                           FormatDuration(state.slow_us()));
  if (buffers) {
    out += PoolText("frames", state.frame_reuses(), state.frame_fallbacks());
    out += PoolText("records", state.record_reuses(), state.record_fallbacks());
  }
  return out;
}

}  // namespace engram

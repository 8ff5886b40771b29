#include "clients/cli/observe_summary.h"

#include <fmt/format.h>

#include <utility>

#include "clients/cli/render.h"
#include "clients/cli/time_text.h"

namespace engram {
namespace {

constexpr size_t kShown = 20;

}  // namespace

std::string Count(ObserveSummary::Refused one, ObserveSummary* summary) {
  if (++summary->refused > kShown) return "";
  const std::string named = one.id.empty() ? "" : fmt::format(" (\"{}\")", one.id);
  std::string line = fmt::format("line {}{}: {}", one.line, named, one.reason);
  summary->examples.push_back(std::move(one));
  return line;
}

std::string Count(ObserveSummary::RefusedEarlier one, ObserveSummary* summary) {
  if (++summary->refused_earlier > kShown) return "";
  std::string line = fmt::format("sequence {}, in an earlier run: {}", one.sequence, one.reason);
  summary->earlier_examples.push_back(std::move(one));
  return line;
}

std::vector<std::string> NotShown(const ObserveSummary& summary) {
  std::vector<std::string> out;
  if (summary.refused > kShown) out.push_back(fmt::format("{} more refused", Grouped(summary.refused - kShown)));
  if (summary.refused_earlier > kShown) {
    out.push_back(fmt::format("{} more refused in an earlier run", Grouped(summary.refused_earlier - kShown)));
  }
  return out;
}

std::string TextOf(const ObserveSummary& summary) {
  const double rate = summary.seconds > 0 ? static_cast<double>(summary.accepted) / summary.seconds : 0;
  std::string out = fmt::format("{} accepted, {} refused in {}, {} obs/s, next sequence {}\n",
                                Grouped(summary.accepted), Grouped(summary.refused),
                                FormatDurationRough(summary.seconds * 1e6), Rough(rate), summary.next_sequence);
  if (summary.skipped > 0) out += fmt::format("{} skipped: taken before\n", Grouped(summary.skipped));
  if (summary.resent > 0) out += fmt::format("{} sent again: there was no room at first\n", Grouped(summary.resent));
  if (summary.refused_earlier > 0) out += fmt::format("{} refused in an earlier run\n", Grouped(summary.refused_earlier));
  return out;
}

std::string HowToGoOn(const ObserveSummary& summary, bool named) {
  if (!named) {
    return fmt::format("stopped before sequence {}; a stream with a --stream-id can be resumed", summary.next_sequence);
  }
  return fmt::format("stopped before sequence {}; go on with the same input and --stream-id {} --resume",
                     summary.next_sequence, summary.stream_id);
}

}  // namespace engram

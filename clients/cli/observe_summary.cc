#include "clients/cli/observe_summary.h"

#include <fmt/format.h>

#include "clients/cli/render.h"
#include "clients/cli/time_text.h"

namespace engram {

std::string TextOf(const ObserveSummary& summary) {
  const double rate = summary.seconds > 0 ? static_cast<double>(summary.accepted) / summary.seconds : 0;
  std::string out = fmt::format("{} accepted, {} refused in {}, {} obs/s, next sequence {}\n",
                                Grouped(summary.accepted), Grouped(summary.refused),
                                FormatDurationRough(summary.seconds * 1e6), Rough(rate), summary.next_sequence);
  if (summary.skipped > 0) out += fmt::format("{} skipped: taken before\n", Grouped(summary.skipped));
  if (summary.resent > 0) out += fmt::format("{} sent again: there was no room at first\n", Grouped(summary.resent));
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

#include "core/observe_outcome.h"

#include <fmt/format.h>

#include <utility>

namespace engram {
namespace {

void Collect(StreamProgress& progress, ObserveOutcome& outcome) {
  for (Rejected& rejected : progress.rejected) outcome.rejected.push_back(std::move(rejected));
}

}  // namespace

absl::StatusOr<ObserveOutcome> AwaitOutcome(StreamConnection& stream, OneShotListener& listener,
                                            std::vector<std::string> ids, AckLevel level, MonotonicTime deadline) {
  const size_t count = ids.size();
  ObserveOutcome outcome;
  outcome.ids = std::move(ids);
  // What was never taken is refused by nobody, and has not reached its level either.
  const auto cut_off = [count](const StreamProgress& progress) {
    return !progress.ended.ok() && !absl::IsUnavailable(progress.ended) && progress.received_through < count;
  };
  while (true) {
    StreamProgress progress = stream.TakeProgress();
    if (cut_off(progress)) return progress.ended;
    Collect(progress, outcome);
    if (stream.Reached()) {
      // Token and refusals of the last batch may have come between the look at the progress and this one.
      StreamProgress last = stream.TakeProgress();
      if (cut_off(last)) return last.ended;
      Collect(last, outcome);
      if (level != AckLevel::kReceived && last.token.position != 0) outcome.token = last.token;
      break;
    }
    if (!progress.ended.ok() && !absl::IsUnavailable(progress.ended)) return progress.ended;
    if (!listener.Await(deadline)) {
      return absl::DeadlineExceededError(fmt::format("{} observations accepted, {} durable, {} indexed at the deadline",
                                                     progress.received_through, progress.durable_through,
                                                     progress.indexed_through));
    }
  }
  for (size_t i = 0; i < count; ++i) {
    if (outcome.ids[i].empty()) outcome.ids[i] = fmt::format("{}/{}", stream.id(), i + 1);
  }
  outcome.accepted = static_cast<uint32_t>(count);
  for (const Rejected& rejected : outcome.rejected) {
    outcome.accepted -= rejected.count;
    for (uint32_t i = 0; i < rejected.count; ++i) outcome.ids[rejected.sequence - 1 + i].clear();
  }
  return outcome;
}

}  // namespace engram

// engram recall --follow: the hits there are, and then each new one as it comes.
#include <fmt/format.h>

#include <atomic>

#include "clients/cli/interrupt.h"
#include "clients/cli/json_output.h"
#include "clients/cli/session.h"

namespace engram {
namespace {

// Between two attempts to reach a daemon that went away.
constexpr int64_t kRetryMicros = 500'000;

std::string LineOf(const v1::Hit& hit, const RecallOptions& options) {
  std::string line = fmt::format("{:.4f}  {}", hit.score(), hit.id());
  if (options.content && !hit.content().empty()) line += "  " + hit.content();
  return Printable(line);
}

// A daemon that comes back may have another embedding of the observation by then, or none: the recall is by this one, from
// the beginning on. When there is none now, the recall says so.
void RecallByItsVector(Session& session, v1::RecallRequest& recall) {
  v1::GetObservationsRequest request;
  request.set_space(recall.space());
  request.add_ids(recall.id());
  request.set_include_embedding(true);
  const absl::StatusOr<v1::GetObservationsResponse> response = session.daemon().GetObservations(request);
  if (!response.ok() || response->observations_size() == 0) return;
  recall.mutable_filter()->add_exclude_ids(recall.id());
  recall.set_embedding_f32(response->observations(0).embedding_f32());
}

}  // namespace

ExitCode FollowRecall(Session& session, const RecallOptions& options, const v1::RecallRequest& recall,
                      uint64_t dimension) {
  const Interrupt interrupt;
  v1::RecallStreamRequest request;
  *request.mutable_recall() = recall;
  if (!recall.id().empty()) RecallByItsVector(session, *request.mutable_recall());
  request.set_follow(true);
  std::atomic<bool> lost{false};
  // A pipe without a reader shows before the next hit, which may be long in coming.
  const auto over = [&] { return lost || ReaderGone(); };
  while (interrupt.count() == 0) {
    uint64_t unreadable = 0;
    const absl::Status ended = session.daemon().FollowRecall(request, interrupt, over, [&](const v1::RecallStreamResponse& part) {
      for (const v1::Hit& hit : part.hits()) {
        if (!session.Print((session.global().json ? ToJson(hit) : LineOf(hit, options)) + "\n")) lost = true;
        if (lost) return;
      }
      if (part.has_point()) *request.mutable_after() = part.point();
      unreadable += part.unreadable();
    });
    if (unreadable != 0) session.Warn(fmt::format("{} hits are damaged in the journal and left out", unreadable));
    if (interrupt.count() != 0) break;
    if (over()) return kOk;
    // Before the first point the snapshot would come again.
    if (!absl::IsUnavailable(ended) || !request.has_after()) return session.FailIn(options.space, ended, dimension);
    interrupt.WaitFor(kRetryMicros);
  }
  return kInterrupted;
}

}  // namespace engram

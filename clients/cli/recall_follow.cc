// engram recall --follow: the hits there are, and then each new one as it comes.
#include <fmt/format.h>

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

}  // namespace

ExitCode FollowRecall(Session& session, const RecallOptions& options, const v1::RecallRequest& recall,
                      uint64_t dimension) {
  const Interrupt interrupt;
  v1::RecallStreamRequest request;
  *request.mutable_recall() = recall;
  request.set_follow(true);
  while (interrupt.count() == 0) {
    uint64_t unreadable = 0;
    const absl::Status ended = session.daemon().FollowRecall(request, interrupt, [&](const v1::RecallStreamResponse& part) {
      for (const v1::Hit& hit : part.hits()) {
        session.Print((session.global().json ? ToJson(hit) : LineOf(hit, options)) + "\n");
      }
      if (part.has_point()) *request.mutable_after() = part.point();
      unreadable += part.unreadable();
    });
    if (unreadable != 0) session.Warn(fmt::format("{} hits are damaged in the journal and left out", unreadable));
    if (interrupt.count() != 0) break;
    // Before the first point the snapshot would come again.
    if (!absl::IsUnavailable(ended) || !request.has_after()) return session.FailIn(options.space, ended, dimension);
    interrupt.WaitFor(kRetryMicros);
  }
  return kInterrupted;
}

}  // namespace engram

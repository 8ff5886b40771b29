// engram get and engram forget: observations by name, there and gone.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "clients/cli/json_output.h"
#include "clients/cli/session.h"
#include "clients/cli/time_text.h"

namespace engram {
namespace {

// What the daemon takes in one call.
constexpr size_t kIdsInACall = 1000;

std::string BlockOf(const v1::Observation& observation, const Terminal& terminal) {
  std::string out;
  const auto line = [&](const char* name, const std::string& value) {
    out += Styled(terminal, Style::kDim, fmt::format("{:<12}", name)) + Printable(value) + "\n";
  };
  out += Styled(terminal, Style::kBold, Printable(observation.id())) + "\n";
  if (!observation.content().empty()) line("text", observation.content());
  const std::map<std::string, std::string> tags(observation.tags().begin(), observation.tags().end());
  for (const auto& [key, value] : tags) line("tag", fmt::format("{}={}", key, value));
  if (observation.observed_at_us() != 0) line("observed at", FormatInstant(observation.observed_at_us()));
  if (observation.has_confidence()) line("confidence", fmt::format("{}", observation.confidence()));
  if (observation.ttl_us() != 0) line("ttl", FormatDuration(observation.ttl_us()));
  const std::vector<float> elements = ElementsOf(observation);
  if (!elements.empty()) {
    const size_t shown = std::min<size_t>(elements.size(), 8);
    line("embedding", fmt::format("{} elements: {:.4g}{}", elements.size(),
                                  fmt::join(elements.begin(), elements.begin() + static_cast<long>(shown), " "),
                                  shown < elements.size() ? " ..." : ""));
  }
  return out;
}

template <typename Ids>
void WarnOfMissing(const Session& session, const std::string& space, const Ids& missing) {
  for (const std::string& id : missing) session.Warn(fmt::format("\"{}\" is not in space \"{}\"", id, space));
}

// Calls `act` with each run of ids that fits into a call; stops at the first that is not kOk.
template <typename Act>
ExitCode InCalls(const std::vector<std::string>& ids, const Act& act) {
  for (size_t at = 0; at < ids.size(); at += kIdsInACall) {
    const std::vector<std::string> some(ids.begin() + static_cast<long>(at),
                                        ids.begin() + static_cast<long>(std::min(ids.size(), at + kIdsInACall)));
    const ExitCode code = act(some);
    if (code != kOk) return code;
  }
  return kOk;
}

}  // namespace

ExitCode RunGet(Session& session, const GetOptions& options) {
  bool missing = false;
  const ExitCode code = InCalls(options.ids, [&](const std::vector<std::string>& ids) {
    v1::GetObservationsRequest request;
    request.set_space(options.space);
    *request.mutable_ids() = {ids.begin(), ids.end()};
    request.set_include_embedding(options.embedding);
    const absl::StatusOr<v1::GetObservationsResponse> response = session.daemon().GetObservations(request);
    if (!response.ok()) return session.FailIn(options.space, response.status());
    std::string out;
    for (int i = 0; i < response->observations_size(); ++i) {
      const v1::Observation& observation = response->observations(i);
      out += session.global().json ? ToJson(observation) + "\n"
                                   : (i > 0 ? "\n" : "") + BlockOf(observation, session.out());
    }
    session.Print(out);
    WarnOfMissing(session, options.space, response->missing());
    for (const std::string& id : response->unreadable()) {
      session.Warn(fmt::format("\"{}\" is damaged in the journal; engram verify on the data directory says where", id));
    }
    missing |= response->missing_size() + response->unreadable_size() > 0;
    return kOk;
  });
  return code == kOk && missing ? kPartial : code;
}

ExitCode RunForget(Session& session, const ForgetOptions& options) {
  v1::ForgetResponse total;
  const auto forget = [&](v1::ForgetRequest& request, bool dry_run) {
    request.set_space(options.space);
    request.set_dry_run(dry_run);
    const absl::StatusOr<v1::ForgetResponse> response = session.daemon().Forget(request);
    if (!response.ok()) return session.FailIn(options.space, response.status());
    total.set_forgotten(total.forgotten() + response->forgotten());
    total.mutable_missing()->MergeFrom(response->missing());
    return kOk;
  };
  ExitCode code = kOk;
  if (options.filter.has_value()) {
    v1::ForgetRequest request;
    *request.mutable_filter() = *options.filter;
    if (!options.yes && !options.dry_run) {
      code = forget(request, true);
      if (code != kOk) return code;
      if (!session.Confirm(
              fmt::format("Forget {} observations in \"{}\"?", Grouped(total.forgotten()), options.space))) {
        session.Warn(fmt::format("nothing forgotten; {} would be. Say so with --yes.", Grouped(total.forgotten())));
        return kUsage;
      }
      total.Clear();
    }
    code = forget(request, options.dry_run);
  } else {
    code = InCalls(options.ids, [&](const std::vector<std::string>& ids) {
      v1::ForgetRequest request;
      *request.mutable_ids() = {ids.begin(), ids.end()};
      return forget(request, options.dry_run);
    });
  }
  if (code != kOk) return code;
  session.Print(session.global().json ? ToJson(total, options.dry_run) + "\n"
                                      : fmt::format("{} {}\n", options.dry_run ? "would forget" : "forgotten",
                                                    Grouped(total.forgotten())));
  WarnOfMissing(session, options.space, total.missing());
  return total.missing_size() > 0 ? kPartial : kOk;
}

}  // namespace engram

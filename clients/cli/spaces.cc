// engram spaces: what spaces there are, and making, changing and deleting them.
#include <fmt/format.h>

#include <utility>

#include "clients/cli/json_output.h"
#include "clients/cli/session.h"
#include "clients/cli/time_text.h"

namespace engram {
namespace {

std::string OrNone(uint64_t value) { return value == 0 ? "-" : Grouped(value); }

ExitCode List(Session& session, const SpacesOptions& options) {
  const absl::StatusOr<std::vector<v1::Space>> spaces = session.daemon().ListSpaces(options.prefix);
  if (!spaces.ok()) return session.Fail(spaces.status());
  std::string lines;
  Table table({{"name"},
               {"dimension", true},
               {"metric"},
               {"live", true},
               {"linked", true},
               {"queued", true},
               {"memory", true},
               {"made"}});
  for (const v1::Space& space : *spaces) {
    if (options.names_only) {
      lines += space.name() + "\n";
    } else if (session.global().json) {
      lines += ToJson(space) + "\n";
    } else {
      table.Add({space.name(), OrNone(space.config().dimension()), NameOf(space.config().metric()),
                 Grouped(space.live()), space.has_graph() ? Grouped(space.linked()) : "-", Grouped(space.queued()),
                 FormatBytes(space.resident_bytes()), FormatInstant(space.created_at_us()).substr(0, 19)});
    }
  }
  if (!options.names_only && !session.global().json) {
    lines = spaces->empty() ? "no spaces\n" : table.Render(session.out());
  }
  session.Print(lines);
  return kOk;
}

ExitCode PrintSpace(Session& session, const absl::StatusOr<v1::Space>& space, const std::string& name) {
  if (!space.ok()) return session.FailIn(name, space.status());
  if (session.global().json) {
    session.Print(ToJson(*space) + "\n");
    return kOk;
  }
  const v1::SpaceConfig& config = space->config();
  std::string out = Styled(session.out(), Style::kBold, space->name()) + "\n";
  const auto line = [&](const char* key, const std::string& value) {
    out += Styled(session.out(), Style::kDim, fmt::format("{:<20}", key)) + value + "\n";
  };
  const auto limit = [](uint64_t value) { return value == 0 ? std::string("none") : Grouped(value); };
  line("dimension", config.dimension() == 0 ? "by its first observation" : Grouped(config.dimension()));
  line("metric", NameOf(config.metric()));
  line("observations", fmt::format("{} live of {} stored, {} waiting", Grouped(space->live()), Grouped(space->size()),
                                   Grouped(space->queued())));
  line("graph", space->has_graph()              ? fmt::format("{} linked", Grouped(space->linked()))
                : config.has_flat_threshold() ? fmt::format("none below {} observations", Grouped(config.flat_threshold()))
                                              : "none yet");
  line("memory", FormatBytes(space->resident_bytes()));
  line("made", FormatInstant(space->created_at_us()));
  line("max_connections", Grouped(config.max_connections()));
  line("ef_construction", Grouped(config.ef_construction()));
  line("ef_search", Grouped(config.ef_search()));
  line("max_rate", limit(config.max_rate()));
  line("quota_observations", limit(config.quota_observations()));
  line("quota_bytes", config.quota_bytes() == 0 ? "none" : FormatBytes(config.quota_bytes()));
  session.Print(out);
  return kOk;
}

ExitCode Create(Session& session, const SpacesOptions& options) {
  v1::CreateSpaceRequest request;
  request.set_name(options.name);
  v1::SpaceConfig& config = *request.mutable_config();
  config.set_dimension(options.dimension);
  config.set_metric(options.metric);
  config.set_max_connections(options.max_connections);
  config.set_ef_construction(options.ef_construction);
  config.set_ef_search(options.ef_search.value_or(0));
  if (options.flat_threshold.has_value()) config.set_flat_threshold(*options.flat_threshold);
  config.set_max_rate(options.max_rate.value_or(0));
  config.set_quota_observations(options.quota_observations.value_or(0));
  config.set_quota_bytes(options.quota_bytes.value_or(0));
  return PrintSpace(session, session.daemon().CreateSpace(request), options.name);
}

ExitCode Update(Session& session, const SpacesOptions& options) {
  v1::UpdateSpaceRequest request;
  request.set_name(options.name);
  if (options.ef_search.has_value()) request.set_ef_search(*options.ef_search);
  if (options.max_rate.has_value()) request.set_max_rate(*options.max_rate);
  if (options.quota_observations.has_value()) request.set_quota_observations(*options.quota_observations);
  if (options.quota_bytes.has_value()) request.set_quota_bytes(*options.quota_bytes);
  return PrintSpace(session, session.daemon().UpdateSpace(request), options.name);
}

ExitCode Delete(Session& session, const SpacesOptions& options) {
  if (!options.yes) {
    const absl::StatusOr<v1::Space> space = session.daemon().GetSpace(options.name);
    if (!space.ok()) return session.FailIn(options.name, space.status());
    if (!session.Confirm(
            fmt::format("Delete space \"{}\" with {} observations?", options.name, Grouped(space->live())))) {
      session.Warn(fmt::format("nothing deleted; space \"{}\" has {} observations. Say so with --yes.", options.name,
                               Grouped(space->live())));
      return kUsage;
    }
  }
  const absl::StatusOr<v1::DeleteSpaceResponse> response = session.daemon().DeleteSpace(options.name);
  if (!response.ok()) return session.FailIn(options.name, response.status());
  session.Print(session.global().json
                    ? ToJson(*response, options.name) + "\n"
                    : fmt::format("deleted {}, {} observations\n", options.name, Grouped(response->forgotten())));
  return kOk;
}

}  // namespace

ExitCode RunSpaces(Session& session, const SpacesOptions& options) {
  switch (options.action) {
    case SpacesOptions::Action::kList:
      return List(session, options);
    case SpacesOptions::Action::kCreate:
      return Create(session, options);
    case SpacesOptions::Action::kShow:
      return PrintSpace(session, session.daemon().GetSpace(options.name), options.name);
    case SpacesOptions::Action::kUpdate:
      return Update(session, options);
    case SpacesOptions::Action::kDelete:
      return Delete(session, options);
  }
  return kInternal;
}

}  // namespace engram

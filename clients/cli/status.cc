// engram status: one look at the daemon, or a live view of it.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "clients/cli/interrupt.h"
#include "clients/cli/json_output.h"
#include "clients/cli/session.h"
#include "clients/cli/time_text.h"
#include "loadtest/fault_names.h"

namespace engram {
namespace {

constexpr size_t kSpacesShown = 10;

struct Look {
  v1::GetStatusResponse status;
  // Those with most waiting, then most memories.
  std::vector<v1::Space> spaces;
};

Style StyleOf(v1::PressureLevel level) {
  switch (level) {
    case v1::PRESSURE_LEVEL_WARNING:
      return Style::kYellow;
    case v1::PRESSURE_LEVEL_CRITICAL:
    case v1::PRESSURE_LEVEL_OVERLOADED:
      return Style::kRed;
    default:
      return Style::kGreen;
  }
}

// Per second between two looks; the daemon's own uptime is the clock, so a slow answer does not distort it.
double Rate(uint64_t now, uint64_t before, int64_t elapsed_us) {
  return elapsed_us > 0 && now >= before ? static_cast<double>(now - before) * 1e6 / static_cast<double>(elapsed_us)
                                         : 0;
}

std::string LatencyText(const v1::LatencySummary& latency) {
  if (latency.count() == 0) return "idle";
  return fmt::format("p50 {}, p99 {}", FormatLatency(latency.p50_us()), FormatLatency(latency.p99_us()));
}

// What the daemon knows of it: what is empty or 0 is left out.
std::string Listed(std::vector<std::string> parts) {
  std::erase(parts, "");
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string BuildText(const v1::BuildStatus& build) {
  return Listed({Printable(build.commit()), Printable(build.flags())});
}

std::string MachineText(const v1::MachineStatus& machine) {
  return Listed({Printable(machine.name()), Printable(machine.cpu()),
                 machine.cores() == 0 ? "" : fmt::format("{} core{}", machine.cores(), machine.cores() == 1 ? "" : "s"),
                 machine.memory_bytes() == 0 ? "" : FormatBytes(machine.memory_bytes()), Printable(machine.system())});
}

std::string FaultsText(const v1::GetStatusResponse& status) {
  std::vector<std::string> kinds;
  for (const v1::FaultEffect& effect : status.fault_effects()) {
    kinds.push_back(fmt::format("{} {}", NameOf(effect.kind()), Grouped(effect.count())));
  }
  return Listed(std::move(kinds));
}

std::string View(const Look& look, const Look* before, const Terminal& terminal) {
  const v1::GetStatusResponse& status = look.status;
  std::string out;
  const auto line = [&](const char* name, const std::string& text) {
    out += Styled(terminal, Style::kDim, fmt::format("{:<10}", name)) + text + "\n";
  };
  out += Styled(terminal, Style::kBold, "engramd " + Printable(status.version())) +
         fmt::format("  {}  up {}  {}durability {}{}\n", Printable(status.grpc_address()),
                     FormatDurationRough(static_cast<double>(status.uptime_us())),
                     status.profile().empty() ? "" : "profile " + Printable(status.profile()) + "  ",
                     NameOf(status.durability()),
                     status.draining() ? "  " + Styled(terminal, Style::kYellow, "draining") : "");
  const double share = status.queue_capacity() == 0
                           ? 0
                           : static_cast<double>(status.queue_depth()) / static_cast<double>(status.queue_capacity());
  line("queue", fmt::format("{} {} of {}, pressure {}", Styled(terminal, StyleOf(status.pressure()), Bar(share, 30)),
                            Grouped(status.queue_depth()), Grouped(status.queue_capacity()),
                            Styled(terminal, StyleOf(status.pressure()), NameOf(status.pressure()))));
  if (before != nullptr) {
    const v1::GetStatusResponse& was = before->status;
    const int64_t elapsed = status.uptime_us() - was.uptime_us();
    line("rates", fmt::format("{} observed/s, {} refused/s, {} recalls/s",
                              Rough(Rate(status.observations_total(), was.observations_total(), elapsed)),
                              Rough(Rate(status.rejected_total(), was.rejected_total(), elapsed)),
                              Rough(Rate(status.recalls_total(), was.recalls_total(), elapsed))));
  }
  line("totals", fmt::format("{} observed, {} refused, {} recalls", Grouped(status.observations_total()),
                             Grouped(status.rejected_total()), Grouped(status.recalls_total())));
  line("observe", LatencyText(status.observe_latency()));
  line("recall",
       fmt::format("{}, {} waiting", LatencyText(status.recall_latency()), Grouped(status.recalls_waiting())));
  line("memory",
       fmt::format("{} live in {} spaces, {} to link, {}", Grouped(status.observations_live()),
                   Grouped(status.spaces()), Grouped(status.link_backlog()), FormatBytes(status.resident_bytes())));
  line("streams", Grouped(status.streams()));
  if (const std::string faults = FaultsText(status); !faults.empty()) {
    line("faults", Styled(terminal, Style::kYellow, faults));
  }
  if (const std::string build = BuildText(status.build()); !build.empty()) line("build", build);
  if (const std::string machine = MachineText(status.machine()); !machine.empty()) line("machine", machine);
  if (status.lanes_size() > 0) {
    Table lanes({{"lane", true}, {"high", true}, {"normal", true}, {"batches", true}, {"stolen", true}, {"busy"}});
    for (const v1::LaneStatus& lane : status.lanes()) {
      lanes.Add({fmt::format("{}", lane.lane()), Grouped(lane.depth_high()), Grouped(lane.depth_normal()),
                 Grouped(lane.batches()), Grouped(lane.stolen()),
                 fmt::format("{} {:.0f} %", Bar(lane.utilization(), 10), lane.utilization() * 100)});
    }
    out += "\n" + lanes.Render(terminal);
  }
  if (!look.spaces.empty()) {
    Table spaces({{"live", true}, {"waiting", true}, {"to link", true}, {"memory", true}, {"space"}});
    for (size_t i = 0; i < std::min(look.spaces.size(), kSpacesShown); ++i) {
      const v1::Space& space = look.spaces[i];
      spaces.Add({Grouped(space.live()), Grouped(space.queued()),
                  space.has_graph() ? Grouped(space.size() - std::min(space.size(), space.linked())) : "-",
                  FormatBytes(space.resident_bytes()), space.name()});
    }
    out += "\n" + spaces.Render(terminal);
    if (look.spaces.size() > kSpacesShown) {
      out += Styled(terminal, Style::kDim, fmt::format("and {} more", look.spaces.size() - kSpacesShown)) + "\n";
    }
  }
  return out;
}

absl::StatusOr<Look> Take(Session& session) {
  Look look;
  absl::StatusOr<v1::GetStatusResponse> status = session.daemon().GetStatus();
  if (!status.ok()) return status.status();
  look.status = *std::move(status);
  if (session.global().json) return look;
  absl::StatusOr<std::vector<v1::Space>> spaces = session.daemon().ListSpaces("");
  if (!spaces.ok()) return spaces.status();
  look.spaces = *std::move(spaces);
  std::stable_sort(look.spaces.begin(), look.spaces.end(), [](const v1::Space& a, const v1::Space& b) {
    return a.queued() != b.queued() ? a.queued() > b.queued() : a.live() > b.live();
  });
  return look;
}

// Draws over the last view, line by line, so that nothing flickers. Lines do not wrap and as many as fit are shown: a
// view that scrolled could not be drawn over.
std::string Redraw(const std::string& view, bool first, size_t height) {
  std::string out = first ? "\x1b[?7l\x1b[2J\x1b[H" : "\x1b[H";
  size_t lines = 0;
  for (const char c : view) {
    if (c == '\n' && ++lines == height) break;
    out += c == '\n' ? std::string("\x1b[K\n") : std::string(1, c);
  }
  return out + "\x1b[J";
}

}  // namespace

ExitCode RunStatus(Session& session, const StatusOptions& options) {
  const bool in_place = options.watch && session.out().is_terminal && !session.global().json;
  std::optional<Interrupt> interrupt;
  if (options.watch) interrupt.emplace();
  std::optional<Look> before;
  const auto leave = [&] {
    if (in_place && before.has_value()) session.Print("\x1b[?7h\n");
  };
  while (true) {
    absl::StatusOr<Look> look = Take(session);
    if (!look.ok()) {
      leave();
      return session.Fail(look.status());
    }
    bool arrived = false;
    if (session.global().json) {
      arrived = session.Print(ToJson(look->status) + "\n");
    } else {
      const std::string view = View(*look, before.has_value() ? &*before : nullptr, session.out());
      arrived = session.Print(in_place             ? Redraw(view, !before.has_value(), session.out().height)
                              : before.has_value() ? "\n" + view
                                                   : view);
    }
    before = *std::move(look);
    // Ctrl-C is how one leaves the live view, so it is no failure.
    if (!options.watch || !arrived || interrupt->WaitFor(options.interval_us)) {
      leave();
      return kOk;
    }
  }
}

}  // namespace engram

#include <fmt/format.h>

#include <limits>
#include <string>

#include "loadtest/load_run.h"

namespace engram {
namespace {

// Of google.rpc.Code.
std::string CodeName(int code) { return std::string(absl::StatusCodeToString(static_cast<absl::StatusCode>(code))); }

double AnsweredShare(const LoadOutcome& outcome) {
  return static_cast<double>(outcome.recalls_answered) / static_cast<double>(outcome.recalls_due);
}

void AddBars(const Scenario& scenario, const LoadOutcome& outcome, Report& report) {
  const auto none = [&](const char* name, uint64_t value) {
    report.AddBar({.name = name, .value = static_cast<double>(value), .limit = 0});
  };
  const auto must = [&](const char* name, bool holds) {
    report.AddBar({.name = name, .value = holds ? 1.0 : 0.0, .limit = 1, .at_least = true});
  };
  must("daemon stayed up", outcome.death.empty());
  must("asked what it has", outcome.unverified.empty());
  if (outcome.unverified.empty()) {
    none("acknowledged and lost", outcome.verdict.lost);
    none("there twice", outcome.verdict.twice);
    none("not as it was sent", outcome.verdict.changed);
    none("refused or never sent, and there", outcome.verdict.revived + outcome.verdict.invented);
  }
  must("nothing left behind", outcome.left_behind.empty());
  none("answers that contradict earlier ones", outcome.contradictions);
  none("durable and not found by id", outcome.not_found);
  none("recalls answered wrongly", outcome.wrong);
  none("refused for good", outcome.refused);
  none("errors that are not graceful", outcome.ungraceful);
  if (scenario.pass.may_fall_behind) {
    // Of nothing nothing can be lost: the bars above would hold of a daemon that takes nothing.
    if (outcome.due > 0) must("something is durable", outcome.durable > 0);
  } else {
    none("due and not durable", outcome.due - outcome.durable - outcome.refused);
  }
  if (outcome.recalls_due > 0) {
    report.AddBar({.name = "recalls answered",
                   .value = AnsweredShare(outcome),
                   .limit = scenario.pass.recalls_answered_share,
                   .at_least = true});
  }
  report.AddBar({.name = "recovered within",
                 .value = outcome.recovered_seconds,
                 .limit = scenario.pass.recovered_within_seconds,
                 .unit = "s"});
  const auto milliseconds = [&](const char* name, const Histogram& histogram, const std::optional<double>& limit) {
    if (!limit) return;
    report.AddBar({.name = name,
                   // What never happened was not quick.
                   .value = histogram.count() == 0 ? std::numeric_limits<double>::infinity()
                                                   : static_cast<double>(histogram.Percentile(0.99)) / 1e6,
                   .limit = *limit * 1e3,
                   .unit = "ms"});
  };
  milliseconds("recall p99", outcome.recall, scenario.pass.recall_p99_seconds);
  milliseconds("durable p99", outcome.observe, scenario.pass.observe_p99_seconds);
  if (scenario.pass.observe_p99_at_least_seconds) {
    // Of a fault that makes things slow: quicker than that it was not in force.
    report.AddBar({.name = "durable p99 at least",
                   .value = static_cast<double>(outcome.observe.Percentile(0.99)) / 1e6,
                   .limit = *scenario.pass.observe_p99_at_least_seconds * 1e3,
                   .at_least = true,
                   .unit = "ms"});
  }
  for (const FaultOutcome& fault : outcome.faults) {
    report.AddBar({.name = fault.name + " did something",
                   .value = static_cast<double>(fault.effects),
                   .limit = static_cast<double>(fault.least),
                   .at_least = true});
  }
  if (scenario.pass.memory_bytes) {
    report.AddBar({.name = "memory",
                   .value = static_cast<double>(outcome.peak_bytes) / 1048576,
                   .limit = static_cast<double>(*scenario.pass.memory_bytes) / 1048576,
                   .unit = "MiB"});
  }
  if (scenario.pass.observations_per_second) {
    report.AddBar({.name = "made durable",
                   .value = static_cast<double>(outcome.durable) / outcome.seconds,
                   .limit = *scenario.pass.observations_per_second,
                   .at_least = true,
                   .unit = "obs/s"});
  }
  if (scenario.pass.must_be_pushed_back) {
    report.AddBar({.name = "pushed back for lack of room",
                   .value = static_cast<double>(outcome.pushed_back),
                   .limit = 1,
                   .at_least = true});
  }
}

}  // namespace

void ReportOutcome(const Scenario& scenario, const LoadOutcome& outcome, Report& report) {
  const LedgerVerdict& verdict = outcome.verdict;
  report.Line(fmt::format("{} of {} observations durable in {:.1f} s, {:.0f}/s; {} pushed back and sent again, {} "
                          "connections; peak {:.0f} MiB",
                          Grouped(static_cast<double>(outcome.durable)), Grouped(static_cast<double>(outcome.due)),
                          outcome.seconds, static_cast<double>(outcome.durable) / outcome.seconds, outcome.pushed_back,
                          outcome.connections, static_cast<double>(outcome.peak_bytes) / 1048576));
  report.Line(fmt::format("{} promised, {} read back as they were sent", Grouped(static_cast<double>(verdict.promised)),
                          Grouped(static_cast<double>(verdict.found))));
  if (outcome.recalls_due > 0) {
    report.Line(fmt::format("{} of {} recalls answered, {} of them wrong", outcome.recalls_answered, outcome.recalls_due,
                            outcome.wrong));
  }
  std::vector<std::vector<std::string>> rows = {{"ms from due", "p50", "p90", "p99", "p99.9", "max"}};
  const auto row = [&](const char* name, const Histogram& histogram) {
    if (histogram.count() == 0) return;
    rows.push_back(PercentileCells(histogram));
    rows.back().insert(rows.back().begin(), name);
  };
  row("durable", outcome.observe);
  row("recall", outcome.recall);
  report.Table(rows);
  for (const auto& [code, count] : outcome.ended) report.Line(fmt::format("{} calls ended {}", count, CodeName(code)));
  for (const std::string& fault : {outcome.death, outcome.unverified, outcome.left_behind, verdict.first_fault,
                                   outcome.first_wrong, outcome.first_contradiction, outcome.first_refusal}) {
    if (!fault.empty()) report.Line(fault);
  }

  report.Put("scenario", scenario.name);
  report.Put("daemon/stayed_up", outcome.death.empty());
  if (!outcome.death.empty()) report.Put("daemon/death", outcome.death);
  report.Put("observations/due", outcome.due);
  report.Put("observations/durable", outcome.durable);
  report.Put("observations/refused", outcome.refused);
  report.Put("observations/pushed_back", outcome.pushed_back);
  report.Put("observations/per_second", static_cast<double>(outcome.durable) / outcome.seconds);
  report.Put("ledger/promised", verdict.promised);
  report.Put("ledger/found", verdict.found);
  report.Put("ledger/lost", verdict.lost);
  report.Put("ledger/twice", verdict.twice);
  report.Put("ledger/changed", verdict.changed);
  report.Put("ledger/revived", verdict.revived);
  report.Put("ledger/invented", verdict.invented);
  report.Put("ledger/contradictions", outcome.contradictions);
  report.Put("latency/durable", PercentilesToJson(outcome.observe));
  report.Put("latency/recall", PercentilesToJson(outcome.recall));
  report.Put("recalls/due", outcome.recalls_due);
  report.Put("recalls/answered", outcome.recalls_answered);
  if (outcome.recalls_due > 0) report.Put("recalls/answered_share", AnsweredShare(outcome));
  report.Put("recalls/not_found", outcome.not_found);
  report.Put("recalls/wrong", outcome.wrong);
  if (!outcome.first_wrong.empty()) report.Put("recalls/first_wrong", outcome.first_wrong);
  report.Put("recovered_seconds", outcome.recovered_seconds);
  report.Put("peak_resident_bytes", outcome.peak_bytes);
  report.Put("connections", outcome.connections);
  nlohmann::ordered_json faults = nlohmann::ordered_json::array();
  for (const FaultOutcome& fault : outcome.faults) faults.push_back({{"fault", fault.name}, {"effects", fault.effects}});
  report.Put("faults", std::move(faults));
  for (const auto& [code, count] : outcome.ended) report.Put("ended/" + CodeName(code), count);
  AddBars(scenario, outcome, report);
}

}  // namespace engram

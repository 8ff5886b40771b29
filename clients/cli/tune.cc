// engram tune: searches for the settings that reach a goal on this machine, and writes them down with the evidence.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "clients/cli/bench_request.h"
#include "clients/cli/session.h"
#include "loadtest/measure/bench_store.h"
#include "loadtest/measure/bench_text.h"
#include "loadtest/measure/daemon_settings.h"
#include "loadtest/measure/tune.h"
#include "loadtest/pacing.h"
#include "loadtest/spawn.h"

namespace engram {
namespace {

constexpr double kWarmupShare = 0.2;

// A trial as its benchmark's document has it.
Trial TrialOf(const Trial& named, const BenchDocument& document) {
  Trial trial = named;
  trial.p50_seconds = document.Number("latency.durable.p50_seconds").value_or(0);
  trial.p99_seconds = document.Number("latency.durable.p99_seconds").value_or(INFINITY);
  trial.throughput = document.Number("throughput.observations_per_second").value_or(0);
  trial.cpu_share = document.Number("resources.steady_cpu_cores").value_or(0);
  return trial;
}

// One for each round, of what a goal is about; none where a round has no latency.
std::vector<Trial> RoundsOf(const BenchDocument& document) {
  const std::vector<double> latencies = document.Rounds("latency.durable.p99_seconds");
  const std::vector<double> rates = document.Rounds("throughput.observations_per_second");
  std::vector<Trial> rounds(std::min(latencies.size(), rates.size()));
  for (size_t i = 0; i < rounds.size(); ++i) {
    rounds[i].p99_seconds = latencies[i];
    rounds[i].throughput = rates[i];
  }
  return rounds;
}

TargetSpec With(TargetSpec target, const Trial& trial) {
  target.settings.insert(target.settings.end(), trial.settings.begin(), trial.settings.end());
  return target;
}

std::string CpuText(double share) { return fmt::format("{:.0f} %", share * 100); }

std::string TableOf(const std::vector<Trial>& trials, const Terminal& terminal) {
  Table table({{"Config"}, {"P50", true}, {"P99", true}, {"Throughput", true}, {"CPU %", true}});
  for (const Trial& trial : trials) {
    if (!trial.failure.empty()) {
      table.Add({trial.name, "", "", "refused", ""});
      continue;
    }
    table.Add({trial.name, FigureText("_seconds", trial.p50_seconds), FigureText("_seconds", trial.p99_seconds),
               FigureText("", std::round(trial.throughput)), CpuText(trial.cpu_share)});
  }
  return table.Render(terminal);
}

// The daemon's last word, without the log before it.
std::string WhyOf(const Trial& trial) {
  std::string why = trial.failure;
  why.erase(why.find_last_not_of('\n') + 1);
  return why.substr(why.rfind('\n') + 1);
}

Json JsonOf(const Trial& trial, const TuneGoal& goal) {
  if (!trial.failure.empty()) {
    return {{"name", trial.name}, {"settings", trial.settings}, {"refused", WhyOf(trial)}, {"meets", false}};
  }
  return {{"name", trial.name},
          {"settings", trial.settings},
          {"p50_seconds", trial.p50_seconds},
          {"p99_seconds", trial.p99_seconds},
          {"observations_per_second", trial.throughput},
          {"cpu_share", trial.cpu_share},
          {"meets", trial.Meets(goal)}};
}

std::string GoalText(const TuneGoal& goal) {
  return fmt::format("p99 at most {}, at least {} observations/s", FigureText("_seconds", goal.p99_seconds),
                     FigureText("", goal.least_throughput));
}

std::string VerdictText(const TuneResult& result, const TuneGoal& goal) {
  const std::string name = result.winner.settings.empty() ? "the baseline" : result.winner.name;
  return fmt::format("{} {} the goal: {}", name, result.winner.Meets(goal) ? "reaches" : "is nearest to and misses",
                     GoalText(goal));
}

// What stands before the settings in the file.
std::vector<std::string> Evidence(const TuneResult& result, const TuneGoal& goal, const BenchRequest& request,
                                  const BenchDocument& where) {
  std::vector<std::string> lines = {
      fmt::format("Found by `engram tune` at {} on {}, {} cores, {}, commit {}.", where.Text("environment.measured_at"),
                  where.Text("environment.daemon.cpu"), where.Number("environment.daemon.cores").value_or(0),
                  where.Text("environment.daemon.build"), where.Text("environment.daemon.commit")),
      fmt::format("Goal: {}; {}-d, frames of {}, {} streams, seed {}.", GoalText(goal), request.plan.dimension,
                  request.plan.batch_size, request.plan.streams, request.plan.seed),
      VerdictText(result, goal) + ".", ""};
  const auto table = [&](const std::vector<Trial>& trials) {
    const std::string text = TableOf(trials, Terminal());
    for (size_t at = 0; at < text.size();) {
      const size_t end = text.find('\n', at);
      lines.push_back(text.substr(at, end - at));
      at = end + 1;
    }
  };
  table(result.trials);
  if (!result.confirmed.empty()) {
    lines.insert(lines.end(), {"", "Once more, both taking turns:"});
    table(result.confirmed);
  }
  return lines;
}

// `where` becomes the baseline's document: where and of what it was measured.
TuneMeans MeansOf(Session& session, const BenchRequest& request, const Json& in_force, BenchDocument& where) {
  const auto measured = [&request](const Trial& trial, double seconds) {
    BenchRequest one = request;
    one.plan.seconds = seconds;
    one.plan.warmup_seconds = kWarmupShare * seconds;
    one.target = With(request.target, trial);
    one.progress = nullptr;
    return one;
  };
  TuneMeans means;
  means.measure = [&session, &where, measured](const Trial& named, double seconds) -> absl::StatusOr<Trial> {
    const absl::StatusOr<BenchResult> result = RunBench(measured(named, seconds));
    if (!result.ok()) {
      if (session.err().is_terminal) session.Warn(fmt::format("{}: {}", named.name, std::string(result.status().message())));
      return result.status();
    }
    if (named.settings.empty()) where = result->document;
    const Trial trial = TrialOf(named, result->document);
    if (session.err().is_terminal) {
      session.Warn(fmt::format("{}: p99 {}, {} observations/s", trial.name, FigureText("_seconds", trial.p99_seconds),
                               FigureText("", std::round(trial.throughput))));
    }
    return trial;
  };
  means.confirm = [measured](const Trial& baseline, const Trial& other, double seconds) -> absl::StatusOr<Turns> {
    BenchRequest both = measured(other, seconds);
    both.base = measured(baseline, seconds).target;
    const absl::StatusOr<BenchResult> result = RunBench(both);
    if (!result.ok()) return result.status();
    return Turns{TrialOf(baseline, *result->base), TrialOf(other, result->document), RoundsOf(*result->base),
                 RoundsOf(result->document)};
  };
  means.now = [] { return Seconds(NowNanos()); };
  means.in_force = [&in_force](const std::string& key) { return SettingText(in_force, key); };
  return means;
}

}  // namespace

ExitCode RunTuneCommand(Session& session, const TuneOptions& options) {
  CleanUpOnInterrupt();
  // An hour later would be too late to say so.
  if (const absl::Status writable = CheckWritable(options.write); !writable.ok()) {
    session.Warn(std::string(writable.message()));
    return kCannotCreate;
  }
  absl::StatusOr<BenchRequest> request = BenchRequestOf(session, options.measured);
  if (!request.ok()) return session.FailInput(request.status());
  TuneGoal goal;
  goal.p99_seconds = static_cast<double>(options.p99_us) / 1e6;
  goal.least_throughput = static_cast<double>(options.min_throughput);
  goal.budget_seconds = static_cast<double>(options.budget_us) / 1e6;
  request->plan.rate = goal.least_throughput;
  request->plan.limits = false;
  const TargetSpec& target = request->target;
  const absl::StatusOr<Json> in_force = SettingsInForce(target.program, target.profile, target.settings);
  if (!in_force.ok()) return session.Fail(in_force.status());

  BenchDocument where;
  const absl::StatusOr<TuneResult> result = Tune(goal, MeansOf(session, *request, *in_force, where));
  if (!result.ok()) return session.Fail(result.status());
  std::vector<std::string> settings = target.settings;
  settings.insert(settings.end(), result->winner.settings.begin(), result->winner.settings.end());
  const std::string config = RenderConfig(target.profile, settings, Evidence(*result, goal, *request, where));
  if (const absl::Status written = WriteWhole(options.write, config); !written.ok()) {
    session.Warn(std::string(written.message()));
    return kCannotCreate;
  }
  for (const Trial& trial : result->trials) {
    if (!trial.failure.empty()) session.Warn(fmt::format("{} was not measured: {}", trial.name, WhyOf(trial)));
  }
  if (!result->unconfirmed.empty()) session.Warn("the best was not confirmed: " + result->unconfirmed);
  const ExitCode code = result->winner.Meets(goal) ? kOk : kPartial;
  if (session.global().json) {
    Json trials = Json::array(), confirmed = Json::array();
    for (const Trial& trial : result->trials) trials.push_back(JsonOf(trial, goal));
    for (const Trial& trial : result->confirmed) confirmed.push_back(JsonOf(trial, goal));
    const Json json = {{"trials", trials}, {"confirmed", confirmed}, {"winner", JsonOf(result->winner, goal)},
                       {"file", options.write}};
    session.Print(json.dump() + "\n");
    return code;
  }
  session.Print(TableOf(result->trials, session.out()));
  if (!result->confirmed.empty()) {
    session.Print("\nOnce more, both taking turns:\n" + TableOf(result->confirmed, session.out()));
  }
  session.Print(fmt::format("\n{}\nWritten to {}\n", VerdictText(*result, goal), options.write));
  return code;
}

}  // namespace engram

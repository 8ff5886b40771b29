#include "loadtest/measure/tune.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "loadtest/measure/chance.h"
#include "loadtest/report.h"

namespace engram {
namespace {

// Each setting's values, the more promising first. Only what changes neither what an acknowledgement promises nor what
// a recall finds.
struct Knob {
  const char* key;
  std::vector<const char*> values;
};
const std::vector<Knob>& Knobs() {
  static const auto* knobs = new std::vector<Knob>{
      {"num_workers", {"2", "1", "4", "8"}},
      {"max_batch_size", {"200", "1000", "50", "500"}},
      {"idle_sleep_ms", {"0", "5", "1"}},
      {"storage.group_bytes", {"4194304", "262144", "1048576"}},
      {"min_batch_size", {"50", "100", "10"}},
      {"queue.capacity", {"50000", "5000", "10000"}},
      {"steal_threshold", {"200", "5000", "1000"}},
  };
  return *knobs;
}

// A change smaller than this is no reason to change anything.
constexpr double kLeastGain = 0.03;
// How often chance may confirm what is no better. More than a comparison allows: such a setting does little harm, and
// one that is missed costs what was searched for.
constexpr double kChance = 0.05;
// Of the budget: until when single settings are tried, until when combinations are, and what a trial measures.
constexpr double kSinglesUntil = 0.65, kCombinationsUntil = 0.85, kTrialShare = 1.0 / 24;
constexpr double kShortestTrial = 1, kLongestTrial = 15;

class Search {
 public:
  Search(const TuneGoal& goal, const TuneMeans& means)
      : goal_(goal),
        means_(means),
        began_(means.now()),
        trial_seconds_(std::clamp(goal.budget_seconds * kTrialShare, kShortestTrial, kLongestTrial)) {}

  absl::StatusOr<TuneResult> Run() {
    Trial baseline;
    baseline.name = "baseline";
    ENGRAM_RETURN_IF_ERROR(Try(baseline).status());
    ENGRAM_RETURN_IF_ERROR(TrySingles());
    ENGRAM_RETURN_IF_ERROR(TryTogether());
    result_.winner = *std::max_element(result_.trials.begin(), result_.trials.end(), [&](const Trial& a, const Trial& b) {
      return ScoreOf(a, goal_) < ScoreOf(b, goal_);
    });
    if (Gain(result_.winner) <= kLeastGain) result_.winner = result_.trials.front();
    ENGRAM_RETURN_IF_ERROR(Confirm());
    return std::move(result_);
  }

 private:
  double Elapsed() const { return means_.now() - began_; }
  double Gain(const Trial& trial) const { return ScoreOf(trial, goal_) - ScoreOf(result_.trials.front(), goal_); }
  // Whether one more trial, as long as they have been, ends before this share of the budget.
  bool HasTime(double share) const {
    const double each = result_.trials.empty() ? 0 : Elapsed() / static_cast<double>(result_.trials.size());
    return Elapsed() + each <= share * goal_.budget_seconds;
  }

  absl::StatusOr<Trial> Try(const Trial& named) {
    absl::StatusOr<Trial> trial = means_.measure(named, trial_seconds_);
    // Without the baseline there is nothing to be better than.
    if (!trial.ok() && result_.trials.empty()) return trial.status();
    if (!trial.ok()) {
      Trial failed = named;
      failed.failure = std::string(trial.status().message());
      trial = std::move(failed);
    }
    result_.trials.push_back(*trial);
    return trial;
  }

  // Breadth first, so that a short budget tries something of everything.
  absl::Status TrySingles() {
    for (size_t i = 0; i < Knobs().front().values.size(); ++i) {
      for (const Knob& knob : Knobs()) {
        if (i >= knob.values.size() || means_.in_force(knob.key) == knob.values[i]) continue;
        if (!HasTime(kSinglesUntil)) return absl::OkStatus();
        Trial named;
        named.settings = {fmt::format("{}={}", knob.key, knob.values[i])};
        named.name = named.settings.front();
        ENGRAM_ASSIGN_OR_RETURN(const Trial trial, Try(named));
        std::optional<Trial>& best = best_[knob.key];
        if (Gain(trial) > kLeastGain && (!best || Gain(trial) > Gain(*best))) best = trial;
      }
    }
    return absl::OkStatus();
  }

  // The best value of each setting that helped, from the most helpful on; one that does not add is left out again.
  absl::Status TryTogether() {
    std::vector<Trial> helpful;
    for (const auto& [unused, trial] : best_) {
      if (trial) helpful.push_back(*trial);
    }
    std::sort(helpful.begin(), helpful.end(), [&](const Trial& a, const Trial& b) { return Gain(a) > Gain(b); });
    if (helpful.empty()) return absl::OkStatus();
    Trial together = helpful.front();
    for (size_t i = 1; i < helpful.size() && HasTime(kCombinationsUntil); ++i) {
      Trial named;
      named.settings = together.settings;
      named.settings.push_back(helpful[i].settings.front());
      named.name = fmt::format("{}", fmt::join(named.settings, " "));
      ENGRAM_ASSIGN_OR_RETURN(const Trial trial, Try(named));
      if (Gain(trial) > Gain(together)) together = trial;
    }
    return absl::OkStatus();
  }

  absl::Status Confirm() {
    if (result_.winner.settings.empty()) return absl::OkStatus();
    const double left = goal_.budget_seconds - Elapsed();
    const double overhead = Elapsed() / static_cast<double>(result_.trials.size()) - trial_seconds_;
    // Each of the two takes its own time.
    const double seconds = std::clamp((left - 2 * std::max(overhead, 0.0)) / 2, trial_seconds_, 2 * kLongestTrial);
    const absl::StatusOr<Turns> turns = means_.confirm(result_.trials.front(), result_.winner, seconds);
    if (!turns.ok()) {
      result_.unconfirmed = std::string(turns.status().message());
      result_.winner = result_.trials.front();
      return absl::OkStatus();
    }
    result_.confirmed = {turns->baseline, turns->other};
    result_.winner = Held(*turns) ? turns->other : turns->baseline;
    return absl::OkStatus();
  }

  // Whether the rounds agree that it is worth a change.
  bool Held(const Turns& turns) {
    std::vector<double> gains;
    for (size_t i = 0; i < std::min(turns.baseline_rounds.size(), turns.other_rounds.size()); ++i) {
      gains.push_back(ScoreOf(turns.other_rounds[i], goal_) - ScoreOf(turns.baseline_rounds[i], goal_));
    }
    if (gains.size() < 2) {
      result_.unconfirmed = "not every round was acknowledged; a longer budget has longer ones";
      return false;
    }
    const double gain = SpreadOf(gains).median;
    return gain > kLeastGain && gain > ErrorOfMedian(gains).Reach(kChance);
  }

  const TuneGoal goal_;
  const TuneMeans& means_;
  const double began_;
  const double trial_seconds_;
  TuneResult result_;
  std::map<std::string, std::optional<Trial>> best_;
};

// A value as YAML reads it back; quoted where it might mean something else.
std::string YamlScalar(const std::string& value) {
  const bool plain = !value.empty() && std::all_of(value.begin(), value.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '/' || c == '-' || c == '%';
  });
  return plain && value.front() != '-' && value.front() != '%' ? value : nlohmann::json(value).dump();
}

void RenderLevel(const nlohmann::ordered_json& level, size_t depth, std::string& out) {
  for (const auto& [key, value] : level.items()) {
    out += std::string(2 * depth, ' ') + key + ":";
    if (value.is_object()) {
      out += "\n";
      RenderLevel(value, depth + 1, out);
    } else {
      out += " " + YamlScalar(value.get<std::string>()) + "\n";
    }
  }
}

}  // namespace

double ScoreOf(const Trial& trial, const TuneGoal& goal) {
  if (!trial.failure.empty()) return -std::numeric_limits<double>::infinity();
  // Logarithms: half the latency counts as much as twice the throughput.
  const double latency = std::log(goal.p99_seconds / std::max(trial.p99_seconds, 1e-9));
  const double throughput = std::log(std::max(trial.throughput, 1e-9) / goal.least_throughput);
  const double missed = std::min(latency, 0.0) + std::min(throughput, 0.0);
  return missed < 0 ? missed : (latency + throughput) / 2;
}

absl::StatusOr<TuneResult> Tune(const TuneGoal& goal, const TuneMeans& means) { return Search(goal, means).Run(); }

std::string RenderConfig(const std::string& profile, const std::vector<std::string>& settings,
                         const std::vector<std::string>& comments) {
  std::string out;
  for (const std::string& comment : comments) out += comment.empty() ? "#\n" : "# " + comment + "\n";
  out += "profile: " + YamlScalar(profile) + "\n";
  nlohmann::ordered_json tree = nlohmann::ordered_json::object();
  for (const std::string& setting : settings) {
    const size_t equals = setting.find('=');
    std::string pointer = "/" + setting.substr(0, equals);
    std::replace(pointer.begin(), pointer.end(), '.', '/');
    tree[nlohmann::ordered_json::json_pointer(pointer)] =
        equals == std::string::npos ? std::string() : setting.substr(equals + 1);
  }
  RenderLevel(tree, 0, out);
  return out;
}

}  // namespace engram

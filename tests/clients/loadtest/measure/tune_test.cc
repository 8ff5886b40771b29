#include "loadtest/measure/tune.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace engram {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A made-up daemon: each setting makes it faster by a factor, and each trial takes its time and two seconds more.
class MadeUpDaemon {
 public:
  explicit MadeUpDaemon(std::map<std::string, double> helps) : helps_(std::move(helps)) {}

  Trial Measure(const Trial& named, double seconds) {
    clock_ += seconds + 2;
    Trial trial = named;
    trial.throughput = 10'000;
    trial.p99_seconds = 0.020;
    for (const std::string& setting : named.settings) {
      const auto helps = helps_.find(setting);
      const double factor = helps == helps_.end() ? 0.9 : helps->second;
      trial.throughput *= factor;
      trial.p99_seconds /= factor;
    }
    return trial;
  }

  TuneMeans Means() {
    TuneMeans means;
    means.measure = [this](const Trial& named, double seconds) -> absl::StatusOr<Trial> {
      return Measure(named, seconds);
    };
    means.confirm = [this](const Trial& baseline, const Trial& other, double seconds) -> absl::StatusOr<Turns> {
      Turns turns;
      turns.baseline = Measure(baseline, seconds);
      turns.other = Measure(other, seconds);
      if (flatters) turns.other.p99_seconds *= flattery;
      for (const double wobble : wobbles) {
        turns.baseline_rounds.push_back(turns.baseline);
        turns.other_rounds.push_back(turns.other);
        turns.other_rounds.back().p99_seconds *= wobble;
      }
      return turns;
    };
    means.now = [this] { return clock_; };
    means.in_force = [](const std::string& key) { return key == "num_workers" ? "4" : ""; };
    return means;
  }

  double clock() const { return clock_; }
  // What it seemed to be alone does not hold when the baseline takes turns with it.
  bool flatters = false;
  double flattery = 50;
  // What each round of the last run has of the p99 that it has as a whole.
  std::vector<double> wobbles = {1.01, 1, 0.99, 1.02, 0.98};

 private:
  const std::map<std::string, double> helps_;
  double clock_ = 0;
};

constexpr TuneGoal kGoal{0.010, 20'000, 300};

TEST(TuneTest, PutsTogetherWhatHelpedAlone) {
  MadeUpDaemon daemon({{"num_workers=2", 1.5}, {"idle_sleep_ms=0", 1.4}, {"max_batch_size=1000", 1.1}});
  const auto result = Tune(kGoal, daemon.Means());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->winner.settings, ElementsAre("num_workers=2", "idle_sleep_ms=0", "max_batch_size=1000"));
  EXPECT_TRUE(result->winner.Meets(kGoal));
  EXPECT_EQ(result->trials.front().name, "baseline");
  EXPECT_EQ(result->confirmed.size(), 2u);
}

TEST(TuneTest, LeavesTheBaselineWhereNothingHelps) {
  MadeUpDaemon daemon({});
  const auto result = Tune(kGoal, daemon.Means());
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result->winner.settings.empty());
  EXPECT_TRUE(result->confirmed.empty());
}

TEST(TuneTest, WhatDoesNotHoldBesideTheBaselineIsNotRecommended) {
  MadeUpDaemon daemon({{"num_workers=2", 1.5}});
  daemon.flatters = true;
  const auto result = Tune(kGoal, daemon.Means());
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result->winner.settings.empty());
}

TEST(TuneTest, AGainThatIsNoneOrThatTheRoundsDoNotAgreeOnIsNotRecommended) {
  const auto winner = [](double flattery, std::vector<double> wobbles) {
    MadeUpDaemon daemon({{"num_workers=2", 1.5}});
    daemon.flatters = true;
    daemon.flattery = flattery;
    daemon.wobbles = std::move(wobbles);
    return Tune(kGoal, daemon.Means())->winner.settings;
  };
  const std::vector<double> steady = {1.01, 1, 0.99, 1.02, 0.98}, wild = {6, 0.4, 1, 0.3, 5};
  EXPECT_THAT(winner(1, steady), ElementsAre("num_workers=2"));
  // Throughput and p99 gain half as much again each; the p99 then loses all but two hundredths of both.
  EXPECT_THAT(winner(1.5 * 1.5 * 0.98, steady), IsEmpty());
  EXPECT_THAT(winner(1, wild), IsEmpty());
  EXPECT_THAT(winner(1, {1}), IsEmpty());
}

TEST(TuneTest, DoesNotTryWhatIsInForce) {
  MadeUpDaemon daemon({});
  const auto result = Tune({0.010, 20'000, 3000}, daemon.Means());
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(std::count_if(result->trials.begin(), result->trials.end(),
                          [](const Trial& trial) { return trial.name == "num_workers=4"; }),
            0);
  EXPECT_GT(result->trials.size(), 15u);
}

TEST(TuneTest, EndsWithinItsBudget) {
  for (const double budget : {20.0, 60.0, 300.0}) {
    MadeUpDaemon daemon({{"num_workers=2", 1.5}, {"max_batch_size=200", 1.2}});
    ASSERT_TRUE(Tune({0.010, 20'000, budget}, daemon.Means()).ok());
    EXPECT_LE(daemon.clock(), 1.05 * budget) << budget;
  }
}

TEST(TuneTest, AnErrorOfTheBaselineIsTheSearchs) {
  MadeUpDaemon daemon({});
  TuneMeans means = daemon.Means();
  means.measure = [](const Trial&, double) -> absl::StatusOr<Trial> { return absl::NotFoundError("no engramd"); };
  EXPECT_TRUE(absl::IsNotFound(Tune(kGoal, means).status()));
}

TEST(TuneTest, SettingsThatTheDaemonRefusesAreAResultAndTheSearchGoesOn) {
  MadeUpDaemon daemon({{"num_workers=2", 1.5}, {"min_batch_size=50", 100}});
  TuneMeans means = daemon.Means();
  means.measure = [&](const Trial& named, double seconds) -> absl::StatusOr<Trial> {
    for (const std::string& setting : named.settings) {
      if (setting == "min_batch_size=50") return absl::InternalError("min_batch_size is above max_batch_size");
    }
    return daemon.Measure(named, seconds);
  };
  const auto result = Tune(kGoal, means);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->winner.settings, ElementsAre("num_workers=2"));
  const auto refused = std::find_if(result->trials.begin(), result->trials.end(),
                                    [](const Trial& trial) { return trial.name == "min_batch_size=50"; });
  ASSERT_NE(refused, result->trials.end());
  EXPECT_THAT(refused->failure, HasSubstr("above max_batch_size"));
  EXPECT_FALSE(refused->Meets({1e9, 0, 1}));
}

TEST(TuneTest, ABestThatCannotBeConfirmedIsNotRecommended) {
  MadeUpDaemon daemon({{"num_workers=2", 1.5}});
  TuneMeans means = daemon.Means();
  means.confirm = [](const Trial&, const Trial&, double) -> absl::StatusOr<Turns> {
    return absl::InternalError("no room for two");
  };
  const auto result = Tune(kGoal, means);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->winner.settings.empty());
  EXPECT_EQ(result->unconfirmed, "no room for two");
}

TEST(TuneTest, WhatMeetsTheGoalScoresAboveWhatDoesNot) {
  Trial meets, late, slow;
  meets.p99_seconds = 0.0099, meets.throughput = 20'100;
  late.p99_seconds = 0.011, late.throughput = 1e6;
  slow.p99_seconds = 0.0001, slow.throughput = 19'000;
  EXPECT_GT(ScoreOf(meets, kGoal), 0);
  EXPECT_LT(ScoreOf(late, kGoal), 0);
  EXPECT_LT(ScoreOf(slow, kGoal), 0);
}

TEST(RenderConfigTest, NestsKeysAndLetsTheLaterWin) {
  EXPECT_EQ(RenderConfig("balanced", {"num_workers=4", "queue.capacity=5000", "num_workers=2"}, {"Found.", ""}),
            "# Found.\n#\nprofile: balanced\nnum_workers: 2\nqueue:\n  capacity: 5000\n");
  EXPECT_THAT(RenderConfig("balanced", {"server.address=127.0.0.1:0,unix:/a b"}, {}),
              HasSubstr("  address: \"127.0.0.1:0,unix:/a b\"\n"));
}

}  // namespace
}  // namespace engram

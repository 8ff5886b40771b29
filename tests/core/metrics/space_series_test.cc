// Who has series of their own, and that nothing is lost, counted twice or taken back while spaces come and go.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/metrics/metrics.h"

namespace engram {
namespace {

// A counter's sum over its second label, by space.
std::map<std::string, double> Counts(Metrics& metrics, MetricId id = MetricId::kObservations) {
  std::map<std::string, double> counts;
  const auto families = metrics.Collect();
  for (const Metrics::Sample& sample : families[static_cast<size_t>(id)].samples) {
    counts[sample.labels[0].second] += sample.value;
  }
  return counts;
}

TEST(SpaceSeries, EverySpaceHasItsOwnWhileTheyFit) {
  Metrics metrics(1, 2);
  const auto a = metrics.AddSpace("a");
  const auto b = metrics.AddSpace("b");
  a->Add(MetricId::kObservations, 5);
  EXPECT_EQ(Counts(metrics), (std::map<std::string, double>{{"a", 5}, {"b", 0}, {"other", 0}}));
}

TEST(SpaceSeries, BeyondThatTheBusiestAndNoIdleOnes) {
  Metrics metrics(1, 2);
  std::vector<std::shared_ptr<Series>> spaces;
  for (const char* name : {"a", "b", "c"}) spaces.push_back(metrics.AddSpace(name));
  EXPECT_EQ(Counts(metrics), (std::map<std::string, double>{{"other", 0}}));
  spaces[2]->Add(MetricId::kObservations, 7);
  EXPECT_EQ(Counts(metrics), (std::map<std::string, double>{{"c", 7}, {"other", 0}}));
  spaces[0]->Add(MetricId::kObservations, 1);
  spaces[1]->Add(MetricId::kRecallRequests, 2);
  EXPECT_EQ(Counts(metrics), (std::map<std::string, double>{{"b", 0}, {"c", 7}, {"other", 1}}));
}

TEST(SpaceSeries, TheNamedKeepTheirPlace) {
  Metrics metrics(1, 1);
  const auto first = metrics.AddSpace("first");
  first->Add(MetricId::kObservations, 1);
  EXPECT_EQ(Counts(metrics), (std::map<std::string, double>{{"first", 1}, {"other", 0}}));
  const auto second = metrics.AddSpace("second");
  second->Add(MetricId::kObservations, 1000);
  EXPECT_EQ(Counts(metrics), (std::map<std::string, double>{{"first", 1}, {"other", 1000}}));
}

TEST(SpaceSeries, WhatWasShownUnderOtherStaysThere) {
  Metrics metrics(1, 1);
  auto first = metrics.AddSpace("first");
  first->Add(MetricId::kObservations, 1);
  Counts(metrics);
  const auto second = metrics.AddSpace("second");
  second->Add(MetricId::kObservations, 1000);
  EXPECT_EQ(Counts(metrics)["other"], 1000);
  first.reset();
  // The last counts of "first" are shown once more before its place goes to "second".
  EXPECT_EQ(Counts(metrics), (std::map<std::string, double>{{"first", 1}, {"other", 1000}}));
  second->Add(MetricId::kObservations, 5);
  EXPECT_EQ(Counts(metrics), (std::map<std::string, double>{{"second", 0}, {"other", 1005}}));
  second->Add(MetricId::kObservations, 3);
  EXPECT_EQ(Counts(metrics), (std::map<std::string, double>{{"second", 3}, {"other", 1005}}));
}

TEST(SpaceSeries, ASpaceMadeAgainGoesOnCounting) {
  Metrics metrics(1, 2);
  auto space = metrics.AddSpace("notes");
  space->Add(MetricId::kObservations, 4);
  EXPECT_EQ(Counts(metrics)["notes"], 4);
  auto again = metrics.AddSpace("notes");  // While a batch still holds the first.
  again->Add(MetricId::kObservations, 10);
  space->Add(MetricId::kObservations, 1);
  EXPECT_EQ(Counts(metrics)["notes"], 15);
  space.reset();
  EXPECT_EQ(Counts(metrics)["notes"], 15);
  again.reset();
  EXPECT_EQ(Counts(metrics)["notes"], 15);
  EXPECT_EQ(Counts(metrics)["notes"], 15) << "nobody needs its place";
  again = metrics.AddSpace("notes");
  EXPECT_EQ(Counts(metrics)["notes"], 15);
}

TEST(SpaceSeries, ASpaceCalledOtherIsAmongTheOthers) {
  Metrics metrics(1, 4);
  const auto other = metrics.AddSpace("other");
  other->Add(MetricId::kObservations, 4);
  EXPECT_EQ(Counts(metrics), (std::map<std::string, double>{{"other", 4}}));
}

TEST(SpaceSeries, WithoutPlacesAllAreOther) {
  Metrics metrics(1, 0);
  const auto space = metrics.AddSpace("notes");
  space->Add(MetricId::kObservations, 4);
  EXPECT_EQ(Counts(metrics), (std::map<std::string, double>{{"other", 4}}));
}

TEST(SpaceSeries, SpacesThatComeAndGoUnscrapedAreKeptInOther) {
  Metrics metrics(1, 2);
  for (int i = 0; i < 1000; ++i) metrics.AddSpace("s" + std::to_string(i))->Add(MetricId::kObservations);
  EXPECT_EQ(Counts(metrics), (std::map<std::string, double>{{"other", 1000}}));
}

TEST(SpaceSeries, TheTotalIsOverAllThereAreAndWere) {
  Metrics metrics(1, 1);
  auto named = metrics.AddSpace("named");
  auto again = metrics.AddSpace("named");
  auto unnamed = metrics.AddSpace("unnamed");
  named->Observe(MetricId::kRecallLatency, 2'000'000, 5);
  again->Observe(MetricId::kRecallLatency, 2'000'000, 7);
  unnamed->Observe(MetricId::kRecallLatency, 900'000'000, 11);
  named->Add(MetricId::kRecallRequests, 12);
  const auto expect = [&] {
    const Series::Histogram total = metrics.TotalOverSpaces(MetricId::kRecallLatency);
    EXPECT_EQ(total.counts, (std::vector<uint64_t>{0, 12, 0, 0, 0, 0, 0, 11}));
    EXPECT_EQ(total.sum, 12 * 2'000'000 + 11 * 900'000'000LL);
  };
  expect();
  metrics.Collect();
  expect();
  named.reset();
  unnamed.reset();
  expect();
  metrics.Collect();
  expect();
}

// Every value of every series of counters and histograms, by name and labels.
std::map<std::string, double> Flatten(const std::vector<Metrics::Family>& families) {
  std::map<std::string, double> values;
  for (const Metrics::Family& family : families) {
    for (const Metrics::Sample& sample : family.samples) {
      std::string key(family.row->name);
      for (const auto& [name, value] : sample.labels) key += ";" + name + "=" + value;
      EXPECT_FALSE(values.contains(key)) << key << " is shown twice";
      values[key] = sample.value;
      for (size_t i = 0; i < sample.counts.size(); ++i) values[key + ";bucket=" + std::to_string(i)] = sample.counts[i];
      if (!sample.counts.empty()) values[key + ";sum"] = sample.sum;
    }
  }
  return values;
}

// What a Prometheus that scraped everything would add up: each series' growth, a series that reappears starting anew.
class Scraper {
 public:
  void Scrape(const std::map<std::string, double>& values) {
    for (const auto& [key, value] : values) {
      const auto last = last_.find(key);
      if (last != last_.end()) {
        EXPECT_GE(value, last->second - 1e-9) << key << " fell";
      }
      const double growth = last == last_.end() ? value : value - last->second;
      // By metric, second label and bucket: the space taken out.
      std::string total = key;
      const size_t at = total.find(";memory_space=");
      if (at != std::string::npos) total.erase(at, total.find(';', at + 1) - at);
      totals_[total] += growth;
      if (at != std::string::npos) names_.insert(key.substr(at + 14, key.find(';', at + 1) - at - 14));
    }
    last_ = values;
  }
  const std::map<std::string, double>& totals() const { return totals_; }
  const std::set<std::string>& names() const { return names_; }

 private:
  std::map<std::string, double> last_;
  std::map<std::string, double> totals_;
  std::set<std::string> names_;
};

void ComeAndGo(uint32_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto below = [&](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random); };
  const size_t places = below(5);
  Metrics metrics(1, places);
  Series counted(MetricOwner::kSpace);  // Everything, whoever it was counted for.
  std::vector<std::pair<std::string, std::shared_ptr<Series>>> spaces;
  Scraper scraper;
  for (int step = 0; step < 1000; ++step) {
    const size_t what = below(100);
    if (what < 8) {
      // From a few names: the same come again, at times while the old one lives. And from many: they do not.
      const std::string name = below(2) == 0 ? "n" + std::to_string(below(6)) : "u" + std::to_string(step);
      spaces.emplace_back(name, metrics.AddSpace(name));
    } else if (what < 15) {
      if (!spaces.empty()) spaces.erase(spaces.begin() + static_cast<ptrdiff_t>(below(spaces.size())));
    } else if (what < 30) {
      std::map<std::string, double> values = Flatten(metrics.Collect());
      std::set<std::string> names;
      for (const auto& [key, value] : values) {
        if (key.starts_with("engram_space_linked_total;")) names.insert(key);
      }
      EXPECT_LE(names.size(), places + 1);
      scraper.Scrape(values);
    } else if (!spaces.empty()) {
      Series& series = *spaces[below(spaces.size())].second;
      const uint64_t n = 1 + below(50);
      for (Series* cells : {&series, &counted}) {
        switch (what % 4) {
          case 0:
            cells->Add(MetricId::kObservations, n, n % 2);
            break;
          case 1:
            cells->Add(MetricId::kRejected, n, n % SecondLabelValues(LabelSet::kSpaceReason).size());
            break;
          case 2:
            cells->Observe(MetricId::kObservationLatency, static_cast<int64_t>(n) * 7'000'000, n);
            break;
          case 3:
            cells->Add(MetricId::kLinked, n);
            break;
        }
      }
    }
  }
  spaces.clear();
  scraper.Scrape(Flatten(metrics.Collect()));

  const auto expect = [&](const std::string& key, double value) {
    EXPECT_NEAR(scraper.totals().at(key), value, 1e-6) << key;
  };
  expect("engram_streaming_observations_total;priority=high", counted.Count(MetricId::kObservations, 0));
  expect("engram_streaming_observations_total;priority=normal", counted.Count(MetricId::kObservations, 1));
  for (size_t i = 0; i < SecondLabelValues(LabelSet::kSpaceReason).size(); ++i) {
    expect("engram_streaming_observations_rejected_total;reason=" +
               std::string(SecondLabelValues(LabelSet::kSpaceReason)[i]),
           counted.Count(MetricId::kRejected, i));
  }
  expect("engram_space_linked_total", counted.Count(MetricId::kLinked));
  const Series::Histogram latency = counted.ReadHistogram(MetricId::kObservationLatency);
  for (size_t i = 0; i < latency.counts.size(); ++i) {
    expect("engram_streaming_observation_latency_seconds;bucket=" + std::to_string(i), latency.counts[i]);
  }
  expect("engram_streaming_observation_latency_seconds;sum", static_cast<double>(latency.sum) * 1e-9);
  if (places > 0) {
    EXPECT_GT(scraper.names().size(), places) << "the walk never gave a place away";
  }
}

TEST(SpaceSeries, EverySeriesOnlyGrowsAndTheirSumIsWhatWasCounted) {
  for (uint32_t seed = 1; seed <= 16 && !::testing::Test::HasFailure(); ++seed) ComeAndGo(seed);
}

TEST(SpaceSeries, NothingIsLostWhileThreadsCountAndScrape) {
  Metrics metrics(1, 2);
  std::atomic<bool> done = false;
  std::vector<std::jthread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&metrics, t] {
      for (int round = 0; round < 100; ++round) {
        const auto space = metrics.AddSpace("t" + std::to_string(round % 2 == 0 ? t : t + round));
        for (int i = 0; i < 20; ++i) space->Add(MetricId::kLinked);
      }
    });
  }
  Scraper scraper;
  std::jthread scraping([&] {
    while (!done.load()) scraper.Scrape(Flatten(metrics.Collect()));
  });
  for (std::jthread& thread : threads) thread.join();
  done.store(true);
  scraping.join();
  scraper.Scrape(Flatten(metrics.Collect()));
  EXPECT_EQ(scraper.totals().at("engram_space_linked_total"), 3 * 100 * 20);
}

}  // namespace
}  // namespace engram

// The engine against an exact model: random lists of observe, replace, forget, expire, recall, get and re-send, on several
// streams and spaces. After each acknowledgement the space must hold just what the model holds; a second test does it with
// writers and readers at once, where each writer knows its own part.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <random>
#include <thread>

#include "tests/support/engine_fixture.h"

namespace engram::testing {
namespace {

// ENGRAM_SEED replays; without it each repetition of a test (--gtest_repeat) walks another way.
uint64_t Seed() {
  static uint64_t round = 0;
  const char* seed = std::getenv("ENGRAM_SEED");
  return seed != nullptr ? std::strtoull(seed, nullptr, 10) : 20240607 + round++;
}

struct Kept {
  std::vector<float> embedding;
  std::string content;
  int64_t observed_at_us = 0;
  int64_t expires_at_us = std::numeric_limits<int64_t>::max();
};
using Model = std::map<std::string, Kept>;

double Cosine(const std::vector<float>& a, const std::vector<float>& b) {
  double dot = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) dot += double{a[i]} * b[i], aa += double{a[i]} * a[i], bb += double{b[i]} * b[i];
  return dot / std::sqrt(aa * bb);
}

class Walker {
 public:
  explicit Walker(uint64_t seed) : random_(seed) {}
  uint64_t Below(uint64_t n) { return std::uniform_int_distribution<uint64_t>(0, n - 1)(random_); }
  std::vector<float> Vector(size_t dimension) {
    std::normal_distribution<float> normal;
    std::vector<float> vector(dimension);
    for (float& x : vector) x = normal(random_);
    return vector;
  }

 private:
  std::mt19937_64 random_;
};

class EngineModelTest : public EngineFixture {
 protected:
  static constexpr size_t kDimension = 12;
  // A look that meets an applier passes over what has expired and leaves it to the next one to hide, and to count.
  static constexpr int kMostLooks = 1'000'000;

  // Exact recall must be the model's, tie for tie apart from rounding.
  void ExpectSameRecall(const std::string& space, const Model& model, const std::vector<float>& query, uint32_t k,
                        bool exact, const FilterSpec& filter = {}) {
    RecallQuery recall;
    recall.filter = filter;
    recall.space = space;
    recall.embedding = ViewOf(query);
    recall.k = k;
    recall.exact = exact;
    recall.include_content = true;
    auto answer = engine().Recall(recall, Soon());
    ASSERT_TRUE(answer.ok()) << answer.status();
    ASSERT_EQ(answer->hits.size(), std::min<size_t>(k, model.size()));
    for (int look = 0; filter.empty() && answer->live > model.size() && look < kMostLooks; ++look) {
      answer = engine().Recall(recall, Soon());
      ASSERT_TRUE(answer.ok()) << answer.status();
      ASSERT_EQ(answer->hits.size(), std::min<size_t>(k, model.size()));
    }
    if (filter.empty()) {
      EXPECT_EQ(answer->live, model.size());
    }
    std::vector<double> best;
    for (const auto& [id, kept] : model) best.push_back(Cosine(query, kept.embedding));
    std::sort(best.rbegin(), best.rend());
    for (size_t i = 0; i < answer->hits.size(); ++i) {
      const ObservationHit& hit = answer->hits[i];
      const auto kept = model.find(std::string(hit.id));
      ASSERT_NE(kept, model.end()) << "recalled " << hit.id << ", which is not there";
      EXPECT_EQ(hit.content, kept->second.content);
      EXPECT_NEAR(hit.similarity, Cosine(query, kept->second.embedding), 1e-5);
      if (exact) {
        EXPECT_NEAR(hit.similarity, best[i], 1e-5);
      }
    }
  }

  void ExpectSameContents(const std::string& space, const Model& model) {
    uint64_t live = engine().GetSpace(space)->live;
    for (int look = 0; live > model.size() && look < kMostLooks; ++look) live = engine().GetSpace(space)->live;
    EXPECT_EQ(live, model.size());
    std::vector<std::string> ids;
    for (const auto& [id, kept] : model) {
      ids.push_back(id);
      if (ids.size() < 500 && id != model.rbegin()->first) continue;
      const auto got = engine().Get(space, ids);
      ASSERT_TRUE(got.ok());
      EXPECT_TRUE(got->missing.empty()) << "missing " << got->missing.front();
      for (const ObservationHit& hit : got->observations) {
        const Kept& kept = model.at(std::string(hit.id));
        EXPECT_EQ(hit.content, kept.content);
        EXPECT_EQ(hit.observed_at_us, kept.observed_at_us);
        EXPECT_TRUE(std::equal(hit.embedding.begin(), hit.embedding.end(), kept.embedding.begin()));
      }
      ids.clear();
    }
  }
};

TEST_F(EngineModelTest, RandomOperationsLeaveWhatTheModelHolds) {
  const uint64_t seed = Seed();
  SCOPED_TRACE("ENGRAM_SEED=" + std::to_string(seed));
  Walker walk(seed);
  settings_.queue_capacity = 1000;
  settings_.max_batch_size = 60;
  settings_.idle_sleep_ms = std::chrono::milliseconds(0);
  // Moves a little at each step, and never so far that the janitor wakes by itself.
  clock_ = &fake_clock_;
  // One space that is always scanned, one with a graph, one that crosses the threshold on the way.
  const std::vector<std::pair<std::string, uint64_t>> spaces = {{"flat", 1'000'000}, {"graph", 0}, {"cross", 300}};
  std::map<std::string, Model> models;
  for (const auto& [name, threshold] : spaces) {
    SpaceConfig config;
    config.flat_threshold = threshold;
    ASSERT_TRUE(engine().CreateSpace(name, config).ok());
  }
  struct Client {
    Waker waker;
    std::shared_ptr<ObserveStream> stream;
    uint64_t next = 1;
    std::vector<TestObservation> last;
    uint64_t last_first = 0;
  };
  std::map<std::string, Client> clients;
  for (int step = 0; step < 600 && !HasFatalFailure(); ++step) {
    const std::string& space = spaces[walk.Below(spaces.size())].first;
    Model& model = models[space];
    fake_clock_.Advance(Duration{static_cast<int64_t>(walk.Below(100))});
    const int64_t now_us = fake_clock_.WallMicros();
    for (auto& [name, kept] : models) {
      std::erase_if(kept, [&](const auto& entry) { return entry.second.expires_at_us <= now_us; });
    }
    switch (walk.Below(11)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4: {  // A frame with replacements and, now and then, something bad; sometimes a repeat of the last frame.
        const std::string stream_id = "c" + std::to_string(walk.Below(2));
        Client& client = clients[space + stream_id];
        if (client.stream == nullptr || walk.Below(20) == 0) {
          client.stream = *engine().OpenStream(
              {.space = space, .stream_id = stream_id, .resume = true}, &client.waker);
          client.next = client.stream->first_expected();
          client.last.clear();
          client.stream->TakeProgress();  // What the stream refused before is named again.
        }
        if (!client.last.empty() && walk.Below(4) == 0) {
          client.stream->Submit(client.last_first, Priority::kNormal, MakeBatch(client.last));
        }
        std::vector<TestObservation> frame;
        std::map<std::string, bool> in_frame;
        size_t bad = 0;
        const uint64_t count = 1 + walk.Below(80);
        for (uint64_t i = 0; i < count; ++i) {
          TestObservation o;
          o.id = "id" + std::to_string(walk.Below(400));
          o.embedding = walk.Vector(walk.Below(30) == 0 ? kDimension + 1 : kDimension);
          o.content = std::to_string(step) + "." + std::to_string(i);
          o.observed_at_us = step + 1;
          if (walk.Below(3) == 0) o.ttl_us = now_us - o.observed_at_us + 1 + static_cast<int64_t>(walk.Below(3000));
          const bool wrong = o.embedding.size() != kDimension || in_frame[o.id];
          // The first observation of all would fix the wrong dimension.
          if (model.empty() && frame.empty() && wrong) o.embedding = walk.Vector(kDimension);
          if (o.embedding.size() != kDimension || in_frame[o.id]) {
            ++bad;
          } else {
            in_frame[o.id] = true;
            Kept& kept = model[o.id] = {o.embedding, o.content, o.observed_at_us};
            if (o.ttl_us != 0) kept.expires_at_us = o.observed_at_us + o.ttl_us;
          }
          frame.push_back(std::move(o));
        }
        client.stream->Submit(client.next, walk.Below(3) == 0 ? Priority::kHigh : Priority::kNormal, MakeBatch(frame));
        std::vector<Rejected> rejected;
        const StreamProgress progress = AwaitReached(*client.stream, client.waker, &rejected);
        ASSERT_TRUE(progress.ended.ok()) << progress.ended;
        EXPECT_EQ(progress.durable_through, client.next + count - 1);
        EXPECT_LE(progress.indexed_through, progress.durable_through);
        EXPECT_LE(progress.durable_through, progress.received_through);
        // A frame that was sent again has its refusals named again.
        std::erase_if(rejected, [&](const Rejected& r) { return r.sequence < client.next; });
        EXPECT_EQ(rejected.size(), bad);
        for (const Rejected& r : rejected) EXPECT_TRUE(absl::IsInvalidArgument(r.status)) << r.status;
        client.last = frame;
        client.last_first = client.next;
        client.next += count;
        break;
      }
      case 5: {
        std::vector<std::string> ids;
        size_t there = 0;
        for (int i = 0; i < 10; ++i) {
          ids.push_back("id" + std::to_string(walk.Below(400)));
          there += model.erase(ids.back());
        }
        const auto answer = engine().Forget({.space = space, .ids = ids});
        ASSERT_TRUE(answer.ok());
        EXPECT_EQ(answer->forgotten, there);
        break;
      }
      case 6: {
        FilterSpec filter;
        filter.observed_from_us = 1 + static_cast<int64_t>(walk.Below(static_cast<uint64_t>(step) + 1));
        filter.observed_to_us = filter.observed_from_us + 5;
        const size_t there = std::erase_if(model, [&](const auto& entry) {
          return entry.second.observed_at_us >= filter.observed_from_us &&
                 entry.second.observed_at_us < filter.observed_to_us;
        });
        EXPECT_EQ(engine().Forget({.space = space, .filter = filter})->forgotten, there);
        break;
      }
      case 7:
        ExpectSameContents(space, model);
        break;
      case 8:  // What the janitor does: what has expired is forgotten in the log.
        ASSERT_TRUE(engine().Housekeep().ok());
        break;
      default:
        if (!model.empty()) {
          ExpectSameRecall(space, model, walk.Vector(kDimension), 1 + static_cast<uint32_t>(walk.Below(20)),
                           walk.Below(2) == 0);
        }
    }
  }
  for (const auto& [space, model] : models) ExpectSameContents(space, model);
}

// Each writer owns its ids, so it can say after each acknowledgement what must be there, whatever the others do.
TEST_F(EngineModelTest, WritersAndReadersAtOnce) {
  const uint64_t seed = Seed();
  SCOPED_TRACE("ENGRAM_SEED=" + std::to_string(seed));
  settings_.queue_capacity = 2000;
  settings_.steal_threshold = 100;
  SpaceConfig config;
  config.flat_threshold = 200;
  ASSERT_TRUE(engine().CreateSpace("shared", config).ok());
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> recalls{0};
  std::vector<std::jthread> readers;
  for (uint64_t r = 0; r < 2; ++r) {
    readers.emplace_back([&, r] {
      Walker walk(seed + 100 + r);
      while (!stop.load()) {
        RecallQuery recall;
        recall.space = "shared";
        const std::vector<float> query = walk.Vector(kDimension);
        recall.embedding = ViewOf(query);
        recall.k = 20;
        recall.exact = walk.Below(2) == 0;
        const auto answer = engine().Recall(recall, Soon());
        ASSERT_TRUE(answer.ok()) << answer.status();
        std::map<std::string_view, int> seen;
        for (size_t i = 0; i < answer->hits.size(); ++i) {
          EXPECT_EQ(++seen[answer->hits[i].id], 1) << "two versions of " << answer->hits[i].id;
          if (i > 0) {
            EXPECT_LE(answer->hits[i].similarity, answer->hits[i - 1].similarity);
          }
        }
        recalls.fetch_add(1);
      }
    });
  }
  std::vector<std::jthread> writers;
  std::vector<Model> models(3);
  for (uint64_t w = 0; w < 3; ++w) {
    writers.emplace_back([&, w] {
      Walker walk(seed + w);
      Waker waker;
      const auto stream = *engine().OpenStream({.space = "shared", .stream_id = "w" + std::to_string(w)}, &waker);
      uint64_t next = 1;
      for (int step = 0; step < 120; ++step) {
        std::vector<TestObservation> frame;
        std::map<std::string, bool> in_frame;
        for (uint64_t i = 0, n = 1 + walk.Below(40); i < n; ++i) {
          TestObservation o;
          o.id = std::to_string(w) + "-" + std::to_string(walk.Below(300));
          if (std::exchange(in_frame[o.id], true)) continue;
          o.embedding = walk.Vector(kDimension);
          o.content = o.id + "@" + std::to_string(step);
          o.tags = {{"writer", std::to_string(w)}};
          o.observed_at_us = step + 1;
          models[w][o.id] = {o.embedding, o.content, o.observed_at_us};
          frame.push_back(std::move(o));
        }
        stream->Submit(next, walk.Below(2) == 0 ? Priority::kHigh : Priority::kNormal, MakeBatch(frame));
        next += frame.size();
        AwaitReached(*stream, waker);
        // Read your writes: the observation is found by its own vector at the next call.
        const TestObservation& any = frame[walk.Below(frame.size())];
        RecallQuery recall;
        recall.space = "shared";
        recall.embedding = ViewOf(any.embedding);
        recall.k = 1;
        recall.include_content = true;
        const auto answer = engine().Recall(recall, Soon());
        ASSERT_TRUE(answer.ok());
        ASSERT_EQ(answer->hits.size(), 1u);
        EXPECT_EQ(answer->hits[0].id, any.id);
        EXPECT_EQ(answer->hits[0].content, any.content);
        if (walk.Below(4) == 0) {
          // All that it has, and nothing of the others.
          FilterSpec own;
          own.all_tags = {{"writer", std::to_string(w)}};
          const auto all = static_cast<uint32_t>(models[w].size());
          ExpectSameRecall("shared", models[w], walk.Vector(kDimension), walk.Below(2) == 0 ? all + 5 : 1 + all / 10, true, own);
        }
        if (walk.Below(3) == 0) {
          const std::string victim = frame[walk.Below(frame.size())].id;
          const std::vector<std::string> ids = {victim};
          EXPECT_EQ(engine().Forget({.space = "shared", .ids = ids})->forgotten, 1u);
          models[w].erase(victim);
          EXPECT_EQ(engine().Get("shared", ids)->missing.size(), 1u);
        }
      }
    });
  }
  writers.clear();
  stop.store(true);
  readers.clear();
  EXPECT_GT(recalls.load(), 0u);
  Model all;
  for (Model& model : models) all.merge(model);
  ExpectSameContents("shared", all);
}

}  // namespace
}  // namespace engram::testing

// storage.embeddings: f16: what is kept, compared and given back, and what is kept as it was sent.
#include <cmath>
#include <map>
#include <random>

#include "index/kernels.h"
#include "index/space_index.h"
#include "tests/support/engine_fixture.h"
#include "tests/support/recording_journal.h"

namespace engram::testing {
namespace {

constexpr size_t kDimension = 37;

std::vector<float> Random(uint64_t seed, float scale) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> vector(kDimension);
  for (float& x : vector) x = normal(random);
  return vector;
}

double NormOf(const std::vector<float>& vector) {
  double sum = 0;
  for (const float x : vector) sum += double{x} * x;
  return std::sqrt(sum);
}

class HalfEmbeddings : public EngineFixture, public ::testing::WithParamInterface<bool> {
 protected:
  HalfEmbeddings() {
    settings_.storage_embeddings = "f16";
    // Else the index keeps rows itself, as in mode memory.
    if (GetParam()) journal_ = std::make_unique<RecordingJournal>(log_);
  }

  std::vector<float> Stored(const std::string& id) {
    const std::vector<std::string> ids = {id};
    const auto got = engine().Get("s", ids);
    EXPECT_TRUE(got.ok()) << got.status();
    if (!got.ok() || got->observations.size() != 1) return {};
    const std::span<const float> row = got->observations[0].embedding;
    return {row.begin(), row.end()};
  }

  const std::shared_ptr<RecordedLog> log_ = std::make_shared<RecordedLog>();
};

TEST_P(HalfEmbeddings, AreRoundedOnceAndGivenBackAsTheyAreCompared) {
  for (int i = 0; i < 200; ++i) {
    const std::vector<float> sent = Random(i, 1 / std::sqrt(float{kDimension}));
    const std::string id = "id" + std::to_string(i);
    MustObserve("s", {{.id = id, .embedding = sent}});
    const std::vector<float> stored = Stored(id);
    ASSERT_EQ(stored.size(), kDimension);
    double error = 0;
    for (size_t d = 0; d < kDimension; ++d) {
      std::byte half[2];
      float wide = 0;
      BestKernels().narrow_f16(reinterpret_cast<const std::byte*>(&sent[d]), half, 1);
      BestKernels().widen_f16(half, &wide, 1);
      EXPECT_EQ(stored[d], wide) << i << " " << d;
      error += (double{stored[d]} - sent[d]) * (double{stored[d]} - sent[d]);
    }
    EXPECT_NE(stored, sent) << i;
    EXPECT_LT(std::sqrt(error), 0x1p-10 * NormOf(sent)) << i;

    // Its own vector, as kept and as sent, finds it first.
    RecallQuery query;
    query.space = "s";
    query.k = 1;
    query.embedding = ViewOf(stored);
    auto answer = engine().Recall(query, Soon());
    ASSERT_TRUE(answer.ok() && answer->hits.size() == 1);
    EXPECT_EQ(answer->hits[0].id, id);
    EXPECT_NEAR(answer->hits[0].similarity, 1, 1e-6);
    query.embedding = ViewOf(sent);
    answer = engine().Recall(query, Soon());
    ASSERT_TRUE(answer.ok() && answer->hits.size() == 1);
    EXPECT_EQ(answer->hits[0].id, id);
    EXPECT_NEAR(answer->hits[0].similarity, 1, 1e-5);
  }
  if (!GetParam()) return;
  MutexLock lock(log_->mu);
  for (const RecordedRecord& record : log_->records) {
    for (const RecordedObservation& observation : record.observations) {
      EXPECT_EQ(observation.encoding, Encoding::kF16);
      EXPECT_EQ(observation.embedding.size(), 2 * kDimension);
    }
  }
}

// In one batch with others that are rounded: who is kept as sent takes nothing of the room of the rest.
TEST_P(HalfEmbeddings, WhatHalfPrecisionCannotTellStaysAsItWasSent) {
  std::map<std::string, std::vector<float>> sent;
  std::vector<TestObservation> batch;
  for (int i = 0; i < 60; ++i) {
    const std::string id = "id" + std::to_string(i);
    std::vector<float> vector = Random(1000 + i, 1);
    if (i % 4 == 1) vector = Random(1000 + i, 1e-6f);
    if (i % 4 == 2) vector[i % kDimension] = 65505;
    if (i % 4 == 3) vector[i % kDimension] = -1e30f;
    sent[id] = vector;
    batch.push_back({.id = id, .embedding = std::move(vector)});
  }
  MustObserve("s", std::move(batch));
  for (int i = 0; i < 60; ++i) {
    const std::string id = "id" + std::to_string(i);
    const std::vector<float> stored = Stored(id);
    if (i % 4 != 0) {
      EXPECT_EQ(stored, sent[id]) << id;
      continue;
    }
    EXPECT_NE(stored, sent[id]) << id;
    for (size_t d = 0; d < kDimension; ++d) EXPECT_NEAR(stored[d], sent[id][d], 0x1p-11 * std::fabs(sent[id][d]) + 1e-7);
  }
}

INSTANTIATE_TEST_SUITE_P(Journals, HalfEmbeddings, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "journal" : "memory"; });

TEST(NarrowVectorTest, KeepsWithinThePromisedErrorWhatItTakes) {
  std::mt19937_64 random(5);
  std::uniform_real_distribution<float> magnitude(-16, 18);
  std::normal_distribution<float> normal;
  int taken = 0, left = 0;
  for (int round = 0; round < 3000; ++round) {
    const size_t dimension = 1 + random() % 400;
    const float scale = std::exp2(magnitude(random));
    std::vector<float> vector(dimension), wide(dimension);
    // Most elements far below the largest: those that half precision tells worst.
    for (float& x : vector) x = normal(random) * scale * (random() % 8 == 0 ? 1.0f : 1e-4f);
    std::vector<std::byte> half(2 * dimension);
    if (!NarrowVector(ViewOf(vector), half.data())) {
      ++left;
      continue;
    }
    ++taken;
    WidenVector({half.data(), static_cast<uint32_t>(dimension), Encoding::kF16}, wide);
    double error = 0;
    for (size_t d = 0; d < dimension; ++d) error += (double{wide[d]} - vector[d]) * (double{wide[d]} - vector[d]);
    EXPECT_LE(std::sqrt(error), 0x1p-10 * NormOf(vector)) << round;
  }
  EXPECT_GT(taken, 500);
  EXPECT_GT(left, 500);
}

}  // namespace
}  // namespace engram::testing

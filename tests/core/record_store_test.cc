#include "core/record_store.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/index/memory_image.h"
#include "tests/support/observations.h"

namespace engram::testing {
namespace {

// Every combination of what a row may have.
std::vector<TestObservation> Combinations() {
  std::vector<TestObservation> all;
  for (int i = 0; i < 64; ++i) {
    TestObservation one;
    one.id = std::to_string(i);
    one.embedding = {1, 2};
    if ((i & 1) != 0) one.content = "what was seen as number " + std::to_string(i);
    if ((i & 2) != 0) one.tags["key"] = "value " + std::to_string(i);
    if ((i & 4) != 0) one.tags[""] = "";
    if ((i & 8) != 0) one.ttl_us = int64_t{1} << (i % 50 + 1);
    if ((i & 16) != 0) one.tags["long"] = std::string(3000, 'x');
    if ((i & 32) != 0) one.observed_at_us = 1'000'000 + i;
    one.confidence = static_cast<float>(i) / 64;
    all.push_back(std::move(one));
  }
  return all;
}

class RecordStoreTest : public ::testing::TestWithParam<bool> {
 protected:
  bool keeps() const { return GetParam(); }

  void ExpectHolds(const RecordStore& store, const std::vector<TestObservation>& all, uint64_t position) {
    for (Ordinal i = 0; i < all.size(); ++i) {
      SCOPED_TRACE(i);
      const TestObservation& one = all[i];
      EXPECT_EQ(store.Content(i), keeps() ? one.content : "");
      EXPECT_EQ(store.ContentElsewhere(i), !keeps() && !one.content.empty());
      EXPECT_EQ(store.Address(i), (RecordAddress{position, i}));
      EXPECT_EQ(store.ObservedAt(i), one.observed_at_us);
      EXPECT_EQ(store.Confidence(i), one.confidence);
      EXPECT_EQ(store.Ttl(i), one.ttl_us);
      EXPECT_EQ(store.ExpiresAt(i), one.ttl_us == 0 ? RecordStore::kForEver : one.observed_at_us + one.ttl_us);
      std::map<std::string, std::string> tags;
      for (const TagView& tag : store.Tags(i)) tags.emplace(tag.key, tag.value);
      EXPECT_EQ(tags, one.tags);
      for (const auto& [key, value] : one.tags) EXPECT_EQ(store.FindTag(i, key), value);
      EXPECT_FALSE(store.FindTag(i, "no such key").has_value());
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Contents, RecordStoreTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Kept" : "Elsewhere"; });

TEST_P(RecordStoreTest, HoldsWhatWasAppended) {
  RecordStore store(keeps());
  const ObservationBatch batch = MakeBatch(Combinations());
  store.Append(0, batch.observations, 7, {});
  ExpectHolds(store, Combinations(), 7);
}

TEST_P(RecordStoreTest, AnImageHoldsTheSame) {
  RecordStore store(keeps());
  const ObservationBatch batch = MakeBatch(Combinations());
  const auto rows = static_cast<Ordinal>(batch.observations.size());
  store.Append(0, batch.observations, 7, {});
  MemorySink sink;
  ASSERT_TRUE(store.Save(rows, sink).ok());
  RecordStore loaded(keeps());
  MemorySource source(sink.bytes());
  const absl::Status status = loaded.Load(rows, source);
  ASSERT_TRUE(status.ok()) << status;
  ExpectHolds(loaded, Combinations(), 7);
  MemorySink again;
  ASSERT_TRUE(loaded.Save(rows, again).ok());
  EXPECT_EQ(again.bytes(), sink.bytes());
}

TEST_P(RecordStoreTest, AnImageIsReadOrRefusedWhateverByteOfItIsWrong) {
  RecordStore store(keeps());
  const ObservationBatch batch = MakeBatch(Combinations());
  const auto rows = static_cast<Ordinal>(batch.observations.size());
  store.Append(0, batch.observations, 7, {});
  MemorySink sink;
  ASSERT_TRUE(store.Save(rows, sink).ok());
  // The header and the rows; a blob is lengths and letters.
  constexpr size_t kHeader = 24, kRow = 48;
  for (size_t at = 0; at < kHeader + rows * kRow; ++at) {
    for (const auto flip : {std::byte{0x01}, std::byte{0x80}}) {
      Bytes bytes = sink.bytes();
      bytes[at] ^= flip;
      RecordStore loaded(keeps());
      MemorySource source(bytes);
      if (!loaded.Load(rows, source).ok()) continue;
      for (Ordinal i = 0; i < rows; ++i) {
        loaded.Tags(i);
        loaded.ExpiresAt(i);
      }
    }
  }
}

TEST(RecordStore, ARowWithoutTagsCostsThirtySixBytes) {
  RecordStore store(false);
  std::vector<TestObservation> plain(112);
  for (TestObservation& one : plain) one = {.id = "id", .embedding = {1}, .content = "elsewhere"};
  const ObservationBatch batch = MakeBatch(plain);
  store.Append(0, batch.observations, 7, {});
  // And 64 for the zone.
  EXPECT_EQ(store.bytes(), 112u * 36 + 64);
}

}  // namespace
}  // namespace engram::testing

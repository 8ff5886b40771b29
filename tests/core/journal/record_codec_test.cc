#include "core/journal/record_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/journal/observation_reader.h"
#include "tests/core/journal/bytes_file.h"
#include "tests/core/journal/record_maker.h"
#include "tests/core/journal/reseal.h"

namespace engram {
namespace {

using testing::BytesFile;
using ::testing::HasSubstr;
using testing::RecordMaker;
using testing::TextOf;

constexpr uint32_t kSeed = 0x5eed5eed;

std::vector<std::byte> Bytes(const JournalRecord& record, uint64_t position = 7, uint32_t seed = kSeed) {
  const absl::StatusOr<uint64_t> size = EncodedSize(record);
  EXPECT_TRUE(size.ok()) << size.status();
  // What was there before must not show.
  std::vector<std::byte> bytes(size.value_or(0), std::byte{0xee});
  Encode(record, position, position - 1, seed, bytes);
  return bytes;
}

// A record in memory of its exact size, so that a sanitizer sees the first byte too many.
struct Exactly {
  explicit Exactly(std::span<const std::byte> bytes) : copy(new std::byte[bytes.size()]) {
    std::copy(bytes.begin(), bytes.end(), copy.get());
    status = DecodeRecord({copy.get(), bytes.size()}, kSeed, &decoded);
  }
  // What is decoded points into it.
  const std::unique_ptr<std::byte[]> copy;
  DecodedRecord decoded;
  absl::Status status;
};

TEST(RecordCodecTest, WhatIsEncodedDecodesToTheSame) {
  const uint64_t seed = testing::SeedOr(1);
  SCOPED_TRACE(fmt::format("ENGRAM_SEED={}", seed));
  RecordMaker maker(seed);
  DecodedRecord decoded;
  for (int i = 0; i < 3000; ++i) {
    const JournalRecord record = maker.Any();
    const std::vector<std::byte> bytes = Bytes(record, 100 + i);
    ASSERT_EQ(bytes.size() % 8, 0u);
    ASSERT_EQ(DecodeRecord(bytes, kSeed, &decoded), absl::OkStatus()) << TextOf(record);
    ASSERT_EQ(TextOf(decoded.record), TextOf(record));
    ASSERT_EQ(decoded.position, 100u + i);
    ASSERT_EQ(decoded.durable, 99u + i);
  }
}

TEST(RecordCodecTest, MarksAloneMakeARecord) {
  JournalRecord record;
  record.space_id = 3;
  record.space = "s";
  const StreamMark marks[] = {{"a", 12}, {"", UINT64_MAX}};
  record.marks = marks;
  const std::vector<std::byte> bytes = Bytes(record);
  DecodedRecord decoded;
  ASSERT_EQ(DecodeRecord(bytes, kSeed, &decoded), absl::OkStatus());
  EXPECT_EQ(TextOf(decoded.record), TextOf(record));
}

TEST(RecordCodecTest, ARecordThatCreatesASpaceBearsItsOwnPositionAsTheId) {
  RecordMaker maker(1);
  JournalRecord record = maker.OfSpace(RecordType::kSpaceCreated);
  record.space_id = 0;
  DecodedRecord decoded;
  ASSERT_EQ(DecodeRecord(Bytes(record, 41), kSeed, &decoded), absl::OkStatus());
  EXPECT_EQ(decoded.record.space_id, 41u);
}

TEST(RecordCodecTest, WhatIsLeftOfARecordIsEncodedUnderAnotherSeedWithItsPlaces) {
  RecordMaker maker(5);
  const JournalRecord record = maker.Observations(20, 8, false);
  const std::vector<std::byte> bytes = Bytes(record, 9);
  DecodedRecord decoded;
  ASSERT_EQ(DecodeRecord(bytes, kSeed, &decoded), absl::OkStatus());
  JournalRecord left = decoded.record;
  const std::vector<ObservationView> kept = {decoded.observations[3], decoded.observations[17]};
  const std::vector<uint32_t> places = {3, 17};
  left.observations = kept;
  left.places = places;
  BytesFile file(Bytes(left, 9, kSeed + 1));

  StoredObservation stored;
  for (const uint32_t place : places) {
    ASSERT_EQ(ReadObservationAt(file, 0, kSeed + 1, {9, place}, &stored), absl::OkStatus());
    EXPECT_EQ(TextOf(stored.observation), TextOf(record.observations[place]));
  }
  EXPECT_TRUE(absl::IsNotFound(ReadObservationAt(file, 0, kSeed + 1, {9, 4}, &stored)));
  EXPECT_TRUE(absl::IsDataLoss(ReadObservationAt(file, 0, kSeed, {9, 3}, &stored)));
}

TEST(RecordCodecTest, EveryFlippedByteOfARecordIsNoticed) {
  RecordMaker maker(2);
  for (const JournalRecord& record :
       {maker.Observations(3, 4, false), maker.Observations(3, 4, true), maker.Tombstones(3),
        maker.OfSpace(RecordType::kSpaceCreated), maker.OfSpace(RecordType::kSpaceDropped)}) {
    std::vector<std::byte> bytes = Bytes(record);
    for (size_t i = 0; i < bytes.size(); ++i) {
      for (const int flip : {1, 0x80, 0xff}) {
        bytes[i] ^= std::byte(flip);
        ASSERT_TRUE(absl::IsDataLoss(Exactly(bytes).status)) << "byte " << i << " of type " << int(record.type);
        bytes[i] ^= std::byte(flip);
      }
    }
    for (size_t size = 0; size < bytes.size(); ++size) {
      ASSERT_TRUE(absl::IsDataLoss(Exactly(std::span(bytes).first(size)).status)) << size;
    }
  }
}

TEST(RecordCodecTest, HostileNumbersUnderRightCrcsAreRefusedOrReadWithinBounds) {
  const uint64_t seed = testing::SeedOr(3);
  SCOPED_TRACE(fmt::format("ENGRAM_SEED={}", seed));
  RecordMaker maker(seed);
  size_t taken = 0;
  for (int i = 0; i < 20000; ++i) {
    std::vector<std::byte> bytes = Bytes(i % 2 == 0 ? maker.Any() : maker.Observations(3, 4, i % 4 == 1));
    for (uint64_t flips = 1 + maker.Below(3); flips > 0; --flips) {
      const size_t at = maker.Below(3) == 0 ? maker.Below(bytes.size()) : maker.Below(kRecordFixedBytes + 40);
      bytes[std::min(at, bytes.size() - 1)] = std::byte(maker.Below(2) == 0 ? 0xff : maker.Below(256));
    }
    testing::Reseal(bytes, kSeed);
    const Exactly read(bytes);
    ASSERT_TRUE(read.status.ok() || absl::IsDataLoss(read.status)) << read.status;
    if (read.status.ok()) taken += TextOf(read.decoded.record).size();
  }
  // Some of the mutations only change a value: they went through the decoder to the end.
  EXPECT_GT(taken, 0u);
}

TEST(RecordCodecTest, AFieldTooLongForItsNumberIsRefusedByName) {
  const std::string long_text(70'000, 'x');
  JournalRecord record;
  ObservationView o;
  o.id = long_text;
  record.observations = {&o, 1};
  EXPECT_THAT(MessageOf(EncodedSize(record).status()), HasSubstr("the length of an id is 70000, more than 65535"));
  o.id = "a";
  const TagView tag = {long_text, "v"};
  o.tags = {&tag, 1};
  EXPECT_THAT(MessageOf(EncodedSize(record).status()), HasSubstr("tag's key"));
  const std::vector<TagView> tags(70'000, TagView{"k", "v"});
  o.tags = tags;
  EXPECT_THAT(MessageOf(EncodedSize(record).status()), HasSubstr("number of tags"));
  o.tags = {};
  record.space = long_text;
  EXPECT_THAT(MessageOf(EncodedSize(record).status()), HasSubstr("space's name"));
  record.space = "s";
  const StreamMark mark = {long_text, 1};
  record.marks = {&mark, 1};
  EXPECT_THAT(MessageOf(EncodedSize(record).status()), HasSubstr("stream's id"));
  record.marks = {};
  o.embedding.dimension = 300'000'000;
  EXPECT_THAT(MessageOf(EncodedSize(record).status()), HasSubstr("the size of a record"));
}

TEST(RecordCodecTest, FramingCostsAtMostTenPercentOfASmallObservation) {
  std::vector<std::byte> embedding(512);
  const TagView tag = {"topic", "journal"};
  ObservationView o;
  o.id = "0123456789";
  const std::string content(57, 'c');
  o.content = content;
  o.embedding = {embedding.data(), 128, Encoding::kF32};
  o.tags = {&tag, 1};
  const std::vector<ObservationView> observations(256, o);
  JournalRecord record;
  record.space = "space";
  record.observations = observations;
  const StreamMark mark = {"stream", 256};
  record.marks = {&mark, 1};
  const double ratio = static_cast<double>(EncodedSize(record).value()) / static_cast<double>(record.payload_bytes());
  ::testing::Test::RecordProperty("bytes_per_payload", std::to_string(ratio));
  EXPECT_LE(ratio, 1.06);
}

TEST(ObservationReaderTest, EachObservationOfALongBatchIsReadAlone) {
  RecordMaker maker(8);
  for (const bool sparse : {false, true}) {
    const JournalRecord record = maker.Observations(700, 16, sparse);
    std::vector<std::byte> bytes(kRecordFixedBytes + 4);  // Something before it.
    const size_t offset = bytes.size();
    const std::vector<std::byte> encoded = Bytes(record, 12);
    bytes.insert(bytes.end(), encoded.begin(), encoded.end());
    const BytesFile file(bytes);
    StoredObservation stored;
    for (uint32_t i = 0; i < record.observations.size(); ++i) {
      const uint32_t place = sparse ? record.places[i] : i;
      file.reads = 0;
      ASSERT_EQ(ReadObservationAt(file, offset, kSeed, {12, place}, &stored), absl::OkStatus()) << i;
      ASSERT_EQ(TextOf(stored.observation), TextOf(record.observations[i]));
      ASSERT_LE(file.reads, 3);
    }
    EXPECT_TRUE(absl::IsNotFound(ReadObservationAt(file, offset, kSeed, {12, 100'000}, &stored)));
  }
}

TEST(ObservationReaderTest, DamageElsewhereInTheBatchDoesNotHideAnObservation) {
  RecordMaker maker(9);
  const JournalRecord record = maker.Observations(4, 8, false);
  const std::vector<std::byte> whole = Bytes(record, 12);
  const RecordHead head = *DecodeHead(whole, kSeed);
  StoredObservation stored;
  for (size_t at = 0; at < whole.size(); ++at) {
    BytesFile file(whole);
    file.bytes[at] ^= std::byte{4};
    for (uint32_t place = 0; place < 4; ++place) {
      const BodyRange body = BodyAt(whole, head, place);
      const bool hit = at < head.head_length || (at >= body.begin && at < body.end);
      const absl::Status status = ReadObservationAt(file, 0, kSeed, {12, place}, &stored);
      ASSERT_EQ(status.ok(), !hit) << "byte " << at << " place " << place;
      if (!hit) continue;
      ASSERT_TRUE(absl::IsDataLoss(status));
      ASSERT_THAT(MessageOf(status), HasSubstr("bytes.journal at offset 0: the observation at position 12"));
    }
  }
  for (size_t size = 0; size < whole.size(); ++size) {
    const BytesFile file({whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)});
    const absl::Status status = ReadObservationAt(file, 0, kSeed, {12, 3}, &stored);
    ASSERT_EQ(status.ok(), size >= BodyAt(whole, head, 3).end) << size;
  }
}

TEST(ObservationReaderTest, AnotherRecordAtTheOffsetIsNotTakenForIt) {
  RecordMaker maker(10);
  const BytesFile file(Bytes(maker.Observations(2, 4, false), 12));
  StoredObservation stored;
  const absl::Status status = ReadObservationAt(file, 0, kSeed, {13, 0}, &stored);
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_THAT(MessageOf(status), HasSubstr("a record of type 1 with position 12 is there"));
}

}  // namespace
}  // namespace engram

#include "core/journal/segment_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "core/base/crc32c.h"
#include "core/journal/little_endian.h"
#include "tests/core/journal/bytes_file.h"
#include "tests/core/journal/segment_image.h"

namespace engram {
namespace {

using testing::BytesFile;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::SegmentImage;
using testing::SmallSegment;
using testing::TextOf;

constexpr SegmentReader::Options kSealed = {.sealed = true};
constexpr SegmentReader::Options kOpen = {.sealed = false};

struct Scan {
  absl::Status opened;
  std::map<uint64_t, std::string> records;
  std::vector<uint64_t> positions;
  std::vector<SegmentDefect> defects;
  uint64_t end_offset = 0;
  uint64_t last_position = 0;
  std::optional<SegmentFooter> footer;
};

Scan Read(std::vector<std::byte> bytes, SegmentReader::Options options) {
  const BytesFile file(std::move(bytes));
  SegmentReader reader(file, options);
  Scan scan;
  scan.opened = reader.Open();
  if (!scan.opened.ok()) return scan;
  while (true) {
    const absl::StatusOr<bool> more = reader.Next();
    EXPECT_TRUE(more.ok()) << more.status();
    if (!more.ok() || !*more) break;
    scan.positions.push_back(reader.record().position);
    scan.records[reader.record().position] = TextOf(reader.record().record);
  }
  EXPECT_FALSE(*reader.Next());
  scan.defects = reader.defects();
  scan.end_offset = reader.end_offset();
  scan.last_position = reader.last_position();
  scan.footer = reader.footer();
  return scan;
}

std::map<uint64_t, std::string> RecordsOf(const SegmentImage& image) {
  std::map<uint64_t, std::string> records;
  for (const SegmentImage::Added& added : image.added) records[added.position] = added.text;
  return records;
}

TEST(SegmentReaderTest, ReadsEveryRecordOfASealedSegmentInOrder) {
  SegmentImage image = SmallSegment(1, 300, 50);
  image.Seal();
  const Scan scan = Read(image.bytes, {.sealed = true, .last_position = 349});
  EXPECT_THAT(scan.defects, IsEmpty());
  EXPECT_EQ(scan.records, RecordsOf(image));
  EXPECT_TRUE(std::is_sorted(scan.positions.begin(), scan.positions.end()));
  EXPECT_EQ(scan.last_position, 349u);
  EXPECT_EQ(scan.end_offset, image.bytes.size());
  ASSERT_TRUE(scan.footer.has_value());
  EXPECT_EQ(*scan.footer, image.footer());

  const BytesFile file(image.bytes);
  const absl::StatusOr<SegmentHeader> header = ReadHeader(file);
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(*header, image.header());
  const absl::StatusOr<SegmentFooter> footer = ReadFooter(file, *header);
  ASSERT_TRUE(footer.ok()) << footer.status();
  EXPECT_EQ(*footer, image.footer());
  EXPECT_EQ(footer->OffsetOf(60), image.added[10].offset);
  EXPECT_EQ(footer->OffsetOf(350), 0u);
}

TEST(SegmentReaderTest, AnEmptySegmentSealsAndReads) {
  SegmentImage image({9, 77, 1, 0});
  const Scan open = Read(image.bytes, kOpen);
  EXPECT_EQ(open.last_position, 0u);
  EXPECT_EQ(open.end_offset, kHeaderBlockBytes);
  image.Seal();
  const Scan sealed = Read(image.bytes, {.sealed = true, .last_position = 0});
  EXPECT_THAT(sealed.defects, IsEmpty());
  EXPECT_TRUE(sealed.footer.has_value());
  EXPECT_EQ(sealed.last_position, 0u);
}

TEST(SegmentReaderTest, RecordsLongerThanTheBufferAndAcrossItsEdgesAreRead) {
  testing::RecordMaker maker(4);
  SegmentImage image({123, 77, 1, 0});
  for (const size_t dimension : {300'000, 10, 100'000, 20, 700'000, 30}) {
    for (int i = 0; i < 3; ++i) image.Add(maker.Observations(1, static_cast<uint32_t>(dimension), false), 0);
  }
  image.AppendZeros(3 << 20);
  const Scan scan = Read(image.bytes, kOpen);
  EXPECT_THAT(scan.defects, IsEmpty());
  EXPECT_EQ(scan.records, RecordsOf(image));
}

TEST(SegmentReaderTest, TheLastSegmentEndsInZerosOrInStaleBytesOfAnotherSeed) {
  SegmentImage old = SmallSegment(2, 400);
  old.Seal();
  for (const bool recycled : {false, true}) {
    SegmentImage image = SmallSegment(3, 60);
    const size_t end = image.bytes.size();
    image.AppendZeros(old.bytes.size());
    if (recycled) {
      ASSERT_GT(old.bytes.size(), end + 2000);
      std::copy(old.bytes.begin() + static_cast<ptrdiff_t>(end), old.bytes.end(),
                image.bytes.begin() + static_cast<ptrdiff_t>(end));
    }
    const Scan scan = Read(image.bytes, kOpen);
    EXPECT_THAT(scan.defects, IsEmpty());
    EXPECT_EQ(scan.records, RecordsOf(image));
    EXPECT_EQ(scan.end_offset, end);
    EXPECT_EQ(scan.last_position, 60u);
    EXPECT_FALSE(scan.footer.has_value());
  }
}

// The header is new and everything behind it is what an earlier life of the file left: none of it is taken, whatever
// the positions.
TEST(SegmentReaderTest, AWholeOldSegmentBehindANewHeaderIsEmpty) {
  SegmentImage old = SmallSegment(2, 40);
  old.Seal();
  SegmentHeader header = old.header();
  header.seed ^= 1;
  EncodeHeaderBlock(header, old.bytes.data());
  const Scan scan = Read(old.bytes, kOpen);
  EXPECT_THAT(scan.records, IsEmpty());
  EXPECT_THAT(scan.defects, IsEmpty());
  EXPECT_EQ(scan.end_offset, kHeaderBlockBytes);
}

TEST(SegmentReaderTest, EveryFlippedByteOfASealedSegmentIsNamedAndCostsOneRecordAtMost) {
  SegmentImage image = SmallSegment(6, 12);
  image.Seal();
  const std::map<uint64_t, std::string> all = RecordsOf(image);
  for (size_t at = 0; at < image.bytes.size(); ++at) {
    // Of the many zeros between the headers some will do.
    if (at < kHeaderBlockBytes && at % kHeaderCopyAt >= kHeaderBytes && at % 64 != 63) continue;
    std::vector<std::byte> bytes = image.bytes;
    bytes[at] ^= std::byte{0x10};
    const Scan scan = Read(bytes, {.sealed = true, .last_position = 12});
    ASSERT_EQ(scan.opened, absl::OkStatus()) << at;
    ASSERT_FALSE(scan.defects.empty()) << "byte " << at << " is not covered";
    ASSERT_EQ(scan.last_position, 12u) << at;
    std::map<uint64_t, std::string> expected = all;
    for (const SegmentImage::Added& added : image.added) {
      if (at >= added.offset && at < added.offset + added.length) expected.erase(added.position);
    }
    ASSERT_EQ(scan.records, expected) << at;
    bool named = false;
    uint64_t missing = 0;
    for (const SegmentDefect& defect : scan.defects) {
      named |= at >= defect.offset && at < defect.offset + defect.length;
      if (!defect.loses_records()) continue;
      ASSERT_TRUE(defect.was_durable());
      missing += defect.last_missing - defect.first_missing + 1;
      ASSERT_EQ(expected.count(defect.first_missing), 0u);
    }
    ASSERT_TRUE(named) << at << ": " << scan.defects.front().Describe("f");
    ASSERT_EQ(missing, all.size() - expected.size()) << at << ": " << scan.defects.front().Describe("f");
  }
}

TEST(SegmentReaderTest, EveryTruncationOfASealedSegmentIsNamed) {
  SegmentImage image = SmallSegment(7, 12);
  image.Seal();
  for (size_t size = 0; size < image.bytes.size(); ++size) {
    if (size < kHeaderBlockBytes && size % kHeaderCopyAt > kHeaderBytes && size % 64 != 63) continue;
    std::vector<std::byte> bytes(image.bytes.begin(), image.bytes.begin() + static_cast<ptrdiff_t>(size));
    const Scan scan = Read(bytes, {.sealed = true, .last_position = 12});
    const BytesFile file(bytes);
    ASSERT_FALSE(ReadFooter(file, image.header()).ok());
    if (!scan.opened.ok()) {
      ASSERT_TRUE(absl::IsDataLoss(scan.opened)) << size;
      ASSERT_LT(size, kHeaderBytes);
      continue;
    }
    ASSERT_FALSE(scan.defects.empty()) << size;
    std::map<uint64_t, std::string> expected;
    for (const SegmentImage::Added& a : image.added) {
      if (a.offset + a.length <= size) expected[a.position] = a.text;
    }
    ASSERT_EQ(scan.records, expected) << size;
    // The rest is named as missing, once and up to the last position.
    if (expected.size() < 12) {
      ASSERT_EQ(scan.defects.back().first_missing, expected.size() + 1) << size;
      ASSERT_EQ(scan.defects.back().last_missing, 12u) << size;
    }
  }
}

TEST(SegmentReaderTest, EveryTruncationOfTheLastSegmentEndsAtItsLastWholeRecord) {
  SegmentImage image = SmallSegment(8, 12);
  const std::vector<std::byte> whole = image.bytes;
  for (size_t size = kHeaderBlockBytes; size <= whole.size(); ++size) {
    std::vector<std::byte> bytes(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
    // As a power cut leaves it: the file was prepared with zeros.
    if (size % 2 == 0) bytes.resize(whole.size() + 4096);
    const Scan scan = Read(bytes, kOpen);
    // Zeros may complete a record that ends in zeros.
    if (scan.last_position == 12) continue;
    uint64_t end = kHeaderBlockBytes;
    uint64_t last = 0;
    for (const SegmentImage::Added& a : image.added) {
      if (scan.records.count(a.position) == 0) break;
      end = a.offset + a.length;
      last = a.position;
    }
    ASSERT_LE(end, size + 8) << size;
    ASSERT_EQ(scan.end_offset, end) << size;
    ASSERT_EQ(scan.last_position, last) << size;
    ASSERT_THAT(scan.defects, IsEmpty()) << size;
    if (last < 12) {
      ASSERT_GT(image.added[last].offset + image.added[last].length, size);
    }
  }
}

// Record 5 is damaged, or gone with its head, and 6 .. 8 are whole: 6 knows 4 to be durable, 7 knows 5.
TEST(SegmentReaderTest, AHoleInTheLastSegmentIsDurableIfALaterRecordSaysSo) {
  for (const bool head_gone : {false, true}) {
    for (const int records : {5, 6, 7, 8}) {
      SegmentImage image = SmallSegment(9, records);
      const SegmentImage::Added& fifth = image.added[4];
      std::fill_n(image.bytes.begin() + static_cast<ptrdiff_t>(fifth.offset + (head_gone ? 0 : kRecordFixedBytes)),
                  fifth.length - (head_gone ? 0 : kRecordFixedBytes), std::byte{0x5a});
      image.AppendZeros(4096);
      const Scan scan = Read(image.bytes, kOpen);
      if (records == 5) {
        EXPECT_THAT(scan.defects, IsEmpty());
        EXPECT_EQ(scan.last_position, 4u);
        EXPECT_EQ(scan.end_offset, fifth.offset);
        continue;
      }
      ASSERT_EQ(scan.defects.size(), 1u);
      EXPECT_EQ(scan.defects[0].offset, fifth.offset);
      EXPECT_EQ(scan.defects[0].length, fifth.length);
      EXPECT_EQ(scan.defects[0].first_missing, 5u);
      EXPECT_EQ(scan.defects[0].last_missing, 5u);
      EXPECT_EQ(scan.defects[0].was_durable(), records >= 7);
      EXPECT_EQ(scan.last_position, static_cast<uint64_t>(records));
      EXPECT_EQ(scan.records.size(), static_cast<size_t>(records) - 1);
    }
  }
}

TEST(SegmentReaderTest, ATornRecordWhoseHeadIsWholeProvesTheHoleBeforeItAndIsItselfTheTail) {
  SegmentImage image = SmallSegment(9, 7);
  image.bytes[image.added[4].offset + image.added[4].length - 9] ^= std::byte{1};
  image.bytes[image.added[6].offset + kRecordFixedBytes] ^= std::byte{1};
  // The sixth is gone altogether.
  std::fill_n(image.bytes.begin() + static_cast<ptrdiff_t>(image.added[5].offset), image.added[5].length, std::byte{0});
  const Scan scan = Read(image.bytes, kOpen);
  ASSERT_EQ(scan.defects.size(), 1u);
  EXPECT_EQ(scan.defects[0].first_missing, 5u);
  EXPECT_TRUE(scan.defects[0].was_durable());
  EXPECT_EQ(scan.last_position, 5u);
  EXPECT_EQ(scan.end_offset, image.added[5].offset);
}

TEST(SegmentReaderTest, MissingPositionsAreNamedUnlessTheSegmentWasRewritten) {
  for (const uint32_t generation : {0u, 1u}) {
    testing::RecordMaker maker(11);
    SegmentImage image({5, 77, 10, generation});
    image.AddAt(maker.Any(), 11, 0);
    image.AddAt(maker.Any(), 15, 0);
    image.Seal(19);
    const Scan scan = Read(image.bytes, {.sealed = true, .last_position = 19});
    EXPECT_THAT(scan.positions, ElementsAre(11, 15));
    EXPECT_EQ(scan.last_position, 19u);
    if (generation > 0) {
      EXPECT_THAT(scan.defects, IsEmpty());
      continue;
    }
    ASSERT_EQ(scan.defects.size(), 3u);
    EXPECT_EQ(scan.defects[0].first_missing, 10u);
    EXPECT_EQ(scan.defects[0].last_missing, 10u);
    EXPECT_EQ(scan.defects[1].first_missing, 12u);
    EXPECT_EQ(scan.defects[1].last_missing, 14u);
    EXPECT_EQ(scan.defects[2].first_missing, 16u);
    EXPECT_EQ(scan.defects[2].last_missing, 19u);
  }
}

TEST(SegmentReaderTest, SealingThatWasCutShortBeginsAgain) {
  SegmentImage image = SmallSegment(12, 6);
  const size_t end = image.bytes.size();
  image.Seal();
  for (size_t size = end; size < image.bytes.size(); ++size) {
    std::vector<std::byte> bytes(image.bytes.begin(), image.bytes.begin() + static_cast<ptrdiff_t>(size));
    bytes.resize(image.bytes.size() + 1000);
    const Scan scan = Read(bytes, kOpen);
    if (scan.footer.has_value()) continue;
    ASSERT_EQ(scan.end_offset, end) << size;
    ASSERT_EQ(scan.last_position, 6u) << size;
    ASSERT_THAT(scan.defects, IsEmpty()) << size;
  }
  // Whole, and not yet cut to its size.
  std::vector<std::byte> whole = image.bytes;
  whole.resize(whole.size() + 1000, std::byte{7});
  const Scan open = Read(whole, kOpen);
  EXPECT_TRUE(open.footer.has_value());
  EXPECT_EQ(open.end_offset, image.bytes.size());
  EXPECT_THAT(open.defects, IsEmpty());
  const Scan sealed = Read(whole, kSealed);
  ASSERT_EQ(sealed.defects.size(), 1u);
  EXPECT_THAT(sealed.defects[0].Describe("a.journal"),
              HasSubstr("are damaged (the segment goes on behind its trailer): no record is lost"));
}

TEST(SegmentReaderTest, ASegmentOfANewerVersionIsRefused) {
  SegmentImage image = SmallSegment(13, 2);
  for (const size_t at : {size_t{0}, kHeaderCopyAt}) {
    StoreLe(image.bytes.data() + at + 8, uint32_t{2});
    StoreLe(image.bytes.data() + at + 60, Crc32c(0, std::span(image.bytes).subspan(at, 60)));
  }
  const Scan scan = Read(image.bytes, kOpen);
  EXPECT_TRUE(absl::IsFailedPrecondition(scan.opened));
  EXPECT_THAT(std::string(MessageOf(scan.opened)),
              HasSubstr("bytes.journal: the segment has format version 2, newer than 1"));
}

TEST(SegmentReaderTest, WithBothHeadersGoneTheSegmentIsNamedAsUnreadable) {
  SegmentImage image = SmallSegment(13, 2);
  image.bytes[20] ^= std::byte{1};
  image.bytes[kHeaderCopyAt + 20] ^= std::byte{1};
  const Scan scan = Read(image.bytes, kOpen);
  EXPECT_TRUE(absl::IsDataLoss(scan.opened));
  EXPECT_THAT(std::string(MessageOf(scan.opened)), HasSubstr("bytes.journal: the crc of the segment's header"));
}

// Random damage of every size: what is read is what was written, and what is not read is named.
TEST(SegmentReaderTest, WhateverIsDamagedNothingElseIsLostAndNothingFalseIsRead) {
  const uint64_t seed = testing::SeedOr(21);
  SCOPED_TRACE(fmt::format("ENGRAM_SEED={}", seed));
  testing::RecordMaker maker(seed);
  for (int round = 0; round < 600; ++round) {
    SegmentImage image = SmallSegment(seed + static_cast<uint64_t>(round), 40);
    const bool sealed = maker.Below(2) == 0;
    if (sealed) image.Seal();
    if (!sealed) image.AppendZeros(1000);
    std::vector<std::byte> bytes = image.bytes;
    for (uint64_t holes = 1 + maker.Below(4); holes > 0; --holes) {
      const size_t at = kHeaderBlockBytes + maker.Below(bytes.size() - kHeaderBlockBytes);
      const size_t length = std::min<size_t>(1 + maker.Below(maker.Below(2) == 0 ? 20 : 1500), bytes.size() - at);
      for (size_t i = 0; i < length; ++i) bytes[at + i] = std::byte(maker.Below(256));
    }
    const Scan scan = Read(bytes, {.sealed = sealed, .last_position = sealed ? 40 : UINT64_MAX});
    const std::map<uint64_t, std::string> all = RecordsOf(image);
    std::map<uint64_t, std::string> whole;
    for (const SegmentImage::Added& a : image.added) {
      const auto begin = static_cast<ptrdiff_t>(a.offset);
      const auto end = begin + static_cast<ptrdiff_t>(a.length);
      if (std::equal(bytes.begin() + begin, bytes.begin() + end, image.bytes.begin() + begin))
        whole[a.position] = a.text;
    }
    ASSERT_EQ(scan.records, whole);
    for (uint64_t position = 1; position <= scan.last_position; ++position) {
      const auto names = [&](const SegmentDefect& d) {
        return position >= d.first_missing && position <= d.last_missing;
      };
      ASSERT_EQ(whole.count(position) == 0, std::any_of(scan.defects.begin(), scan.defects.end(), names)) << position;
    }
    ASSERT_EQ(scan.last_position, sealed ? scan.last_position : whole.rbegin()->first);
    if (sealed && scan.last_position < 40) {
      ASSERT_EQ(scan.defects.back().last_missing, 40u);
    }
  }
}

}  // namespace
}  // namespace engram

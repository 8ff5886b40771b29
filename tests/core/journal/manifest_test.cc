#include "core/journal/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "core/base/check.h"
#include "core/base/crc32c.h"
#include "core/journal/little_endian.h"

namespace engram {
namespace {

using ::testing::HasSubstr;

const Manifest kSome = {
    .lineage = 11, .journal_id = 22, .sealed_through = 33, .checkpoint = "00000000000000000033.checkpoint"};

class ManifestTest : public ::testing::Test {
 protected:
  ManifestTest() {
    std::string path = ::testing::TempDir() + "manifest-XXXXXX";
    ENGRAM_CHECK(mkdtemp(path.data()) != nullptr);
    directory_ = *OpenPosixDirectory(path, false);
  }

  std::unique_ptr<Directory> directory_;
};

TEST_F(ManifestTest, WhatIsWrittenIsReadAndReplacesWhatWasThere) {
  EXPECT_TRUE(absl::IsNotFound(ReadManifest(*directory_).status()));
  for (const Manifest& manifest : {kSome, Manifest{.journal_id = 1}}) {
    ASSERT_EQ(WriteManifest(*directory_, manifest), absl::OkStatus());
    const absl::StatusOr<Manifest> read = ReadManifest(*directory_);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, manifest);
  }
}

TEST_F(ManifestTest, EveryFlippedByteAndEveryTruncationIsNoticed) {
  const std::vector<std::byte> whole = *EncodeManifest(kSome);
  for (size_t at = 0; at < whole.size(); ++at) {
    std::vector<std::byte> bytes = whole;
    bytes[at] ^= std::byte{2};
    ASSERT_TRUE(absl::IsDataLoss(DecodeManifest(bytes).status())) << at;
    bytes.resize(at);
    bytes.shrink_to_fit();
    ASSERT_TRUE(absl::IsDataLoss(DecodeManifest(bytes).status())) << at;
  }
  std::vector<std::byte> longer = whole;
  longer.push_back({});
  EXPECT_TRUE(absl::IsDataLoss(DecodeManifest(longer).status()));
}

TEST_F(ManifestTest, ADamagedManifestIsNamedByItsPath) {
  std::vector<std::byte> bytes = *EncodeManifest(kSome);
  bytes[30] ^= std::byte{1};
  ASSERT_EQ(ReplaceWhole(*directory_, kManifestName, bytes), absl::OkStatus());
  const absl::Status status = ReadManifest(*directory_).status();
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_THAT(std::string(MessageOf(status)), HasSubstr("/MANIFEST: the crc of the manifest is"));
}

TEST_F(ManifestTest, ANewerVersionIsRefusedAsSuch) {
  std::vector<std::byte> bytes = *EncodeManifest(kSome);
  StoreLe(bytes.data() + 8, uint32_t{2});
  const std::span<const std::byte> all(bytes);
  StoreLe(bytes.data() + 16, Crc32c(Crc32c(0, all.first(16)), all.subspan(20)));
  const absl::Status status = DecodeManifest(bytes).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(MessageOf(status)), HasSubstr("format version 2, newer than 1"));
}

TEST_F(ManifestTest, ANameTooLongIsRefused) {
  Manifest manifest = kSome;
  manifest.checkpoint.assign(256, 'a');
  EXPECT_TRUE(absl::IsInvalidArgument(WriteManifest(*directory_, manifest)));
}

}  // namespace
}  // namespace engram

#include "core/checkpoint/checkpoint_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <thread>

#include "tests/support/fake_clock.h"
#include "tests/support/faulty_files.h"

namespace engram::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::byte> Numbers(size_t count, uint8_t step) {
  std::vector<std::byte> bytes(count);
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(i * step + i / 251);
  return bytes;
}

class CheckpointFileTest : public ::testing::Test {
 protected:
  absl::Status WriteTwo(size_t first, size_t second, CheckpointPace pace = {}) {
    auto writer = CheckpointWriter::Create(directory_.get(), {.lineage = 7, .position = 42, .spaces = 1}, pace);
    if (!writer.ok()) return writer.status();
    (*writer)->Begin(SectionType::kRows, 0);
    ENGRAM_RETURN_IF_ERROR((*writer)->Write(Numbers(first, 3)));
    ENGRAM_RETURN_IF_ERROR((*writer)->End());
    (*writer)->Begin(SectionType::kGraph, 0);
    for (const std::byte b : Numbers(second, 5)) ENGRAM_RETURN_IF_ERROR((*writer)->Write(std::span(&b, 1)));
    ENGRAM_RETURN_IF_ERROR((*writer)->End());
    return (*writer)->Finish(50);
  }

  FaultyDisk disk_;
  std::unique_ptr<Directory> directory_ = disk_.Open();
  const std::string name_ = CheckpointName(42);
};

TEST_F(CheckpointFileTest, WhatWasWrittenIsReadBackSectionBySection) {
  for (const size_t first : {size_t{0}, size_t{1}, size_t{kCheckpointChunk}, size_t{2 * kCheckpointChunk + 77}}) {
    ASSERT_TRUE(WriteTwo(first, 100).ok());
    const auto file = CheckpointFile::Open(*directory_, name_);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ((*file)->header().lineage, 7u);
    EXPECT_EQ((*file)->header().position, 42u);
    EXPECT_EQ((*file)->through(), 50u);
    ASSERT_EQ((*file)->sections().size(), 2u);
    // The second one first: each lies where the table says.
    for (const size_t which : {1u, 0u}) {
      const auto source = (*file)->Read((*file)->sections()[which]);
      const std::vector<std::byte> want = which == 0 ? Numbers(first, 3) : Numbers(100, 5);
      ASSERT_EQ(source->left(), want.size());
      std::vector<std::byte> got(want.size());
      const size_t half = got.size() / 2;
      ASSERT_TRUE(source->Read(std::span(got).first(half)).ok());
      EXPECT_EQ(source->left(), want.size() - half);
      ASSERT_TRUE(source->Read(std::span(got).subspan(half)).ok());
      EXPECT_EQ(source->left(), 0u);
      EXPECT_EQ(got, want);
    }
    const auto verified = VerifyCheckpoint(*directory_, name_);
    ASSERT_TRUE(verified.ok());
    EXPECT_EQ(verified->sections, 2u);
  }
}

TEST_F(CheckpointFileTest, EveryFlippedBitIsRefused) {
  ASSERT_TRUE(WriteTwo(60, 30).ok());
  const uint64_t size = *(*directory_->Open(name_, Directory::Mode::kRead))->Size();
  for (uint64_t at = 0; at < size; ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      disk_.FlipBit(name_, at, bit);
      const auto verified = VerifyCheckpoint(*directory_, name_);
      EXPECT_FALSE(verified.ok()) << "byte " << at << " bit " << bit;
      EXPECT_TRUE(absl::IsDataLoss(verified.status()) || absl::IsFailedPrecondition(verified.status()));
      EXPECT_THAT(MessageOf(verified.status()), HasSubstr(name_));
      disk_.FlipBit(name_, at, bit);
    }
  }
  EXPECT_TRUE(VerifyCheckpoint(*directory_, name_).ok());
}

TEST_F(CheckpointFileTest, EveryTruncationIsRefused) {
  ASSERT_TRUE(WriteTwo(60, 30).ok());
  const uint64_t size = *(*directory_->Open(name_, Directory::Mode::kRead))->Size();
  for (uint64_t at = size; at-- > 0;) {
    disk_.Chop(name_, at);
    EXPECT_TRUE(absl::IsDataLoss(VerifyCheckpoint(*directory_, name_).status())) << at;
  }
}

TEST_F(CheckpointFileTest, AWriterThatIsGivenUpLeavesNothing) {
  {
    auto writer = CheckpointWriter::Create(directory_.get(), {.lineage = 7, .position = 42}, {});
    ASSERT_TRUE(writer.ok());
    EXPECT_THAT(*directory_->List(), ElementsAre(name_ + ".tmp"));
  }
  EXPECT_THAT(*directory_->List(), IsEmpty());
  disk_.Fail({.call = FileCall::kSync, .status = InputOutputError()});
  EXPECT_FALSE(WriteTwo(60, 30).ok());
  EXPECT_THAT(*directory_->List(), IsEmpty());
}

TEST_F(CheckpointFileTest, AWriterKeepsItsPaceAndSyncsLittleByLittle) {
  FakeClock clock;
  CheckpointPace pace;
  pace.clock = &clock;
  pace.bytes_per_second = kCheckpointChunk;
  pace.sync_bytes = 2 * kCheckpointChunk;
  absl::Status status;
  {
    std::jthread writing([&] { status = WriteTwo(4 * kCheckpointChunk, 0, pace); });
    // Four chunks and the table.
    for (int chunk = 0; chunk < 5; ++chunk) {
      clock.AwaitWaiters(1);
      clock.Advance(std::chrono::seconds(2));
    }
  }
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_GE(disk_.count(FileCall::kSync), 3u);
}

TEST_F(CheckpointFileTest, AWriterThatWaitsCanBeStopped) {
  FakeClock clock;
  std::stop_source stop;
  CheckpointPace pace;
  pace.clock = &clock;
  pace.bytes_per_second = 1;
  pace.stop = stop.get_token();
  absl::Status status;
  {
    std::jthread writing([&] { status = WriteTwo(2 * kCheckpointChunk, 0, pace); });
    clock.AwaitWaiters(1);
    stop.request_stop();
  }
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_THAT(*directory_->List(), IsEmpty());
}

TEST_F(CheckpointFileTest, NamesSayThePosition) {
  EXPECT_EQ(CheckpointName(42), "00000000000000000042.checkpoint");
  EXPECT_EQ(CheckpointPosition(CheckpointName(UINT64_MAX)), UINT64_MAX);
  for (const char* other : {"42.checkpoint", "0000000000000000004x.checkpoint", "00000000000000000042.journal",
                            "99999999999999999999.checkpoint", "00000000000000000042.checkpoint.tmp"}) {
    EXPECT_FALSE(CheckpointPosition(other)) << other;
  }
}

}  // namespace
}  // namespace engram::testing

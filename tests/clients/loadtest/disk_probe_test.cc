#include "loadtest/disk_probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "loadtest/spawn.h"

namespace engram {
namespace {

namespace fs = std::filesystem;

class DiskProbeTest : public ::testing::Test {
 protected:
  const std::unique_ptr<TemporaryDirectory> directory_ = *TemporaryDirectory::Create();
};

TEST_F(DiskProbeTest, APreparedFileKeepsItsSizeAndIsWrittenRoundAndRound) {
  const auto file = *ProbeFile::Create(directory_->path(), Preparation::kPrepared, 10'000);
  EXPECT_EQ(fs::file_size(file->path()), 10'000u);
  for (int i = 0; i < 5; ++i) {
    const auto took = file->WriteSynced(4096);
    ASSERT_TRUE(took.ok()) << took.status();
    EXPECT_GT(*took, 0);
  }
  EXPECT_EQ(fs::file_size(file->path()), 10'000u);
  // Five writes went to the two places that fit, and nothing behind them.
  std::ifstream in(file->path(), std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(in), {}};
  EXPECT_NE(content.substr(4096, 4096), std::string(4096, '\0'));
  EXPECT_EQ(content.substr(8192), std::string(10'000 - 8192, '\0'));
}

TEST_F(DiskProbeTest, AnAppendedFileGrowsAndIsEmptiedByRewinding) {
  const auto file = *ProbeFile::Create(directory_->path(), Preparation::kAppend, 0);
  EXPECT_EQ(fs::file_size(file->path()), 0u);
  ASSERT_TRUE(file->WriteSynced(4096).ok());
  ASSERT_TRUE(file->WriteSynced(100).ok());
  EXPECT_EQ(fs::file_size(file->path()), 4196u);
  ASSERT_TRUE(file->Rewind().ok());
  EXPECT_EQ(fs::file_size(file->path()), 0u);
}

TEST_F(DiskProbeTest, ARunWritesAllItsBytesAndTimesEachSync) {
  const auto file = *ProbeFile::Create(directory_->path(), Preparation::kAppend, 0);
  const auto run = RunSyncs(*file, 4096, 10'000);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->bytes, 10'000u);
  EXPECT_EQ(run->latency.count(), 3u);
  EXPECT_EQ(fs::file_size(file->path()), 10'000u);
  EXPECT_GE(run->nanos, run->latency.max());
  EXPECT_NEAR(run->BytesPerSecond(), 10'000 / (static_cast<double>(run->nanos) / 1e9), 1);
}

TEST_F(DiskProbeTest, TheFileGoesWithItsOwner) {
  fs::path path;
  {
    const auto file = *ProbeFile::Create(directory_->path(), Preparation::kPrepared, 1);
    path = file->path();
    EXPECT_TRUE(fs::exists(path));
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(DiskProbeTest, AnAbsentDirectoryIsNamed) {
  const auto file = ProbeFile::Create(directory_->path() / "absent", Preparation::kAppend, 0);
  EXPECT_EQ(file.status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(file.status().message()), ::testing::HasSubstr("absent"));
}

TEST_F(DiskProbeTest, ReadsEveryByteAlsoAfterThePagesAreDropped) {
  const std::vector<fs::path> files = {directory_->path() / "a", directory_->path() / "b"};
  std::ofstream(files[0]) << std::string(3'000'000, 'a');
  std::ofstream(files[1]) << std::string(17, 'b');
  const absl::Status dropped = DropFromPageCache(files);
  ASSERT_TRUE(dropped.ok()) << dropped;
  const auto read = ReadSequentially(files);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->bytes, 3'000'017u);
  EXPECT_GT(read->BytesPerSecond(), 0);
  EXPECT_EQ(ReadSequentially({directory_->path() / "absent"}).status().code(), absl::StatusCode::kInternal);
}

TEST_F(DiskProbeTest, KnowsADirectoryInMemory) {
  if (!fs::exists("/dev/shm")) GTEST_SKIP() << "no /dev/shm here";
  EXPECT_TRUE(IsInMemory("/dev/shm"));
  EXPECT_FALSE(IsInMemory("/proc"));
}

}  // namespace
}  // namespace engram

// What the daemon's data directory does by itself: snapshots that fail half-way, checkpoints that fail and are tried again.
#include "server/storage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/stream/thread_executor.h"
#include "tests/support/fake_clock.h"
#include "tests/support/observations.h"
#include "tests/support/temp_directory.h"

namespace engram::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class StorageTest : public ::testing::Test {
 protected:
  StorageTest() {
    settings_.num_workers = 2;
    settings_.storage_directory = directory_ / "data";
    settings_.storage_segment_bytes = 1 << 20;
    settings_.storage_spare_segments = 0;
    settings_.storage_soft_free_bytes = settings_.storage_hard_free_bytes = 0;
    // A pace that nobody has to wait for.
    settings_.storage_rewrite_rate = uint64_t{1} << 50;
    settings_.storage_checkpoint_bytes = 1;
  }
  ~StorageTest() override {
    if (storage_) storage_->StopUpkeep();
    engine_.reset();
    metrics_.ClearGaugeSources();
  }

  void Start() {
    auto opened = Storage::Open(settings_, &metrics_, &clock_, nullptr);
    ASSERT_TRUE(opened.ok()) << opened.status();
    storage_ = *std::move(opened);
    engine_ = Engine::Create(std::make_shared<const Settings>(settings_), {.clock = &real_clock_,
                                                                           .executor = &executor_,
                                                                           .metrics = &metrics_,
                                                                           .journal = storage_->TakeJournal(),
                                                                           .directory = storage_->directory()});
    ASSERT_TRUE(storage_->Recover(*engine_).ok());
    engine_->Start();
  }
  void End() {
    storage_->StopUpkeep();
    engine_.reset();
    metrics_.ClearGaugeSources();
    storage_.reset();
  }
  void Observe(const std::string& space, const std::string& prefix, size_t count) {
    std::vector<TestObservation> observations;
    for (size_t i = 0; i < count; ++i) {
      observations.push_back({prefix + std::to_string(i), {1, static_cast<float>(i)}, std::string(2000, 'x')});
    }
    const auto observed = engine_->Observe(space, MakeBatch(std::move(observations)), Priority::kNormal, AckLevel::kDurable,
                                           real_clock_.Now() + std::chrono::minutes(1));
    ASSERT_TRUE(observed.ok()) << observed.status();
    ASSERT_EQ(observed->accepted, count);
  }
  uint64_t Live(const std::string& space) {
    const auto info = engine_->GetSpace(space);
    EXPECT_TRUE(info.ok()) << info.status();
    return info.ok() ? info->live : 0;
  }
  void MakeSpace(const std::string& name) {
    const auto made = engine_->CreateSpace(name, {});
    ASSERT_TRUE(made.ok()) << made.status();
  }

  // The upkeep alone waits for this clock, so when somebody does it has done what was due.
  void StartUpkeep() {
    storage_->StartUpkeep(*engine_);
    clock_.AwaitWaiters(1);
  }
  void PassSecond() {
    clock_.Advance(std::chrono::seconds(1));
    clock_.AwaitWaiters(1);
  }

  std::string Data(const std::string& name) const { return settings_.storage_directory + "/" + name; }
  static std::vector<std::string> Names(const std::string& path, const std::string& suffix = "") {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      if (entry.path().filename().string().ends_with(suffix)) names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  std::vector<std::string> Checkpoints() const { return Names(settings_.storage_directory, ".checkpoint"); }

  // No manifest can be written, so a checkpoint fails at its last step: it is there, and nothing names it.
  void BlockManifest() const { std::filesystem::create_directory(Data("MANIFEST.tmp")); }
  void UnblockManifest() const { std::filesystem::remove(Data("MANIFEST.tmp")); }
  // How many seconds pass until a checkpoint is tried; the trace of it is removed.
  int SecondsUntilATry() {
    int seconds = 0;
    while (Checkpoints().empty() && seconds < 100'000) {
      PassSecond();
      ++seconds;
    }
    for (const std::string& name : Checkpoints()) std::filesystem::remove(Data(name));
    return seconds;
  }

  const TempDirectory directory_;
  Settings settings_;
  Metrics metrics_{2, 100};
  FakeClock clock_;
  RealClock real_clock_;
  ThreadExecutor executor_{2};
  std::unique_ptr<Storage> storage_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(StorageTest, ASnapshotThatFailsInTheMiddleLeavesNothingBehind) {
  Start();
  // Each whole one seals what it finds.
  for (const std::string name : {"a", "b", "c"}) {
    MakeSpace(name);
    const auto made = storage_->Snapshot(directory_ / "whole-" + name);
    ASSERT_TRUE(made.ok()) << made.status();
  }
  const std::vector<std::string> segments = Names(settings_.storage_directory, ".journal");
  ASSERT_THAT(segments, SizeIs(3));
  std::filesystem::rename(Data(segments[1]), directory_ / "elsewhere");
  const std::string target = directory_ / "half";
  const auto half = storage_->Snapshot(target);
  EXPECT_TRUE(absl::IsNotFound(half.status())) << half.status();
  EXPECT_THAT(std::string(half.status().message()), HasSubstr(segments[1]));
  EXPECT_THAT(Names(target), IsEmpty());
  // Here and in the three that succeeded.
  EXPECT_EQ(std::filesystem::hard_link_count(Data(segments[0])), 4u);

  std::filesystem::rename(directory_ / "elsewhere", Data(segments[1]));
  const auto whole = storage_->Snapshot(target);
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(whole->segments, 3u);
  EXPECT_THAT(Names(target), ElementsAre("00000000000000000001.journal", "00000000000000000002.journal",
                                         "00000000000000000003.journal", "MANIFEST"));
}

TEST_F(StorageTest, ASnapshotTouchesNothingThatIsThereAlready) {
  Start();
  MakeSpace("a");
  std::filesystem::create_directory(directory_ / "taken");
  std::ofstream(directory_ / "taken/MANIFEST") << "mine";
  const auto refused = storage_->Snapshot(directory_ / "taken");
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), AllOf(HasSubstr("taken"), HasSubstr("MANIFEST")));
  EXPECT_THAT(Names(directory_ / "taken"), ElementsAre("MANIFEST"));
  EXPECT_EQ(std::filesystem::file_size(directory_ / "taken/MANIFEST"), 4u);
}

// As when a client gives up waiting for the first and sends it again.
TEST_F(StorageTest, OfTwoSnapshotsIntoOneDirectoryOneIsMadeAndKept) {
  Start();
  MakeSpace("a");
  for (int round = 0; round < 25; ++round) {
    SCOPED_TRACE(round);
    const std::string target = directory_ / "twice-" + std::to_string(round);
    std::latch begin(2);
    std::array<absl::StatusOr<SnapshotOutcome>, 2> made;
    {
      std::vector<std::jthread> clients;
      for (auto& mine : made) {
        clients.emplace_back([&] {
          begin.arrive_and_wait();
          mine = storage_->Snapshot(target);
        });
      }
    }
    ASSERT_NE(made[0].ok(), made[1].ok()) << made[0].status() << made[1].status();
    const absl::Status refused = made[made[0].ok() ? 1 : 0].status();
    EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
    ASSERT_THAT(Names(target), ElementsAre("00000000000000000001.journal", "MANIFEST"));
  }
}

TEST_F(StorageTest, ASnapshotOntoAnotherDiskIsRefusedAndLeavesNothing) {
  const std::string other = "/dev/shm/engram-snapshot-" + std::to_string(getpid());
  struct stat here, there;
  if (stat(directory_.path().c_str(), &here) != 0 || stat("/dev/shm", &there) != 0 || here.st_dev == there.st_dev) {
    GTEST_SKIP() << "there is only one disk";
  }
  Start();
  MakeSpace("a");
  const auto refused = storage_->Snapshot(other);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
  EXPECT_THAT(Names(other), IsEmpty());
  std::filesystem::remove_all(other);
}

TEST_F(StorageTest, ACheckpointThatFailsIsTriedAgainLaterAndLater) {
  Start();
  MakeSpace("a");
  BlockManifest();
  StartUpkeep();
  EXPECT_EQ(SecondsUntilATry(), 1);
  EXPECT_EQ(SecondsUntilATry(), 60);
  EXPECT_EQ(SecondsUntilATry(), 120);
  EXPECT_EQ(SecondsUntilATry(), 240);
  for (int i = 0; i < 4; ++i) SecondsUntilATry();
  EXPECT_EQ(SecondsUntilATry(), 3600) << "and no later than that";

  UnblockManifest();
  for (int i = 0; i < 3599; ++i) PassSecond();
  EXPECT_THAT(Checkpoints(), IsEmpty());
  PassSecond();
  ASSERT_THAT(Checkpoints(), SizeIs(1));
  EXPECT_EQ(storage_->journal().checkpoint(), Checkpoints()[0]);

  // One that succeeded is the end of it.
  const std::string before = Checkpoints()[0];
  for (int i = 0; i < 20; ++i) MakeSpace("b" + std::to_string(i));
  BlockManifest();
  while (Checkpoints().size() == 1) PassSecond();
  std::filesystem::remove(Data(Checkpoints()[1]));
  int seconds = 0;
  for (; Checkpoints().size() == 1; ++seconds) PassSecond();
  EXPECT_EQ(seconds, 60);
  UnblockManifest();
}

TEST_F(StorageTest, ACheckpointThatFailedAtItsLastStepBringsNothingBack) {
  Start();
  MakeSpace("a");
  MakeSpace("gone");
  Observe("a", "forgotten", 200);
  Observe("gone", "dropped", 50);
  BlockManifest();
  StartUpkeep();
  while (Checkpoints().empty()) PassSecond();
  UnblockManifest();
  // The next one is a minute away, and rewriting goes on.
  ForgetQuery query{.space = "a"};
  for (int i = 0; i < 200; ++i) query.ids.push_back("forgotten" + std::to_string(i));
  ASSERT_TRUE(engine_->Forget(query).ok());
  ASSERT_TRUE(engine_->DeleteSpace("gone").ok());
  Observe("a", "kept", 1);
  ASSERT_TRUE(storage_->Snapshot(directory_ / "first").ok());
  Observe("a", "later", 1);
  ASSERT_TRUE(storage_->Snapshot(directory_ / "second").ok());
  const std::string rewritten = Data(Names(settings_.storage_directory, ".journal").front());
  ASSERT_EQ(std::filesystem::hard_link_count(rewritten), 3u);
  for (int i = 0; i < 20 && std::filesystem::hard_link_count(rewritten) == 3; ++i) PassSecond();
  ASSERT_EQ(std::filesystem::hard_link_count(rewritten), 1u) << "nothing was rewritten";
  for (int i = 0; i < 5; ++i) PassSecond();
  ASSERT_THAT(Checkpoints(), SizeIs(1));
  EXPECT_EQ(Live("a"), 2u);

  End();
  Start();
  EXPECT_EQ(Live("a"), 2u);
  EXPECT_TRUE(absl::IsNotFound(engine_->GetSpace("gone").status()));
}

TEST_F(StorageTest, WhatALostSegmentHeldIsServedAndKeptOnceItIsBack) {
  Start();
  MakeSpace("a");
  Observe("a", "early", 50);
  ASSERT_TRUE(storage_->Snapshot(directory_ / "first").ok());
  StartUpkeep();
  PassSecond();
  ASSERT_THAT(Checkpoints(), SizeIs(1));
  Observe("a", "lost", 50);
  ASSERT_TRUE(storage_->Snapshot(directory_ / "second").ok());
  const std::string segment = Names(settings_.storage_directory, ".journal").back();
  Observe("a", "later", 50);
  End();
  std::filesystem::rename(Data(segment), directory_ / "aside");

  Start();
  EXPECT_EQ(Live("a"), 100u);
  StartUpkeep();
  Observe("a", "more", 50);
  const std::vector<std::string> before = Checkpoints();
  for (int i = 0; i < 10 && Checkpoints() == before; ++i) PassSecond();
  ASSERT_NE(Checkpoints(), before);
  End();
  std::filesystem::rename(directory_ / "aside", Data(segment));

  Start();
  EXPECT_EQ(Live("a"), 200u);
  StartUpkeep();
  for (int i = 0; i < 10; ++i) PassSecond();
  const std::vector<std::string> ids = {"lost0", "lost49"};
  const auto got = engine_->Get("a", ids);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_THAT(got->observations, SizeIs(2));
}

TEST_F(StorageTest, ACheckpointThatTheDiskHasNoRoomForIsNotBegun) {
  settings_.storage_hard_free_bytes = uint64_t{1} << 60;
  Start();
  StartUpkeep();
  absl::StatusOr<Token> refused = storage_->Checkpoint(*engine_, 0);
  while (absl::IsUnavailable(refused.status())) refused = storage_->Checkpoint(*engine_, 0);
  EXPECT_TRUE(absl::IsResourceExhausted(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()),
              AllOf(HasSubstr(settings_.storage_directory), HasSubstr("bytes free"),
                    HasSubstr(std::to_string(settings_.storage_hard_free_bytes))));
  EXPECT_THAT(Checkpoints(), IsEmpty());
  // The mark can be changed while it runs.
  Settings lower = settings_;
  lower.storage_hard_free_bytes = 0;
  engine_->ApplySettings(std::make_shared<const Settings>(lower));
  EXPECT_TRUE(storage_->Checkpoint(*engine_, 0).ok());
}

TEST_F(StorageTest, WhatIsForgottenBelowTheHardMarkMakesRoom) {
  Start();
  MakeSpace("a");
  Observe("a", "x", 200);
  ASSERT_TRUE(storage_->Snapshot(directory_ / "first").ok());
  End();
  settings_.storage_soft_free_bytes = settings_.storage_hard_free_bytes = uint64_t{1} << 60;
  Start();
  ForgetQuery query{.space = "a"};
  for (int i = 0; i < 150; ++i) query.ids.push_back("x" + std::to_string(i));
  ASSERT_TRUE(engine_->Forget(query).ok());
  const std::string segment = Data(Names(settings_.storage_directory, ".journal").front());
  ASSERT_GT(std::filesystem::file_size(segment), 400'000u);
  StartUpkeep();
  for (int i = 0; i < 20 && std::filesystem::file_size(segment) > 400'000; ++i) PassSecond();
  EXPECT_LT(std::filesystem::file_size(segment), 200'000u);
}

}  // namespace
}  // namespace engram::testing

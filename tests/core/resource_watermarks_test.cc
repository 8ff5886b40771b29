#include "core/resource_watermarks.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include "tests/support/fake_clock.h"
#include "tests/support/made_up_machine.h"

namespace engram::testing {
namespace {

class Watermarks : public ::testing::Test {
 protected:
  Watermarks() {
    settings_.storage_soft_free_bytes = 4000;
    settings_.storage_hard_free_bytes = 1000;
    settings_.limits_memory_soft = 0.8;
    settings_.limits_memory_hard = 0.9;
    machine_.Write("proc/meminfo", "MemTotal: 1000 kB\n");
    machine_.UseMemory(100);
  }

  ResourceWatermarks& watermarks() {
    if (!watermarks_) {
      watermarks_.emplace(settings_, ResourceWatermarks::Deps{.clock = &clock_,
                                                              .directory = directory_,
                                                              .root = machine_.root(),
                                                              .return_free_memory = [this] { Returned(); }});
    }
    return *watermarks_;
  }
  // Enough for another reading.
  void Later() { clock_.Advance(std::chrono::milliseconds(100)); }
  PressureLevel FloorAtDisk(uint64_t free) {
    disk_.free = free;
    Later();
    return watermarks().Floor();
  }
  PressureLevel FloorAtMemory(uint64_t kilobytes) {
    machine_.UseMemory(kilobytes);
    Later();
    return watermarks().Floor();
  }
  void Returned() {
    ++returned_;
    if (after_return_ != 0) machine_.UseMemory(after_return_);
  }

  Settings settings_;
  FakeClock clock_;
  MadeUpMachine machine_;
  MadeUpDisk disk_;
  Directory* directory_ = &disk_;
  int returned_ = 0;
  uint64_t after_return_ = 0;
  std::optional<ResourceWatermarks> watermarks_;
};

TEST_F(Watermarks, AreFarAwayAtFirst) {
  const ResourceWatermarks::Verdict verdict = watermarks().Check();
  EXPECT_EQ(verdict.floor, PressureLevel::kNormal);
  EXPECT_TRUE(verdict.refusal.ok());
  EXPECT_EQ(verdict.retry_after, Duration{0});
  EXPECT_FALSE(watermarks().TakeChanged());
}

TEST_F(Watermarks, OfTheDiskAreEnteredBelowAndLeftATenthAbove) {
  EXPECT_EQ(FloorAtDisk(4000), PressureLevel::kNormal);
  EXPECT_EQ(FloorAtDisk(3999), PressureLevel::kWarning);
  EXPECT_EQ(FloorAtDisk(4399), PressureLevel::kWarning);
  EXPECT_EQ(FloorAtDisk(4401), PressureLevel::kNormal);
  EXPECT_EQ(FloorAtDisk(4000), PressureLevel::kNormal);
  EXPECT_EQ(FloorAtDisk(1000), PressureLevel::kWarning);
  EXPECT_EQ(FloorAtDisk(999), PressureLevel::kOverloaded);
  EXPECT_EQ(FloorAtDisk(1099), PressureLevel::kOverloaded);
  EXPECT_EQ(FloorAtDisk(1101), PressureLevel::kWarning);
  EXPECT_EQ(FloorAtDisk(1000), PressureLevel::kWarning);
  EXPECT_EQ(FloorAtDisk(0), PressureLevel::kOverloaded);
  EXPECT_EQ(FloorAtDisk(4399), PressureLevel::kWarning) << "out of hard, but soft's own tenth is not there yet";
  EXPECT_EQ(FloorAtDisk(1 << 30), PressureLevel::kNormal);
}

TEST_F(Watermarks, OfMemoryAreEnteredAboveAndLeftATwentiethBelow) {
  EXPECT_EQ(FloorAtMemory(799), PressureLevel::kNormal);
  EXPECT_EQ(FloorAtMemory(801), PressureLevel::kWarning);
  EXPECT_EQ(FloorAtMemory(761), PressureLevel::kWarning);
  EXPECT_EQ(FloorAtMemory(759), PressureLevel::kNormal);
  EXPECT_EQ(FloorAtMemory(899), PressureLevel::kWarning);
  EXPECT_EQ(FloorAtMemory(901), PressureLevel::kOverloaded);
  EXPECT_EQ(FloorAtMemory(856), PressureLevel::kOverloaded);
  EXPECT_EQ(FloorAtMemory(854), PressureLevel::kWarning);
  EXPECT_EQ(FloorAtMemory(899), PressureLevel::kWarning);
  EXPECT_EQ(FloorAtMemory(10), PressureLevel::kNormal);
}

TEST_F(Watermarks, TellThePathWhatIsFreeAndTheLimitOfAFullDisk) {
  disk_.free = 12;
  const ResourceWatermarks::Verdict verdict = watermarks().Check();
  EXPECT_EQ(verdict.floor, PressureLevel::kOverloaded);
  EXPECT_EQ(verdict.reason, RejectReason::kDiskFull);
  EXPECT_EQ(verdict.refusal, absl::ResourceExhaustedError(
                                 "the disk of '/data' has 12 bytes free, storage.hard_free_bytes is 1000; nothing "
                                 "new is taken until 1100 are free"));
  EXPECT_EQ(verdict.retry_after, std::chrono::seconds(1));
}

TEST_F(Watermarks, TellWhatIsInUseAndTheLimitOfFullMemory) {
  machine_.UseMemory(950);
  const ResourceWatermarks::Verdict verdict = watermarks().Check();
  EXPECT_EQ(verdict.floor, PressureLevel::kOverloaded);
  EXPECT_EQ(verdict.reason, RejectReason::kMemoryFull);
  EXPECT_EQ(verdict.refusal, absl::ResourceExhaustedError(
                                 "972800 bytes of memory are in use, limits.memory_hard allows 921600 of 1024000; "
                                 "nothing new is taken until less than 875520 are"));
  EXPECT_EQ(verdict.retry_after, std::chrono::seconds(1));
}

TEST_F(Watermarks, AskNobodyToComeBackAtASoftOne) {
  disk_.free = 2000;
  const ResourceWatermarks::Verdict verdict = watermarks().Check();
  EXPECT_EQ(verdict.floor, PressureLevel::kWarning);
  EXPECT_TRUE(verdict.refusal.ok());
  EXPECT_EQ(verdict.retry_after, Duration{0});
}

TEST_F(Watermarks, ReadOnceIn100Milliseconds) {
  for (int i = 0; i < 10; ++i) watermarks().Check();
  EXPECT_EQ(disk_.looks, 1);
  disk_.free = 0;
  clock_.Advance(Duration{99'999});
  EXPECT_EQ(watermarks().Floor(), PressureLevel::kNormal);
  EXPECT_FALSE(watermarks().TakeChanged());
  EXPECT_EQ(watermarks().Read().disk_free, uint64_t{1} << 39);
  clock_.Advance(Duration{1});
  EXPECT_EQ(watermarks().Floor(), PressureLevel::kOverloaded);
  EXPECT_EQ(watermarks().Read().disk_free, 0u);
  EXPECT_EQ(disk_.looks, 2);
}

TEST_F(Watermarks, TellOneCallerOfEachChange) {
  EXPECT_EQ(FloorAtDisk(10), PressureLevel::kOverloaded);
  EXPECT_TRUE(watermarks().TakeChanged());
  EXPECT_FALSE(watermarks().TakeChanged());
  // The floor stays where it is, for another reason.
  EXPECT_EQ(FloorAtMemory(950), PressureLevel::kOverloaded);
  EXPECT_EQ(FloorAtDisk(1 << 30), PressureLevel::kOverloaded);
  EXPECT_FALSE(watermarks().TakeChanged());
  EXPECT_EQ(watermarks().Check().reason, RejectReason::kMemoryFull);
  machine_.UseMemory(10);
  Later();
  EXPECT_TRUE(watermarks().TakeChanged());
  EXPECT_EQ(watermarks().Floor(), PressureLevel::kNormal);
}

TEST_F(Watermarks, WithoutADirectoryAreThoseOfMemory) {
  directory_ = nullptr;
  EXPECT_EQ(watermarks().Floor(), PressureLevel::kNormal);
  EXPECT_EQ(watermarks().Read().disk_free, std::nullopt);
  EXPECT_EQ(FloorAtMemory(950), PressureLevel::kOverloaded);
}

TEST_F(Watermarks, StandWhereTheyWereWhileNothingCanBeRead) {
  disk_.failing = true;
  machine_.Write("proc/self/status", "");
  EXPECT_EQ(watermarks().Floor(), PressureLevel::kNormal);
  EXPECT_EQ(watermarks().Read().disk_free, std::nullopt);
  EXPECT_EQ(watermarks().Read().memory_used, std::nullopt);
  disk_.failing = false;
  EXPECT_EQ(FloorAtDisk(10), PressureLevel::kOverloaded);
  disk_.failing = true;
  EXPECT_EQ(FloorAtDisk(1 << 30), PressureLevel::kOverloaded);
  disk_.failing = false;
  EXPECT_EQ(FloorAtDisk(1 << 30), PressureLevel::kNormal);
}

TEST_F(Watermarks, TellWhatIsSpareUpToTheSoftOne) {
  EXPECT_EQ(watermarks().SpareMemory(), 700u * 1024);
  machine_.UseMemory(799);
  Later();
  EXPECT_EQ(watermarks().SpareMemory(), 1024u);
  machine_.UseMemory(850);
  Later();
  EXPECT_EQ(watermarks().SpareMemory(), 0u);
}

TEST_F(Watermarks, SetNoLimitWhereNoneIsKnown) {
  machine_.Write("proc/meminfo", "");
  EXPECT_EQ(FloorAtMemory(1 << 30), PressureLevel::kNormal);
  EXPECT_EQ(watermarks().Read().memory_limit, std::nullopt);
  EXPECT_EQ(watermarks().SpareMemory(), UINT64_MAX);
}

TEST_F(Watermarks, FollowAContainerThatIsResized) {
  EXPECT_EQ(FloorAtMemory(850), PressureLevel::kWarning);
  machine_.Write("proc/self/cgroup", "0::/\n");
  machine_.Write("sys/fs/cgroup/memory.max", "819200\n");
  clock_.Advance(std::chrono::seconds(10));
  EXPECT_EQ(watermarks().Floor(), PressureLevel::kOverloaded);
  EXPECT_EQ(watermarks().Read().memory_limit, 819200u);
}

TEST_F(Watermarks, MoveWithTheSettingsAtOnce) {
  settings_.limits_memory_bytes = 200 * 1024;
  EXPECT_EQ(watermarks().Floor(), PressureLevel::kNormal);
  EXPECT_EQ(watermarks().Read().memory_limit, uint64_t{200} * 1024);
  Settings other = settings_;
  other.limits_memory_bytes = 101 * 1024;
  watermarks().Tune(other);
  EXPECT_TRUE(watermarks().TakeChanged());
  EXPECT_EQ(watermarks().Floor(), PressureLevel::kOverloaded);
  // The mark is at 102 KiB and would end at 97, had it been entered; it is new.
  other.limits_memory_bytes = 200 * 1024;
  other.limits_memory_soft = other.limits_memory_hard = 0.51;
  watermarks().Tune(other);
  EXPECT_TRUE(watermarks().TakeChanged());
  EXPECT_EQ(watermarks().Floor(), PressureLevel::kNormal);
  watermarks().Tune(other);
  EXPECT_FALSE(watermarks().TakeChanged());
  other.storage_hard_free_bytes = other.storage_soft_free_bytes = uint64_t{1} << 40;
  watermarks().Tune(other);
  EXPECT_EQ(watermarks().Check().reason, RejectReason::kDiskFull);
  other.storage_hard_free_bytes = other.storage_soft_free_bytes = 0;
  watermarks().Tune(other);
  EXPECT_EQ(FloorAtDisk(0), PressureLevel::kNormal) << "0 is no limit";
}

TEST_F(Watermarks, HaveFreeMemoryGivenBackBeforeTheyRefuse) {
  after_return_ = 100;
  EXPECT_EQ(FloorAtMemory(850), PressureLevel::kWarning);
  EXPECT_EQ(returned_, 0);
  EXPECT_EQ(FloorAtMemory(950), PressureLevel::kNormal);
  EXPECT_EQ(returned_, 1);
  EXPECT_EQ(FloorAtMemory(950), PressureLevel::kOverloaded) << "not again within 10 s";
  EXPECT_EQ(returned_, 1);
  clock_.Advance(std::chrono::seconds(10));
  EXPECT_EQ(watermarks().Floor(), PressureLevel::kNormal);
  EXPECT_EQ(returned_, 2);
  ReturnFreeMemory();
}

TEST_F(Watermarks, AreCheckedByManyThreadsAtOnce) {
  watermarks();
  std::atomic<int> changes{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        // On a busy machine a thread may be put aside while it reads, and all the others find the lock taken meanwhile.
        for (int i = 0; i < 300 || (changes == 0 && i < 1'000'000); ++i) {
          if (t == 0) {
            disk_.free = i % 2 == 0 ? 0 : 1 << 30;
            Later();
          }
          const ResourceWatermarks::Verdict verdict = watermarks().Check();
          EXPECT_EQ(verdict.floor == PressureLevel::kOverloaded, !verdict.refusal.ok());
          changes += watermarks().TakeChanged() ? 1 : 0;
        }
      });
    }
  }
  EXPECT_GE(changes, 1);
  EXPECT_EQ(FloorAtDisk(1 << 30), PressureLevel::kNormal);
}

}  // namespace
}  // namespace engram::testing

#include "loadtest/measure/diagnosis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <utility>

namespace engram {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

// Nothing near its end on four cores.
BenchDocument Idle(std::initializer_list<std::pair<const char*, double>> figures) {
  BenchDocument document;
  const std::pair<const char*, double> calm[] = {{"environment.daemon.cores", 4},
                                                 {"resources.daemon_cpu_cores", 1},
                                                 {"resources.client_cpu_cores", 0.8},
                                                 {"resources.journal_busy_share", 0.2},
                                                 {"resources.bytes_per_sync", 900'000},
                                                 {"resources.pool_reuse_rate", 0.99},
                                                 {"resources.memory_used_share", 0.1},
                                                 {"resources.written_per_byte", 1.05},
                                                 {"limits.disk_sync.share", 0.2},
                                                 {"limits.memory_scan.share", 0.02},
                                                 {"scheduling.queue_peak", 2000},
                                                 {"scheduling.queue_capacity", 10'000},
                                                 {"scheduling.pressed_share", 0},
                                                 {"config.workers", 4}};
  for (const auto& [path, value] : calm) document.Put(path, value);
  for (const auto& [path, value] : figures) document.Put(path, value);
  return document;
}

TEST(DiagnosisTest, NothingNearItsEndIsNoBottleneck) {
  const Diagnosis diagnosis = Diagnose(Idle({}));
  EXPECT_EQ(diagnosis.bottleneck, "none");
  EXPECT_EQ(diagnosis.knob, "--streams");
  EXPECT_FALSE(diagnosis.evidence.empty());
}

TEST(DiagnosisTest, ADaemonThatTakesTheCoresIsCpuBound) {
  const Diagnosis diagnosis = Diagnose(Idle({{"resources.daemon_cpu_cores", 3.3}}));
  EXPECT_EQ(diagnosis.bottleneck, "CPU-bound");
  EXPECT_EQ(diagnosis.knob, "--batch");
  EXPECT_EQ(Diagnose(Idle({{"resources.daemon_cpu_cores", 3.3}, {"config.workers", 2}})).knob, "num_workers");
  EXPECT_EQ(Diagnose(Idle({{"resources.daemon_cpu_cores", 3.3}, {"scheduling.burst_batch_size_p50", 40}})).knob,
            "max_batch_size");
  EXPECT_EQ(Diagnose(Idle({{"resources.daemon_cpu_cores", 3.3}, {"scheduling.link_backlog_peak", 50'000}})).knob,
            "hnsw.ef_construction");
}

TEST(DiagnosisTest, AClientThatTakesTheCoresIsClientBound) {
  const Diagnosis diagnosis = Diagnose(Idle({{"resources.client_cpu_cores", 2.8}}));
  EXPECT_EQ(diagnosis.bottleneck, "client-bound");
}

TEST(DiagnosisTest, AClientOnAnotherMachineTakesNoCoresOfTheDaemons) {
  BenchDocument document = Idle({{"resources.daemon_cpu_cores", 2.5}, {"resources.client_cpu_cores", 2}});
  EXPECT_EQ(Diagnose(document).bottleneck, "CPU-bound");
  document.Put("environment.daemon.machine", "there");
  document.Put("environment.client.machine", "here");
  EXPECT_EQ(Diagnose(document).bottleneck, "none");
}

TEST(DiagnosisTest, OfUnknownCoresNoneAreUsedUp) {
  BenchDocument document = Idle({{"resources.daemon_cpu_cores", 30}});
  EXPECT_EQ(Diagnose(document).bottleneck, "CPU-bound");
  document.Put("environment.daemon.cores", nullptr);
  EXPECT_EQ(Diagnose(document).bottleneck, "none");
}

TEST(DiagnosisTest, AQueueThatHardlyFillsBesideAnIdleDaemonIsClientBound) {
  const Diagnosis diagnosis = Diagnose(Idle({{"scheduling.queue_peak", 300}}));
  EXPECT_EQ(diagnosis.bottleneck, "client-bound");
  EXPECT_EQ(diagnosis.knob, "--streams");
}

TEST(DiagnosisTest, AJournalThatIsAlwaysSyncingIsDiskBound) {
  const Diagnosis small =
      Diagnose(Idle({{"resources.journal_busy_share", 0.95}, {"resources.bytes_per_sync", 40'000}}));
  EXPECT_EQ(small.bottleneck, "disk-bound");
  EXPECT_EQ(small.knob, "max_batch_size");
  EXPECT_EQ(Diagnose(Idle({{"limits.disk_sync.share", 0.92}})).knob, "durability.mode");
  EXPECT_EQ(Diagnose(Idle({{"resources.journal_busy_share", 0.95}})).knob, "storage.group_bytes");
}

TEST(DiagnosisTest, ALimitThatWasNotMeasuredIsNoEvidence) {
  const auto lines = [](double share) {
    return Diagnose(Idle({{"resources.journal_busy_share", 0.95}, {"limits.disk_sync.share", share}})).evidence.size();
  };
  EXPECT_EQ(lines(0) + 1, lines(0.2));
}

TEST(DiagnosisTest, MemoryNearItsLimitOrPoolsThatDoNotServeAreMemoryBound) {
  const Diagnosis full = Diagnose(Idle({{"resources.memory_used_share", 0.92}}));
  EXPECT_EQ(full.bottleneck, "memory-bound");
  EXPECT_EQ(full.knob, "limits.memory_bytes");
  const Diagnosis allocating = Diagnose(Idle({{"resources.pool_reuse_rate", 0.3}}));
  EXPECT_EQ(allocating.bottleneck, "memory-bound");
  EXPECT_EQ(allocating.knob, "--batch");
}

TEST(DiagnosisTest, BytesMovedAgainAndAgainAreCopyBound) {
  const Diagnosis passes = Diagnose(Idle({{"limits.memory_scan.share", 0.25}}));
  EXPECT_EQ(passes.bottleneck, "copy-bound");
  EXPECT_EQ(passes.knob, "storage.embeddings");
  EXPECT_THAT(passes.advice, HasSubstr("f16"));
  const Diagnosis framing =
      Diagnose(Idle({{"resources.written_per_byte", 2.5}, {"resources.copies_per_observation", 6.1}}));
  EXPECT_EQ(framing.bottleneck, "copy-bound");
  EXPECT_EQ(framing.knob, "--batch");
  EXPECT_THAT(framing.evidence, Contains(HasSubstr("copied 6.1 times")));
  // What was not measured is no evidence.
  EXPECT_THAT(passes.evidence, Not(Contains(HasSubstr("copied"))));
}

TEST(DiagnosisTest, AFullQueueThatNothingExplainsIsBackpressureBound) {
  const Diagnosis diagnosis =
      Diagnose(Idle({{"scheduling.queue_peak", 9900}, {"scheduling.pressed_share", 0.8}}));
  EXPECT_EQ(diagnosis.bottleneck, "backpressure-bound");
  EXPECT_EQ(diagnosis.knob, "queue.capacity");
  // The disk explains it.
  EXPECT_EQ(Diagnose(Idle({{"scheduling.queue_peak", 9900}, {"limits.disk_sync.share", 0.92}})).bottleneck,
            "disk-bound");
}

TEST(DiagnosisTest, ADocumentWithoutFiguresHasNoBottleneck) {
  EXPECT_EQ(Diagnose(BenchDocument()).bottleneck, "none");
}

}  // namespace
}  // namespace engram

// Faults on purpose: each does what engram.v1.FaultKind says, nothing that was accepted is lost by it, and it ends.
#include "server/injected_faults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/server/metrics_scrape.h"
#include "tests/server/support/engramd_process.h"
#include "tests/server/support/stream_client.h"
#include "tests/server/support/test_daemon.h"
#include "tests/support/fake_clock.h"

namespace engram::testing {
namespace {

using ::testing::HasSubstr;
using Memory = v1::MemoryService::Stub;
using Admin = v1::AdminService::Stub;

grpc::Status Inject(Admin& admin, v1::FaultKind kind, const std::function<void(v1::InjectFaultRequest&)>& fill = {}) {
  v1::InjectFaultRequest request;
  request.set_kind(kind);
  if (fill) fill(request);
  v1::InjectFaultResponse response;
  return Call(admin, &Admin::InjectFault, request, &response);
}

grpc::Status Observe(Memory& stub, const std::string& space, int count, v1::ObserveResponse* response,
                     std::chrono::milliseconds patience = std::chrono::seconds(60)) {
  v1::ObserveRequest request;
  request.set_space(space);
  for (int i = 0; i < count; ++i) {
    *request.add_observations() = MakeObservation("o" + std::to_string(i), {1, static_cast<float>(i)});
  }
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + patience);
  return stub.Observe(&context, request, response);
}

uint64_t Live(Memory& stub, const std::string& name) {
  v1::GetSpaceRequest request;
  request.set_name(name);
  v1::Space space;
  EXPECT_TRUE(Call(stub, &Memory::GetSpace, request, &space).ok());
  return space.live();
}

// How often faults of a kind have done something, as the daemon says.
uint64_t Effects(Admin& admin, v1::FaultKind kind) {
  v1::GetStatusResponse status;
  EXPECT_TRUE(Call(admin, &Admin::GetStatus, {}, &status).ok());
  for (const v1::FaultEffect& effect : status.fault_effects()) {
    if (effect.kind() == kind) return effect.count();
  }
  return 0;
}

uint64_t ResidentPages() {
  uint64_t size = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident;
}

class InjectedFaultsTest : public ::testing::Test {
 protected:
  static Settings Breakable() {
    Settings settings = TestSettings();
    settings.admin_fault_injection = true;
    return settings;
  }
  grpc::Status Heal() { return Inject(daemon_.admin(), v1::HEAL); }

  TestDaemon daemon_{Breakable()};
  v1::ObserveResponse response_;
};

TEST(FaultsOff, ArePermissionDenied) {
  TestDaemon daemon;
  const grpc::Status status = Inject(daemon.admin(), v1::HEAL);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(status.error_message(), HasSubstr("admin.fault_injection"));
}

TEST(FaultsInMemory, CannotBreakADiskThatIsNotThere) {
  Settings settings = TestSettings();
  settings.admin_fault_injection = true;
  settings.durability_mode = "memory";
  TestDaemon daemon(settings);
  EXPECT_EQ(Inject(daemon.admin(), v1::FULL_DISK).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_TRUE(Inject(daemon.admin(), v1::STALL_WORKERS, [](auto& r) { r.set_count(1); }).ok());
}

TEST_F(InjectedFaultsTest, SaysWhatAnOrderLacks) {
  for (const v1::FaultKind kind : {v1::FAULT_KIND_UNSPECIFIED, v1::STALL_WORKERS, v1::KILL_WORKERS, v1::CRASH_BATCHES,
                                   v1::SLOW_DISK, v1::SLOW_JOURNAL, v1::FILL_MEMORY, v1::SHIFT_CLOCK, static_cast<v1::FaultKind>(99)}) {
    EXPECT_EQ(Inject(daemon_.admin(), kind).error_code(), grpc::StatusCode::INVALID_ARGUMENT) << kind;
  }
  // Somebody has to be left.
  const grpc::Status all = Inject(daemon_.admin(), v1::KILL_WORKERS, [](auto& r) { r.set_count(2); });
  EXPECT_EQ(all.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(all.error_message(), HasSubstr("1 to 1, of 2 workers"));
}

// Its client has ended it and gone; nobody else's stream is kept out for that.
TEST_F(InjectedFaultsTest, AStreamThatNobodyWaitsForAnyMoreGivesItsPlaceBack) {
  Settings settings = Breakable();
  settings.server_max_streams = 1;
  TestDaemon daemon(settings);
  ASSERT_TRUE(Inject(daemon.admin(), v1::STALL_WORKERS, [](auto& r) { r.set_count(2); }).ok());
  {
    StreamClient stream(daemon.memory());
    stream.SendStart("s");
    stream.ReadStarted();
    stream.SendBatch(1, {MakeObservation("o", {1, 0})});
    stream.SendEnd(true);
    // Then the daemon has read the end, or is about to: it reads frames in their order.
    while (daemon.daemon().engine().Unfinished() == 0) std::this_thread::yield();
    stream.Vanish();
  }
  const auto taken = [&] {
    StreamClient next(daemon.memory());
    next.SendStart("s");
    v1::ObserveStreamResponse response;
    return next.Read(&response);
  };
  const MonotonicTime deadline = RealClock().Now() + std::chrono::seconds(20);
  bool open = false;
  while (!open && RealClock().Now() < deadline) open = taken();
  EXPECT_TRUE(open);
  EXPECT_TRUE(Inject(daemon.admin(), v1::HEAL).ok());
}

TEST_F(InjectedFaultsTest, CallsBeyondTheLimitAreRefusedAtOnce) {
  Settings settings = Breakable();
  settings.server_max_concurrent_calls = 2;
  TestDaemon daemon(settings);
  ASSERT_TRUE(Inject(daemon.admin(), v1::STALL_WORKERS, [](auto& r) { r.set_count(2); }).ok());
  std::vector<std::jthread> waiting;
  for (const char* space : {"a", "b"}) {
    waiting.emplace_back([&daemon, space] {
      v1::ObserveResponse response;
      EXPECT_TRUE(Observe(daemon.memory(), space, 1, &response).ok());
    });
  }
  while (daemon.daemon().engine().Unfinished() < 2) std::this_thread::yield();
  const grpc::Status third = Observe(daemon.memory(), "c", 1, &response_);
  EXPECT_EQ(third.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(third.error_message(), HasSubstr("server.max_concurrent_calls is 2"));
  EXPECT_TRUE(Inject(daemon.admin(), v1::HEAL).ok());
}

TEST_F(InjectedFaultsTest, StalledWorkersHoldWhatTheyHaveUntilTheyAreHealed) {
  ASSERT_TRUE(Inject(daemon_.admin(), v1::STALL_WORKERS, [](auto& r) { r.set_count(2); }).ok());
  EXPECT_EQ(Observe(daemon_.memory(), "s", 20, &response_, std::chrono::milliseconds(300)).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(Live(daemon_.memory(), "s"), 0u);
  // One space is one worker's at a time.
  EXPECT_GE(Effects(daemon_.admin(), v1::STALL_WORKERS), 1u);
  ASSERT_TRUE(Heal().ok());
  ASSERT_TRUE(Observe(daemon_.memory(), "s", 1, &response_).ok());
  EXPECT_EQ(Live(daemon_.memory(), "s"), 20u);
}

TEST_F(InjectedFaultsTest, OneWorkerOfTwoRunsTheLanesOfBoth) {
  ASSERT_TRUE(Inject(daemon_.admin(), v1::KILL_WORKERS, [](auto& r) { r.set_count(1); }).ok());
  for (int i = 0; i < 16; ++i) {
    ASSERT_TRUE(Observe(daemon_.memory(), "s" + std::to_string(i), 10, &response_).ok());
    EXPECT_EQ(response_.accepted(), 10u);
  }
  EXPECT_EQ(Effects(daemon_.admin(), v1::KILL_WORKERS), 1u);
}

TEST_F(InjectedFaultsTest, ABatchThatCrashesIsRetriedOneByOneAndRefusesNobody) {
  Settings settings = Breakable();
  settings.metrics_address = "127.0.0.1:0";
  TestDaemon daemon(settings);
  ASSERT_TRUE(Inject(daemon.admin(), v1::CRASH_BATCHES, [](auto& r) { r.set_count(1); }).ok());
  ASSERT_TRUE(Observe(daemon.memory(), "s", 50, &response_).ok());
  EXPECT_EQ(response_.rejected_size(), 0);
  EXPECT_EQ(Live(daemon.memory(), "s"), 50u);
  EXPECT_EQ(Exposition::Scrape(daemon.daemon().metrics_address()).Sum("engram_streaming_batch_failures_total"), 1);
  EXPECT_EQ(Effects(daemon.admin(), v1::CRASH_BATCHES), 1u);
}

TEST_F(InjectedFaultsTest, ASlowDiskDelaysWhatWaitsForIt) {
  constexpr std::chrono::milliseconds kDelay(60);
  ASSERT_TRUE(Inject(daemon_.admin(), v1::SLOW_DISK, [&](auto& r) {
                r.set_delay_us(std::chrono::microseconds(kDelay).count());
              }).ok());
  const auto before = std::chrono::steady_clock::now();
  ASSERT_TRUE(Observe(daemon_.memory(), "s", 1, &response_).ok());
  EXPECT_GE(std::chrono::steady_clock::now() - before, kDelay);
  EXPECT_GE(Effects(daemon_.admin(), v1::SLOW_DISK), 1u);
}

TEST_F(InjectedFaultsTest, ASlowJournalDelaysWhatIsToJoinAGroup) {
  constexpr std::chrono::milliseconds kDelay(60);
  ASSERT_TRUE(Inject(daemon_.admin(), v1::SLOW_JOURNAL, [&](auto& r) {
                r.set_delay_us(std::chrono::microseconds(kDelay).count());
              }).ok());
  const auto before = std::chrono::steady_clock::now();
  ASSERT_TRUE(Observe(daemon_.memory(), "s", 1, &response_).ok());
  EXPECT_GE(std::chrono::steady_clock::now() - before, kDelay);
  EXPECT_GE(Effects(daemon_.admin(), v1::SLOW_JOURNAL), 1u);
}

TEST_F(InjectedFaultsTest, WhatHasAnEndTakesNoFaultsAnyMore) {
  v1::DrainResponse drained;
  ASSERT_TRUE(Call(daemon_.admin(), &Admin::Drain, {}, &drained).ok());
  const auto stall = [this] { return Inject(daemon_.admin(), v1::STALL_WORKERS, [](auto& r) { r.set_count(1); }); };
  EXPECT_EQ(stall().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(Heal().ok());
  v1::DrainRequest resume;
  resume.set_resume(true);
  ASSERT_TRUE(Call(daemon_.admin(), &Admin::Drain, resume, &drained).ok());
  EXPECT_TRUE(stall().ok());
}

TEST_F(InjectedFaultsTest, BoundsWhatItIsToldInWords) {
  const auto message = [this](v1::FaultKind kind, const std::function<void(v1::InjectFaultRequest&)>& fill) {
    const grpc::Status status = Inject(daemon_.admin(), kind, fill);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    return status.error_message();
  };
  EXPECT_THAT(message(v1::FULL_DISK, [](auto& r) { r.set_duration_us(INT64_MAX); }), HasSubstr("duration_us is 9223372"));
  EXPECT_THAT(message(v1::SLOW_DISK, [](auto& r) { r.set_delay_us(INT64_MAX); }), HasSubstr("allowed: 0 to 3600000000"));
  EXPECT_THAT(message(v1::SLOW_JOURNAL, [](auto& r) { r.set_delay_us(-1); }), HasSubstr("delay_us is -1"));
  EXPECT_THAT(message(v1::SHIFT_CLOCK, [](auto& r) { r.set_shift_us(INT64_MIN); }), HasSubstr("shift_us is -9223372"));
  EXPECT_THAT(message(v1::FILL_MEMORY, [](auto& r) { r.set_bytes(UINT64_MAX); }), HasSubstr("bytes is 18446744"));
}

TEST_F(InjectedFaultsTest, AFullDiskIsRefusedInWordsAndTakesAgainWhenHealed) {
  ASSERT_TRUE(Observe(daemon_.memory(), "s", 1, &response_).ok());
  ASSERT_TRUE(Inject(daemon_.admin(), v1::FULL_DISK).ok());
  // The disk is looked at every 100 ms; what was let in before then may have to wait for room.
  for (int i = 0; i < 1000 && response_.rejected_size() == 0; ++i) {
    Observe(daemon_.memory(), "s", 10, &response_, std::chrono::milliseconds(300));
  }
  ASSERT_GT(response_.rejected_size(), 0);
  EXPECT_EQ(response_.rejected(0).code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_GE(Effects(daemon_.admin(), v1::FULL_DISK), 1u);
  ASSERT_TRUE(Heal().ok());
  for (int i = 0; i < 1000 && response_.rejected_size() > 0; ++i) {
    ASSERT_TRUE(Observe(daemon_.memory(), "s", 10, &response_).ok());
  }
  EXPECT_EQ(response_.accepted(), 10u);
}

TEST_F(InjectedFaultsTest, FilledMemoryIsResidentUntilItIsHealed) {
  constexpr uint64_t kBytes = 64 << 20;
  const uint64_t page = static_cast<uint64_t>(getpagesize());
  const uint64_t before = ResidentPages();
  ASSERT_TRUE(Inject(daemon_.admin(), v1::FILL_MEMORY, [](auto& r) { r.set_bytes(kBytes); }).ok());
  EXPECT_GE(ResidentPages(), before + kBytes / page);
  EXPECT_EQ(Effects(daemon_.admin(), v1::FILL_MEMORY), 1u);
  ASSERT_TRUE(Heal().ok());
  EXPECT_LT(ResidentPages(), before + kBytes / page / 2);
}

TEST_F(InjectedFaultsTest, ADaemonThatIsToldToStopHealsItselfFirst) {
  ASSERT_TRUE(Inject(daemon_.admin(), v1::STALL_WORKERS, [](auto& r) { r.set_count(2); }).ok());
  std::jthread waiting([this] { EXPECT_TRUE(Observe(daemon_.memory(), "s", 20, &response_).ok()); });
  while (daemon_.daemon().engine().ReadStatus().queue_depth == 0) std::this_thread::yield();
  EXPECT_FALSE(daemon_.daemon().Stop(std::chrono::seconds(20)).any());
}

TEST(FaultsClosed, HealAndTakeNoMoreOrders) {
  FakeClock clock;
  InjectedFaults faults(&clock, 2);
  const FaultOrder shift{.kind = FaultKind::kShiftClock, .shift = std::chrono::hours(2)};
  ASSERT_TRUE(faults.Inject(shift).ok());
  faults.Close();
  EXPECT_EQ(faults.clock()->WallMicros(), clock.WallMicros());
  EXPECT_TRUE(absl::IsUnavailable(faults.Inject(shift)));
  EXPECT_TRUE(faults.Inject({.kind = FaultKind::kHeal}).ok());
}

TEST(FaultTime, BatchesThatWereToCrashAndDidNotComeInTimeDoNot) {
  FakeClock clock;
  InjectedFaults faults(&clock, 2);
  // Orders to break them are taken only where there are some.
  const auto directory = faults.Wrap(std::unique_ptr<Directory>());
  const auto journal = faults.Wrap(std::unique_ptr<Journal>());
  ASSERT_TRUE(
      faults.Inject({.kind = FaultKind::kCrashBatches, .count = 3, .duration = std::chrono::seconds(5)}).ok());
  EXPECT_TRUE(faults.TakeCrash());
  clock.Advance(std::chrono::seconds(5));
  EXPECT_FALSE(faults.TakeCrash());
  ASSERT_TRUE(faults.Inject({.kind = FaultKind::kCrashBatches, .count = 1}).ok());
  clock.Advance(std::chrono::hours(1));
  EXPECT_TRUE(faults.TakeCrash());
  EXPECT_FALSE(faults.TakeCrash());
}

TEST(FaultTime, ShiftsTheWallClockOnlyAndOnlyForItsTime) {
  FakeClock clock;
  InjectedFaults faults(&clock, 2);
  EXPECT_EQ(faults.clock()->WallMicros(), clock.WallMicros());
  ASSERT_TRUE(faults.Inject({.kind = FaultKind::kShiftClock,
                             .shift = std::chrono::hours(-2),
                             .duration = std::chrono::seconds(5)})
                  .ok());
  // An order that nobody has felt yet.
  EXPECT_EQ(faults.Effects(FaultKind::kShiftClock), 0u);
  EXPECT_EQ(faults.clock()->WallMicros(), clock.WallMicros() - 7'200'000'000);
  EXPECT_EQ(faults.clock()->Now(), clock.Now());
  clock.Advance(std::chrono::seconds(5));
  EXPECT_EQ(faults.clock()->WallMicros(), clock.WallMicros());
  EXPECT_EQ(faults.Effects(FaultKind::kShiftClock), 1u);
}

TEST(BrokenDisk, EndsTheDaemonWith74) {
  EngramdProcess engramd({"--set", "server.address=127.0.0.1:0", "--set", "metrics.address=", "--set",
                          "admin.fault_injection=true"});
  ASSERT_TRUE(engramd.AwaitReady());
  const auto channel = TestDaemon::Connect(engramd.grpc_address);
  const auto admin = v1::AdminService::NewStub(channel);
  const auto memory = v1::MemoryService::NewStub(channel);
  ASSERT_TRUE(Inject(*admin, v1::BROKEN_DISK).ok());
  v1::ObserveResponse response;
  EXPECT_FALSE(Observe(*memory, "s", 1, &response).ok());
  EXPECT_EQ(engramd.AwaitExit(), 74);
  EXPECT_THAT(engramd.err(), HasSubstr("(injected)"));
}

}  // namespace
}  // namespace engram::testing

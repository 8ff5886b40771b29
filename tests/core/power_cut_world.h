// An engine on a disk that loses what it may, one start after the other, all on the test's thread: workers run when the
// test runs them (InlineExecutor), the journal works when something is appended (SteppingJournal). Only appliers have
// threads, and those touch no file.
//
// Threads: one. Ownership: owns all of it; what Clients have open is closed before End.
#pragma once

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/checkpoint/checkpoint_floor.h"
#include "core/recovery.h"
#include "core/rewriter.h"
#include "core/space_liveness.h"
#include "tests/core/power_cut_model.h"
#include "tests/core/stepping_journal.h"
#include "tests/support/engine_fixture.h"
#include "tests/support/inline_executor.h"

namespace engram::testing {

inline constexpr int kIds = 12;  // Of each owner.
inline const std::vector<std::string>& Streams() {
  static const std::vector<std::string> streams = {"s0", "s1", "s2"};
  return streams;
}

class PowerCutWorld {
 public:
  explicit PowerCutWorld(uint64_t seed) : random_(seed), disk_({.seed = seed, .tear_sectors = seed % 2 == 0}) {
    options_.segment_bytes = (24 + 8 * (seed % 6)) << 10;
    options_.group_bytes = 4 << 10;
    options_.spare_segments = static_cast<uint32_t>(seed % 3);
    options_.prepare_bytes_per_second = uint64_t{1} << 40;
    options_.stepped = true;
    if (seed % 5 == 0) options_.durability = Durability::kInterval;
    options_.sync_interval = Duration{3000};
    settings_.num_workers = 2;
    settings_.min_batch_size = 1;
    settings_.index_flat_threshold = 1'000'000;
  }
  ~PowerCutWorld() { End(); }

  uint64_t Below(uint64_t n) { return random_() % n; }
  FaultyDisk& disk() { return disk_; }
  FakeClock& clock() { return clock_; }
  Engine& engine() { return *engine_; }
  SteppingJournal& journal() { return *journal_; }
  bool from_checkpoint() const { return from_checkpoint_; }
  // What is acknowledged is on the disk; otherwise it is after the next moment that everything is (AwaitDurable).
  bool synced() const { return options_.durability == Durability::kFsync; }
  // The process would go on.
  bool Alive() { return engine_ != nullptr && disk_.powered() && observer_->fatal().ok(); }
  int64_t now_us() const { return clock_.WallMicros(); }

  // Starts as the daemon does; false, with its end, when the power was cut meanwhile. `clock`: another than usual.
  bool Begin(Clock* clock = nullptr) {
    End();
    if (clock == nullptr) clock = &clock_;
    directory_ = disk_.Open();
    observer_ = std::make_unique<RememberingObserver>();
    auto opened = SegmentedJournal::Open(directory_.get(), options_, clock, observer_.get());
    if (!opened.ok()) {
      EXPECT_FALSE(disk_.powered()) << opened.status();
      return false;
    }
    auto journal = std::make_unique<SteppingJournal>(*std::move(opened), observer_.get(), random_());
    journal_ = journal.get();
    executor_ = std::make_unique<InlineExecutor>(random_());
    metrics_ = std::make_unique<Metrics>(settings_.num_workers, 50);
    EngineDeps deps;
    deps.clock = clock;
    deps.executor = executor_.get();
    deps.metrics = metrics_.get();
    deps.journal = std::move(journal);
    deps.system_root = "/nonexistent";
    engine_ = Engine::Create(std::make_shared<const Settings>(settings_), std::move(deps));
    RecoveryProgress progress;
    auto report = Recover(*engine_, journal_->segmented(), *clock, progress);
    EXPECT_TRUE(report.ok() || !disk_.powered()) << report.status();
    if (!report.ok()) {
      End();
      return false;
    }
    // A checkpoint may be gone with RemoveCheckpoints, or be of what was never synced; nothing else is missing.
    const bool excused = std::exchange(removed_checkpoints_, false) || !synced();
    for (const JournalDefect& defect : report->defects) {
      EXPECT_TRUE(!disk_.powered() || (excused && defect.file.ends_with(".checkpoint"))) << defect.Render();
    }
    report_ = *std::move(report);
    checkpoint_of_.reset();
    from_checkpoint_ = !report_.checkpoint.name.empty();
    floor_.Recovered(from_checkpoint_ ? std::optional(report_.checkpoint.position) : std::nullopt);
    journal_->SetApplied([this] { return engine_->applied_through(); });
    engine_->Start();
    // What is not attached is not saved.
    AttachGraphs(std::move(report_.checkpoint), {}, [this](const auto& space) { engine_->ScheduleLinking(space); });
    log_ = std::make_unique<SpaceLiveness>(
        &engine_->registry(), [this] { return engine_->applied_through(); },
        [this] { return floor_.Get(engine_->applied_through()); });
    rewriter_ = std::make_unique<Rewriter>(&journal_->segmented(), log_.get(), clock,
                                           Rewriter::Options{.below = 0.5, .segment_bytes = options_.segment_bytes});
    return true;
  }
  // As a destructor does it; with the power on and the process not crashed, an orderly end.
  void End() {
    if (executor_ != nullptr) executor_->RunAll();
    rewriter_.reset();
    log_.reset();
    engine_.reset();
    executor_.reset();
    metrics_.reset();
    journal_ = nullptr;
  }

  // Runs what is queued and commits it.
  void Work() {
    executor_->RunAll();
    journal_->Settle();
  }
  void RunOneTask() { executor_->RunOne(); }
  // The moment from which on spaces are looked at, and may be ahead of when they are.
  void BeginCheckpoint() {
    if (checkpoint_of_) return;
    checkpoint_of_ = engine_->applied_through();
    floor_.Begin(*checkpoint_of_);
  }
  void Checkpoint() {
    if (Below(2) == 0) journal_->Settle();
    BeginCheckpoint();
    const uint64_t position = *std::exchange(checkpoint_of_, std::nullopt);
    // One that fails may be found by the next start all the same.
    const bool fails = Below(4) == 0;
    if (fails) {
      const Fault faults[] = {{.call = FileCall::kWrite, .status = DiskIsFull(), .suffix = "MANIFEST.tmp"},
                              {.call = FileCall::kRename, .status = DiskIsFull(), .suffix = "MANIFEST"},
                              {.call = FileCall::kRename, .status = DiskIsFull(), .suffix = ".checkpoint"},
                              {.call = FileCall::kRemove, .status = DiskIsFull(), .suffix = ".checkpoint"}};
      disk_.Fail(faults[Below(std::size(faults))]);
    }
    const auto written =
        WriteCheckpoint(position, engine_->registry(), journal_->segmented(), report_.missing, {.clock = &clock_});
    EXPECT_TRUE(written.ok() || fails || !Alive()) << written.status();
    if (fails) disk_.ClearFaults();
    if (written.ok()) floor_.Written(written->position);
    checkpoints_ += written.ok();
  }
  // With nothing under way: it would pin a dropped space until an applier has put it down, now or a moment later.
  void Rewrite() {
    Work();
    if (!Alive()) return;
    EXPECT_TRUE(engine_->AwaitDrained(MonotonicTime::max()));
    const auto did = rewriter_->RunOnce();
    EXPECT_TRUE(did.ok() || !Alive()) << did.status();
    if (did.ok() && *did) ++rewrites_;
  }
  void RemoveCheckpoints() {
    const auto directory = disk_.Open();
    const auto names = directory->List();
    ENGRAM_CHECK(names.ok());
    for (const std::string& name : *names) {
      if (name.ends_with(".checkpoint")) ENGRAM_CHECK(directory->Remove(name).ok());
    }
    ENGRAM_CHECK(directory->Sync().ok());
    removed_checkpoints_ = true;
  }
  uint64_t checkpoints() const { return checkpoints_; }
  uint64_t rewrites() const { return rewrites_; }

  // All that a client can find out about a space; each way of asking must answer the same.
  SeenSpace See(const std::string& space) {
    SeenSpace seen;
    const auto info = engine_->GetSpace(space);
    if (!info.ok()) {
      EXPECT_TRUE(absl::IsNotFound(info.status())) << info.status();
      return seen;
    }
    seen.there = true;
    seen.ef_search = info->config.ef_search;
    seen.live = info->live;
    std::vector<std::string> ids;
    for (const char* owner : {"s0", "s1", "s2", "x"}) {
      for (int i = 0; i < kIds; ++i) ids.push_back(fmt::format("{}-{}", owner, i));
    }
    const auto got = engine_->Get(space, ids);
    EXPECT_TRUE(got.ok()) << got.status();
    if (!got.ok()) return seen;
    EXPECT_TRUE(got->unreadable.empty());
    for (const ObservationHit& hit : got->observations) {
      TestObservation& o = seen.found[std::string(hit.id)];
      o.id = std::string(hit.id);
      o.content = std::string(hit.content);
      o.embedding.assign(hit.embedding.begin(), hit.embedding.end());
      for (const TagView& tag : hit.tags) o.tags[std::string(tag.key)] = std::string(tag.value);
      o.observed_at_us = hit.observed_at_us;
      o.confidence = hit.confidence;
      o.ttl_us = hit.ttl_us;
    }
    ExpectRecalled(space, seen);
    for (const std::string& stream : Streams()) {
      Waker waker;
      const auto open = engine_->OpenStream({.space = space, .stream_id = stream, .resume = true}, &waker);
      EXPECT_TRUE(open.ok()) << open.status();
      if (!open.ok()) continue;
      seen.streams[stream] = (*open)->first_expected() - 1;
      (*open)->Close();
    }
    return seen;
  }

 private:
  // Exact recall finds each of them once, with its content, and each by its own vector.
  void ExpectRecalled(const std::string& space, const SeenSpace& seen) {
    if (seen.found.empty()) return;
    RecallQuery query;
    query.space = space;
    auto own = seen.found.begin();
    std::advance(own, static_cast<ptrdiff_t>(seen.live % seen.found.size()));
    query.embedding = ViewOf(own->second.embedding);
    query.k = 1000;
    query.exact = true;
    query.include_content = true;
    const auto answer = engine_->Recall(query, MonotonicTime::max());
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->unreadable, 0u);
    std::map<std::string, std::string> contents;
    for (const ObservationHit& hit : answer->hits) {
      EXPECT_TRUE(contents.emplace(hit.id, hit.content).second) << "recalled twice: " << hit.id;
      if (hit.id == own->first) {
        EXPECT_NEAR(hit.similarity, 1, 1e-5);
      }
    }
    std::map<std::string, std::string> expected;
    for (const auto& [id, observation] : seen.found) expected[id] = observation.content;
    EXPECT_EQ(contents, expected) << "in " << space;
  }

  std::mt19937_64 random_;
  JournalOptions options_;
  Settings settings_;
  FakeClock clock_;
  FaultyDisk disk_;
  CheckpointFloor floor_;
  std::optional<uint64_t> checkpoint_of_;
  uint64_t checkpoints_ = 0;
  uint64_t rewrites_ = 0;
  // Of one start.
  std::unique_ptr<Directory> directory_;
  std::unique_ptr<RememberingObserver> observer_;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<InlineExecutor> executor_;
  SteppingJournal* journal_ = nullptr;  // The engine's.
  std::unique_ptr<Engine> engine_;
  RecoveryReport report_;
  bool from_checkpoint_ = false;
  bool removed_checkpoints_ = false;
  std::unique_ptr<SpaceLiveness> log_;
  std::unique_ptr<Rewriter> rewriter_;
};

}  // namespace engram::testing

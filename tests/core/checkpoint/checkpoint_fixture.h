// An engine on a segmented journal on a disk in memory, one life after the other, and what can be asked of it as a
// text.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/recovery.h"
#include "tests/core/journal/journal_fixture.h"
#include "tests/support/engine_fixture.h"

namespace engram::testing {

struct LifeOptions {
  Clock* clock = nullptr;  // The engine's; null: the real one.
  Settings settings;
  bool attach = true;
};

// From opening the directory to its end. `status` says whether it began.
class Life {
 public:
  explicit Life(FaultyDisk& disk, LifeOptions options = {}) : executor_(2), metrics_(4, 50), directory_(disk.Open()) {
    auto opened = SegmentedJournal::Open(directory_.get(), SmallJournal(), &clock_, &observer_);
    if (!opened.ok()) {
      status_ = opened.status();
      return;
    }
    journal_ = opened->get();
    EngineDeps deps;
    deps.clock = options.clock != nullptr ? options.clock : &clock_;
    deps.executor = &executor_;
    deps.metrics = &metrics_;
    deps.journal = *std::move(opened);
    engine_ = Engine::Create(std::make_shared<const Settings>(options.settings), std::move(deps));
    auto report = Recover(*engine_, *journal_, *(options.clock != nullptr ? options.clock : &clock_), progress_);
    status_ = report.status();
    if (report.ok()) report_ = *std::move(report);
    engine_->Start();
    if (status_.ok() && options.attach) Attach();
  }
  ~Life() { engine_.reset(); }

  void Attach() {
    graph_defects_ =
        AttachGraphs(report_.checkpoint, {}, [this](const auto& space) { engine_->ScheduleLinking(space); });
  }
  absl::StatusOr<WrittenCheckpoint> Checkpoint() {
    return WriteCheckpoint(engine_->applied_through(), engine_->registry(), *journal_, report_.missing,
                           {.clock = &clock_});
  }
  absl::StatusOr<ObserveOutcome> Observe(const std::string& space, std::vector<TestObservation> observations) {
    return engine_->Observe(space, MakeBatch(std::move(observations)), Priority::kNormal, AckLevel::kDurable,
                            MonotonicTime::max());
  }
  // Sends the frame to the named stream and waits; the sequence it began with.
  uint64_t Stream(const std::string& space, const std::string& id, std::vector<TestObservation> frame) {
    Waker waker;
    const auto stream = engine_->OpenStream({.space = space, .stream_id = id, .resume = true}, &waker);
    if (!stream.ok()) return 0;
    const uint64_t first = (*stream)->first_expected();
    if (!frame.empty()) (*stream)->Submit(first, Priority::kNormal, MakeBatch(std::move(frame)));
    while (!(*stream)->Reached() && waker.Await()) {
    }
    (*stream)->Close();
    return first;
  }

  std::string Describe(const std::string& space) {
    const auto info = engine_->GetSpace(space);
    if (!info.ok()) return "none\n";
    std::string text =
        fmt::format("live {} dimension {} ef {} rate {} created {}\n", info->live, info->config.dimension,
                    info->config.ef_search, info->config.max_rate, info->created_at_us);
    for (int i = 0; i < 60; ++i) {
      const std::vector<std::string> ids = {"id" + std::to_string(i)};
      const auto got = engine_->Get(space, ids);
      if (!got.ok() || got->observations.empty()) continue;
      const ObservationHit& hit = got->observations[0];
      text += fmt::format("{}={}@{}/{}/{}", hit.id, hit.content, hit.observed_at_us, hit.ttl_us, hit.confidence);
      for (const TagView& tag : hit.tags) text += fmt::format(" {}:{}", tag.key, tag.value);
      for (const float x : hit.embedding) text += fmt::format(" {}", x);
      text += "\n";
    }
    for (int angle = 0; angle < 6; ++angle) {
      RecallQuery query;
      const auto a = static_cast<float>(angle);
      const std::vector<float> vector = {std::cos(a), std::sin(a), 0.5f};
      query.space = space;
      query.embedding = ViewOf(vector);
      query.k = 7;
      query.exact = true;
      query.include_content = true;
      const auto answer = engine_->Recall(query, MonotonicTime::max());
      if (!answer.ok()) continue;
      for (const ObservationHit& hit : answer->hits)
        text += fmt::format("{}~{}~{} ", hit.id, hit.content, hit.similarity);
    }
    for (const char* stream : {"s0", "s1"}) text += fmt::format("\n{} at {}", stream, Stream(space, stream, {}));
    return text;
  }

  Engine& engine() { return *engine_; }
  SegmentedJournal& journal() { return *journal_; }
  const absl::Status& status() const { return status_; }
  const RecoveryReport& report() const { return report_; }
  const RecoveryProgress& progress() const { return progress_; }
  const std::vector<JournalDefect>& graph_defects() const { return graph_defects_; }

 private:
  RealClock clock_;
  RememberingObserver observer_;
  ThreadExecutor executor_;
  Metrics metrics_;
  std::unique_ptr<Directory> directory_;
  SegmentedJournal* journal_ = nullptr;
  std::unique_ptr<Engine> engine_;
  RecoveryProgress progress_;
  RecoveryReport report_;
  absl::Status status_;
  std::vector<JournalDefect> graph_defects_;
};

inline std::vector<std::string> CheckpointsOf(FaultyDisk& disk) {
  std::vector<std::string> found;
  const auto names = disk.Open()->List();
  ENGRAM_CHECK(names.ok());
  for (const std::string& name : *names) {
    if (name.find(".checkpoint") != std::string::npos) found.push_back(name);
  }
  return found;
}

inline void RemoveAllCheckpoints(FaultyDisk& disk) {
  const auto directory = disk.Open();
  for (const std::string& name : CheckpointsOf(disk)) ENGRAM_CHECK(directory->Remove(name).ok());
  ENGRAM_CHECK(directory->Sync().ok());
}

}  // namespace engram::testing

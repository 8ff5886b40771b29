// A stepped journal on a faulty disk, the model of what it means, and a rewriter between them.
//
// Threads: one. Ownership: owns all of it.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "tests/core/journal/journal_fixture.h"
#include "tests/core/log_model.h"
#include "tests/support/fake_clock.h"

namespace engram::testing {

class RewriterWorld final : public CommitSink {
 public:
  explicit RewriterWorld(uint64_t seed = 1) : random_(seed), disk_({.seed = seed, .tear_sectors = seed % 2 == 0}) {
    options_.segment_bytes = 40 << 10;
    options_.group_bytes = 4 << 10;
    options_.spare_segments = 1;
    options_.prepare_bytes_per_second = uint64_t{1} << 40;
    options_.stepped = true;
  }
  ~RewriterWorld() override { journal_.reset(); }

  JournalOptions& options() { return options_; }
  FaultyDisk& disk() { return disk_; }
  void SetHardFreeBytes(uint64_t bytes) { hard_free_bytes_ = bytes; }
  SegmentedJournal& journal() { return *journal_; }
  Rewriter& rewriter() { return *rewriter_; }
  ModelLog& log() { return log_; }
  Directory& directory() { return *directory_; }
  uint64_t Below(uint64_t bound) { return random_() % bound; }

  // Opens what the disk holds and checks it against what was appended, from the log alone and from the checkpoint.
  absl::Status Open() {
    rewriter_.reset();
    journal_.reset();
    directory_ = disk_.Open();
    ENGRAM_ASSIGN_OR_RETURN(journal_, SegmentedJournal::Open(directory_.get(), options_, &clock_, &observer_));
    const uint64_t last = journal_->last();
    const uint64_t promised =
        options_.durability == Durability::kFsync ? log_.model.through() : log_.checkpoint.value_or(0);
    EXPECT_GE(last, promised) << "something that was durable is not there";
    EXPECT_TRUE(journal_->defects().empty()) << journal_->defects()[0].Render();
    records_.erase(records_.upper_bound(last), records_.end());
    LogModel expected;
    for (const auto& entry : records_) {
      entry.second.As([&](const JournalRecord& as) { expected.Apply(as, entry.first); });
    }
    LogModel replayed;
    ENGRAM_RETURN_IF_ERROR(Replay(replayed));
    EXPECT_EQ(replayed.Text(), expected.Text()) << "from the log alone";
    LogModel resumed = checkpoint_.value_or(LogModel{});
    ENGRAM_RETURN_IF_ERROR(Replay(resumed));
    EXPECT_EQ(resumed.Text(), expected.Text()) << "from the checkpoint";
    log_.model = Below(2) == 0 ? std::move(replayed) : std::move(resumed);
    log_.pinned.clear();
    journal_->Start(this);
    rewriter_ = std::make_unique<Rewriter>(journal_.get(), &log_, &clock_,
                                           Rewriter::Options{.below = 0.5,
                                                             .segment_bytes = options_.segment_bytes,
                                                             .hard_free_bytes = [this] { return hard_free_bytes_; }});
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> Append(OwnedRecord record) {
    const auto position = record.As([&](const JournalRecord& as) { return journal_->Append(as, nullptr); });
    if (position.ok()) records_[*position] = std::move(record);
    return position;
  }
  void Commit() {
    while (journal_->Step()) {
    }
  }
  uint64_t Put(OwnedRecord record) {
    const auto position = Append(std::move(record));
    EXPECT_TRUE(position.ok()) << position.status();
    Commit();
    return position.value_or(0);
  }

  uint64_t Create(const std::string& space) { return Put({.type = RecordType::kSpaceCreated, .space = space}); }
  uint64_t Observe(const std::string& space, std::vector<std::pair<std::string, std::string>> observations) {
    return Put({.space_id = log_.model.Find(space), .space = space, .observations = std::move(observations)});
  }
  uint64_t Forget(const std::string& space, const std::string& id, uint64_t through) {
    return Put({.type = RecordType::kTombstones,
                .space_id = log_.model.Find(space),
                .space = space,
                .tombstones = {{id, through}}});
  }
  uint64_t Drop(const std::string& space) {
    return Put({.type = RecordType::kSpaceDropped, .space_id = log_.model.Find(space), .space = space});
  }
  uint64_t Mark(const std::string& space, const std::string& stream, uint64_t through) {
    return Put({.space_id = log_.model.Find(space), .space = space, .marks = {{stream, through}}});
  }
  // No spares are written ahead, so those there are were segments before.
  void FailFilling() {
    disk_.Fail({.call = FileCall::kWrite, .status = DiskIsFull(), .suffix = ".filling", .until_cleared = true});
  }
  // Begins a new segment.
  void Seal() { EXPECT_TRUE(journal_->SealThrough().ok()); }
  // Makes the checkpoint of now.
  void Checkpoint() {
    if (!journal_->AwaitDurable().ok()) return;
    checkpoint_ = log_.model;
    log_.checkpoint = log_.model.through();
  }
  // Rewrites all that is worth it; how many runs that were.
  int RewriteAll() {
    int runs = 0;
    while (true) {
      const auto did = rewriter_->RunOnce();
      EXPECT_TRUE(did.ok() || !disk_.powered()) << did.status();
      if (!did.ok() || !*did) break;
      ++runs;
      EXPECT_LT(runs, 1000) << "rewriting finds no end";
      if (runs >= 1000) break;
    }
    Commit();
    return runs;
  }
  // What lies in the log, one line a record: "3 observations a b", "5 tombstones a".
  std::vector<std::string> Lines() {
    std::vector<std::string> lines;
    const auto see = [&](const JournalRecord& record, uint64_t position) {
      static constexpr std::array<const char*, 6> kNames = {"",        "observations", "tombstones",
                                                            "created", "changed",      "dropped"};
      std::string line = fmt::format("{} {}", position, kNames[static_cast<size_t>(record.type)]);
      for (const auto& observation : record.observations) line += fmt::format(" {}", observation.id);
      for (const auto& tombstone : record.tombstones) line += fmt::format(" {}", tombstone.id);
      for (const auto& mark : record.marks) line += fmt::format(" {}={}", mark.stream, mark.through);
      lines.push_back(line);
      return absl::OkStatus();
    };
    EXPECT_TRUE(journal_->Replay(0, see, [](uint64_t) {}).ok());
    return lines;
  }

  // --- at random ---

  // Appends something to one of a few spaces, ids and streams.
  absl::Status AppendAny() {
    OwnedRecord record;
    record.space = std::string(1, static_cast<char>('a' + Below(3)));
    record.space_id = log_.model.Find(record.space);
    if (record.space_id == 0) {
      record.type = RecordType::kSpaceCreated;
      // Whoever makes a space waits until it is there, so the log has no creation of a name that has a space.
      const absl::Status created = Append(std::move(record)).status();
      Commit();
      return created;
    }
    const LogModel::Space& space = log_.model.spaces().at(record.space_id);
    const uint64_t dice = Below(100);
    if (dice < 2) {
      record.type = RecordType::kSpaceDropped;
      // Somebody is on the way to append to it.
      if (Below(2) == 0) log_.pinned[record.space_id] = record.space;
    } else if (dice < 5) {
      record.type = RecordType::kSpaceChanged;
      record.ef_search = static_cast<uint32_t>(Below(1000));
    } else if (dice < 8 && !log_.pinned.empty()) {
      std::tie(record.space_id, record.space) = *log_.pinned.begin();
      record.observations.emplace_back("late", "too late");
    } else if (dice < 35 && !space.versions.empty()) {
      record.type = RecordType::kTombstones;
      for (uint64_t i = 1 + Below(8); i > 0; --i) {
        auto any = space.versions.begin();
        std::advance(any, static_cast<ptrdiff_t>(Below(space.versions.size())));
        if (any->second.empty()) continue;
        record.tombstones.emplace_back(any->first, any->second[Below(any->second.size())].address.position);
      }
    } else {
      for (uint64_t i = Below(6); i > 0; --i) {
        record.observations.emplace_back(fmt::format("{}", Below(Below(4) == 0 ? 300 : 30)),
                                         std::string(Below(600), static_cast<char>('a' + Below(26))));
      }
      if (Below(2) == 0) record.marks.emplace_back(fmt::format("s{}", Below(4)), ++sequence_);
    }
    return Append(std::move(record)).status();
  }
  // `most` records at most, with some life around them.
  void Live(uint64_t most) {
    for (uint64_t i = 0; i < most && disk_.powered(); ++i) {
      if (!AppendAny().ok()) break;
      if (Below(3) == 0) journal_->Step();
      // What waits for time (syncs in mode interval, writing ahead) is as random as the rest and no less repeatable.
      if (Below(8) == 0) clock_.Advance(Duration(static_cast<int64_t>(Below(150'000))));
      if (Below(40) == 0) journal_->SealThrough().IgnoreError();
      if (Below(60) == 0) Checkpoint();
      // Whoever appends to a space holds it until the record is applied.
      if (Below(10) == 0 && log_.model.through() == journal_->last()) log_.pinned.clear();
    }
  }

  void Committed(std::span<CommittedRecord> records) noexcept override {
    for (const CommittedRecord& record : records) {
      records_.at(record.position).As([&](const JournalRecord& as) { log_.model.Apply(as, record.position); });
    }
  }

 private:
  absl::Status Replay(LogModel& model) {
    return journal_->Replay(
        model.through(),
        [&](const JournalRecord& record, uint64_t position) {
          model.Apply(record, position);
          return absl::OkStatus();
        },
        [](uint64_t) {});
  }

  std::mt19937_64 random_;
  JournalOptions options_;
  uint64_t hard_free_bytes_ = 0;
  FaultyDisk disk_;
  FakeClock clock_;
  RememberingObserver observer_;
  ModelLog log_;
  std::optional<LogModel> checkpoint_;
  // All that was appended and has not been lost with the power.
  std::map<uint64_t, OwnedRecord> records_;
  uint64_t sequence_ = 0;
  std::unique_ptr<Directory> directory_;
  std::unique_ptr<SegmentedJournal> journal_;
  std::unique_ptr<Rewriter> rewriter_;
};

}  // namespace engram::testing

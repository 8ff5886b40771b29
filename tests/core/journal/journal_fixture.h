// A segmented journal on a faulty disk, a sink that remembers, and records made of seeds.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/journal/segmented_journal.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_files.h"

namespace engram::testing {

// Remembers what was committed, and up to where.
class RememberingSink final : public CommitSink {
 public:
  void Committed(std::span<CommittedRecord> records) noexcept override {
    MutexLock lock(mu_);
    for (const CommittedRecord& record : records) {
      in_order_ &= record.position == through_ + 1;
      through_ = record.position;
    }
    moved_.NotifyAll();
  }
  void StartAt(uint64_t through) {
    MutexLock lock(mu_);
    through_ = through;
  }
  uint64_t through() const {
    MutexLock lock(mu_);
    return through_;
  }
  bool in_order() const {
    MutexLock lock(mu_);
    return in_order_;
  }
  void Await(uint64_t position) {
    MutexLock lock(mu_);
    while (through_ < position) moved_.Wait(mu_);
  }

 private:
  mutable Mutex mu_;
  CondVar moved_;
  uint64_t through_ ABSL_GUARDED_BY(mu_) = 0;
  bool in_order_ ABSL_GUARDED_BY(mu_) = true;
};

class RememberingObserver final : public JournalObserver {
 public:
  // Set before the journal starts.
  std::function<void()> on_fatal;

  void OnCommitted(uint64_t records, uint64_t bytes, bool, Duration) override {
    MutexLock lock(mu_);
    ++groups_;
    records_ += records;
    bytes_ += bytes;
  }
  void OnFatal(const absl::Status& why) override {
    if (on_fatal) on_fatal();
    MutexLock lock(mu_);
    fatal_ = why;
  }
  void OnWaiting(const absl::Status& why) override {
    MutexLock lock(mu_);
    waits_.push_back(why);
    moved_.NotifyAll();
  }
  absl::Status fatal() const {
    MutexLock lock(mu_);
    return fatal_;
  }
  std::vector<absl::Status> AwaitWaits(size_t count) {
    MutexLock lock(mu_);
    while (waits_.size() < count) moved_.Wait(mu_);
    return waits_;
  }
  uint64_t groups() const {
    MutexLock lock(mu_);
    return groups_;
  }

 private:
  mutable Mutex mu_;
  CondVar moved_;
  absl::Status fatal_ ABSL_GUARDED_BY(mu_);
  std::vector<absl::Status> waits_ ABSL_GUARDED_BY(mu_);
  uint64_t groups_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t records_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

// An observations record whose every byte follows from its seed.
class SeededRecord {
 public:
  explicit SeededRecord(uint64_t seed, size_t observations = 0) {
    std::mt19937_64 random(seed * 0x9e3779b97f4a7c15 + 1);
    const size_t count = observations != 0 ? observations : 1 + random() % 6;
    texts_.reserve(count * 2);
    embeddings_.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      std::vector<float>& embedding = embeddings_.emplace_back(8);
      for (float& x : embedding) x = static_cast<float>(random() % 1000) / 100.0f;
      ObservationView view;
      view.id = texts_.emplace_back("id-" + std::to_string(seed) + "-" + std::to_string(i));
      view.content = texts_.emplace_back(random() % 300, static_cast<char>('a' + random() % 26));
      view.embedding = {reinterpret_cast<const std::byte*>(embedding.data()), 8, Encoding::kF32};
      view.observed_at_us = static_cast<int64_t>(random() % 1'000'000) + 1;
      views_.push_back(view);
    }
    record_.type = RecordType::kObservations;
    record_.space_id = 1 + seed % 3;
    record_.space = "notes";
    record_.observations = views_;
    mark_ = {"stream", seed};
    record_.marks = {&mark_, 1};
  }
  SeededRecord(const SeededRecord&) = delete;

  const JournalRecord& record() const { return record_; }

  bool Is(const JournalRecord& other) const {
    if (other.type != record_.type || other.space_id != record_.space_id || other.space != record_.space) return false;
    if (other.observations.size() != views_.size() || other.marks.size() != 1 || other.marks[0].through != mark_.through) {
      return false;
    }
    for (size_t i = 0; i < views_.size(); ++i) {
      const ObservationView& a = views_[i];
      const ObservationView& b = other.observations[i];
      if (a.id != b.id || a.content != b.content || a.observed_at_us != b.observed_at_us) return false;
      if (a.embedding.bytes() != b.embedding.bytes() ||
          std::memcmp(a.embedding.data, b.embedding.data, a.embedding.bytes()) != 0) {
        return false;
      }
    }
    return true;
  }

 private:
  std::vector<std::string> texts_;
  std::vector<std::vector<float>> embeddings_;
  std::vector<ObservationView> views_;
  StreamMark mark_;
  JournalRecord record_;
};

inline JournalOptions SmallJournal() {
  JournalOptions options;
  options.segment_bytes = 64 << 10;
  options.group_bytes = 8 << 10;
  options.spare_segments = 1;
  options.prepare_bytes_per_second = uint64_t{1} << 40;
  return options;
}

class JournalFixture : public ::testing::Test {
 protected:
  absl::Status Open(const JournalOptions& options) {
    journal_.reset();
    directory_ = disk_.Open();
    auto opened = SegmentedJournal::Open(directory_.get(), options, &clock_, &observer_);
    if (!opened.ok()) return opened.status();
    journal_ = *std::move(opened);
    return absl::OkStatus();
  }
  void Start() {
    sink_.StartAt(journal_->last());
    journal_->Start(&sink_);
  }
  // Appends the record made of seed `position`, so that position and content tell the same.
  absl::StatusOr<uint64_t> AppendNext() {
    const uint64_t next = journal_->last() + 1;
    return journal_->Append(SeededRecord(next).record(), nullptr);
  }
  // Positions replayed, each checked against what its seed says.
  std::vector<uint64_t> ReplayAll(uint64_t after = 0) {
    std::vector<uint64_t> positions;
    const absl::Status status = journal_->Replay(
        after,
        [&](const JournalRecord& record, uint64_t position) {
          EXPECT_TRUE(SeededRecord(position).Is(record)) << "position " << position << " is another record";
          positions.push_back(position);
          return absl::OkStatus();
        },
        [](uint64_t) {});
    EXPECT_TRUE(status.ok()) << status;
    return positions;
  }

  FaultyDisk disk_;
  RealClock clock_;
  RememberingObserver observer_;
  RememberingSink sink_;
  std::unique_ptr<Directory> directory_;
  std::unique_ptr<SegmentedJournal> journal_;
};

}  // namespace engram::testing

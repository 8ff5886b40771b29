// A journal that keeps copies of its records in memory: what a test replays into another engine, and reads contents
// from.
//
// Threads: any. Ownership: shares the log with whoever keeps it, so that it outlives the engine.
#pragma once

#include <cstring>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/engine.h"
#include "core/journal/memory_journal.h"

namespace engram::testing {

struct RecordedObservation {
  std::string id, embedding, content;
  uint32_t dimension = 0;
  Encoding encoding = Encoding::kF32;
  std::vector<std::pair<std::string, std::string>> tags;
  int64_t observed_at_us = 0, ttl_us = 0;
  float confidence = 1;
};

// A record with memory of its own.
struct RecordedRecord {
  RecordType type;
  uint64_t space_id;
  std::string space;
  Metric metric;
  std::vector<RecordedObservation> observations;
  std::vector<std::pair<std::string, uint64_t>> marks, tombstones;
  SpaceConfig config;
  bool has_config;
  int64_t created_at_us;

  explicit RecordedRecord(const JournalRecord& r)
      : type(r.type),
        space_id(r.space_id),
        space(r.space),
        metric(r.metric),
        has_config(r.config != nullptr),
        created_at_us(r.created_at_us) {
    if (has_config) config = *r.config;
    for (const ObservationView& o : r.observations) {
      RecordedObservation& kept = observations.emplace_back();
      kept.id = o.id;
      kept.embedding.assign(reinterpret_cast<const char*>(o.embedding.data), o.embedding.bytes());
      kept.dimension = o.embedding.dimension;
      kept.encoding = o.embedding.encoding;
      kept.content = o.content;
      for (const TagView& tag : o.tags) kept.tags.emplace_back(tag.key, tag.value);
      kept.observed_at_us = o.observed_at_us;
      kept.ttl_us = o.ttl_us;
      kept.confidence = o.confidence;
    }
    for (const StreamMark& mark : r.marks) marks.emplace_back(mark.stream, mark.through);
    for (const Tombstone& t : r.tombstones) tombstones.emplace_back(t.id, t.through);
  }

  absl::Status ReplayInto(Engine& engine, uint64_t position) const {
    JournalRecord record;
    record.type = type;
    record.space_id = space_id;
    record.space = space;
    record.metric = metric;
    if (has_config) record.config = &config;
    record.created_at_us = created_at_us;
    std::vector<std::vector<TagView>> all_tags;
    std::vector<ObservationView> views;
    for (const RecordedObservation& o : observations) {
      auto& tags = all_tags.emplace_back();
      for (const auto& [key, value] : o.tags) tags.push_back({key, value});
    }
    for (size_t i = 0; i < observations.size(); ++i) views.push_back(View(observations[i], all_tags[i]));
    std::vector<StreamMark> stream_marks;
    for (const auto& [stream, through] : marks) stream_marks.push_back({stream, through});
    std::vector<Tombstone> stones;
    for (const auto& [id, through] : tombstones) stones.push_back({id, through});
    record.observations = views;
    record.marks = stream_marks;
    record.tombstones = stones;
    return engine.Replay(record, position);
  }

  static ObservationView View(const RecordedObservation& o, const std::vector<TagView>& tags) {
    ObservationView view;
    view.id = o.id;
    view.embedding = {reinterpret_cast<const std::byte*>(o.embedding.data()), o.dimension, o.encoding};
    view.content = o.content;
    view.tags = tags;
    view.observed_at_us = o.observed_at_us;
    view.ttl_us = o.ttl_us;
    view.confidence = o.confidence;
    return view;
  }
};

struct RecordedLog {
  mutable Mutex mu;
  // The record at position i + 1.
  std::deque<RecordedRecord> records ABSL_GUARDED_BY(mu);
  std::set<uint64_t> damaged ABSL_GUARDED_BY(mu);
  // Observations that were read.
  uint64_t reads ABSL_GUARDED_BY(mu) = 0;

  void ReplayInto(Engine& engine) const {
    MutexLock lock(mu);
    for (size_t i = 0; i < records.size(); ++i) {
      const absl::Status status = records[i].ReplayInto(engine, i + 1);
      ENGRAM_CHECK(status.ok());
    }
  }
};

class RecordingJournal final : public Journal {
 public:
  explicit RecordingJournal(std::shared_ptr<RecordedLog> log) : log_(std::move(log)) {}

  void Start(CommitSink* sink) override {
    MutexLock lock(mu_);
    sink_ = sink;
  }
  absl::StatusOr<uint64_t> Append(const JournalRecord& record, std::unique_ptr<PendingCommit> pending) override {
    MutexLock lock(mu_);
    if (sink_ == nullptr) return absl::UnavailableError("closed");
    CommittedRecord committed;
    {
      MutexLock log_lock(log_->mu);
      log_->records.emplace_back(record);
      committed.position = log_->records.size();
    }
    const uint64_t position = committed.position;
    committed.pending = std::move(pending);
    committed.times = CommitTimes::At(std::chrono::steady_clock::now());
    sink_->Committed({&committed, 1});
    return position;
  }
  void Close() override {
    MutexLock lock(mu_);
    sink_ = nullptr;
  }
  uint64_t last() const override {
    MutexLock lock(log_->mu);
    return log_->records.size();
  }
  Durability durability() const override { return Durability::kFsync; }
  uint64_t id() const override { return 77; }
  bool keeps_records() const override { return true; }
  absl::Status Read(RecordAddress address, StoredObservation* out) const override {
    MutexLock lock(log_->mu);
    ++log_->reads;
    if (log_->damaged.count(address.position) > 0) return absl::DataLossError("damaged");
    const auto& observations = log_->records.at(address.position - 1).observations;
    if (address.place >= observations.size()) return absl::NotFoundError("no such place");
    const RecordedObservation& o = observations[address.place];
    const std::string bytes = o.embedding + o.content;
    out->bytes.resize(bytes.size());
    std::memcpy(out->bytes.data(), bytes.data(), bytes.size());
    out->observation.embedding = {out->bytes.data(), o.dimension, o.encoding};
    out->observation.content = {reinterpret_cast<const char*>(out->bytes.data()) + o.embedding.size(), o.content.size()};
    return absl::OkStatus();
  }

 private:
  const std::shared_ptr<RecordedLog> log_;
  Mutex mu_;
  CommitSink* sink_ ABSL_GUARDED_BY(mu_) = nullptr;
};

}  // namespace engram::testing

// A space's part of a batch on its way through the journal: the record made of it, and the pool that such records come
// from.
//
// Threads:  a record: one at a time (the worker, then the applier). The pool: any; a leaf mutex. Ownership: a record
//           owns the ids it made and shares the frames, so its views hold until Clear.
// Errors:   std::bad_alloc from Fill.
// Why:      in steady state a batch is committed without a heap allocation for each of its observations.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "core/journal/record.h"
#include "core/metrics/metrics.h"
#include "core/space.h"

namespace engram {

class PortionRecord {
 public:
  // With `narrow`, embeddings of binary32 are recorded as binary16 where that tells them.
  explicit PortionRecord(bool narrow) : narrow_(narrow) {}

  // Names what has no id, dates what has no time, and marks how far each named stream is.
  void Fill(const Portion& portion);
  // Keeps the memory.
  void Clear();

  // The views hold until Clear.
  JournalRecord Record() const;
  const Portion& portion() const { return portion_; }
  const std::shared_ptr<Space>& space() const { return space_; }
  size_t size() const { return observations_.size(); }
  const std::vector<ObservationView>& observations() const { return observations_; }
  // When the commit of the portion began, and when the record was filled.
  MonotonicTime begun() const { return begun_; }
  MonotonicTime filled() const { return filled_; }
  void NoteTimes(MonotonicTime begun, MonotonicTime filled) {
    begun_ = begun;
    filled_ = filled;
  }
  // It has been in use before.
  bool reused() const { return reused_; }
  void NoteReused() { reused_ = true; }
  // Nothing that a journal has to know.
  bool empty() const { return observations_.empty() && marks_.empty(); }

 private:
  void Mark(const Slice& slice);
  void Narrow();

  const bool narrow_;
  Portion portion_;
  std::shared_ptr<Space> space_;
  std::vector<ObservationView> observations_;
  std::string ids_;
  std::unique_ptr<std::byte[]> narrowed_;
  size_t narrowed_bytes_ = 0;
  std::vector<StreamMark> marks_;
  MonotonicTime begun_{};
  MonotonicTime filled_{};
  bool reused_ = false;
};

class PortionRecordPool {
 public:
  PortionRecordPool(Series* series, bool narrow) : series_(series), narrow_(narrow) {}

  std::unique_ptr<PortionRecord> Take() ABSL_LOCKS_EXCLUDED(mu_);
  void Return(std::unique_ptr<PortionRecord> record) noexcept ABSL_LOCKS_EXCLUDED(mu_);

 private:
  static constexpr size_t kMost = 256;

  Series* const series_;
  const bool narrow_;
  Mutex mu_;
  std::vector<std::unique_ptr<PortionRecord>> free_ ABSL_GUARDED_BY(mu_);
};

}  // namespace engram

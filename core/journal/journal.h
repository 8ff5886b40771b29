// The log of record: every change of every space, in one order. A position in it is a token.
//
// Threads:  Append from any thread; records of one space come in the order of its callers. Ownership: copies what it keeps.
// Blocking: Append until the record is committed under durability(). Errors: a failed Append left no record behind.
// Why:      apply is a function of the committed log, so recovery, replicas and normal running are one path; what the log
//           is (memory, segments on disk, a broker's topic) stays behind this interface.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/status.h"
#include "core/base/types.h"

namespace engram {

enum class RecordType : uint8_t { kObservations, kTombstones, kSpaceCreated, kSpaceDropped };

// One record: atomic, one space. Views live as long as the call.
struct JournalRecord {
  RecordType type = RecordType::kObservations;
  std::string_view space;
  // What was observed; with kTombstones only the ids are set.
  std::span<const ObservationView> observations;

  // What the record holds, framing aside.
  uint64_t bytes() const;
};

class Journal {
 public:
  virtual ~Journal() = default;

  // Commits the record; its position, dense from 1.
  virtual absl::StatusOr<uint64_t> Append(const JournalRecord& record) = 0;
  // The last position handed out; 0 before the first.
  virtual uint64_t last() const = 0;
  virtual Durability durability() const = 0;
  // Names this log in tokens; never 0.
  virtual uint64_t id() const = 0;
};

}  // namespace engram

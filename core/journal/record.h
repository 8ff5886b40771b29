// What the journal records: one struct for all types of records, as views into somebody else's memory.
//
// Threads: values. Ownership: the memory behind the views outlives the record.
// Why:     writing, replay, rewriting and the offline tools speak of the same thing.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/types.h"
#include "core/space_config.h"

namespace engram {

// The numbers are those on disk.
enum class RecordType : uint8_t {
  kObservations = 1,
  kTombstones = 2,
  kSpaceCreated = 3,
  kSpaceChanged = 4,
  kSpaceDropped = 5,
};

// Everything of the stream up to sequence `through` is in this record, in an earlier one, or was refused for good.
struct StreamMark {
  std::string_view stream;
  uint64_t through = 0;
};

// Kills the versions of an id that were recorded at positions up to `through`; later ones live on.
struct Tombstone {
  std::string_view id;
  uint64_t through = 0;
};

// Where an observation is: the record's position and its place in it. Stays the same when a segment is rewritten.
struct RecordAddress {
  uint64_t position = 0;  // 0: nowhere.
  uint32_t place = 0;

  friend bool operator==(const RecordAddress&, const RecordAddress&) = default;
};

// One record: atomic, one space.
struct JournalRecord {
  RecordType type = RecordType::kObservations;
  // The space's incarnation: the position of the record that created it. 0 while that one is being appended: its own.
  uint64_t space_id = 0;
  // The space's name and metric stand in each record, so that one lost record costs no other.
  std::string_view space;
  Metric metric = Metric::kCosine;

  // kObservations; all of one dimension, ids set. May be empty, for the marks alone.
  std::span<const ObservationView> observations;
  // The places of `observations` in the record as it was first written; empty: 0, 1, 2 ...
  std::span<const uint32_t> places;
  std::span<const StreamMark> marks;
  // kTombstones.
  std::span<const Tombstone> tombstones;
  // kSpaceCreated and kSpaceChanged: the config in force.
  const SpaceConfig* config = nullptr;
  int64_t created_at_us = 0;

  // What the record holds, framing aside: ids, embeddings, contents and tags.
  uint64_t payload_bytes() const;
};

}  // namespace engram

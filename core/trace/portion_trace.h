// The traces of a portion's observations, put together when it is acknowledged: all of it has happened by then, and the
// frame, the record and the journal have noted when.
//
// Threads:  the space's applier. Ownership: everything outlives the call. Blocking: as Tracer::Record.
// Why:      nothing is carried along for an observation that is not traced.
#pragma once

#include "core/journal/journal.h"
#include "core/portion_record.h"
#include "core/trace/tracer.h"

namespace engram {

// What the applier did with the record.
struct AppliedRecord {
  uint64_t position = 0;
  uint64_t payload_bytes = 0;
  CommitTimes times;
  MonotonicTime applying{};
  MonotonicTime applied{};
  Ordinal end = 0;  // Of the space's index, the record in it.
};

// Records the traces of the slice, whose first observation is the `offset`th of the record and which is about to be
// acknowledged; of one that was slow and not sampled, its first observation's.
void TraceSlice(Tracer& tracer, const PortionRecord& record, const Slice& slice, size_t offset,
                const AppliedRecord& applied, MonotonicTime told);

}  // namespace engram

// Reads one observation out of a record on disk.
//
// Threads:  any. Ownership: the answer holds its bytes. Blocking: one or two reads, three when the table is long.
// Errors:   NOT_FOUND: the place is not in the record (rewritten away). DATA_LOSS: what is there is damaged or another
//           record; the message names path, offset and address. What the file answers, as it comes.
// Why:      of a batch of hundreds only the head and one body are read and verified.
#pragma once

#include <cstdint>

#include "core/base/status.h"
#include "core/journal/files.h"
#include "core/journal/record.h"
#include "core/journal/stored_observation.h"

namespace engram {

absl::Status ReadObservationAt(const File& file, uint64_t record_offset, uint32_t seed, RecordAddress address,
                               StoredObservation* out);

}  // namespace engram

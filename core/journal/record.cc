#include "core/journal/record.h"

namespace engram {

uint64_t JournalRecord::payload_bytes() const {
  uint64_t sum = 0;
  for (const ObservationView& observation : observations) {
    sum += observation.id.size() + observation.embedding.bytes() + observation.content.size();
    for (const TagView& tag : observation.tags) sum += tag.key.size() + tag.value.size();
  }
  for (const Tombstone& tombstone : tombstones) sum += tombstone.id.size();
  return sum;
}

}  // namespace engram

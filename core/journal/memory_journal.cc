#include "core/journal/memory_journal.h"

namespace engram {

uint64_t JournalRecord::bytes() const {
  uint64_t sum = space.size();
  for (const ObservationView& observation : observations) {
    sum += observation.id.size() + observation.embedding.bytes() + observation.content.size();
    for (const TagView& tag : observation.tags) sum += tag.key.size() + tag.value.size();
  }
  return sum;
}

absl::StatusOr<uint64_t> MemoryJournal::Append(const JournalRecord&) {
  return last_.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace engram

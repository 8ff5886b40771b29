#include "core/stored_reads.h"

#include <algorithm>
#include <limits>

#include "index/space_index.h"

namespace engram {

absl::StatusOr<const StoredObservation*> StoredReads::Get(Ordinal ordinal) const {
  const auto [at, fresh] = read_.try_emplace(ordinal);
  Entry& entry = at->second;
  if (fresh) {
    entry.status = journal_->Read(records_->Address(ordinal), &entry.observation);
    if (absl::IsNotFound(entry.status)) ++gone_;
  }
  ENGRAM_RETURN_IF_ERROR(entry.status);
  return &entry.observation;
}

void StoredReads::KeepOnly(std::span<const Ordinal> ordinals) const {
  std::erase_if(read_, [&](const auto& read) {
    return read.second.status.ok() && !std::binary_search(ordinals.begin(), ordinals.end(), read.first);
  });
}

void StoredReads::Read(std::span<const Ordinal> ordinals, float* rows) const {
  for (const Ordinal ordinal : ordinals) {
    const std::span<float> row(rows, dimension_);
    rows += dimension_;
    const absl::StatusOr<const StoredObservation*> stored = Get(ordinal);
    if (stored.ok() && (*stored)->observation.embedding.dimension == dimension_) {
      WidenVector((*stored)->observation.embedding, row);
    } else {
      row[0] = std::numeric_limits<float>::quiet_NaN();
    }
  }
}

}  // namespace engram

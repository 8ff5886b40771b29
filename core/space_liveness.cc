#include "core/space_liveness.h"

#include <algorithm>
#include <vector>

namespace engram {

void SpaceLiveness::VisitLive(const std::function<void(uint64_t, RecordAddress)>& visit) {
  for (const auto& space : registry_->All()) {
    const SpaceIndex* const index = space->index();
    if (index == nullptr) continue;
    const IndexView view = index->Pin();
    for (Ordinal ordinal = 0; ordinal < view.visible; ++ordinal) {
      if (index->Live(ordinal, view)) visit(space->id(), space->records().Address(ordinal));
    }
    // After the walk: what it found hidden is still here unless its tombstone has been appended meanwhile.
    for (const Tombstone& expired : space->Expired(SIZE_MAX)) {
      VisitVersions(space->id(), expired.id, expired.through, [&](RecordAddress address) {
        if (address.position == expired.through) visit(space->id(), address);
        return address.position == expired.through;
      });
    }
  }
}

void SpaceLiveness::VisitVersions(uint64_t space_id, std::string_view id, uint64_t through,
                                  const std::function<bool(RecordAddress)>& visit) {
  const std::shared_ptr<Space> space = registry_->FindById(space_id);
  const SpaceIndex* const index = space == nullptr ? nullptr : space->index();
  if (index == nullptr) return;
  if (chain_.space_id != space_id || chain_.id != id) {
    chain_.versions.clear();
    chain_.space_id = space_id;
    chain_.id = id;
  }
  const IndexView view = index->Pin();
  const RecordStore& records = space->records();
  std::deque<Ordinal>& versions = chain_.versions;
  const Ordinal known = versions.empty() ? kNoOrdinal : versions.front();
  std::vector<Ordinal> came;
  for (Ordinal version = index->Newest(id); version != kNoOrdinal && version != known; version = index->Previous(version)) {
    // What is not visible yet has no row to look at, and comes from a record that is not applied.
    if (version >= view.visible) continue;
    came.push_back(version);
    // Those before it are looked at when they are asked for.
    if (known == kNoOrdinal) break;
  }
  versions.insert(versions.begin(), came.begin(), came.end());
  const auto above = [&](Ordinal version) { return records.Address(version).position > through; };
  auto at = static_cast<size_t>(std::partition_point(versions.begin(), versions.end(), above) - versions.begin());
  for (;; ++at) {
    if (at == versions.size()) {
      const Ordinal before = versions.empty() ? kNoOrdinal : index->Previous(versions.back());
      if (before == kNoOrdinal) return;
      versions.push_back(before);
    }
    const RecordAddress address = records.Address(versions[at]);
    if (address.position <= through && !visit(address)) return;
  }
}

}  // namespace engram

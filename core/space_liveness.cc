#include "core/space_liveness.h"

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
  const IndexView view = index->Pin();
  for (Ordinal version = index->Newest(id); version != kNoOrdinal; version = index->Previous(version)) {
    // What is not visible yet has no row to look at, and comes from a record that is not applied.
    if (version >= view.visible) continue;
    const RecordAddress address = space->records().Address(version);
    if (address.position <= through && !visit(address)) return;
  }
}

}  // namespace engram

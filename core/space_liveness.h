// The spaces of a registry, as the rewriter asks for them.
//
// Threads:   one, beside everything else that goes on in the spaces. Ownership: the registry outlives it.
// Blocking:  a space's writer mutex, for what has expired.
// Why:       VisitVersions goes by the rows of the space, so rows of the dead stay as long as the log may have them:
//            whoever comes to rebuild a space without them has to keep their tombstones in the log, too.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "core/rewriter.h"
#include "core/space_registry.h"

namespace engram {

class SpaceLiveness final : public AppliedLog {
 public:
  // `checkpoint_floor`: see AppliedLog.
  SpaceLiveness(const SpaceRegistry* registry, std::function<uint64_t()> applied_through,
                std::function<uint64_t()> checkpoint_floor)
      : registry_(registry),
        applied_through_(std::move(applied_through)),
        checkpoint_floor_(std::move(checkpoint_floor)) {}

  uint64_t applied_through() override { return applied_through_(); }
  uint64_t checkpoint_floor() override { return checkpoint_floor_(); }
  void VisitLive(const std::function<void(uint64_t, RecordAddress)>& visit) override;
  bool HasSpace(uint64_t space_id) override { return registry_->FindById(space_id) != nullptr; }
  bool IsGone(uint64_t space_id) override { return registry_->Gone(space_id); }
  void VisitVersions(uint64_t space_id, std::string_view id, uint64_t through,
                     const std::function<bool(RecordAddress)>& visit) override;

 private:
  const SpaceRegistry* const registry_;
  const std::function<uint64_t()> applied_through_;
  const std::function<uint64_t()> checkpoint_floor_;

  // The versions of the id that was asked for last, newest first, as far as they were looked at. A log may hold tens of
  // thousands of tombstones of one id in a row, and each asks from further up.
  struct Chain {
    uint64_t space_id = 0;
    std::string id;
    std::deque<Ordinal> versions;
  } chain_;
};

}  // namespace engram

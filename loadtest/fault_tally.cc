#include "loadtest/fault_tally.h"

#include <fmt/format.h>

#include <algorithm>

#include "loadtest/fault_names.h"

namespace engram {
namespace {

uint64_t EffectsOf(v1::FaultKind kind, const v1::GetStatusResponse& status) {
  for (const v1::FaultEffect& effect : status.fault_effects()) {
    if (effect.kind() == kind) return effect.count();
  }
  return 0;
}

}  // namespace

void FaultTally::Ordered(const LoadEvent& event, const v1::GetStatusResponse& before) {
  Look(before);
  const v1::FaultKind kind = event.fault.kind();
  // The one breaks nothing; of the other the daemon ends before it can say so.
  if (kind == v1::FaultKind::HEAL || kind == v1::FaultKind::BROKEN_DISK) return;
  open_[kind] = {.outcome = outcomes_.size(), .before = EffectsOf(kind, before)};
  outcomes_.push_back({.name = fmt::format("{} at {} s", NameOf(kind), event.at_seconds),
                       .least = std::max<uint64_t>(event.fault.count(), 1)});
}

void FaultTally::Look(const v1::GetStatusResponse& status) {
  for (const auto& [kind, open] : open_) {
    const uint64_t now = EffectsOf(kind, status);
    outcomes_[open.outcome].effects = now - std::min(now, open.before);
  }
}

void FaultTally::LifeOver() { open_.clear(); }

}  // namespace engram

#include "core/journal/rewrite_pick.h"

#include <algorithm>

namespace engram {
namespace {

double Ratio(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(std::min(part, whole)) / static_cast<double>(whole);
}

class Picker {
 public:
  Picker(std::span<const SegmentUse> segments, const RewriteLimits& limits)
      : segments_(segments), limits_(limits), most_(std::min(limits.segment_bytes, limits.free_bytes)) {}

  RewriteRun Pick() const {
    size_t worst = segments_.size();
    for (size_t i = 0; i < segments_.size(); ++i) {
      if (!Bad(segments_[i]) || Kept(segments_[i]) > limits_.free_bytes) continue;
      if (worst == segments_.size() || Freed(segments_[i]) > Freed(segments_[worst])) worst = i;
    }
    if (worst < segments_.size()) return Extend({worst, worst + 1});
    for (size_t i = 0; i < segments_.size(); ++i) {
      if (!Small(segments_[i])) continue;
      const RewriteRun run = Extend({i, i + 1});
      if (run.end - run.begin >= kLeastMerged) return run;
    }
    return {};
  }

 private:
  // Of its bytes, what is needed.
  double Share(const SegmentUse& use) const {
    const double busy = 1 - Ratio(use.idle, use.bytes);
    return use.observations == 0 ? busy : busy * Ratio(use.live, use.observations);
  }
  uint64_t Kept(const SegmentUse& use) const {
    if (use.uneven) return use.bytes;
    return static_cast<uint64_t>(static_cast<double>(use.bytes) * Share(use));
  }
  uint64_t Freed(const SegmentUse& use) const { return use.bytes - Kept(use); }
  bool Bad(const SegmentUse& use) const { return use.ready && Share(use) < limits_.below; }
  bool Small(const SegmentUse& use) const { return use.ready && use.bytes < limits_.segment_bytes / 4; }

  // Adjacent in positions too: between segments that are not, something is missing, and that must stay visible.
  bool Follows(const SegmentUse& before, const SegmentUse& after) const { return after.first == before.last + 1; }

  RewriteRun Extend(RewriteRun run) const {
    uint64_t kept = Kept(segments_[run.begin]);
    const auto fits = [&](const SegmentUse& use) {
      return (Bad(use) || Small(use)) && kept + Kept(use) <= most_ &&
             // Offsets of positions in a footer have 32 bits.
             std::max(use.last, segments_[run.end - 1].last) - std::min(use.first, segments_[run.begin].first) <
                 UINT32_MAX;
    };
    while (run.end < segments_.size() && Follows(segments_[run.end - 1], segments_[run.end]) &&
           fits(segments_[run.end])) {
      kept += Kept(segments_[run.end++]);
    }
    while (run.begin > 0 && Follows(segments_[run.begin - 1], segments_[run.begin]) && fits(segments_[run.begin - 1])) {
      kept += Kept(segments_[--run.begin]);
    }
    return run;
  }

  const std::span<const SegmentUse> segments_;
  const RewriteLimits& limits_;
  const uint64_t most_;
};

}  // namespace

RewriteRun PickRun(std::span<const SegmentUse> segments, const RewriteLimits& limits) {
  return Picker(segments, limits).Pick();
}

}  // namespace engram

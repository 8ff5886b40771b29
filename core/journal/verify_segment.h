// Reads one segment from end to end: what is in it, what is damaged, and whether its footer says so.
//
// Threads:   a function of its arguments. Ownership: the answer owns what it says. Blocking: reads the file, an
//            unsealed one with damage up to three times. Errors: none; what cannot be read is a defect.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/journal/segment_files.h"
#include "core/journal/verify.h"

namespace engram {

struct VerifiedSegment {
  VerifyReport::Segment segment;
  std::map<uint64_t, VerifyReport::Space> spaces;
  std::vector<VerifyDefect> defects;
  std::vector<std::string> remarks;
};

// REQUIRES: segment.readable(). `progress` hears of the bytes read.
VerifiedSegment VerifySegment(const SegmentFile& segment, uint64_t sealed_through,
                              const std::function<void(uint64_t)>& progress);

}  // namespace engram

// What a checkpoint's section says of a space, its rows aside.
//
//   section := u64 id  u64 applied  i64 created at  i64 expired before  u32 size
//              u32 dimension  u32 metric  u32 connections  u32 ef_construction  u32 ef_search
//              u64 flat threshold, all ones: tuned  u64 rate  u64 quota of observations  u64 quota of bytes
//              u32 length of name  u32 streams  u32 expired
//              name  {u32 length  u64 through  id}*  ordinal u32*
//
// Threads: functions. Errors: DATA_LOSS for what is no such section.
#pragma once

#include <span>
#include <vector>

#include "core/base/status.h"
#include "core/space.h"

namespace engram {

std::vector<std::byte> EncodeSpace(const Space::Snapshot& snapshot);
absl::StatusOr<Space::Snapshot> DecodeSpace(std::span<const std::byte> bytes);

}  // namespace engram

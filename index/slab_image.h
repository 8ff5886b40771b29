// The rows of a space as an image: which ids it was given, with which codes, and what was forgotten of them.
//
//   image  := header group*
//   header := magic u64, version u32, metric u32, dimension u32, rows u32, ids u32, zero u32
//   group  := forgotten bit[n], rounded up to bytes; length u32[n]; scale f32[n]; residual f32[n]; the bytes of n ids;
//             code i8[n][dimension]
//
// A group has 1024 rows, the last one what is left. `ids` counts the different ones. Which version of an id replaced
// which follows from the order of the rows, and what else belongs to a code from its bytes, so an image cannot
// contradict itself.
//
// Threads:   SaveRows: a reader of the slab. LoadRows: nobody else knows the slab, the arena and the map yet.
// Blocking:  as the sink and the source do.
// Errors:    LoadRows: DATA_LOSS for what is no image, FAILED_PRECONDITION for an image of another version, metric or
//            dimension, RESOURCE_EXHAUSTED when memory is out; then slab, arena and map are fit for destruction only.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "core/base/types.h"
#include "index/code_slab.h"
#include "index/id_map.h"
#include "index/image.h"

namespace engram {

// The ordinals below `end`, all of them published. What one at or beyond `end` replaced is saved as live.
absl::Status SaveRows(const CodeSlab& slab, Ordinal end, ImageSink& sink);

// Publishes the rows, without bits, and answers how many are live. REQUIRES: slab, arena and map are empty.
absl::StatusOr<uint64_t> LoadRows(ImageSource& source, CodeSlab& slab, IdArena& arena, IdMap& ids);

}  // namespace engram

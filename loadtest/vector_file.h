// The vector files of the big-ann benchmarks: .fbin, .u8bin and .i8bin. A count and a dimension, 32 bits each, then the
// elements row by row, all little-endian.
//
// Threads: any. Blocking: reading the file. Errors: NOT_FOUND (no such file), INVALID_ARGUMENT (another ending, a length
//          that does not fit, too few rows).
#pragma once

#include <cstdint>
#include <filesystem>

#include "core/base/status.h"
#include "loadtest/dataset.h"

namespace engram {

// The first `rows` rows.
absl::StatusOr<Matrix> ReadVectorFile(const std::filesystem::path& file, size_t rows);
// At most `rows` of them.
absl::StatusOr<Matrix> ReadVectorFileUpTo(const std::filesystem::path& file, size_t rows);

}  // namespace engram

// The runbooks of the NeurIPS'23 big-ann streaming track: numbered steps that insert, replace, delete and search ranges
// of a dataset's rows.
//
//   clustered-small:                 # the dataset's name; a file may hold several
//     max_pts: 2000                  # rows there are
//     1: {operation: insert, start: 0, end: 1000}
//     2: {operation: search}
//     3: {operation: delete, start: 0, end: 300}
//     4: {operation: replace, tags_start: 300, tags_end: 400, ids_start: 1000, ids_end: 1100}
//     gt_url: ...                    # not used: the truth is computed
//
// Ranges are half-open. A row is inserted under a tag of its own number; a replaced tag stands for another row.
//
// Threads: any. Blocking: reading the file. Errors: NOT_FOUND (no such file or dataset), INVALID_ARGUMENT (names the
//          file, the step and what is wrong with it).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace engram {

struct RunbookStep {
  enum class Kind { kInsert, kDelete, kReplace, kSearch };
  Kind kind = Kind::kSearch;
  // Tags [start, end).
  uint64_t start = 0;
  uint64_t end = 0;
  // The first of the rows that replaced tags stand for from now on; of an insert, `start` again.
  uint64_t first_row = 0;
};
std::string_view NameOf(RunbookStep::Kind kind);

struct Runbook {
  std::string dataset;
  uint64_t max_points = 0;
  std::vector<RunbookStep> steps;
};

// `dataset` may be empty where the file holds one only.
absl::StatusOr<Runbook> ParseRunbook(const std::string& text, const std::string& dataset);
absl::StatusOr<Runbook> ReadRunbook(const std::filesystem::path& file, const std::string& dataset);

}  // namespace engram

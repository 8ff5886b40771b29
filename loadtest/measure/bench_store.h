// Reports of benchmarks under a directory, `.engram/bench` of the current one unless told otherwise: NAME.json.
//
// Threads: any. Blocks: reads and writes files. Errors: NOT_FOUND, naming what was looked for; INVALID_ARGUMENT for a
//          name that is no file name or a file that is no report; INTERNAL when it cannot be written.
#pragma once

#include <filesystem>
#include <string>

#include "core/base/status.h"
#include "loadtest/measure/bench_document.h"

namespace engram {

inline constexpr const char* kBenchDirectory = ".engram/bench";

// Where the data of a daemon that is measured lies: `given`, or kBenchDirectory where that is empty; absolute, and made. INTERNAL.
absl::StatusOr<std::filesystem::path> StorageDirectory(const std::string& given);

// Whether a report can be called so: INVALID_ARGUMENT.
absl::Status CheckReportName(const std::string& name);
// What a report is called that got no name: when it was measured.
std::string NameOf(const BenchDocument& document);
// Where it was written.
absl::StatusOr<std::filesystem::path> StoreReport(const std::filesystem::path& directory, const std::string& name,
                                                  const BenchDocument& document);
// `name_or_file` is a file where one is there, else a name.
absl::StatusOr<BenchDocument> ReadReport(const std::filesystem::path& directory, const std::string& name_or_file);

// Whether WriteWhole can write there, found out by writing nothing beside it. INTERNAL.
absl::Status CheckWritable(const std::filesystem::path& file);
// Written whole or not at all.
absl::Status WriteWhole(const std::filesystem::path& file, const std::string& text);

}  // namespace engram

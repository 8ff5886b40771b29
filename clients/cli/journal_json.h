// What the offline commands print with `--output json`: one document on one line each, as in json_output.h.
#pragma once

#include <string>

#include "clients/cli/options.h"
#include "core/journal/record_codec.h"
#include "core/journal/restore.h"
#include "core/journal/verify.h"

namespace engram {

std::string ToJson(const VerifyReport& report, double seconds);
std::string ToJson(const RestoreOutcome& outcome, const RestoreOptions& options, const VerifyReport& report);

// Where a record was found.
struct RecordOrigin {
  std::string file;
  uint64_t offset = 0;
  uint64_t bytes = 0;
};
// Observations stand in it in the form `engram observe` reads, but for the embedding where that is not wanted.
std::string ToJson(const DecodedRecord& decoded, const RecordOrigin& origin, bool embeddings);

// "observations", "space_created".
std::string NameOf(RecordType type);

}  // namespace engram

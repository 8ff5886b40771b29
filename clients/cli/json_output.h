// What `--output json` prints: one document on one line for each thing asked for. The shapes are a promise to scripts;
// clients/cli/README.md describes them. Every function returns one line without its line break. Bytes that are not
// UTF-8 are replaced. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "clients/cli/observe_summary.h"
#include "engram/v1/admin_service.pb.h"
#include "engram/v1/memory_service.pb.h"

namespace engram {

std::string ToJson(const ObserveSummary& summary);
// `cue` is what was recalled by: its row in the input, from 1, or an id.
std::string ToJson(const v1::RecallResponse& response, uint64_t row, const std::string& id);
std::string ToJson(const v1::Hit& hit);
// In the form `engram observe` reads, so that one space can be poured into another.
std::string ToJson(const v1::Observation& observation);
std::string ToJson(const v1::ForgetResponse& response, bool dry_run);
std::string ToJson(const v1::Space& space);
std::string ToJson(const v1::DeleteSpaceResponse& response, const std::string& name);
std::string ToJson(const v1::GetStatusResponse& status);
std::string ToJson(const v1::SnapshotResponse& response, const std::string& directory);
std::string ToJson(const v1::CheckpointResponse& response);

// "0123456789abcdef-17".
std::string TokenText(const v1::Token& token);

// "cosine", "durable", "memory", "normal": the enumerators as the command line spells them.
std::string NameOf(v1::Metric metric);
std::string NameOf(v1::Durability durability);
std::string NameOf(v1::PressureLevel level);

// The elements of whichever vector is set; binary16 is widened exactly.
std::vector<float> ElementsOf(const v1::Observation& observation);

}  // namespace engram

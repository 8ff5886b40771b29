// MANIFEST: what a data directory is, and which of its files must be there.
//
// Threads:   a value and functions; one writer at a time. Blocking: ReadManifest and WriteManifest do I/O, the latter
//            syncs.
// Errors:    DATA_LOSS saying what does not hold; FAILED_PRECONDITION for a newer version; NOT_FOUND when there is
//            none.
// Why:       a missing segment leaves no trace among its neighbours; the manifest is what it is missed by.
//
//   manifest := "ENGRMMAN"  u32 version  u32 length of all  u32 CRC-32C of all but itself  u32 0
//               u64 lineage  u64 journal id  u64 sealed_through  u16 name length  name of the checkpoint file
//
// Every version keeps the first 24 bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/journal/files.h"

namespace engram {

inline constexpr std::string_view kManifestName = "MANIFEST";
inline constexpr uint32_t kManifestVersion = 1;

struct Manifest {
  // Stands in the header of each segment of this journal.
  uint64_t lineage = 0;
  // Names the journal in tokens; never 0.
  uint64_t journal_id = 0;
  // Every position up to this one is covered by a sealed segment.
  uint64_t sealed_through = 0;
  // Empty: there is none.
  std::string checkpoint;

  friend bool operator==(const Manifest&, const Manifest&) = default;
};

// INVALID_ARGUMENT when the name of the checkpoint is longer than 255 bytes.
absl::StatusOr<std::vector<std::byte>> EncodeManifest(const Manifest& manifest);
absl::StatusOr<Manifest> DecodeManifest(std::span<const std::byte> bytes);

absl::StatusOr<Manifest> ReadManifest(Directory& directory);
// In one step that survives a power cut.
absl::Status WriteManifest(Directory& directory, const Manifest& manifest);

}  // namespace engram

#include "core/journal/manifest.h"

#include <fmt/format.h>

#include "core/base/crc32c.h"
#include "core/journal/little_endian.h"

namespace engram {
namespace {

constexpr uint64_t kMagic = 0x4e414d4d52474e45;  // "ENGRMMAN"
constexpr size_t kLongestName = 255;
constexpr size_t kCrcAt = 16;
constexpr size_t kFixedBytes = 24;
// Far above what any version needs.
constexpr uint64_t kMostBytes = 64 * 1024;

uint32_t CrcOf(std::span<const std::byte> bytes) {
  return Crc32c(Crc32c(0, bytes.first(kCrcAt)), bytes.subspan(kCrcAt + 4));
}

}  // namespace

absl::StatusOr<std::vector<std::byte>> EncodeManifest(const Manifest& manifest) {
  if (manifest.checkpoint.size() > kLongestName) {
    return absl::InvalidArgumentError(
        fmt::format("the name of the checkpoint has {} bytes, more than {}", manifest.checkpoint.size(), kLongestName));
  }
  std::vector<std::byte> bytes(kFixedBytes + 3 * 8 + 2 + manifest.checkpoint.size());
  ByteWriter to(bytes.data());
  to.Put(kMagic);
  to.Put(kManifestVersion);
  to.Put(static_cast<uint32_t>(bytes.size()));
  to.Put(uint64_t{0});
  to.Put(manifest.lineage);
  to.Put(manifest.journal_id);
  to.Put(manifest.sealed_through);
  to.Put(static_cast<uint16_t>(manifest.checkpoint.size()));
  to.PutText(manifest.checkpoint);
  StoreLe(bytes.data() + kCrcAt, CrcOf(bytes));
  return bytes;
}

absl::StatusOr<Manifest> DecodeManifest(std::span<const std::byte> bytes) {
  ByteCursor from(bytes);
  const uint64_t magic = from.Take<uint64_t>();
  const uint32_t version = from.Take<uint32_t>();
  const uint32_t length = from.Take<uint32_t>();
  const uint32_t crc = from.Take<uint32_t>();
  const uint32_t zero = from.Take<uint32_t>();
  if (!from.ok() || magic != kMagic) return absl::DataLossError("these bytes are no manifest");
  if (length != bytes.size()) {
    return absl::DataLossError(fmt::format("the manifest has {} bytes and says {}", bytes.size(), length));
  }
  if (const uint32_t found = CrcOf(bytes); found != crc) {
    return absl::DataLossError(fmt::format("the crc of the manifest is {:08x} and not {:08x}", found, crc));
  }
  if (version > kManifestVersion) {
    return absl::FailedPreconditionError(fmt::format(
        "the manifest has format version {}, newer than {}, the newest this program knows", version, kManifestVersion));
  }
  Manifest manifest;
  manifest.lineage = from.Take<uint64_t>();
  manifest.journal_id = from.Take<uint64_t>();
  manifest.sealed_through = from.Take<uint64_t>();
  manifest.checkpoint = from.TakeText(from.Take<uint16_t>());
  if (!from.done() || version == 0 || zero != 0 || manifest.journal_id == 0 ||
      manifest.checkpoint.size() > kLongestName || manifest.checkpoint.find('/') != std::string::npos) {
    return absl::DataLossError(
        fmt::format("a manifest of version {} of journal {:016x} makes no sense", version, manifest.journal_id));
  }
  return manifest;
}

absl::StatusOr<Manifest> ReadManifest(Directory& directory) {
  ENGRAM_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, ReadWhole(directory, kManifestName, kMostBytes));
  absl::StatusOr<Manifest> manifest = DecodeManifest(bytes);
  if (manifest.ok()) return manifest;
  return absl::Status(manifest.status().code(),
                      fmt::format("{}/{}: {}", directory.path(), kManifestName, MessageOf(manifest.status())));
}

absl::Status WriteManifest(Directory& directory, const Manifest& manifest) {
  ENGRAM_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, EncodeManifest(manifest));
  return ReplaceWhole(directory, kManifestName, bytes);
}

}  // namespace engram

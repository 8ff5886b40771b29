// Any bytes as a manifest, as they are and with the CRC put right: refused, or taken and written as the same bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/check.h"
#include "core/base/crc32c.h"
#include "core/journal/little_endian.h"
#include "core/journal/manifest.h"

namespace {

void Decode(const std::vector<std::byte>& bytes) {
  const absl::StatusOr<engram::Manifest> manifest = engram::DecodeManifest(bytes);
  if (!manifest.ok()) {
    ENGRAM_CHECK(absl::IsDataLoss(manifest.status()) || absl::IsFailedPrecondition(manifest.status()));
    return;
  }
  ENGRAM_CHECK(*engram::EncodeManifest(*manifest) == bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  std::vector<std::byte> bytes(begin, begin + size);
  Decode(bytes);
  if (size < 24) return 0;
  const std::span<const std::byte> all(bytes);
  engram::StoreLe(bytes.data() + 16, engram::Crc32c(engram::Crc32c(0, all.first(16)), all.subspan(20)));
  Decode(bytes);
  return 0;
}

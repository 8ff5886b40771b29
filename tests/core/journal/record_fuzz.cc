// Any bytes as a record, as they are and with their CRCs put right: refused, or read as something that is written and
// read as the same, and whose observations are found alone.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/check.h"
#include "core/journal/observation_reader.h"
#include "core/journal/record_codec.h"
#include "tests/core/journal/bytes_file.h"
#include "tests/core/journal/record_maker.h"
#include "tests/core/journal/reseal.h"

namespace engram {
namespace {

constexpr uint32_t kSeed = 1;

void Decode(const std::vector<std::byte>& bytes) {
  DecodedRecord decoded;
  const absl::Status status = DecodeRecord(bytes, kSeed, &decoded);
  const testing::BytesFile file(bytes);
  StoredObservation stored;
  if (!status.ok()) {
    ENGRAM_CHECK(absl::IsDataLoss(status));
    for (uint32_t place = 0; place < 4; ++place) {
      (void)ReadObservationAt(file, 0, kSeed, {LoadLe<uint64_t>(bytes.data() + 16), place}, &stored);
    }
    return;
  }
  const JournalRecord& record = decoded.record;
  const absl::StatusOr<uint64_t> size = EncodedSize(record);
  ENGRAM_CHECK(size.ok());
  std::vector<std::byte> again(*size);
  Encode(record, decoded.position, decoded.durable, kSeed, again);
  DecodedRecord twice;
  ENGRAM_CHECK(DecodeRecord(again, kSeed, &twice).ok());
  ENGRAM_CHECK(testing::TextOf(twice.record) == testing::TextOf(record) || record.space_id == 0);
  for (uint32_t i = 0; i < record.observations.size(); ++i) {
    const uint32_t place = record.places.empty() ? i : record.places[i];
    ENGRAM_CHECK(ReadObservationAt(file, 0, kSeed, {decoded.position, place}, &stored).ok());
    ENGRAM_CHECK(testing::TextOf(stored.observation) == testing::TextOf(record.observations[i]));
  }
}

}  // namespace
}  // namespace engram

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  std::vector<std::byte> bytes(begin, begin + size);
  if (size < engram::kRecordFixedBytes) return 0;
  engram::Decode(bytes);
  engram::testing::Reseal(bytes, 1);
  engram::Decode(bytes);
  return 0;
}

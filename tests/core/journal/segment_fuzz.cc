// Any bytes as a segment: the first says whether it must be sealed, whether a good header is put before the rest, and
// whether the CRCs are put right. The reader comes to an end, in order, within the file, and accounts for each position
// once.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/check.h"
#include "core/journal/segment_reader.h"
#include "tests/core/journal/bytes_file.h"
#include "tests/core/journal/reseal.h"

namespace engram {
namespace {

constexpr uint32_t kSeed = 1;

void Read(const testing::BytesFile& file, bool sealed) {
  SegmentReader reader(file, {.sealed = sealed});
  if (const absl::Status opened = reader.Open(); !opened.ok()) {
    ENGRAM_CHECK(absl::IsDataLoss(opened) || absl::IsFailedPrecondition(opened));
    return;
  }
  const uint64_t size = file.bytes.size();
  uint64_t last = reader.header().first_position - 1;
  uint64_t end = 0;
  while (true) {
    const absl::StatusOr<bool> more = reader.Next();
    ENGRAM_CHECK(more.ok());
    if (!*more) break;
    ENGRAM_CHECK(reader.record().position > last && reader.offset() >= end);
    last = reader.record().position;
    end = reader.offset() + reader.length();
    ENGRAM_CHECK(end <= size);
  }
  ENGRAM_CHECK(reader.end_offset() >= end && reader.end_offset() <= size && reader.last_position() >= last);
  uint64_t missing = 0;
  for (const SegmentDefect& defect : reader.defects()) {
    ENGRAM_CHECK(defect.offset <= size && defect.length <= size - defect.offset && !defect.what.empty());
    if (!defect.loses_records()) continue;
    ENGRAM_CHECK(defect.first_missing > missing);
    missing = defect.last_missing;
  }
  if (const absl::StatusOr<SegmentFooter> footer = ReadFooter(file, reader.header()); footer.ok()) {
    (void)footer->OffsetOf(last);
  }
  ENGRAM_CHECK(reader.footer().has_value() || !sealed || !reader.defects().empty());
}

}  // namespace
}  // namespace engram

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const uint8_t choice = data[0];
  std::vector<std::byte> bytes;
  if (choice & 2) {
    bytes.resize(engram::kHeaderBlockBytes);
    engram::EncodeHeaderBlock({engram::kSeed, 7, 1, uint32_t{choice} >> 4}, bytes.data());
  }
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  bytes.insert(bytes.end(), begin + 1, begin + size);
  if ((choice & 6) == 6) {
    for (size_t at = engram::kHeaderBlockBytes; at < bytes.size();) {
      const uint32_t length = engram::testing::Reseal(std::span(bytes).subspan(at), engram::kSeed);
      if (length < engram::kRecordFixedBytes) break;
      at += engram::AlignRecord(length);
    }
  }
  engram::Read(engram::testing::BytesFile(std::move(bytes)), (choice & 1) != 0);
  return 0;
}

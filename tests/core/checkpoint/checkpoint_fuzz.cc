// Any bytes as a checkpoint. With the first byte odd, all of them are the file. Else what follows it stands, in turn,
// for the section of a space, the image of its records and the image of its rows. Whatever is accepted can be used.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "core/base/check.h"
#include "core/checkpoint/checkpoint_file.h"
#include "core/checkpoint/space_image.h"
#include "tests/support/faulty_files.h"

namespace engram {
namespace {

class BytesSource final : public ImageSource {
 public:
  explicit BytesSource(std::span<const std::byte> bytes) : bytes_(bytes) {}
  absl::Status Read(std::span<std::byte> out) override {
    ENGRAM_CHECK(out.size() <= bytes_.size());
    std::memcpy(out.data(), bytes_.data(), out.size());
    bytes_ = bytes_.subspan(out.size());
    return absl::OkStatus();
  }
  uint64_t left() const override { return bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
};

void AsFile(std::span<const std::byte> bytes) {
  testing::FaultyDisk disk;
  const auto directory = disk.Open();
  const std::string name = CheckpointName(1);
  ENGRAM_CHECK(ReplaceWhole(*directory, name, bytes).ok());
  const auto verified = VerifyCheckpoint(*directory, name);
  if (!verified.ok()) {
    ENGRAM_CHECK(absl::IsDataLoss(verified.status()) || absl::IsFailedPrecondition(verified.status()));
  }
}

void AsRecords(std::span<const std::byte> bytes) {
  if (bytes.size() < 24) return;
  uint32_t rows;
  std::memcpy(&rows, bytes.data() + 16, sizeof rows);
  for (const bool keeps : {false, true}) {
    RecordStore store(keeps);
    BytesSource source(bytes);
    if (!store.Load(rows, source).ok()) continue;
    for (Ordinal row = 0; row < rows; ++row) {
      size_t sum = store.Content(row).size() + static_cast<size_t>(store.ExpiresAt(row) != 0);
      for (const TagView& tag : store.Tags(row)) {
        // Read all of it, for the sanitizer to see.
        for (const char c : tag.key) sum += static_cast<unsigned char>(c);
        for (const char c : tag.value) sum += static_cast<unsigned char>(c);
      }
      ENGRAM_CHECK(sum != SIZE_MAX);
    }
  }
}

}  // namespace
}  // namespace engram

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data + 1), size - 1);
  if (data[0] % 2 == 1) {
    engram::AsFile(bytes);
    return 0;
  }
  if (data[0] % 4 == 0) {
    const auto snapshot = engram::DecodeSpace(bytes);
    // What was understood says the same again.
    if (snapshot.ok()) {
      const auto again = engram::EncodeSpace(*snapshot);
      ENGRAM_CHECK(again.size() == bytes.size() && std::memcmp(again.data(), bytes.data(), again.size()) == 0);
    }
    return 0;
  }
  engram::AsRecords(bytes);
  return 0;
}

// A checkpoint's file: named sections of bytes, each byte under a CRC, written beside the journal and put in place at
// once.
//
//   file    := header section* table trailer
//   header  := "ENGRMCKP"  u32 version  u32 length of it  u32 CRC-32C of all of it but this  u32 spaces
//              u64 lineage  u64 position
//   section := chunk*            of 1 MiB each, but the last of a section, which has what is left
//   chunk   := u32 length  u32 CRC-32C  byte[length]
//   table   := a section of entries: u32 type  u32 space  u64 offset  u64 bytes
//   trailer := "ENGRMEND"  u64 offset of the table  u64 bytes of it  u64 through  u32 CRC-32C of the rest  u32 0
//
// A chunk's CRC begins with {lineage, position, offset in the file}, so that a chunk proves itself in its own place
// only. Every version keeps the first 24 bytes.
//
// Threads:   a writer and a source: one each. CheckpointFile: any. Ownership: the directory and the clock outlive
//            them; a source shares its file.
// Blocking:  all of it does I/O; the writer waits besides, to keep its pace.
// Errors:    DATA_LOSS naming the file and the offset; FAILED_PRECONDITION for a newer version; CANCELLED when a
//            writer was asked to stop; those of the files.
// Why:       the table says where everything lies and how long it is, so a graph can be read later than the rows, and
//            what a source has left is never more than the file has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/journal/files.h"
#include "index/image.h"

namespace engram {

inline constexpr uint32_t kCheckpointVersion = 1;
inline constexpr uint32_t kCheckpointChunk = 1 << 20;

enum class SectionType : uint32_t {
  kDropped = 1,  // Ids of spaces that are over. Belongs to no space.
  kSpace = 2,    // What a space is, and its streams.
  kRecords = 3,  // The columns of its records.
  kRows = 4,     // The image of its rows.
  kGraph = 5,    // The image of its graph.
  kMissing = 6,  // Positions whose records could not be read when it was made. Belongs to no space; only where there are any.
};

// "00000000000000000042.checkpoint", and back.
std::string CheckpointName(uint64_t position);
std::optional<uint64_t> CheckpointPosition(std::string_view name);

struct CheckpointHeader {
  uint64_t lineage = 0;
  uint64_t position = 0;  // All records up to it are in the checkpoint.
  uint32_t spaces = 0;
};

struct CheckpointSection {
  SectionType type{};
  uint32_t space = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;  // Of what is in it, the heads of its chunks aside.
};

// How fast a checkpoint may be written, so that the journal's syncs are not held up.
struct CheckpointPace {
  Clock* clock = nullptr;
  uint64_t bytes_per_second = 0;  // 0: as fast as it goes.
  uint64_t sync_bytes = uint64_t{4} << 20;
  std::stop_token stop;
};

// Writes sections one after the other. Without Finish nothing stays.
class CheckpointWriter final : public ImageSink {
 public:
  static absl::StatusOr<std::unique_ptr<CheckpointWriter>> Create(Directory* directory, const CheckpointHeader& header,
                                                                  CheckpointPace pace);
  ~CheckpointWriter() override;

  void Begin(SectionType type, uint32_t space);
  absl::Status Write(std::span<const std::byte> bytes) override;
  absl::Status End();
  // Synced and under its name when it returns. `through`: nothing in it comes from a record beyond.
  absl::Status Finish(uint64_t through);

  const std::string& name() const { return name_; }
  uint64_t bytes() const { return offset_; }

 private:
  CheckpointWriter(Directory* directory, const CheckpointHeader& header, CheckpointPace pace)
      : directory_(directory), header_(header), pace_(std::move(pace)), name_(CheckpointName(header.position)) {}

  absl::Status WriteChunk();
  absl::Status Put(std::span<const std::byte> bytes);
  absl::Status KeepPace(size_t bytes) ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  Directory* const directory_;
  const CheckpointHeader header_;
  const CheckpointPace pace_;
  const std::string name_;

  std::unique_ptr<File> file_;
  std::vector<std::byte> chunk_;  // Head and bytes of the one that fills.
  std::vector<CheckpointSection> sections_;
  uint64_t offset_ = 0;
  uint64_t synced_ = 0;
  MonotonicTime due_{};
  bool finished_ = false;
  Mutex mu_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
};

// A checkpoint whose header, table and trailer hold.
class CheckpointFile : public std::enable_shared_from_this<CheckpointFile> {
 public:
  static absl::StatusOr<std::shared_ptr<const CheckpointFile>> Open(Directory& directory, const std::string& name);

  const std::string& name() const { return name_; }
  const CheckpointHeader& header() const { return header_; }
  uint64_t through() const { return through_; }
  uint64_t bytes() const { return bytes_; }
  // In the order of the file.
  const std::vector<CheckpointSection>& sections() const { return sections_; }
  // The bytes of a section, each chunk verified before anything of it is handed out. `progress`, which outlives the
  // source, hears of the place in the file that was reached.
  using Progress = std::function<void(uint64_t)>;
  std::unique_ptr<ImageSource> Read(const CheckpointSection& section, const Progress* progress = nullptr) const;

  absl::Status Lost(uint64_t offset, std::string_view what) const;

 private:
  class Source;

  CheckpointFile(std::string name, std::unique_ptr<File> file) : name_(std::move(name)), file_(std::move(file)) {}
  absl::Status Load();
  absl::Status LoadTable(uint64_t offset, uint64_t bytes);

  const std::string name_;
  const std::unique_ptr<File> file_;
  CheckpointHeader header_;
  uint64_t through_ = 0;
  uint64_t bytes_ = 0;
  std::vector<CheckpointSection> sections_;
};

struct CheckpointSummary {
  CheckpointHeader header;
  uint64_t through = 0;
  uint64_t sections = 0;
  uint64_t bytes = 0;
};
// Reads every byte.
absl::StatusOr<CheckpointSummary> VerifyCheckpoint(Directory& directory, const std::string& name);

}  // namespace engram

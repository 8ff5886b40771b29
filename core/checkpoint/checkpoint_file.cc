#include "core/checkpoint/checkpoint_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

#include "core/base/check.h"
#include "core/base/crc32c.h"
#include "core/journal/little_endian.h"

namespace engram {
namespace {

constexpr std::string_view kSuffix = ".checkpoint";
constexpr size_t kDigits = 20;
constexpr std::string_view kMagic = "ENGRMCKP";
constexpr std::string_view kEndMagic = "ENGRMEND";
constexpr size_t kHeaderBytes = 40;
constexpr size_t kCrcAt = 16;  // In the header.
constexpr size_t kTrailerBytes = 40;
constexpr size_t kHeadBytes = 8;
constexpr size_t kEntryBytes = 24;
// Four sections for each of a million spaces, and then some.
constexpr uint64_t kMostTableBytes = uint64_t{128} << 20;

std::array<std::byte, kHeaderBytes> EncodeHeader(const CheckpointHeader& header) {
  std::array<std::byte, kHeaderBytes> bytes{};
  ByteWriter out(bytes.data());
  out.PutText(kMagic);
  out.Put(kCheckpointVersion);
  out.Put(static_cast<uint32_t>(kHeaderBytes));
  out.Put(uint32_t{0});
  out.Put(header.spaces);
  out.Put(header.lineage);
  out.Put(header.position);
  StoreLe(bytes.data() + kCrcAt, Crc32c(0, bytes));
  return bytes;
}

uint32_t ChunkCrc(const CheckpointHeader& header, uint64_t offset, std::span<const std::byte> bytes) {
  std::array<std::byte, 24> place;
  ByteWriter out(place.data());
  out.Put(header.lineage);
  out.Put(header.position);
  out.Put(offset);
  return Crc32c(Crc32c(0, place), bytes);
}

// Of a section in the file, heads included.
uint64_t Extent(uint64_t bytes) { return bytes + (bytes + kCheckpointChunk - 1) / kCheckpointChunk * kHeadBytes; }

}  // namespace

std::string CheckpointName(uint64_t position) { return fmt::format("{:020}{}", position, kSuffix); }

std::optional<uint64_t> CheckpointPosition(std::string_view name) {
  if (name.size() != kDigits + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  uint64_t position = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + kDigits, position);
  if (error != std::errc() || end != name.data() + kDigits) return std::nullopt;
  return position;
}

// --- writing ---

absl::StatusOr<std::unique_ptr<CheckpointWriter>> CheckpointWriter::Create(Directory* directory,
                                                                           const CheckpointHeader& header,
                                                                           CheckpointPace pace) {
  std::unique_ptr<CheckpointWriter> writer(new CheckpointWriter(directory, header, std::move(pace)));
  const std::string aside = writer->name_ + ".tmp";
  auto file = directory->Open(aside, Directory::Mode::kCreate);
  if (absl::IsAlreadyExists(file.status())) {
    // Of an attempt that failed without being able to remove it.
    ENGRAM_RETURN_IF_ERROR(directory->Remove(aside));
    file = directory->Open(aside, Directory::Mode::kCreate);
  }
  if (!file.ok()) return file.status();
  writer->file_ = *std::move(file);
  if (writer->pace_.clock != nullptr) writer->due_ = writer->pace_.clock->Now();
  writer->chunk_.reserve(kHeadBytes + kCheckpointChunk);
  ENGRAM_RETURN_IF_ERROR(writer->Put(EncodeHeader(header)));
  return writer;
}

CheckpointWriter::~CheckpointWriter() {
  if (file_ == nullptr || finished_) return;
  file_.reset();
  directory_->Remove(name_ + ".tmp").IgnoreError();
}

void CheckpointWriter::Begin(SectionType type, uint32_t space) {
  ENGRAM_CHECK(chunk_.empty());
  sections_.push_back({type, space, offset_, 0});
}

absl::Status CheckpointWriter::Write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (chunk_.empty()) chunk_.resize(kHeadBytes);
    const std::span<const std::byte> part =
        bytes.first(std::min<size_t>(bytes.size(), kHeadBytes + kCheckpointChunk - chunk_.size()));
    chunk_.insert(chunk_.end(), part.begin(), part.end());
    bytes = bytes.subspan(part.size());
    if (chunk_.size() == kHeadBytes + kCheckpointChunk) ENGRAM_RETURN_IF_ERROR(WriteChunk());
  }
  return absl::OkStatus();
}

absl::Status CheckpointWriter::End() {
  ENGRAM_RETURN_IF_ERROR(WriteChunk());
  // Also where there was nothing to write, so that a writer of many small spaces hears that it is to stop.
  return KeepPace(0);
}

absl::Status CheckpointWriter::WriteChunk() {
  if (chunk_.empty()) return absl::OkStatus();
  const std::span<const std::byte> bytes = std::span<const std::byte>(chunk_).subspan(kHeadBytes);
  StoreLe(chunk_.data(), static_cast<uint32_t>(bytes.size()));
  StoreLe(chunk_.data() + 4, ChunkCrc(header_, offset_, bytes));
  sections_.back().bytes += bytes.size();
  ENGRAM_RETURN_IF_ERROR(Put(chunk_));
  const size_t size = chunk_.size();
  chunk_.clear();
  return KeepPace(size);
}

absl::Status CheckpointWriter::Put(std::span<const std::byte> bytes) {
  ENGRAM_RETURN_IF_ERROR(file_->WriteAt(offset_, bytes));
  offset_ += bytes.size();
  if (offset_ - synced_ < pace_.sync_bytes) return absl::OkStatus();
  // Little by little: one large flush at the end would hold up the journal's syncs.
  synced_ = offset_;
  return file_->Sync();
}

absl::Status CheckpointWriter::KeepPace(size_t bytes) {
  if (pace_.stop.stop_requested()) return absl::CancelledError(fmt::format("writing {} was stopped", name_));
  if (pace_.bytes_per_second == 0) return absl::OkStatus();
  // Time that went by unused is not made up for: that would be a burst.
  const MonotonicTime now = pace_.clock->Now();
  due_ = std::max(due_, now) + Duration(bytes * uint64_t{1'000'000} / pace_.bytes_per_second);
  const std::stop_callback wake(pace_.stop, [this] {
    MutexLock lock(mu_);
    stopping_ = true;
    wake_.NotifyAll();
  });
  MutexLock lock(mu_);
  while (!stopping_ && pace_.clock->Now() < due_) pace_.clock->WaitUntil(wake_, mu_, due_);
  return absl::OkStatus();
}

absl::Status CheckpointWriter::Finish(uint64_t through) {
  std::vector<std::byte> table(sections_.size() * kEntryBytes);
  ByteWriter entries(table.data());
  for (const CheckpointSection& section : sections_) {
    entries.Put(static_cast<uint32_t>(section.type));
    entries.Put(section.space);
    entries.Put(section.offset);
    entries.Put(section.bytes);
  }
  const uint64_t at = offset_;
  sections_.push_back({SectionType{}, 0, offset_, 0});
  ENGRAM_RETURN_IF_ERROR(Write(table));
  ENGRAM_RETURN_IF_ERROR(End());
  std::array<std::byte, kTrailerBytes> trailer{};
  ByteWriter out(trailer.data());
  out.PutText(kEndMagic);
  out.Put(at);
  out.Put(static_cast<uint64_t>(table.size()));
  out.Put(through);
  out.Put(Crc32c(0, std::span(trailer).first(32)));
  ENGRAM_RETURN_IF_ERROR(Put(trailer));
  ENGRAM_RETURN_IF_ERROR(file_->Sync());
  file_.reset();
  finished_ = true;
  absl::Status status = directory_->Rename(name_ + ".tmp", name_);
  if (!status.ok()) {
    directory_->Remove(name_ + ".tmp").IgnoreError();
    return status;
  }
  // Before the manifest names it. A file system that keeps the order of names would do without; on another one a cut could
  // leave a manifest that names nothing, and the next start would tell of damage where there is none.
  return directory_->Sync();
}

// --- reading ---

class CheckpointFile::Source final : public ImageSource {
 public:
  Source(std::shared_ptr<const CheckpointFile> file, const CheckpointSection& section, const Progress* progress)
      : file_(std::move(file)), progress_(progress), at_(section.offset), unread_(section.bytes) {}

  uint64_t left() const override { return unread_ + chunk_.size(); }

  absl::Status Read(std::span<std::byte> out) override {
    while (!out.empty()) {
      if (chunk_.empty()) ENGRAM_RETURN_IF_ERROR(NextChunk());
      const size_t part = std::min(out.size(), chunk_.size());
      std::memcpy(out.data(), chunk_.data(), part);
      out = out.subspan(part);
      chunk_ = chunk_.subspan(part);
    }
    return absl::OkStatus();
  }

 private:
  absl::Status NextChunk() {
    const auto length = static_cast<uint32_t>(std::min<uint64_t>(unread_, kCheckpointChunk));
    ENGRAM_CHECK(length > 0);
    buffer_.resize(kHeadBytes + length);
    ENGRAM_ASSIGN_OR_RETURN(const size_t read, file_->file_->ReadAt(at_, buffer_));
    if (read != buffer_.size()) return file_->Lost(at_, "the chunk is cut short");
    const std::span<const std::byte> bytes = std::span<const std::byte>(buffer_).subspan(kHeadBytes);
    if (LoadLe<uint32_t>(buffer_.data()) != length ||
        LoadLe<uint32_t>(buffer_.data() + 4) != ChunkCrc(file_->header_, at_, bytes)) {
      return file_->Lost(at_, "the chunk's crc does not match");
    }
    at_ += buffer_.size();
    unread_ -= length;
    chunk_ = bytes;
    if (progress_ != nullptr) (*progress_)(at_);
    return absl::OkStatus();
  }

  const std::shared_ptr<const CheckpointFile> file_;
  const Progress* const progress_;
  uint64_t at_;
  uint64_t unread_;
  std::vector<std::byte> buffer_;
  std::span<const std::byte> chunk_;  // What is left of it.
};

absl::Status CheckpointFile::Lost(uint64_t offset, std::string_view what) const {
  return absl::DataLossError(fmt::format("{} at byte {}: {}", file_->path(), offset, what));
}

std::unique_ptr<ImageSource> CheckpointFile::Read(const CheckpointSection& section, const Progress* progress) const {
  return std::make_unique<Source>(shared_from_this(), section, progress);
}

absl::StatusOr<std::shared_ptr<const CheckpointFile>> CheckpointFile::Open(Directory& directory,
                                                                           const std::string& name) {
  ENGRAM_ASSIGN_OR_RETURN(auto file, directory.Open(name, Directory::Mode::kRead));
  std::shared_ptr<CheckpointFile> opened(new CheckpointFile(name, std::move(file)));
  ENGRAM_RETURN_IF_ERROR(opened->Load());
  return opened;
}

absl::Status CheckpointFile::Load() {
  ENGRAM_ASSIGN_OR_RETURN(bytes_, file_->Size());
  std::array<std::byte, kHeaderBytes> header{};
  ENGRAM_ASSIGN_OR_RETURN(const size_t read, file_->ReadAt(0, header));
  if (read < header.size() || std::memcmp(header.data(), kMagic.data(), kMagic.size()) != 0) {
    return Lost(0, "this is no checkpoint");
  }
  ByteCursor in(header);
  in.TakeBytes(kMagic.size());
  const auto version = in.Take<uint32_t>();
  if (version > kCheckpointVersion) {
    return absl::FailedPreconditionError(
        fmt::format("{} has format version {}, this program reads {}", file_->path(), version, kCheckpointVersion));
  }
  const auto length = in.Take<uint32_t>();
  in.Take<uint32_t>();
  header_.spaces = in.Take<uint32_t>();
  header_.lineage = in.Take<uint64_t>();
  header_.position = in.Take<uint64_t>();
  // Encoded again it must be the same, CRC and all.
  if (length != kHeaderBytes || EncodeHeader(header_) != header) return Lost(0, "the header's crc does not match");

  if (bytes_ < kHeaderBytes + kTrailerBytes) return Lost(bytes_, "the file is cut short");
  std::array<std::byte, kTrailerBytes> trailer{};
  const uint64_t trailer_at = bytes_ - kTrailerBytes;
  ENGRAM_ASSIGN_OR_RETURN(const size_t end_read, file_->ReadAt(trailer_at, trailer));
  ByteCursor end(trailer);
  const std::string_view magic = end.TakeText(kEndMagic.size());
  const auto table_at = end.Take<uint64_t>();
  const auto table_bytes = end.Take<uint64_t>();
  through_ = end.Take<uint64_t>();
  const auto crc = end.Take<uint32_t>();
  if (end_read != trailer.size() || magic != kEndMagic || crc != Crc32c(0, std::span(trailer).first(32)) ||
      end.Take<uint32_t>() != 0) {
    return Lost(trailer_at, "the trailer is missing or its crc does not match");
  }
  if (table_at < kHeaderBytes || table_at > trailer_at || table_bytes > kMostTableBytes ||
      Extent(table_bytes) != trailer_at - table_at || table_bytes % kEntryBytes != 0) {
    return Lost(trailer_at, fmt::format("the trailer claims a table of {} bytes at {}", table_bytes, table_at));
  }
  if (through_ < header_.position) {
    return Lost(trailer_at, fmt::format("it goes through {}, before its position {}", through_, header_.position));
  }
  return LoadTable(table_at, table_bytes);
}

absl::Status CheckpointFile::LoadTable(uint64_t offset, uint64_t bytes) {
  std::vector<std::byte> table(bytes);
  if (bytes != 0) {
    Source source(shared_from_this(), {SectionType{}, 0, offset, bytes}, nullptr);
    ENGRAM_RETURN_IF_ERROR(source.Read(table));
  }
  ByteCursor in(table);
  uint64_t at = kHeaderBytes;
  while (in.left() > 0) {
    CheckpointSection section;
    section.type = static_cast<SectionType>(in.Take<uint32_t>());
    section.space = in.Take<uint32_t>();
    section.offset = in.Take<uint64_t>();
    section.bytes = in.Take<uint64_t>();
    // They lie behind one another without a gap, so none can claim more than the file has.
    if (section.offset != at || section.bytes > offset - at || Extent(section.bytes) > offset - at) {
      return Lost(offset, fmt::format("the table has a section of {} bytes at {}", section.bytes, section.offset));
    }
    at += Extent(section.bytes);
    sections_.push_back(section);
  }
  if (at != offset) return Lost(at, "bytes that belong to no section");
  return absl::OkStatus();
}

absl::StatusOr<CheckpointSummary> VerifyCheckpoint(Directory& directory, const std::string& name) {
  ENGRAM_ASSIGN_OR_RETURN(const auto file, CheckpointFile::Open(directory, name));
  std::vector<std::byte> buffer(kCheckpointChunk);
  for (const CheckpointSection& section : file->sections()) {
    const auto source = file->Read(section);
    while (source->left() > 0) {
      ENGRAM_RETURN_IF_ERROR(source->Read(std::span(buffer).first(std::min<uint64_t>(source->left(), buffer.size()))));
    }
  }
  return CheckpointSummary{file->header(), file->through(), file->sections().size(), file->bytes()};
}

}  // namespace engram

#include "server/faulty_parts.h"

#include <fmt/format.h>

#include <stdexcept>

namespace engram {

absl::Status TroubledFile::WriteAt(uint64_t offset, std::span<const std::byte> bytes) {
  if (faults_->disk_full()) {
    // As on a disk: what a file has already is its own.
    ENGRAM_ASSIGN_OR_RETURN(const uint64_t size, file_->Size());
    if (offset + bytes.size() > size) {
      faults_->Did(FaultKind::kFullDisk);
      return absl::ResourceExhaustedError(
          fmt::format("write {}: No space left on device (injected)", file_->path()));
    }
  }
  return file_->WriteAt(offset, bytes);
}

absl::Status TroubledFile::Sync() {
  ENGRAM_RETURN_IF_ERROR(faults_->DelaySync(file_->path()));
  return file_->Sync();
}

absl::StatusOr<std::unique_ptr<File>> TroubledDirectory::Open(std::string_view name, Mode mode) {
  ENGRAM_ASSIGN_OR_RETURN(std::unique_ptr<File> file, directory_->Open(name, mode));
  return std::make_unique<TroubledFile>(std::move(file), faults_);
}

absl::StatusOr<DiskSpace> TroubledDirectory::Space() {
  ENGRAM_ASSIGN_OR_RETURN(DiskSpace space, directory_->Space());
  if (!faults_->disk_full()) return space;
  faults_->Did(FaultKind::kFullDisk);
  space.free_bytes = 0;
  return space;
}

absl::StatusOr<uint64_t> CrashingJournal::Append(const JournalRecord& record, std::unique_ptr<PendingCommit> pending) {
  faults_->DelayAppend();
  if (record.observations.size() > 1 && faults_->TakeCrash()) throw std::runtime_error("a fault was injected");
  return journal_->Append(record, std::move(pending));
}

}  // namespace engram

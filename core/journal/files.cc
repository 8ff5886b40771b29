#include "core/journal/files.h"

#include <fmt/format.h>

namespace engram {

absl::Status CheckFileName(std::string_view name) {
  constexpr size_t kLongest = 255;
  if (name.empty() || name == "." || name == ".." || name.size() > kLongest ||
      name.find_first_of(std::string_view("/\0", 2)) != std::string_view::npos) {
    return absl::InvalidArgumentError(fmt::format("'{}' is no name of a file: 1 to {} bytes without '/' and NUL",
                                                  name.substr(0, kLongest), kLongest));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::byte>> ReadWhole(Directory& directory, std::string_view name, uint64_t most) {
  ENGRAM_ASSIGN_OR_RETURN(const auto file, directory.Open(name, Directory::Mode::kRead));
  ENGRAM_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  if (size > most) {
    return absl::DataLossError(
        fmt::format("{} is longer than it should be: {} of at most {} bytes", file->path(), size, most));
  }
  std::vector<std::byte> bytes(size);
  ENGRAM_ASSIGN_OR_RETURN(const size_t read, file->ReadAt(0, bytes));
  bytes.resize(read);
  return bytes;
}

absl::Status ReplaceWhole(Directory& directory, std::string_view name, std::span<const std::byte> bytes) {
  const std::string aside = fmt::format("{}.tmp", name);
  // One that an earlier attempt left is removed rather than written over: it may have a second name by now.
  if (absl::Status removed = directory.Remove(aside); !removed.ok() && !absl::IsNotFound(removed)) return removed;
  const auto write_and_rename = [&]() -> absl::Status {
    ENGRAM_ASSIGN_OR_RETURN(const auto file, directory.Open(aside, Directory::Mode::kCreate));
    ENGRAM_RETURN_IF_ERROR(file->WriteAt(0, bytes));
    ENGRAM_RETURN_IF_ERROR(file->Sync());
    return directory.Rename(aside, name);
  };
  if (absl::Status status = write_and_rename(); !status.ok()) {
    // The first error is the one to tell, and on a full disk the space matters.
    directory.Remove(aside).IgnoreError();
    return status;
  }
  return directory.Sync();
}

}  // namespace engram

// The directories, files and locks of a FaultyDisk: each call asks the disk for its fate, then does that much of it.
#include <fmt/format.h>
#include <unistd.h>

#include <utility>

#include "tests/support/faulty_files.h"

namespace engram::testing {
namespace {

absl::Status NotThere(std::string_view call, std::string_view path) {
  return absl::NotFoundError(fmt::format("{} {}: no such file or directory", call, path));
}

absl::Status There(std::string_view call, std::string_view path) {
  return absl::AlreadyExistsError(fmt::format("{} {}: file exists", call, path));
}

}  // namespace

class FaultyDisk::OpenFile final : public File {
 public:
  OpenFile(FaultyDisk& disk, FilePtr file, std::string directory, std::string name, bool writable, uint64_t life)
      : disk_(disk),
        file_(std::move(file)),
        directory_(std::move(directory)),
        name_(std::move(name)),
        path_(fmt::format("{}/{}", directory_, name_)),
        writable_(writable),
        life_(life) {}

  absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<std::byte> out) const override {
    MutexLock lock(disk_.mu_);
    if (Fate fate = disk_.Begin(FileCall::kRead, directory_, name_, life_); !fate.status.ok()) return fate.status;
    return file_->Read(offset, out);
  }

  absl::Status WriteAt(uint64_t offset, std::span<const std::byte> bytes) override {
    MutexLock lock(disk_.mu_);
    Fate fate = disk_.Begin(FileCall::kWrite, directory_, name_, life_);
    if (fate.status.ok()) fate.status = Writable("write");
    if (fate.effect == Fate::kNone || !writable_) return fate.status;
    if (fate.effect == Fate::kPart) bytes = bytes.first(disk_.Part(bytes.size()));
    const bool grows = offset + bytes.size() > file_->size();
    if (const uint64_t most = grows ? file_->size() + disk_.Free() : 0; grows && offset + bytes.size() > most) {
      bytes = bytes.first(offset < most ? most - offset : 0);
      if (fate.status.ok()) fate.status = NoRoom("write");
    }
    file_->Write(offset, bytes);
    return fate.status;
  }

  absl::Status Sync() override {
    MutexLock lock(disk_.mu_);
    const Fate fate = disk_.Begin(FileCall::kSync, directory_, name_, life_);
    if (fate.effect == Fate::kAll) file_->Sync();
    if (fate.effect == Fate::kPart) file_->FailSync();
    return fate.status;
  }

  absl::Status Truncate(uint64_t size) override {
    MutexLock lock(disk_.mu_);
    const Fate fate = disk_.Begin(FileCall::kTruncate, directory_, name_, life_);
    if (fate.effect != Fate::kAll) return fate.status;
    ENGRAM_RETURN_IF_ERROR(Writable("truncate"));
    if (size > file_->size() + disk_.Free()) return NoRoom("truncate");
    file_->Truncate(size);
    return fate.status;
  }

  absl::StatusOr<uint64_t> Size() const override {
    MutexLock lock(disk_.mu_);
    ENGRAM_RETURN_IF_ERROR(disk_.Alive(life_));
    return file_->size();
  }

  const std::string& path() const override { return path_; }

 private:
  absl::Status Writable(std::string_view call) const {
    if (writable_) return absl::OkStatus();
    return absl::InternalError(fmt::format("{} {}: opened for reading", call, path_));
  }
  absl::Status NoRoom(std::string_view call) const {
    return absl::ResourceExhaustedError(fmt::format("{} {}: no space left on device", call, path_));
  }

  FaultyDisk& disk_;
  const FilePtr file_;
  const std::string directory_;
  const std::string name_;
  const std::string path_;
  const bool writable_;
  const uint64_t life_;
};

class FaultyDisk::HeldLock final : public DirectoryLock {
 public:
  HeldLock(FaultyDisk& disk, std::string path, uint64_t life) : disk_(disk), path_(std::move(path)), life_(life) {}
  ~HeldLock() override {
    MutexLock lock(disk_.mu_);
    if (disk_.life_ == life_) disk_.locks_.erase(path_);
  }

 private:
  FaultyDisk& disk_;
  const std::string path_;
  const uint64_t life_;
};

class FaultyDisk::OpenDirectory final : public Directory {
 public:
  OpenDirectory(FaultyDisk& disk, DirectoryState& state, std::string path, uint64_t life)
      : disk_(disk), state_(state), path_(std::move(path)), life_(life) {}

  absl::StatusOr<std::unique_ptr<File>> Open(std::string_view name, Mode mode) override {
    ENGRAM_RETURN_IF_ERROR(CheckFileName(name));
    MutexLock lock(disk_.mu_);
    const bool create = mode == Mode::kCreate;
    const Fate fate = disk_.Begin(create ? FileCall::kCreate : FileCall::kOpen, path_, name, life_);
    if (fate.effect == Fate::kNone) return fate.status;
    auto found = state_.now.find(name);
    if (create && found != state_.now.end()) return There("open", PathOf(name));
    if (!create && found == state_.now.end()) return NotThere("open", PathOf(name));
    const FilePtr file = create ? std::make_shared<SectorFile>() : found->second;
    if (create) disk_.Change(state_, {std::string(name), file});
    ENGRAM_RETURN_IF_ERROR(fate.status);
    return std::make_unique<OpenFile>(disk_, file, path_, std::string(name), mode != Mode::kRead, life_);
  }

  absl::Status Rename(std::string_view from, std::string_view to) override {
    ENGRAM_RETURN_IF_ERROR(CheckFileName(from));
    ENGRAM_RETURN_IF_ERROR(CheckFileName(to));
    MutexLock lock(disk_.mu_);
    const Fate fate = disk_.Begin(FileCall::kRename, path_, to, life_);
    if (fate.effect == Fate::kNone) return fate.status;
    const auto found = state_.now.find(from);
    if (found == state_.now.end()) return NotThere("rename", PathOf(from));
    if (const auto other = state_.now.find(to); other != state_.now.end() && other->second == found->second) {
      return fate.status;
    }
    disk_.Change(state_, {std::string(to), found->second, std::string(from)});
    return fate.status;
  }

  absl::Status Remove(std::string_view name) override {
    ENGRAM_RETURN_IF_ERROR(CheckFileName(name));
    MutexLock lock(disk_.mu_);
    const Fate fate = disk_.Begin(FileCall::kRemove, path_, name, life_);
    if (fate.effect == Fate::kNone) return fate.status;
    if (!state_.now.contains(name)) return NotThere("remove", PathOf(name));
    disk_.Change(state_, {std::string(name), nullptr});
    return fate.status;
  }

  absl::Status Link(std::string_view from, std::string_view to) override { return LinkInto(from, *this, to); }

  absl::Status LinkInto(std::string_view from, Directory& target, std::string_view to) override {
    ENGRAM_RETURN_IF_ERROR(CheckFileName(from));
    ENGRAM_RETURN_IF_ERROR(CheckFileName(to));
    auto* const other = dynamic_cast<OpenDirectory*>(&target);
    if (other == nullptr || &other->disk_ != &disk_) {
      return absl::FailedPreconditionError(fmt::format("link {} into {}: another disk", PathOf(from), target.path()));
    }
    MutexLock lock(disk_.mu_);
    ENGRAM_RETURN_IF_ERROR(disk_.Alive(other->life_));
    const Fate fate = disk_.Begin(FileCall::kLink, other->path_, to, life_);
    if (fate.effect == Fate::kNone) return fate.status;
    const auto found = state_.now.find(from);
    if (found == state_.now.end()) return NotThere("link", PathOf(from));
    if (other->state_.now.contains(to)) return There("link", other->PathOf(to));
    disk_.Change(other->state_, {std::string(to), found->second});
    return fate.status;
  }

  absl::StatusOr<uint64_t> LinkCount(std::string_view name) override {
    ENGRAM_RETURN_IF_ERROR(CheckFileName(name));
    MutexLock lock(disk_.mu_);
    ENGRAM_RETURN_IF_ERROR(disk_.Alive(life_));
    const auto found = state_.now.find(name);
    if (found == state_.now.end()) return NotThere("stat", PathOf(name));
    uint64_t names = 0;
    for (const auto& [path, directory] : disk_.directories_) {
      for (const auto& [other, file] : directory.now) names += file == found->second ? 1 : 0;
    }
    return names;
  }

  absl::StatusOr<std::vector<std::string>> List() override {
    MutexLock lock(disk_.mu_);
    if (Fate fate = disk_.Begin(FileCall::kList, path_, path_, life_); !fate.status.ok()) return fate.status;
    std::vector<std::string> names;
    for (const auto& [name, file] : state_.now) names.push_back(name);
    return names;
  }

  absl::Status Sync() override {
    MutexLock lock(disk_.mu_);
    const Fate fate = disk_.Begin(FileCall::kSyncDirectory, path_, path_, life_);
    if (fate.effect != Fate::kAll) return fate.status;
    for (const auto& change : state_.unsynced) Apply(change, state_.safe);
    state_.unsynced.clear();
    return fate.status;
  }

  absl::StatusOr<DiskSpace> Space() override {
    MutexLock lock(disk_.mu_);
    ENGRAM_RETURN_IF_ERROR(disk_.Alive(life_));
    return DiskSpace{.free_bytes = disk_.Free(), .total_bytes = disk_.capacity_};
  }

  absl::StatusOr<std::unique_ptr<DirectoryLock>> Lock(std::string_view name) override {
    ENGRAM_RETURN_IF_ERROR(CheckFileName(name));
    MutexLock lock(disk_.mu_);
    ENGRAM_RETURN_IF_ERROR(disk_.Alive(life_));
    if (!state_.now.contains(name)) {
      const Fate fate = disk_.Begin(FileCall::kCreate, path_, name, life_);
      if (fate.effect == Fate::kAll) disk_.Change(state_, {std::string(name), std::make_shared<SectorFile>()});
      ENGRAM_RETURN_IF_ERROR(fate.status);
    }
    if (!disk_.locks_.insert(PathOf(name)).second) {
      return absl::FailedPreconditionError(
          fmt::format("{} is in use: process {} holds {}", path_, getpid(), PathOf(name)));
    }
    return std::make_unique<HeldLock>(disk_, PathOf(name), life_);
  }

  absl::StatusOr<std::string> LockHolder(std::string_view name) override {
    ENGRAM_RETURN_IF_ERROR(CheckFileName(name));
    MutexLock lock(disk_.mu_);
    ENGRAM_RETURN_IF_ERROR(disk_.Alive(life_));
    if (!state_.now.contains(name)) return NotThere("open", PathOf(name));
    return disk_.locks_.contains(PathOf(name)) ? fmt::format("process {}", getpid()) : std::string();
  }

  const std::string& path() const override { return path_; }

 private:
  std::string PathOf(std::string_view name) const { return fmt::format("{}/{}", path_, name); }

  FaultyDisk& disk_;
  DirectoryState& state_;  // Under disk_.mu_.
  const std::string path_;
  const uint64_t life_;
};

std::unique_ptr<Directory> FaultyDisk::Open(std::string path) {
  MutexLock lock(mu_);
  DirectoryState& state = directories_[path];
  return std::make_unique<OpenDirectory>(*this, state, std::move(path), life_);
}

}  // namespace engram::testing

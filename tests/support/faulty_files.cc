#include "tests/support/faulty_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace engram::testing {
namespace {

constexpr std::array<std::string_view, kFileCalls> kWords = {
    "create", "write", "sync", "truncate", "rename", "remove", "link", "sync directory", "open", "read", "list"};

bool Changes(FileCall call) { return call <= FileCall::kSyncDirectory; }

}  // namespace

void FaultyDisk::Apply(const NameChange& change, Names& names) {
  if (change.file != nullptr) {
    names[change.name] = change.file;
  } else {
    names.erase(change.name);
  }
  if (!change.also_goes.empty()) names.erase(change.also_goes);
}

void FaultyDisk::Change(DirectoryState& directory, NameChange change) {
  Apply(change, directory.now);
  directory.unsynced.push_back(std::move(change));
}

absl::Status FaultyDisk::Alive(uint64_t life) const {
  return powered_ && life == life_ ? absl::OkStatus() : absl::InternalError("power is cut");
}

FaultyDisk::Fate FaultyDisk::Begin(FileCall call, std::string_view directory, std::string_view name, uint64_t life) {
  if (absl::Status alive = Alive(life); !alive.ok()) return {Fate::kNone, alive};
  ++counts_[static_cast<size_t>(call)];
  if (Changes(call) && ++operations_ == cut_operation_) {
    powered_ = false;
    cut_at_ =
        fmt::format("{} {}", kWords[static_cast<size_t>(call)],
                    call == FileCall::kSyncDirectory ? std::string(directory) : fmt::format("{}/{}", directory, name));
    // Of what is not synced PowerOn chooses what survives, so for the rest having it all unsynced leaves everything
    // open.
    const bool sync = call == FileCall::kSync || call == FileCall::kSyncDirectory;
    return {sync                       ? Fate::kNone
            : call == FileCall::kWrite ? Fate::kPart
                                       : Fate::kAll,
            absl::InternalError("power is cut")};
  }
  for (auto fault = faults_.begin(); fault != faults_.end(); ++fault) {
    if (fault->call != call || !name.ends_with(fault->suffix)) continue;
    if (fault->nth > 1) {
      --fault->nth;
      continue;
    }
    const bool partly = call == FileCall::kWrite || call == FileCall::kSync;
    Fate fate{partly ? Fate::kPart : Fate::kNone, fault->status};
    if (!fault->until_cleared) faults_.erase(fault);
    return fate;
  }
  return {};
}

void FaultyDisk::CutAt(uint64_t operation) {
  MutexLock lock(mu_);
  ENGRAM_CHECK(operation > operations_);
  cut_operation_ = operation;
}

void FaultyDisk::PowerOn(uint64_t seed) {
  MutexLock lock(mu_);
  std::mt19937_64 rng(seed);
  std::set<const SectorFile*> settled;
  for (auto& [path, directory] : directories_) {
    const size_t survive = rng() % (directory.unsynced.size() + 1);
    for (size_t i = 0; i < survive; ++i) Apply(directory.unsynced[i], directory.safe);
    directory.unsynced.clear();
    directory.now = directory.safe;
    for (auto& [name, file] : directory.now) {
      if (settled.insert(file.get()).second) file->Cut(rng, options_.tear_sectors);
    }
  }
  locks_.clear();
  cut_operation_ = 0;
  powered_ = true;
  ++life_;
}

void FaultyDisk::Crash() {
  MutexLock lock(mu_);
  locks_.clear();
  ++life_;
}

bool FaultyDisk::powered() const {
  MutexLock lock(mu_);
  return powered_;
}

uint64_t FaultyDisk::operations() const {
  MutexLock lock(mu_);
  return operations_;
}

uint64_t FaultyDisk::count(FileCall call) const {
  MutexLock lock(mu_);
  return counts_[static_cast<size_t>(call)];
}

std::string FaultyDisk::cut_at() const {
  MutexLock lock(mu_);
  return cut_at_;
}

void FaultyDisk::Fail(Fault fault) {
  MutexLock lock(mu_);
  faults_.push_back(std::move(fault));
}

void FaultyDisk::ClearFaults() {
  MutexLock lock(mu_);
  faults_.clear();
}

void FaultyDisk::SetFreeSpace(uint64_t bytes) {
  MutexLock lock(mu_);
  capacity_ = Used() + bytes;
}

uint64_t FaultyDisk::Used() const {
  std::set<const SectorFile*> counted;
  uint64_t used = 0;
  for (const auto& [path, directory] : directories_) {
    for (const auto& [name, file] : directory.now) {
      if (counted.insert(file.get()).second) used += file->size();
    }
  }
  return used;
}

uint64_t FaultyDisk::Free() const { return capacity_ - std::min(capacity_, Used()); }

uint64_t FaultyDisk::Part(uint64_t whole) const {
  return std::mt19937_64(options_.seed ^ (operations_ << 20))() % (whole + 1);
}

SectorFile& FaultyDisk::Find(std::string_view name) {
  const size_t slash = name.rfind('/');
  const std::string_view directory = slash == std::string_view::npos ? "data" : name.substr(0, slash);
  const auto state = directories_.find(directory);
  ENGRAM_CHECK(state != directories_.end());
  const auto file = state->second.now.find(slash == std::string_view::npos ? name : name.substr(slash + 1));
  ENGRAM_CHECK(file != state->second.now.end());
  return *file->second;
}

void FaultyDisk::FlipBit(std::string_view name, uint64_t offset, int bit) {
  MutexLock lock(mu_);
  SectorFile& file = Find(name);
  std::byte byte;
  ENGRAM_CHECK(file.Read(offset, std::span(&byte, 1)) == 1);
  byte ^= std::byte{1} << bit;
  file.Damage(offset, std::span(&byte, 1));
}

void FaultyDisk::Chop(std::string_view name, uint64_t size) {
  MutexLock lock(mu_);
  SectorFile& file = Find(name);
  ENGRAM_CHECK(size <= file.size());
  file.Chop(size);
}

void FaultyDisk::Scramble(std::string_view name, uint64_t offset, uint64_t length, uint64_t seed) {
  MutexLock lock(mu_);
  SectorFile& file = Find(name);
  ENGRAM_CHECK(offset + length <= file.size());
  std::mt19937_64 rng(seed);
  std::vector<std::byte> noise(length);
  for (auto& b : noise) b = static_cast<std::byte>(rng());
  file.Damage(offset, noise);
}

}  // namespace engram::testing

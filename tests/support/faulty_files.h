// A disk in memory that loses what it may lose: power cuts, failing calls, no room, flipped bits.
//
// It keeps its promises and no more. Bytes are safe after the file's Sync, names after their directory's: a cut leaves
// of the unsynced bytes what SectorFile::Cut says, and of each directory's unsynced changes of names the first few, in
// order. A file whose name was never synced is gone.
//
// Threads:   any, also for its directories and files; same seed and same order of calls, same outcome.
// Ownership: outlives its directories, files and locks. Blocking: a mutex.
// Errors:    of a disk whose power is cut, and of handles from before the cut, INTERNAL "power is cut"; for the rest
//            core/journal/files.h.
// Why:       that a journal survives a power cut can only be shown by cutting the power at every single call.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/journal/files.h"
#include "tests/support/sector_file.h"

namespace engram::testing {

// What can fail. Those up to kSyncDirectory change something and are counted as operations.
enum class FileCall : uint8_t {
  kCreate,
  kWrite,
  kSync,
  kTruncate,
  kRename,
  kRemove,
  kLink,
  kSyncDirectory,
  kOpen,  // An existing file.
  kRead,
  kList,
};
inline constexpr size_t kFileCalls = 11;

// The `nth` matching call from now on fails, and with `until_cleared` each one after it. A write that fails may have
// written a part, a sync that fails leaves behind what no later sync makes safe, anything else has no effect.
struct Fault {
  FileCall call = FileCall::kWrite;
  absl::Status status;
  std::string suffix = "";  // Only names that end in it (of a rename or link, the new name; a directory's, its path).
  uint64_t nth = 1;
  bool until_cleared = false;
};

inline absl::Status DiskIsFull() { return absl::ResourceExhaustedError("no space left on device (injected)"); }
inline absl::Status InputOutputError() { return absl::InternalError("input/output error (injected)"); }
inline absl::Status AccessDenied() { return absl::PermissionDeniedError("permission denied (injected)"); }

class FaultyDisk {
 public:
  struct Options {
    uint64_t seed = 1;          // How much of a write that fails has been written.
    bool tear_sectors = false;  // A cut may leave a sector partly new.
  };

  FaultyDisk() = default;
  explicit FaultyDisk(Options options) : options_(options) {}

  // Every directory is there, and safely.
  std::unique_ptr<Directory> Open(std::string path = "data") ABSL_LOCKS_EXCLUDED(mu_);

  // --- Power
  // The operation of this number (1 is the disk's first; REQUIRES: still to come) is the moment of the cut: a write
  // gets a part done, a sync nothing for sure; it fails, and so does everything from then on until PowerOn.
  void CutAt(uint64_t operation) ABSL_LOCKS_EXCLUDED(mu_);
  // Settles what survived; a cut that CutAt announced and that has not come is called off. Cuts the power before, if it
  // is still on.
  void PowerOn(uint64_t seed) ABSL_LOCKS_EXCLUDED(mu_);
  // Cuts the power now and turns it on again.
  void Cut(uint64_t seed) { PowerOn(seed); }
  // Only the process dies: handles and locks are gone, nothing else is.
  void Crash() ABSL_LOCKS_EXCLUDED(mu_);
  bool powered() const ABSL_LOCKS_EXCLUDED(mu_);
  // Operations so far, the failed ones among them, the ones without power not; and calls of one kind.
  uint64_t operations() const ABSL_LOCKS_EXCLUDED(mu_);
  uint64_t count(FileCall call) const ABSL_LOCKS_EXCLUDED(mu_);
  // The operation at which CutAt cut the power, for messages: "write data/MANIFEST.tmp".
  std::string cut_at() const ABSL_LOCKS_EXCLUDED(mu_);

  // --- Failing calls
  void Fail(Fault fault) ABSL_LOCKS_EXCLUDED(mu_);
  void ClearFaults() ABSL_LOCKS_EXCLUDED(mu_);
  // From now on the files may grow by so much together. A file takes its size, as if it had no holes, while it has a
  // name.
  void SetFreeSpace(uint64_t bytes) ABSL_LOCKS_EXCLUDED(mu_);

  // --- Damage, safe at once. Names are those of "data" or have their directory before a '/'. REQUIRES: the file is
  // there and as long as that.
  void FlipBit(std::string_view name, uint64_t offset, int bit) ABSL_LOCKS_EXCLUDED(mu_);
  void Chop(std::string_view name, uint64_t size) ABSL_LOCKS_EXCLUDED(mu_);
  void Scramble(std::string_view name, uint64_t offset, uint64_t length, uint64_t seed) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  class OpenFile;
  class OpenDirectory;
  class HeldLock;

  using FilePtr = std::shared_ptr<SectorFile>;
  using Names = std::map<std::string, FilePtr, std::less<>>;
  struct NameChange {
    std::string name;
    FilePtr file;  // Null: the name goes.
    std::string also_goes = "";
  };
  struct DirectoryState {
    Names now;
    Names safe;
    std::vector<NameChange> unsynced;
  };
  // How a call ends, and how much of its effect it has.
  struct Fate {
    enum Effect : uint8_t { kNone, kPart, kAll } effect = kAll;
    absl::Status status;
  };

  static void Apply(const NameChange& change, Names& names);
  Fate Begin(FileCall call, std::string_view directory, std::string_view name, uint64_t life)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Alive(uint64_t life) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Change(DirectoryState& directory, NameChange change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  uint64_t Free() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  uint64_t Used() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  uint64_t Part(uint64_t whole) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  SectorFile& Find(std::string_view name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Options options_{};

  mutable Mutex mu_;
  // Nodes of it stay where they are.
  std::map<std::string, DirectoryState, std::less<>> directories_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> locks_ ABSL_GUARDED_BY(mu_);
  std::vector<Fault> faults_ ABSL_GUARDED_BY(mu_);
  uint64_t capacity_ ABSL_GUARDED_BY(mu_) = uint64_t{1} << 40;
  std::array<uint64_t, kFileCalls> counts_ ABSL_GUARDED_BY(mu_){};
  uint64_t operations_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t cut_operation_ ABSL_GUARDED_BY(mu_) = 0;  // 0: none is announced.
  std::string cut_at_ ABSL_GUARDED_BY(mu_);
  bool powered_ ABSL_GUARDED_BY(mu_) = true;
  uint64_t life_ ABSL_GUARDED_BY(mu_) = 0;  // Handles of earlier lives are dead.
};

}  // namespace engram::testing

// Makes the disk of a real engramd slow or broken at a moment of the test's choosing.
//
// Threads: any, one at a time. Ownership: outlives the daemons that have its environment.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "core/base/check.h"
#include "tests/support/temp_directory.h"

namespace engram::testing {

class TroubledDisk {
 public:
  TroubledDisk() {
    ENGRAM_CHECK(mkfifo(turns_path().c_str(), 0600) == 0);
    // Both ways, so that neither side waits for the other to open it.
    turns_ = open(turns_path().c_str(), O_RDWR | O_CLOEXEC);
    ENGRAM_CHECK(turns_ >= 0);
  }
  ~TroubledDisk() { close(turns_); }
  TroubledDisk(const TroubledDisk&) = delete;
  TroubledDisk& operator=(const TroubledDisk&) = delete;

  // Replaying waits for LetRead before each megabyte.
  std::vector<std::string> HeldReads() const { return {Preload(), kSanitizer, "TROUBLED_READS=" + turns_path()}; }
  void LetRead(size_t pieces) const {
    const std::string turns(pieces, '.');
    ENGRAM_CHECK(write(turns_, turns.data(), turns.size()) == static_cast<ssize_t>(turns.size()));
  }

  // Syncs of segments fail with EIO from BreakSyncs on.
  std::vector<std::string> BreakableSyncs() const {
    return {Preload(), kSanitizer, "TROUBLED_SYNCS=" + broken_path()};
  }
  void BreakSyncs() const { std::ofstream(broken_path()).put('.'); }

 private:
  // The sanitizers want to be the first library.
  static constexpr const char* kSanitizer = "ASAN_OPTIONS=verify_asan_link_order=0";
  static std::string Preload() { return "LD_PRELOAD=" TROUBLED_CALLS; }
  std::string turns_path() const { return directory_ / "turns"; }
  std::string broken_path() const { return directory_ / "broken"; }

  const TempDirectory directory_;
  int turns_ = -1;
};

}  // namespace engram::testing

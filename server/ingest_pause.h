// Says once of each pause that it has lasted: nothing was counted for `kLength` after something was.
//
// Threads: one. Ownership: none. Blocking: never. Errors: none.
// Why:     while a stream runs, its buffers' memory is better kept (KeepFreedMemory in server/main.cc); ten seconds after
//          the last of it nobody can tell, and it is several times what a small daemon's observations take.
#pragma once

#include <chrono>
#include <cstdint>

#include "core/base/clock.h"

namespace engram {

class IngestPause {
 public:
  static constexpr Duration kLength = std::chrono::seconds(10);

  // `counted` observations so far, of a process that began with none.
  bool HasLasted(uint64_t counted, MonotonicTime now) {
    if (counted != counted_) {
      counted_ = counted;
      since_ = now;
      told_ = false;
      return false;
    }
    if (told_ || now - since_ < kLength) return false;
    told_ = true;
    return true;
  }

 private:
  uint64_t counted_ = 0;
  MonotonicTime since_;
  // Nothing is free that nobody has used yet.
  bool told_ = true;
};

}  // namespace engram

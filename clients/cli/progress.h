// The one line at the bottom of a terminal that tells how far a long command is.
#pragma once

#include <cstdint>
#include <string>

#include "clients/cli/render.h"
#include "core/base/mutex.h"

namespace engram {

// Draws on standard error and only where that is a terminal. Any thread.
class Progress {
 public:
  explicit Progress(const Terminal& terminal) : terminal_(terminal) {}
  ~Progress() { Clear(); }

  // `share` of the input read, 0..1, negative where unknown; `seconds` since the start.
  void Draw(uint64_t done, uint64_t refused, double share, double rate, double seconds, const std::string& note);
  void Clear();
  // Writes whole lines above the progress line.
  void Above(const std::string& lines);

 private:
  const Terminal terminal_;
  Mutex mu_;
  bool drawn_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace engram

// The one line at the bottom of a terminal that tells how far a long command is.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

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
  // Bytes of a file or directory; "verifying 1.2 GiB of 3 GiB".
  void DrawBytes(const std::string& doing, uint64_t done, uint64_t total, double seconds);
  void Clear();
  // Writes whole lines above the progress line.
  void Above(const std::string& lines);

 private:
  void Show(const std::string& line) ABSL_LOCKS_EXCLUDED(mu_);

  const Terminal terminal_;
  Mutex mu_;
  bool drawn_ ABSL_GUARDED_BY(mu_) = false;
};

// Hears of each piece that is done and draws some ten times a second. One thread.
class ByteProgress {
 public:
  ByteProgress(const Terminal& terminal, std::string doing) : progress_(terminal), doing_(std::move(doing)) {}

  void Done(uint64_t done, uint64_t total);
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count(); }

 private:
  Progress progress_;
  const std::string doing_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  double drawn_at_ = 0;
};

}  // namespace engram

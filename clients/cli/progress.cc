#include "clients/cli/progress.h"

#include <fmt/format.h>

#include <cstdio>

#include "clients/cli/time_text.h"

namespace engram {
namespace {

void Write(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

}  // namespace

void Progress::Draw(uint64_t done, uint64_t refused, double share, double rate, double seconds,
                    const std::string& note) {
  if (!terminal_.is_terminal) return;
  std::string line;
  if (share >= 0) line += fmt::format("{} {:3.0f} %  ", Bar(share, 24), share * 100);
  line += fmt::format("{} observed  {}/s", Grouped(done), Rough(rate));
  if (refused > 0) line += fmt::format("  {} refused", Grouped(refused));
  if (share > 0 && share < 1 && seconds > 0.5) {
    line += fmt::format("  {} left", FormatDurationRough(seconds * (1 - share) / share * 1e6));
  }
  if (!note.empty()) line += "  " + note;
  Show(line);
}

void Progress::DrawBytes(const std::string& doing, uint64_t done, uint64_t total, double seconds) {
  if (!terminal_.is_terminal) return;
  const double share = total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total);
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  Show(fmt::format("{} {:3.0f} %  {} {} of {}  {}/s", Bar(share, 24), share * 100, doing, FormatBytes(done),
                   FormatBytes(total), FormatBytes(static_cast<uint64_t>(rate))));
}

void Progress::Show(const std::string& line) {
  MutexLock lock(mu_);
  Write("\r" + CutTo(line, terminal_.width - 1) + "\x1b[K");
  drawn_ = true;
}

void Progress::Clear() {
  MutexLock lock(mu_);
  if (drawn_) Write("\r\x1b[K");
  drawn_ = false;
}

void Progress::Above(const std::string& lines) {
  MutexLock lock(mu_);
  Write((drawn_ ? "\r\x1b[K" : "") + lines);
  drawn_ = false;
}

void ByteProgress::Done(uint64_t done, uint64_t total) {
  constexpr double kBetween = 0.1;
  const double now = seconds();
  if (now - drawn_at_ < kBetween) return;
  drawn_at_ = now;
  progress_.DrawBytes(doing_, done, total, now);
}

}  // namespace engram

// Ctrl-C as something that can be waited for.
#pragma once

#include <cstdint>

namespace engram {

// While it lives, SIGINT and SIGTERM do not end the program: they are counted, and wake whoever polls. One at a time in
// a process; made and destroyed by the main thread, read by any.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // How often so far.
  int count() const;
  // Readable for poll() from the first interruption, or the first Wake, on.
  int fd() const;
  // Wakes whoever polls `fd` without counting as an interruption.
  void Wake() const;
  // Waits that long or until the first interruption; true when there has been one.
  bool WaitFor(int64_t micros) const;
};

}  // namespace engram

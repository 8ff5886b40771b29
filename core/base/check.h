// Checks of invariants: a broken one stops the process. Never used on input.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

namespace engram {

[[noreturn]] inline void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, condition);
  std::abort();
}

// For what is nobody's mistake and leaves no way on.
[[noreturn]] inline void StopProcess(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::abort();
}

}  // namespace engram

#define ENGRAM_CHECK(condition)                                          \
  do {                                                                   \
    if (!(condition)) [[unlikely]]                                       \
      ::engram::CheckFailed(#condition, __FILE__, __LINE__);             \
  } while (false)

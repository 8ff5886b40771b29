// What a thread is called by `top -H`, `perf` and debuggers: as in the thread table of docs/architecture.md.
//
// Threads: the one that is named. Blocking: no. Errors: none; Linux refuses more than fifteen characters.
#pragma once

#include <pthread.h>

namespace engram {

inline void NameThread(const char* name) { pthread_setname_np(pthread_self(), name); }

}  // namespace engram

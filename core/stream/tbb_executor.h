// The executor of the daemon: oneTBB arenas for recalls and batches, threads that step back for everybody for linking.
#pragma once

#include <chrono>
#include <memory>

#include "core/base/clock.h"
#include "core/base/executor.h"

namespace engram {

// `slots` batches run at one time, also when the machine has fewer cores. Recalls run beside them on their callers'
// threads, as many as there are slots or cores, whichever is more; linking has two threads of nice 10 and takes what the others
// leave. A thread that has run a batch waits for the next one for `stay` before oneTBB has it back.
std::unique_ptr<Executor> MakeTbbExecutor(unsigned slots, Duration stay = std::chrono::milliseconds(50));

}  // namespace engram

// The executor of the daemon: three oneTBB arenas of falling priority.
#pragma once

#include <memory>

#include "core/base/executor.h"

namespace engram {

// `slots` batches run at one time, also when the machine has fewer cores. Recalls run beside them on their callers'
// threads, as many as there are slots or cores, whichever is more; linking takes what the others leave.
std::unique_ptr<Executor> MakeTbbExecutor(unsigned slots);

}  // namespace engram

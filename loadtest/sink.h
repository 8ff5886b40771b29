// The yardstick: a server that speaks ObserveStream, parses every frame, drops it and acknowledges it, eight
// frames at a time and what is left at `end`; and Observe, which it answers at once.
#pragma once

namespace engram {

// Serves on a free loopback port, says `engram-sink ready grpc=ADDRESS` on standard output, and returns 0 after
// SIGTERM. Call it first in main: it blocks signals for the threads to come.
int RunSink();

}  // namespace engram

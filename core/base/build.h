// What this program was built from, and how. Of a library of its own, engram_build, which only programs link: it changes
// with each commit.
//
// Threads: any. Errors: none; without the history of the sources the commit is "unknown".
#pragma once

#include <string>

namespace engram {

struct Build {
  std::string commit;
  std::string flags;  // Compiler, build type, its options, sanitizers.
};

Build ThisBuild();

}  // namespace engram

#include "core/base/build.h"

#include "core/base/commit.h"

namespace engram {

Build ThisBuild() {
  Build build{kCommit, ENGRAM_BUILD_FLAGS};
  build.flags.erase(build.flags.find_last_not_of(' ') + 1);
  return build;
}

}  // namespace engram

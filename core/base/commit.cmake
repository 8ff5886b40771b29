# Writes OUT, a header that names the commit of the sources in DIRECTORY, when it has changed.
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND git -C ${DIRECTORY} describe --always --dirty --abbrev=12 --exclude=*
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(commit "unknown")
endif()
file(CONFIGURE OUTPUT ${OUT} @ONLY CONTENT "// The commit this was built from; written by commit.cmake.
#pragma once

namespace engram {
inline constexpr const char* kCommit = \"@commit@\";
}
")

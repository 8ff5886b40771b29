// The reference of the configuration in Markdown: docs/configuration.md is what this returns.
//
// Threads: a pure function. Errors: none; a test fails when the committed page differs.
#pragma once

#include <string>

namespace engram {

std::string RenderReference();

}  // namespace engram

// Whether bytes are text.
//
// Threads: a pure function. Errors: none.
#pragma once

#include <string_view>

namespace engram {

// UTF-8 as protobuf understands it: no surrogates, no overlong forms, nothing above U+10FFFF. NUL is a character.
bool IsUtf8Text(std::string_view text);

}  // namespace engram

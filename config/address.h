// Whether text has the shape of an address. Nothing is resolved, opened or listened to.
//
// Threads: pure functions. Errors: InvalidArgument that says what is wrong with the text; the caller adds what is
// allowed.
#pragma once

#include <absl/status/status.h>

#include <string_view>

namespace engram {

// IPV4:PORT, [IPV6]:PORT or HOST:PORT.
absl::Status CheckAddress(std::string_view text);

// The same or unix:PATH, one or several separated by commas, none twice.
absl::Status CheckAddresses(std::string_view text);

}  // namespace engram

// Addresses the daemon listens on: taking settings apart, and finding out why one cannot be had.
//
// Threads: any. Blocking: CheckFree opens and closes a socket. Errors: UNAVAILABLE, naming the address and what to do.
// Why:     gRPC answers a failed bind with "no", and would take over the unix socket of a living daemon.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace engram {

// "a, b" to {"a", "b"}.
std::vector<std::string> SplitAddresses(std::string_view addresses);

// Whether `address` can be listened on now: IPV4:PORT, [IPV6]:PORT, HOST:PORT or unix:PATH. A socket file that nobody
// listens on counts as free.
absl::Status CheckFree(const std::string& address);

// `address` with the port in use; unix addresses stay as they are.
std::string WithPort(const std::string& address, int port);

}  // namespace engram

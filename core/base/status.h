// The error vocabulary: absl::Status inside, one-to-one to gRPC at the edge. Messages are lower-case and name the thing,
// the value and the limit.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string_view>
#include <utility>

namespace engram {

// Debian's absl has a string_view of its own. Lives as long as the status.
inline std::string_view MessageOf(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

}  // namespace engram

#define ENGRAM_CONCAT_INNER(a, b) a##b
#define ENGRAM_CONCAT(a, b) ENGRAM_CONCAT_INNER(a, b)

// Returns the status of `expr` from the enclosing function unless it is OK.
#define ENGRAM_RETURN_IF_ERROR(expr)                                                 \
  do {                                                                               \
    if (absl::Status engram_status = (expr); !engram_status.ok()) return engram_status; \
  } while (false)

// Assigns the value of a StatusOr to `lhs`, or returns its status.
#define ENGRAM_ASSIGN_OR_RETURN(lhs, expr)                                           \
  auto ENGRAM_CONCAT(engram_or_, __LINE__) = (expr);                                 \
  if (!ENGRAM_CONCAT(engram_or_, __LINE__).ok())                                     \
    return std::move(ENGRAM_CONCAT(engram_or_, __LINE__)).status();                  \
  lhs = *std::move(ENGRAM_CONCAT(engram_or_, __LINE__))

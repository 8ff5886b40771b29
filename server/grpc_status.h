// absl::Status at the edge: the codes are google.rpc.Code on both sides, so the conversion is a cast.
//
// Threads: pure functions. Errors: none.
#pragma once

#include <absl/status/status.h>
#include <grpcpp/support/status.h>

#include <string>

namespace engram {

#define ENGRAM_SAME_CODE(absl_code, grpc_code) \
  static_assert(static_cast<int>(absl::StatusCode::absl_code) == static_cast<int>(grpc::StatusCode::grpc_code))
ENGRAM_SAME_CODE(kOk, OK);
ENGRAM_SAME_CODE(kCancelled, CANCELLED);
ENGRAM_SAME_CODE(kUnknown, UNKNOWN);
ENGRAM_SAME_CODE(kInvalidArgument, INVALID_ARGUMENT);
ENGRAM_SAME_CODE(kDeadlineExceeded, DEADLINE_EXCEEDED);
ENGRAM_SAME_CODE(kNotFound, NOT_FOUND);
ENGRAM_SAME_CODE(kAlreadyExists, ALREADY_EXISTS);
ENGRAM_SAME_CODE(kPermissionDenied, PERMISSION_DENIED);
ENGRAM_SAME_CODE(kResourceExhausted, RESOURCE_EXHAUSTED);
ENGRAM_SAME_CODE(kFailedPrecondition, FAILED_PRECONDITION);
ENGRAM_SAME_CODE(kAborted, ABORTED);
ENGRAM_SAME_CODE(kOutOfRange, OUT_OF_RANGE);
ENGRAM_SAME_CODE(kUnimplemented, UNIMPLEMENTED);
ENGRAM_SAME_CODE(kInternal, INTERNAL);
ENGRAM_SAME_CODE(kUnavailable, UNAVAILABLE);
ENGRAM_SAME_CODE(kDataLoss, DATA_LOSS);
ENGRAM_SAME_CODE(kUnauthenticated, UNAUTHENTICATED);
#undef ENGRAM_SAME_CODE

inline grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.raw_code()), std::string(status.message()));
}

}  // namespace engram

// What `engram` exits with. The one table: --help prints it, the tests read it, everything else refers to it.
// The numbers above 63 are those of sysexits.h, so that scripts can tell "try again" from "mend the input".
#pragma once

#include <absl/status/status.h>

namespace engram {

//   ENGRAM_EXIT_CODE(name, number, meaning)
#define ENGRAM_EXIT_CODES(X)                                                              \
  X(kOk, 0, "done")                                                                       \
  X(kPartial, 1, "the daemon refused some observations, or what was asked for is not there; a bar of a load was missed, no settings reach the goal of tune") \
  X(kUsage, 2, "the command line is wrong")                                               \
  X(kRegressed, 3, "bench --compare or --against: something got worse")                     \
  X(kIncomparable, 4, "bench --compare: the machine is another than it was, and nothing that can be judged got worse") \
  X(kBadData, 65, "the input data is wrong: a malformed line, .npy, dimension, a value; or a data directory is damaged") \
  X(kNoInput, 66, "an input file or directory cannot be opened")                                       \
  X(kUnreachable, 69, "the daemon cannot be reached, or it is draining")                  \
  X(kInternal, 70, "an error inside the daemon or this program")                          \
  X(kCannotCreate, 73, "an output file cannot be written")                                  \
  X(kInputOutput, 74, "reading or writing failed midway")                                 \
  X(kTryAgain, 75, "no room or no time: the same command may work later")                 \
  X(kProtocol, 76, "what answers has no such call: an older engramd, or something else")                    \
  X(kNotPermitted, 77, "the daemon does not let itself be asked for this")                \
  X(kInterrupted, 130, "ended by Ctrl-C")

enum ExitCode : int {
#define ENGRAM_EXIT_CODE_ENUM(name, number, meaning) name = number,
  ENGRAM_EXIT_CODES(ENGRAM_EXIT_CODE_ENUM)
#undef ENGRAM_EXIT_CODE_ENUM
};

// The exit code of a command that failed with this error.
inline ExitCode ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kOk;
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
      return kPartial;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return kBadData;
    case absl::StatusCode::kUnavailable:
      return kUnreachable;
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kAborted:
      return kTryAgain;
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return kNotPermitted;
    case absl::StatusCode::kUnimplemented:
      return kProtocol;
    case absl::StatusCode::kDataLoss:
      return kInputOutput;
    case absl::StatusCode::kCancelled:
      return kInterrupted;
    default:
      return kInternal;
  }
}

}  // namespace engram

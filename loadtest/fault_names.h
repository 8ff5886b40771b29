// engram.v1.FaultKind as words: stall-workers, slow-disk.
//
// Threads: any. Errors: INVALID_ARGUMENT, naming the words there are.
#pragma once

#include <fmt/format.h>

#include <cctype>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "engram/v1/admin_service.pb.h"

namespace engram {

inline std::string NameOf(v1::FaultKind kind) {
  std::string name = v1::FaultKind_Name(kind);
  // Of a newer daemon.
  if (name.empty()) return fmt::format("fault-{}", static_cast<int>(kind));
  for (char& c : name) c = c == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

inline std::vector<std::string> FaultNames() {
  std::vector<std::string> names;
  for (int kind = v1::FAULT_KIND_UNSPECIFIED + 1; v1::FaultKind_IsValid(kind); ++kind) {
    names.push_back(NameOf(static_cast<v1::FaultKind>(kind)));
  }
  return names;
}

inline absl::StatusOr<v1::FaultKind> FaultKindOf(const std::string& name) {
  for (int kind = v1::FAULT_KIND_UNSPECIFIED + 1; v1::FaultKind_IsValid(kind); ++kind) {
    if (NameOf(static_cast<v1::FaultKind>(kind)) == name) return static_cast<v1::FaultKind>(kind);
  }
  return absl::InvalidArgumentError(
      fmt::format("no fault '{}'; there are {}", name, fmt::join(FaultNames(), ", ")));
}

}  // namespace engram

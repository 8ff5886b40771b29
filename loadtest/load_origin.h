// Where the figures of a load come from, under the names that `engram bench` has for it: seed, machines, programs, settings.
//
// Threads: one. Blocks: reads a few files. Errors: none; what cannot be had is left out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engram/v1/admin_service.pb.h"
#include "loadtest/measure/bench_document.h"
#include "loadtest/report.h"

namespace engram {

struct LoadOrigin {
  uint64_t seed = 1;
  bool brief = false;
  // Of a daemon that was started here; empty of one that ran already.
  std::filesystem::path program;
  std::filesystem::path storage;
  std::vector<std::string> settings;
  Json in_force;
};

void ReportOrigin(const LoadOrigin& origin, const v1::GetStatusResponse& daemon, Report& report);

}  // namespace engram

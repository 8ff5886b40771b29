// Where a figure comes from: the machines, their processors and kernels, the programs, what they were built from and how;
// of the client, and of the daemon, which may run elsewhere.
//
// Threads: any. Blocks: reads a few files. Errors: none; a text that cannot be had is kUnknown, a number null.
#pragma once

#include <filesystem>

#include "engram/v1/admin_service.pb.h"
#include "loadtest/measure/bench_document.h"

namespace engram {

inline constexpr const char* kUnknown = "unknown";

// By its name: of two names one machine may be, which costs a report a few figures and makes none wrong.
bool OnThisMachine(const v1::GetStatusResponse& status);

// Into `environment.client.*`, `environment.daemon.*` as it says itself, and `environment.measured_at`. `started` is the
// program of a daemon that was started here, or empty.
void PutEnvironment(const v1::GetStatusResponse& status, const std::filesystem::path& started,
                    BenchDocument& document);

// Into `config.profile`, `config.durability` and `config.workers`.
void PutDaemonConfig(const v1::GetStatusResponse& status, BenchDocument& document);

}  // namespace engram

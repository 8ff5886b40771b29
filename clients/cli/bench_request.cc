#include "clients/cli/bench_request.h"

#include <fmt/format.h>

#include "loadtest/measure/bench_store.h"
#include "loadtest/spawn.h"

namespace engram {
namespace fs = std::filesystem;

absl::StatusOr<BenchRequest> BenchRequestOf(Session& session, const MeasuredOptions& measured) {
  BenchRequest request;
  request.plan.dimension = measured.dimension;
  request.plan.batch_size = measured.batch;
  request.plan.streams = measured.streams;
  request.plan.preload = measured.preload;
  request.plan.seed = measured.seed;
  std::error_code error;
  request.self = fs::read_symlink("/proc/self/exe", error);
  request.storage = fs::absolute(measured.storage.empty() ? kBenchDirectory : measured.storage, error);
  fs::create_directories(request.storage, error);
  if (error) return absl::InternalError(fmt::format("cannot make {}: {}", request.storage.string(), error.message()));
  if (measured.running) {
    request.target.address = session.global().address;
  } else {
    absl::StatusOr<fs::path> program = FindDaemon(measured.engramd);
    if (!program.ok()) return program.status();
    request.target.program = *program;
    request.target.profile = measured.profile;
    request.target.settings = measured.settings;
    request.target.storage = request.storage;
  }
  if (session.err().is_terminal) {
    request.progress = [&session](const std::string& what) { session.Warn(what); };
  }
  return request;
}

}  // namespace engram

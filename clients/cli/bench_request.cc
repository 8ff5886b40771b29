#include "clients/cli/bench_request.h"

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
  absl::StatusOr<fs::path> storage = StorageDirectory(measured.storage);
  if (!storage.ok()) return storage.status();
  request.storage = *std::move(storage);
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

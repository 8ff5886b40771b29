#include "loadtest/load_origin.h"

#include <fmt/format.h>

#include "loadtest/disk_probe.h"
#include "loadtest/measure/environment.h"

namespace engram {

void ReportOrigin(const LoadOrigin& origin, const v1::GetStatusResponse& daemon, Report& report) {
  const auto known = [](const std::string& text) { return text.empty() ? std::string(kUnknown) : text; };
  report.Line(fmt::format("seed {}; the daemon of commit {} on {} cores, {}", origin.seed, known(daemon.build().commit()),
                          daemon.machine().cores(), known(daemon.machine().cpu())));
  BenchDocument document;
  PutEnvironment(daemon, origin.program, document);
  PutDaemonConfig(daemon, document);
  document.Put("config.settings", origin.settings);
  document.Put("config.arguments", Json{{"seed", origin.seed}, {"short", origin.brief}});
  if (!origin.in_force.is_null()) document.Put("config.in_force", origin.in_force);
  if (!origin.storage.empty()) {
    const bool in_memory = IsInMemory(origin.storage);
    document.Put("config.storage.directory", origin.storage.string());
    document.Put("config.storage.in_memory", in_memory);
    report.Line("its data in " + origin.storage.string());
    if (in_memory) report.Line("  this directory is kept in memory: these are not figures of a disk");
  }
  for (const auto& [key, value] : document.json().items()) report.Put(key, value);
}

}  // namespace engram

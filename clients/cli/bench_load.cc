#include "clients/cli/bench_load.h"

#include <fmt/format.h>

#include <functional>

#include "clients/cli/bench_options.h"

namespace engram {
namespace {

struct Argument {
  const char* option;
  const char* path;
  double least, most;
  std::function<void(BenchOptions&, double)> set;
};
const Argument kArguments[] = {
    {"--dimension", "config.arguments.dimension", kLeastDimension, kMostDimension,
     [](BenchOptions& to, double value) { to.measured.dimension = static_cast<uint32_t>(value); }},
    {"--batch", "config.arguments.batch", 1, kMostBatch,
     [](BenchOptions& to, double value) { to.measured.batch = static_cast<uint32_t>(value); }},
    {"--streams", "config.arguments.streams", 1, kMostStreams,
     [](BenchOptions& to, double value) { to.measured.streams = static_cast<uint32_t>(value); }},
    {"--preload", "config.arguments.preload", kLeastPreload, kMostPreload,
     [](BenchOptions& to, double value) { to.measured.preload = static_cast<uint64_t>(value); }},
    {"--seed", "config.arguments.seed", 0, 1ull << 53,
     [](BenchOptions& to, double value) { to.measured.seed = static_cast<uint64_t>(value); }},
    {"--rate", "config.arguments.rate", 1, kMostRate, [](BenchOptions& to, double value) { to.rate = value; }},
    {"--recalls", "config.arguments.recalls_per_second", 0, kMostRecalls,
     [](BenchOptions& to, double value) { to.recalls_per_second = value; }},
};

void TakeDaemonOf(const BenchDocument& report, BenchOptions& options) {
  if (options.measured.running || options.given.contains("--profile") || options.given.contains("--set")) return;
  if (const std::string profile = report.Text("config.profile"); !profile.empty()) options.measured.profile = profile;
  const Json* settings = report.Find("config.settings");
  if (settings == nullptr || !settings->is_array()) return;
  options.measured.settings.clear();
  for (const Json& setting : *settings) {
    if (setting.is_string()) options.measured.settings.push_back(setting.get<std::string>());
  }
}

}  // namespace

absl::Status TakeLoadOf(const BenchDocument& report, const std::string& name, BenchOptions& options) {
  for (const Argument& argument : kArguments) {
    const std::optional<double> value = report.Number(argument.path);
    if (!value || options.given.contains(argument.option)) continue;
    if (!(*value >= argument.least && *value <= argument.most)) {
      return absl::InvalidArgumentError(fmt::format("report {}: {} is {}; allowed: {} to {}", name, argument.path, *value,
                                                    argument.least, argument.most));
    }
    argument.set(options, *value);
  }
  TakeDaemonOf(report, options);
  return absl::OkStatus();
}

}  // namespace engram

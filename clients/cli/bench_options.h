// The options of the commands that measure: bench and tune. options.cc puts them beside the others.
#pragma once

#include <optional>

#include "clients/cli/data_options.h"

namespace engram {

// What a measured load may be, on the command line and in a stored report.
inline constexpr uint32_t kMostBatch = 4096, kMostStreams = 32, kLeastDimension = 2, kMostDimension = 16384;
inline constexpr uint64_t kLeastPreload = 100, kMostPreload = 10'000'000;
inline constexpr double kMostRate = 1e7, kMostRecalls = 1e5;

// Threads, ownership and errors as OptionKinds.
class MeasureOptions : protected DataOptions {
 protected:
  void AddMeasureCommands(CLI::App* app);
  // After a parse: the command, when it is one of these. Throws CLI::ValidationError.
  std::optional<CommandOptions> TakeMeasureCommand(const GlobalOptions& global);

 private:
  void AddMeasured(CLI::App* sub, MeasuredOptions* measured);
  void AddBench(CLI::App* app);
  void AddTune(CLI::App* app);
  BenchOptions TakeBench(const GlobalOptions& global);
  // "5%" or "0.05".
  static void Share(CLI::App* app, const std::string& name, double* share, const std::string& help);

  // "20000" or "20k".
  static void Count(CLI::App* app, const std::string& name, uint64_t* count, const std::string& help);

  BenchOptions bench_;
  TuneOptions tune_;
  CLI::App *bench_app_ = nullptr, *tune_app_ = nullptr;
};

}  // namespace engram

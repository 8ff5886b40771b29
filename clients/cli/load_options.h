// The options of the commands that put a daemon to the test: load, fault. options.cc puts them beside the others.
#pragma once

#include <cstdint>
#include <optional>

#include "clients/cli/bench_options.h"

namespace engram {

// Threads, ownership and errors as OptionKinds.
class LoadCommands : protected MeasureOptions {
 protected:
  void AddLoadCommands(CLI::App* app);
  // After a parse: the command, when it is one of these.
  std::optional<CommandOptions> TakeLoadCommand();

 private:
  LoadOptions load_;
  FaultOptions fault_;
  int64_t backward_us_ = 0;
  CLI::App *load_app_ = nullptr, *fault_app_ = nullptr;
};

}  // namespace engram

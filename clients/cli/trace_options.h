// The options of `engram trace`. options.cc puts them beside the others.
#pragma once

#include <optional>

#include "clients/cli/load_options.h"

namespace engram {

// Threads, ownership and errors as OptionKinds.
class TraceCommands : protected LoadCommands {
 protected:
  void AddTraceCommand(CLI::App* app);
  // After a parse: the command, when it is this one.
  std::optional<CommandOptions> TakeTraceCommand(const GlobalOptions& global);

 private:
  TraceOptions trace_;
  std::string kind_ = "observations";
  CLI::App* trace_app_ = nullptr;
};

}  // namespace engram

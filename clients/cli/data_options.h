// The options of the commands about data on disk: verify, journal dump, restore, snapshot, checkpoint. options.cc puts
// them beside the others.
#pragma once

#include <optional>

#include "clients/cli/option_kinds.h"

namespace engram {

// Threads, ownership and errors as OptionKinds.
class DataOptions : protected OptionKinds {
 protected:
  void AddDataCommands(CLI::App* app);
  // After a parse: the command, when it is one of these.
  std::optional<CommandOptions> TakeDataCommand();

 private:
  VerifyOptions verify_;
  DumpOptions dump_;
  RestoreOptions restore_;
  SnapshotOptions snapshot_;
  CLI::App *verify_app_ = nullptr, *dump_app_ = nullptr, *restore_app_ = nullptr, *snapshot_app_ = nullptr,
           *checkpoint_app_ = nullptr;
};

}  // namespace engram

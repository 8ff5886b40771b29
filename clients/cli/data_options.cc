#include "clients/cli/data_options.h"

#include <limits>

namespace engram {

void DataOptions::AddDataCommands(CLI::App* app) {
  verify_app_ =
      Command(app, "verify", "Read a data directory whole and say what is damaged", R"(  engram verify /var/lib/engram
  engram verify backup --quiet || echo damaged
Changes nothing and needs no daemon; beside one, what is just being written is left out.
)");
  File(verify_app_->add_option("directory", verify_.directory, "A data directory, or a snapshot"))
      ->required()
      ->type_name("");
  verify_app_->add_flag("-q,--quiet", verify_.quiet, "Print nothing; the exit code says it");

  CLI::App* journal = Command(app, "journal", "Look into the journal of a data directory", "");
  journal->require_subcommand(1);
  dump_app_ = Command(journal, "dump", "Print what is recorded, one record a line",
                      R"(  engram journal dump /var/lib/engram --space notes --limit 10
  engram journal dump backup --output json --embeddings | gzip > notes.jsonl.gz
Needs no daemon. Goes on behind what is damaged, naming it on standard error.
)");
  File(dump_app_->add_option("directory", dump_.directory, "A data directory, or a snapshot"))
      ->required()
      ->type_name("");
  dump_app_->add_option("--space", dump_.space, "Only records of this space")->type_name("NAME");
  dump_app_->add_option("--from", dump_.from, "Begin at this position")
      ->check(CLI::Range(uint64_t{1}, std::numeric_limits<uint64_t>::max()).description(""))
      ->type_name("POSITION")
      ->capture_default_str();
  dump_app_->add_option("--limit", dump_.limit, "At most so many records")->type_name("N");
  dump_app_->add_flag("--embeddings", dump_.embeddings, "With the embeddings (json)");

  restore_app_ = Command(app, "restore", "Make a data directory out of a snapshot",
                         R"(  engram restore /backup/monday /var/lib/engram
The snapshot is verified first. The copy gets an identity of its own: tokens of the original are refused by it.
)");
  File(restore_app_->add_option("snapshot", restore_.snapshot, "What `engram snapshot` made, or a copy of it"))
      ->required()
      ->type_name("");
  File(restore_app_->add_option("directory", restore_.directory, "The new data directory: not there, or empty"))
      ->required()
      ->type_name("");
  restore_app_->add_flag("--copy", restore_.copy, "Copy also what could be shared with the snapshot by hard links");
  restore_app_->add_flag("--accept-damage", restore_.accept_damage, "Also when the snapshot is damaged: keep the rest");

  snapshot_app_ = Command(app, "snapshot", "Copy the daemon's data by hard links, while it goes on",
                          R"(  engram snapshot /var/lib/engram-monday
  engram verify /var/lib/engram-monday
The directory is on the daemon's machine, on the file system of its data, and not there yet or empty.
)");
  File(snapshot_app_->add_option("directory", snapshot_.directory, "Where to"))->required()->type_name("");

  checkpoint_app_ = Command(app, "checkpoint", "Save the daemon's state, so that its next start is quick", "");
}

std::optional<CommandOptions> DataOptions::TakeDataCommand() {
  if (verify_app_->parsed()) return verify_;
  if (dump_app_->parsed()) return dump_;
  if (restore_app_->parsed()) return restore_;
  if (snapshot_app_->parsed()) return snapshot_;
  if (checkpoint_app_->parsed()) return CheckpointOptions();
  return std::nullopt;
}

}  // namespace engram

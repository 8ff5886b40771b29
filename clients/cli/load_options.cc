#include "clients/cli/load_options.h"

#include "loadtest/fault_names.h"

namespace engram {
namespace {

// As the daemon bounds them.
constexpr int64_t kHour = 3'600'000'000;

}  // namespace

void LoadCommands::AddLoadCommands(CLI::App* app) {
  load_app_ = Command(app, "load", "Run a load scenario and check that nothing acknowledged is lost",
                      R"(  engram load --scenario loadtest/scenarios/burst.yaml
  engram load --scenario burst.yaml --short --set num_workers=8
  engram load --scenario burst.yaml --running --address 10.0.0.7:50051
Starts a daemon of its own, unless --running. Exits with 0 when everything the scenario asks for holds, with 1 otherwise.
)");
  File(load_app_->add_option("--scenario", load_.scenario, "What to do (YAML, docs/load.md)"))
      ->required()
      ->type_name("FILE");
  load_app_->add_flag("--short", load_.brief, "The scenario's short form: seconds");
  load_app_->add_flag("--running", load_.running, "Load the daemon at --address");
  load_app_->add_option("--set", load_.set, "A setting of the daemon, above the scenario's; repeatable")
      ->type_name("KEY=VALUE")
      ->take_all()
      ->expected(1);
  File(load_app_->add_option("--engramd", load_.engramd, "The daemon to start; the one beside this program"))
      ->type_name("FILE");
  File(load_app_->add_option("--storage-dir", load_.storage, "Where its data lies meanwhile (.engram/bench)"))
      ->type_name("DIR");
  load_app_->add_option("--seed", load_.seed, "Of everything that is drawn")->type_name("N")->capture_default_str();

  fault_app_ = Command(app, "fault", "Break a daemon on purpose (admin.fault_injection)",
                       R"(  engram fault stall-workers --count 2 --for 5s
  engram fault slow-disk --delay 20ms --for 1m
  engram fault fill-memory --bytes 256MiB
  engram fault shift-clock --backward 24h --for 10s
  engram fault heal
)");
  Words(fault_app_->add_option("kind", fault_.kind, "What is to break"), FaultNames())->required()->type_name("");
  fault_app_->add_option("--count", fault_.count, "Workers, or batches")->type_name("N");
  fault_app_->add_option("--bytes", fault_.bytes, "Memory to fill")->type_name("SIZE");
  Duration(fault_app_, "--delay", &fault_.delay_us, "How much longer each sync, or each record, takes", {1, kHour});
  Duration(fault_app_, "--forward", &fault_.shift_us, "How far the wall clock jumps", {1, 100 * 365 * 24 * kHour});
  Duration(fault_app_, "--backward", &backward_us_, "How far it jumps back", {1, 100 * 365 * 24 * kHour});
  fault_app_->get_option("--backward")->excludes("--forward");
  Duration(fault_app_, "--for", &fault_.duration_us, "How long it lasts (until `engram fault heal`)",
           {1, 30 * 24 * kHour});
}

std::optional<CommandOptions> LoadCommands::TakeLoadCommand() {
  if (load_app_->parsed()) {
    if (load_.running && (!load_.set.empty() || !load_.engramd.empty() || !load_.storage.empty())) {
      throw CLI::ValidationError(
          "--running loads a daemon that runs: --set, --engramd and --storage-dir are for one that is started");
    }
    return load_;
  }
  if (fault_app_->parsed()) {
    if (backward_us_ > 0) fault_.shift_us = -backward_us_;
    return fault_;
  }
  return std::nullopt;
}

}  // namespace engram

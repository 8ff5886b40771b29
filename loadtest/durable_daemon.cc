#include "loadtest/durable_daemon.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "loadtest/health.h"
#include "loadtest/observe_client.h"
#include "loadtest/pacing.h"
#include "loadtest/scrape.h"

namespace engram {
namespace {

constexpr std::chrono::seconds kServingPatience{300}, kSparesPatience{120};
constexpr int64_t kBetweenScrapes = 20'000'000;
constexpr const char* kSparesSetting = "storage.spare_segments";
constexpr const char* kSparesWanted = "2";

// What the last of `arguments` that sets `key` sets it to.
std::string LastSetting(const std::vector<std::string>& arguments, const std::string& key) {
  std::string value;
  for (const std::string& argument : arguments) {
    if (argument.rfind(key + "=", 0) == 0) value = argument.substr(key.size() + 1);
  }
  return value;
}

}  // namespace

JournalCounters JournalCounters::Since(const JournalCounters& before) const {
  return {records - before.records, bytes - before.bytes, payload_bytes - before.payload_bytes, syncs - before.syncs,
          prepared_bytes - before.prepared_bytes};
}

JournalCounters CountersOf(std::string_view page) {
  const auto counter = [&](const char* what) {
    return MetricValue(page, fmt::format("engram_journal_{}_total", what))
        .value_or(std::numeric_limits<double>::quiet_NaN());
  };
  return {counter("records"), counter("bytes"), counter("payload_bytes"), counter("syncs"), counter("prepared_bytes")};
}

absl::StatusOr<std::unique_ptr<DurableDaemon>> DurableDaemon::Start(const BenchContext& context,
                                                                    const Options& options) {
  ENGRAM_ASSIGN_OR_RETURN(auto directory, TemporaryDirectory::CreateIn(context.storage));
  std::vector<std::string> arguments = {"--profile", options.profile,
                                        "--set",     "durability.mode=" + options.mode,
                                        "--set",     fmt::format("{}={}", kSparesSetting, kSparesWanted)};
  for (const auto& settings : {options.settings, context.settings}) {
    for (const std::string& setting : settings) arguments.insert(arguments.end(), {"--set", setting});
  }
  const double spares = options.mode == "memory" ? 0 : std::atof(LastSetting(arguments, kSparesSetting).c_str());
  std::unique_ptr<DurableDaemon> daemon(
      new DurableDaemon(context.daemon, std::move(arguments), spares, std::move(directory)));
  ENGRAM_RETURN_IF_ERROR(daemon->Restart().status());
  ENGRAM_RETURN_IF_ERROR(daemon->AwaitSpares());
  return daemon;
}

absl::StatusOr<int64_t> DurableDaemon::Restart() {
  ENGRAM_ASSIGN_OR_RETURN(child_, StartDaemon(program_, arguments_, *directory_, kServingPatience));
  const auto channel = ConnectTo(address());
  ENGRAM_ASSIGN_OR_RETURN(const int64_t serving, AwaitServing(channel, kServingPatience));
  stub_ = v1::MemoryService::NewStub(channel);
  admin_ = v1::AdminService::NewStub(channel);
  return serving - child_->started();
}

absl::Status DurableDaemon::AwaitSpares() {
  const int64_t deadline = NowNanos() + std::chrono::nanoseconds(kSparesPatience).count();
  while (true) {
    ENGRAM_ASSIGN_OR_RETURN(const std::string page, Scrape(child_->Ready("metrics"), "/metrics"));
    const double ready = MetricValue(page, "engram_journal_spares_ready").value_or(spares_);
    if (ready >= spares_) return absl::OkStatus();
    if (NowNanos() > deadline) {
      return absl::DeadlineExceededError(
          fmt::format("{} of {} spare segments were ready within {} s", ready, spares_, kSparesPatience.count()));
    }
    SleepUntilNanos(NowNanos() + kBetweenScrapes);
  }
}

absl::StatusOr<JournalCounters> DurableDaemon::Counters() const {
  ENGRAM_ASSIGN_OR_RETURN(const std::string page, Scrape(child_->Ready("metrics"), "/metrics"));
  return CountersOf(page);
}

std::vector<std::filesystem::path> DurableDaemon::Files(std::string_view extension) const {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory_->path() / "data", error)) {
    if (entry.path().extension() == extension) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace engram

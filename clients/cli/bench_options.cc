#include "clients/cli/bench_options.h"

#include <fmt/format.h>

#include <cstdlib>

#include "loadtest/measure/bench_store.h"

namespace engram {
namespace {

constexpr int64_t kMilli = 1000, kSecond = 1000 * kMilli, kHour = 3600 * kSecond;

// Options that start a daemon, so that none that runs is measured.
constexpr const char* kStarting[] = {"--profile", "--set", "--engramd"};

}  // namespace

void MeasureOptions::Share(CLI::App* app, const std::string& name, double* share, const std::string& help) {
  const auto set = [share](const std::string& text) {
    char* end = nullptr;
    *share = std::strtod(text.c_str(), &end);
    const std::string unit = end;
    if (unit == "%") *share /= 100;
    if (end == text.c_str() || (unit != "" && unit != "%") || !(*share >= 0 && *share <= 10)) {
      throw CLI::ValidationError(fmt::format("\"{}\" is no share; write 5% or 0.05", text));
    }
  };
  app->add_option_function<std::string>(name, set, help)->type_name("SHARE");
}

void MeasureOptions::Count(CLI::App* app, const std::string& name, uint64_t* count, const std::string& help) {
  const auto set = [count](const std::string& text) {
    char* end = nullptr;
    const double number = std::strtod(text.c_str(), &end);
    const std::string unit = end;
    const double times = unit == "k" || unit == "K" ? 1e3 : unit == "M" ? 1e6 : 1;
    if (end == text.c_str() || (unit != "" && times == 1) || !(number * times >= 1 && number * times <= 1e9)) {
      throw CLI::ValidationError(fmt::format("\"{}\" is no count; write 20000 or 20k", text));
    }
    *count = static_cast<uint64_t>(number * times);
  };
  app->add_option_function<std::string>(name, set, help)->type_name("N");
}

void MeasureOptions::AddMeasured(CLI::App* sub, MeasuredOptions* measured) {
  sub->add_option("--profile", measured->profile, "Start a daemon with this profile")
      ->type_name("NAME")
      ->group("Daemon");
  sub->add_option("--set", measured->settings, "Start it with this setting; may be repeated")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE")
      ->group("Daemon");
  File(sub->add_option("--engramd", measured->engramd, "The program (the one beside this one)"))->group("Daemon");
  File(sub->add_option("--storage-dir", measured->storage, "Where its data lies meanwhile (.engram/bench)"))
      ->group("Daemon");
  sub->add_option("--dimension", measured->dimension, "Elements of an embedding")
      ->check(CLI::Range(kLeastDimension, kMostDimension).description(""))
      ->type_name("N")
      ->capture_default_str()
      ->group("Load");
  sub->add_option("--batch", measured->batch, "Observations in a frame")
      ->check(CLI::Range(1u, kMostBatch).description(""))
      ->type_name("N")
      ->capture_default_str()
      ->group("Load");
  sub->add_option("--streams", measured->streams, "Streams of the burst")
      ->check(CLI::Range(1u, kMostStreams).description(""))
      ->type_name("N")
      ->capture_default_str()
      ->group("Load");
  sub->add_option("--preload", measured->preload, "Observations in the space recalled from")
      ->check(CLI::Range(kLeastPreload, kMostPreload).description(""))
      ->type_name("N")
      ->capture_default_str()
      ->group("Load");
  sub->add_option("--seed", measured->seed, "Of the embeddings")->type_name("N")->capture_default_str()->group("Load");
}

void MeasureOptions::AddBench(CLI::App* app) {
  bench_app_ = Command(app, "bench", "Measure a daemon: throughput, latency, recall, and what bounds them",
                       R"(  engram bench --duration 30s --warmup 5s --baseline before
  engram bench --compare before --threshold 5%
  engram bench --against old/engramd --profile low_latency
  engram --address 10.0.0.7:50051 bench
  engram bench --stored before --format html --report before.html
Without --address it starts a daemon, measures and ends it. Reports are kept in .engram/bench/.
)");
  Duration(bench_app_, "--duration", &bench_.duration_us, "How long to measure (30s)",
           {100 * kMilli, 24 * kHour});
  Duration(bench_app_, "--warmup", &bench_.warmup_us, "What goes before, unmeasured (5s)",
           {100 * kMilli, kHour});
  bench_app_->add_option("--baseline", bench_.baseline, "Name the report so")->type_name("NAME");
  bench_app_
      ->add_option("--compare", bench_.compare,
                   "With this report, and its load; exit 3 where it got worse beyond chance, 4 where the machine did")
      ->type_name("NAME|FILE");
  File(bench_app_->add_option("--against", bench_.against, "With this engramd, round by round; exit 3 likewise"));
  Share(bench_app_, "--threshold", &bench_.threshold, "What may change unsaid (5%)");
  bench_app_->add_option("--stored", bench_.stored, "Measure nothing, print this report")->type_name("NAME|FILE");
  Words(bench_app_->add_option("--format", bench_.format, "How to print it (pretty)"),
        {"pretty", "json", "csv", "markdown", "html"});
  File(bench_app_->add_option("--report", bench_.report, "Print it into a file"));
  AddMeasured(bench_app_, &bench_.measured);
  bench_app_->add_option("--rate", bench_.rate, "Observations a second of the steady part (a quarter of the burst's)")
      ->check(CLI::Range(1.0, kMostRate).description(""))
      ->type_name("N")
      ->group("Load");
  bench_app_->add_option("--recalls", bench_.recalls_per_second, "Recalls a second beside it")
      ->check(CLI::Range(0.0, kMostRecalls).description(""))
      ->type_name("N")
      ->capture_default_str()
      ->group("Load");
  bench_app_->add_flag("!--no-limits", bench_.limits, "Leave out what the machine itself can do")->group("Load");
}

BenchOptions MeasureOptions::TakeBench(const GlobalOptions& global) {
  if (global.json) bench_.format = "json";
  bool starts = !bench_.against.empty();
  for (const char* name : kStarting) starts = starts || (*bench_app_)[name]->count() > 0;
  const char* named = std::getenv("ENGRAM_ADDRESS");
  if (starts && global.address_given && (named == nullptr || global.address != named)) {
    throw CLI::ValidationError("--address measures a daemon that runs; --profile, --set, --engramd and --against start one");
  }
  bench_.measured.running = !starts && global.address_given;
  for (const CLI::Option* option : bench_app_->get_options()) {
    if (option->count() > 0 && !option->get_lnames().empty()) bench_.given.insert("--" + option->get_lnames().front());
  }
  if (bench_.given.contains("--baseline")) {
    const absl::Status named = CheckReportName(bench_.baseline);
    if (!named.ok()) throw CLI::ValidationError("--baseline", std::string(named.message()));
  }
  if (!bench_.compare.empty() && !bench_.against.empty()) {
    throw CLI::ValidationError("--compare and --against exclude each other");
  }
  if (!bench_.stored.empty() && (!bench_.against.empty() || !bench_.baseline.empty())) {
    throw CLI::ValidationError("--stored measures nothing: leave out --against and --baseline");
  }
  return bench_;
}

void MeasureOptions::AddTune(CLI::App* app) {
  tune_app_ = Command(app, "tune", "Search for the settings that reach a latency and a throughput on this machine",
                      R"(  engram tune --p99 10ms --min-throughput 20k --budget 5m
  engram tune --profile high_throughput --dimension 768 --write fast.yaml
Starts a daemon for each trial: a baseline, one setting at a time, then what helped together.
)");
  Duration(tune_app_, "--p99", &tune_.p99_us, "To the durable acknowledgement, at most (10ms)",
           {10, kHour});
  Count(tune_app_, "--min-throughput", &tune_.min_throughput, "Observations a second, at least (20k)");
  Duration(tune_app_, "--budget", &tune_.budget_us, "How long to search (5m)", {kSecond, 24 * kHour});
  File(tune_app_->add_option("--write", tune_.write, "The configuration file that wins"))->capture_default_str();
  tune_.measured.preload = 2000;
  AddMeasured(tune_app_, &tune_.measured);
}

void MeasureOptions::AddMeasureCommands(CLI::App* app) {
  AddBench(app);
  AddTune(app);
}

std::optional<CommandOptions> MeasureOptions::TakeMeasureCommand(const GlobalOptions& global) {
  if (bench_app_->parsed()) return TakeBench(global);
  if (tune_app_->parsed()) return tune_;
  return std::nullopt;
}

}  // namespace engram

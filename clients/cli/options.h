// The command line as a value: what each command was asked to do. `options.cc` is the one place that declares options;
// help, completion and the README follow from it.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engram/v1/admin_service.pb.h"
#include "engram/v1/observation.pb.h"

namespace engram {

struct GlobalOptions {
  std::string address = "127.0.0.1:50051";
  // It was named, on the command line or by the environment.
  bool address_given = false;
  bool json = false;
  int64_t timeout_us = 10'000'000;
  bool no_color = false;
};

struct ObserveOptions {
  std::string space;
  // "-": standard input.
  std::string file = "-";
  std::string npy;
  std::string text;
  std::string jsonl;
  uint32_t batch = 256;
  std::string stream_id;
  bool resume = false;
  bool strict = false;
  // Without room for so long, the command ends.
  int64_t give_up_after_us = 30'000'000;
  v1::Priority priority = v1::PRIORITY_NORMAL;
  v1::AckLevel ack_level = v1::ACK_LEVEL_DURABLE;
};

struct RecallOptions {
  std::string space;
  // Exactly one of the cues is set; `vector_file` "-" is standard input.
  std::string vector;
  std::string vector_file;
  std::string id;
  std::string npy;
  // A row of the .npy file, from 0; all of them when unset.
  std::optional<uint64_t> row;
  uint32_t k = 10;
  uint32_t ef = 0;
  uint32_t oversample = 0;  // Of RecallRequest, not of the ranking.
  std::optional<float> min_similarity;
  v1::Ranking ranking;
  v1::Filter filter;
  bool exact = false;
  bool follow = false;
  bool content = true;
  bool tags = true;
  bool embedding = false;
};

struct GetOptions {
  std::string space;
  std::vector<std::string> ids;
  bool embedding = false;
};

struct ForgetOptions {
  std::string space;
  std::vector<std::string> ids;
  // Set when a condition was given.
  std::optional<v1::Filter> filter;
  bool yes = false;
  bool dry_run = false;
};

struct SpacesOptions {
  enum class Action { kList, kCreate, kShow, kUpdate, kDelete };
  Action action = Action::kList;
  std::string name;
  // kList: only names that begin so.
  std::string prefix;
  bool names_only = false;
  bool yes = false;
  v1::Metric metric = v1::METRIC_COSINE;
  uint32_t dimension = 0;
  uint32_t max_connections = 0;
  uint32_t ef_construction = 0;
  std::optional<uint64_t> flat_threshold;
  std::optional<uint32_t> ef_search;
  std::optional<uint64_t> max_rate;
  std::optional<uint64_t> quota_observations;
  std::optional<uint64_t> quota_bytes;
};

struct StatusOptions {
  bool watch = false;
  int64_t interval_us = 1'000'000;
};

struct VerifyOptions {
  std::string directory;
  bool quiet = false;
};

struct DumpOptions {
  std::string directory;
  std::string space;
  uint64_t from = 1;
  // Records; all when unset.
  std::optional<uint64_t> limit;
  bool embeddings = false;
};

struct RestoreOptions {
  std::string snapshot;
  std::string directory;
  bool copy = false;
  bool accept_damage = false;
};

struct SnapshotOptions {
  std::string directory;
};

struct CheckpointOptions {};

// Which daemon to measure: a running one, or one to start.
struct MeasuredOptions {
  bool running = false;
  std::string engramd;
  std::string profile = "balanced";
  std::vector<std::string> settings;
  std::string storage;  // Where the started one keeps its data; empty: beside the reports.
  uint32_t dimension = 384;
  uint32_t batch = 256;
  uint32_t streams = 2;
  uint64_t preload = 10'000;
  uint64_t seed = 1;
};

struct BenchOptions {
  MeasuredOptions measured;
  int64_t duration_us = 30'000'000;
  int64_t warmup_us = 5'000'000;
  double rate = 0;  // 0: chosen, or of what is compared with.
  double recalls_per_second = 50;
  std::string baseline;
  std::string compare;
  std::string against;
  std::string stored;  // A report to print instead of measuring.
  double threshold = 0.05;
  std::string format = "pretty";
  std::string report;  // A file; empty: standard output.
  bool limits = true;
  std::set<std::string> given;  // Options that the command line names: what it does not may come from --compare.
};

struct TuneOptions {
  MeasuredOptions measured;
  int64_t p99_us = 10'000;
  uint64_t min_throughput = 20'000;
  int64_t budget_us = 300'000'000;
  std::string write = "engram-tuned.yaml";
};

struct LoadOptions {
  std::string scenario;
  // Its short form.
  bool brief = false;
  // The daemon at GlobalOptions::address; otherwise one of its own.
  bool running = false;
  std::string engramd;
  std::string storage;
  std::vector<std::string> set;
  uint64_t seed = 1;
};

struct FaultOptions {
  std::string kind;
  uint32_t count = 0;
  std::string bytes;
  int64_t delay_us = 0;
  int64_t shift_us = 0;
  int64_t duration_us = 0;
};

struct TraceOptions {
  uint32_t limit = 100;
  std::string space;
  int64_t slow_us = 0;
  v1::TraceSelection selection = v1::TRACE_SELECTION_OBSERVATIONS;
  bool buffers = false;
  std::string format = "pretty";
};

struct CompletionOptions {
  std::string shell;
};

// What the command line offers, for completion scripts.
struct OfferedCommand {
  // "observe", or "spaces create".
  std::string name;
  std::string help;
  // "--batch", "-k"; with the words its value can have, where they are few.
  struct Option {
    std::string name;
    std::string help;
    bool takes_value = false;
    bool takes_file = false;
    std::vector<std::string> words;
  };
  std::vector<Option> options;
  bool takes_space = false;
  bool takes_file = false;
};

using CommandOptions = std::variant<ObserveOptions, RecallOptions, GetOptions, ForgetOptions, SpacesOptions,
                                    StatusOptions, VerifyOptions, DumpOptions, RestoreOptions, SnapshotOptions,
                                     CheckpointOptions, BenchOptions, TuneOptions, CompletionOptions, LoadOptions,
                                     FaultOptions, TraceOptions>;

struct CommandLine {
  GlobalOptions global;
  CommandOptions command;
};

// A command line to run, or a text to print and the code to exit with.
struct Printout {
  std::string text;
  int exit_code = 0;
};
std::variant<CommandLine, Printout> ParseCommandLine(int argc, const char* const* argv);

std::vector<OfferedCommand> OfferedCommands();

}  // namespace engram

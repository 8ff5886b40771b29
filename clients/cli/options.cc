#include "clients/cli/options.h"

#include <fmt/format.h>

#include <map>
#include <memory>

#include "clients/cli/bench_options.h"
#include "clients/cli/exit_codes.h"
#include "clients/cli/near_names.h"
#include "clients/cli/trace_options.h"

namespace engram {
namespace {

constexpr uint32_t kMaxBatch = 65536;

// The application with the place its options are read into. Lives for one parse.
class Grammar final : private TraceCommands {
 public:
  Grammar() {
    app_.name("engram");
    app_.set_version_flag("--version", "engram " ENGRAM_VERSION, "Print the version");
    app_.set_help_flag("-h,--help", "Print this help");
    app_.get_formatter()->column_width(28);
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.add_option("--address", line_.global.address, "The daemon: host:port, [v6]:port or unix:path")
        ->type_name("ADDRESS")
        ->capture_default_str()
        ->envname("ENGRAM_ADDRESS");
    Words(app_.add_option("--output", output_, "table for people, json for programs"), {"table", "json"});
    Duration(&app_, "--timeout", &line_.global.timeout_us, "How long a call may take (10s)");
    app_.add_flag("--no-color", line_.global.no_color, "No colours; NO_COLOR does the same");
    AddObserve();
    AddRecall();
    AddGet();
    AddForget();
    AddSpaces();
    AddStatus();
    AddTraceCommand(&app_);
    AddDataCommands(&app_);
    AddMeasureCommands(&app_);
    AddLoadCommands(&app_);
    AddCompletion();
    std::string codes = "Exit codes:\n";
#define ENGRAM_EXIT_CODE_LINE(name, number, meaning) codes += fmt::format("  {:<5} {}\n", number, meaning);
    ENGRAM_EXIT_CODES(ENGRAM_EXIT_CODE_LINE)
#undef ENGRAM_EXIT_CODE_LINE
    app_.footer(
        "Examples:\n  engram observe notes notes.jsonl\n  engram recall notes --id note-17 -k 5\n"
        "  engram status --watch\n\n" +
        codes);
  }

  CLI::App& app() { return app_; }

  // After a parse: what the options together mean. Throws CLI::ParseError.
  CommandLine Take() {
    line_.global.json = output_ == "json";
    line_.global.address_given = app_["--address"]->count() > 0;
    if (observe_app_->parsed()) line_.command = TakeObserve();
    if (recall_app_->parsed()) line_.command = TakeRecall();
    if (get_app_->parsed()) line_.command = get_;
    if (forget_app_->parsed()) line_.command = TakeForget();
    if (spaces_app_->parsed()) line_.command = TakeSpaces();
    if (status_app_->parsed()) line_.command = status_;
    if (const auto data = TakeDataCommand(); data.has_value()) line_.command = *data;
    if (const auto measure = TakeMeasureCommand(line_.global); measure.has_value()) line_.command = *measure;
    if (const auto trace = TakeTraceCommand(line_.global); trace.has_value()) line_.command = *trace;
    if (const auto load = TakeLoadCommand(); load.has_value()) line_.command = *load;
    if (completion_app_->parsed()) line_.command = completion_;
    return line_;
  }

  std::vector<OfferedCommand> Offered() {
    std::vector<OfferedCommand> out;
    Offer("", &app_, &out);
    return out;
  }

 private:
  void AddObserve() {
    CLI::App* sub = observe_app_ =
        Command(&app_, "observe", "Stream observations into a space", R"(  engram observe notes notes.jsonl
  producer | engram observe notes --ack indexed
  engram observe wiki --npy vectors.npy --text lines.txt
  engram observe wiki wiki.jsonl --stream-id load-1 --resume
One observation a line; only "embedding" is needed:
  {"id":"a","embedding":[0.1,0.9],"content":"text","tags":{"k":"v"},
   "observed_at":"2026-03-01T12:00:00Z","confidence":0.9,"ttl":"24h"}
)");
    SpaceArgument(sub, &observe_.space);
    File(sub->add_option("file", observe_.file, "JSON lines; standard input when - or left out"))->type_name("");
    File(sub->add_option("--npy", observe_.npy, "Embeddings: float32 or float16, one a row; - is standard input"))->group("Input");
    File(sub->add_option("--text", observe_.text, "With --npy: line n is the text of row n"))->group("Input");
    File(sub->add_option("--jsonl", observe_.jsonl, "With --npy: line n is all else of row n"))->group("Input");
    sub->add_flag("--strict", observe_.strict, "Stop at the first malformed line")->group("Input");
    sub->add_option("--batch", observe_.batch, "Observations in a frame")
        ->check(CLI::Range(1u, kMaxBatch).description(""))
        ->type_name("N")
        ->capture_default_str()
        ->group("Stream");
    sub->add_option("--stream-id", observe_.stream_id, "Name the stream, so that it can be resumed")
        ->type_name("ID")
        ->group("Stream");
    sub->add_flag("--resume", observe_.resume, "Same input again: skip what the daemon has taken")->group("Stream");
    Duration(sub, "--give-up-after", &observe_.give_up_after_us, "End when the daemon has no room for so long (30s)");
    sub->get_option("--give-up-after")->group("Stream");
    Words(sub->add_option("--priority", priority_, "Which queue"), {"normal", "high"})->group("Stream");
    Words(sub->add_option("--ack", ack_, "What counts as done (durable)"), {"received", "durable", "indexed"})
        ->group("Stream");
  }

  ObserveOptions TakeObserve() {
    const bool file_given = (*observe_app_)["file"]->count() > 0;
    if (!observe_.npy.empty() && file_given)
      throw CLI::ValidationError("FILE and --npy exclude each other; see --jsonl");
    if (observe_.npy.empty() && (!observe_.text.empty() || !observe_.jsonl.empty())) {
      throw CLI::ValidationError("--text and --jsonl accompany --npy");
    }
    if (!observe_.text.empty() && !observe_.jsonl.empty())
      throw CLI::ValidationError("--text and --jsonl exclude each other");
    if (observe_.npy == "-" && (observe_.text == "-" || observe_.jsonl == "-"))
      throw CLI::ValidationError("only one input can be standard input");
    if (observe_.resume && observe_.stream_id.empty()) throw CLI::ValidationError("--resume needs --stream-id");
    observe_.priority = priority_ == "high" ? v1::PRIORITY_HIGH : v1::PRIORITY_NORMAL;
    observe_.ack_level = ack_ == "received"  ? v1::ACK_LEVEL_RECEIVED
                         : ack_ == "indexed" ? v1::ACK_LEVEL_INDEXED
                                             : v1::ACK_LEVEL_DURABLE;
    return observe_;
  }

  void AddRecall() {
    CLI::App* sub = recall_app_ =
        Command(&app_, "recall", "The most similar observations", R"(  engram recall notes --vector '[0.1, 0.9]' -k 5
  engram recall notes --id note-17 --tag lang=en --from -24h
  embed "some text" | engram recall notes -
  engram recall wiki --npy queries.npy --output json
)");
    SpaceArgument(sub, &recall_.space);
    sub->add_option("cue", recall_cue_, "- : embeddings from standard input, one recall each")->type_name("");
    sub->add_option("--vector", recall_.vector, "An embedding: '[0.1, 0.9]'")->type_name("JSON")->group("Cue");
    File(sub->add_option("--vector-file", recall_.vector_file, "Embeddings as JSON, one recall each"))->group("Cue");
    sub->add_option("--id", recall_.id, "The embedding of this observation")->type_name("ID")->group("Cue");
    File(sub->add_option("--npy", recall_.npy, "Each row of a .npy file; - is standard input"))->group("Cue");
    sub->add_option("--row", recall_.row, "Only this row of --npy, from 0")->type_name("N")->group("Cue");
    sub->add_option("-k", recall_.k, "How many hits")
        ->type_name("N")
        ->check(CLI::Range(1u, 10000u).description(""))
        ->capture_default_str();
    sub->add_option("--ef", recall_.ef, "Width of the graph walk: slower and more exact")->type_name("N");
    sub->add_option("--min-similarity", recall_.min_similarity, "Only hits at least this similar")->type_name("S");
    sub->add_flag("--exact", recall_.exact, "Compare with every observation");
    sub->add_flag("--follow", recall_.follow, "Go on with each new hit as it comes, one a line");
    Duration(sub, "--half-life", &half_life_us_, "After so long a hit counts half");
    sub->add_option("--confidence-weight", confidence_weight_, "How much confidence counts, 0..1")->type_name("W");
    sub->add_option("--oversample", oversample_, "So many times k are ranked by age and confidence (4)")->type_name("N");
    sub->add_option("--code-oversample", recall_.oversample, "So many times k are looked at in full precision (3)")
        ->type_name("N");
    FilterOptions(sub);
    sub->add_flag("--content", content_, "With the text (tables have it)")->group("Shown");
    sub->add_flag("--tags", tags_, "With the tags (tables have them)")->group("Shown");
    sub->add_flag("--no-content", no_content_, "Without the text")->group("Shown")->excludes("--content");
    sub->add_flag("--no-tags", no_tags_, "Without the tags")->group("Shown")->excludes("--tags");
    sub->add_flag("--embedding", recall_.embedding, "With the embedding (json)")->group("Shown");
  }

  RecallOptions TakeRecall() {
    if (!recall_cue_.empty() && recall_cue_ != "-") {
      throw CLI::ValidationError(fmt::format("\"{}\" after the space: use --vector, --id, --npy or -", recall_cue_));
    }
    const int cues = !recall_cue_.empty() + !recall_.vector.empty() + !recall_.vector_file.empty() +
                     !recall_.id.empty() + !recall_.npy.empty();
    if (cues != 1) throw CLI::ValidationError("name one cue: --vector, --vector-file, --id, --npy or -");
    if (recall_.row.has_value() && recall_.npy.empty()) throw CLI::ValidationError("--row goes with --npy");
    if (!recall_cue_.empty()) recall_.vector_file = "-";
    recall_.content = content_ || (!line_.global.json && !no_content_);
    recall_.tags = tags_ || (!line_.global.json && !no_tags_);
    recall_.filter = filter();
    recall_.ranking.set_recency_half_life_us(half_life_us_);
    recall_.ranking.set_confidence_weight(confidence_weight_);
    recall_.ranking.set_oversample(oversample_);
    return recall_;
  }

  void AddGet() {
    CLI::App* sub = get_app_ = Command(&app_, "get", "Observations by id", R"(  engram get notes note-17 note-18
  engram get notes note-17 --embedding --output json | engram observe copy
)");
    SpaceArgument(sub, &get_.space);
    sub->add_option("id", get_.ids, "Ids")->required()->type_name("");
    sub->add_flag("--embedding", get_.embedding, "With the embedding");
  }

  void AddForget() {
    CLI::App* sub = forget_app_ =
        Command(&app_, "forget", "Forget observations by id or filter", R"(  engram forget notes note-17
  engram forget notes --tag lang=en --to 2025-01-01 --dry-run
)");
    SpaceArgument(sub, &forget_.space);
    sub->add_option("id", forget_.ids, "Ids")->type_name("");
    FilterOptions(sub);
    sub->add_flag("-y,--yes", forget_.yes, "Do not ask before forgetting by filter");
    sub->add_flag("--dry-run", forget_.dry_run, "Count and forget nothing");
  }

  ForgetOptions TakeForget() {
    if (has_filter()) forget_.filter = filter();
    if (forget_.ids.empty() == !has_filter()) {
      throw CLI::ValidationError("name either ids or conditions (--tag, --from, ...) for what to forget");
    }
    return forget_;
  }

  void AddSpaces() {
    CLI::App* sub = spaces_app_ =
        Command(&app_, "spaces", "List, make, show, change and delete spaces", R"(  engram spaces
  engram spaces create notes --dimension 768 --metric cosine
  engram spaces update notes --ef-search 128 --max-rate 5000
  engram spaces delete notes --yes
)");
    sub->require_subcommand(0, 1);
    CLI::App* list = Command(sub, "list", "All spaces (when no other command is named)", "");
    list->add_option("--prefix", spaces_.prefix, "Only names that begin so")->type_name("TEXT");
    list->add_flag("--names", spaces_.names_only, "Only the names, one a line");
    CLI::App* create = Command(sub, "create", "Make a space", "");
    create->add_option("name", spaces_.name, "Its name")->required()->type_name("");
    create->add_option("--dimension", spaces_.dimension, "Elements of an embedding; else its first observation's")
        ->type_name("N");
    Words(create->add_option("--metric", metric_, "How similar is measured (cosine)"),
          {"cosine", "inner_product", "l2"});
    create->add_option("--max-connections", spaces_.max_connections, "M of the graph")->type_name("N");
    create->add_option("--ef-construction", spaces_.ef_construction, "Candidates when an observation is linked")
        ->type_name("N");
    create->add_option("--flat-threshold", spaces_.flat_threshold, "Up to so many observations: no graph (0: always one; left out: as the daemon measures)")
        ->type_name("N");
    CLI::App* show = Command(sub, "show", "One space", "");
    SpaceArgument(show, &spaces_.name);
    CLI::App* update = Command(sub, "update", "Change what can change while it runs", "");
    SpaceArgument(update, &spaces_.name);
    for (CLI::App* one : {create, update}) {
      one->add_option("--ef-search", spaces_.ef_search, "Width of the graph walk of a recall")->type_name("N");
      one->add_option("--max-rate", spaces_.max_rate, "Observations a second")->type_name("N");
      one->add_option("--quota-observations", spaces_.quota_observations, "Most observations")->type_name("N");
      one->add_option("--quota-bytes", spaces_.quota_bytes, "Most memory")->type_name("BYTES");
    }
    CLI::App* remove = Command(sub, "delete", "Delete a space and all it holds", "");
    SpaceArgument(remove, &spaces_.name);
    remove->add_flag("-y,--yes", spaces_.yes, "Do not ask");
  }

  SpacesOptions TakeSpaces() {
    using Action = SpacesOptions::Action;
    const std::map<std::string, Action> actions = {{"list", Action::kList},
                                                   {"create", Action::kCreate},
                                                   {"show", Action::kShow},
                                                   {"update", Action::kUpdate},
                                                   {"delete", Action::kDelete}};
    for (const CLI::App* sub : spaces_app_->get_subcommands()) spaces_.action = actions.at(sub->get_name());
    spaces_.metric = metric_ == "l2"              ? v1::METRIC_L2
                     : metric_ == "inner_product" ? v1::METRIC_INNER_PRODUCT
                                                  : v1::METRIC_COSINE;
    if (spaces_.action == Action::kUpdate && !spaces_.ef_search && !spaces_.max_rate && !spaces_.quota_observations &&
        !spaces_.quota_bytes) {
      throw CLI::ValidationError("name what to change: --ef-search, --max-rate, --quota-observations or --quota-bytes");
    }
    return spaces_;
  }

  void AddStatus() {
    CLI::App* sub = status_app_ = Command(&app_, "status", "How the daemon is doing", R"(  engram status
  engram status --watch --interval 2s
  engram status --output json | jq .queue
)");
    sub->add_flag("-w,--watch", status_.watch, "Again and again, until Ctrl-C");
    Duration(sub, "--interval", &status_.interval_us, "Between two looks (1s)");
  }

  void AddCompletion() {
    CLI::App* sub = completion_app_ =
        Command(&app_, "completion", "A completion script for your shell", R"(  source <(engram completion bash)
  source <(engram completion zsh)
  engram completion fish > ~/.config/fish/completions/engram.fish
)");
    Words(sub->add_option("shell", completion_.shell, "bash, zsh or fish")->required(), {"bash", "zsh", "fish"})
        ->type_name("");
  }

  CLI::App app_{"Stream observations into Engram, recall them out."};
  CommandLine line_;
  std::string output_ = "table", priority_ = "normal", ack_ = "durable", metric_ = "cosine", recall_cue_;
  int64_t half_life_us_ = 0;
  float confidence_weight_ = 0;
  uint32_t oversample_ = 0;
  ObserveOptions observe_;
  RecallOptions recall_;
  GetOptions get_;
  ForgetOptions forget_;
  SpacesOptions spaces_;
  StatusOptions status_;
  CompletionOptions completion_;
  bool content_ = false, tags_ = false, no_content_ = false, no_tags_ = false;
  CLI::App *observe_app_ = nullptr, *recall_app_ = nullptr, *get_app_ = nullptr, *forget_app_ = nullptr,
           *spaces_app_ = nullptr, *status_app_ = nullptr, *completion_app_ = nullptr;
};

std::string UnknownCommand(const std::string& word) {
  std::vector<std::string> commands;
  for (const OfferedCommand& command : OfferedCommands()) commands.push_back(command.name);
  const std::vector<std::string> near = NearNames(word, commands);
  return fmt::format("engram: there is no {} \"{}\"{}\nSee `engram --help`.\n",
                     word.front() == '-' ? "option" : "command", word,
                     near.empty() ? "." : fmt::format(". Did you mean {}?", fmt::join(near, " or ")));
}

}  // namespace

std::variant<CommandLine, Printout> ParseCommandLine(int argc, const char* const* argv) {
  const auto grammar = std::make_unique<Grammar>();
  if (argc <= 1) return Printout{grammar->app().help(), kUsage};
  try {
    grammar->app().parse(argc, argv);
    return grammar->Take();
  } catch (const CLI::CallForHelp&) {
    return Printout{grammar->app().help(), kOk};
  } catch (const CLI::CallForVersion& version) {
    return Printout{std::string(version.what()) + "\n", kOk};
  } catch (const CLI::ParseError& error) {
    const std::vector<std::string> left = grammar->app().remaining();
    if (grammar->app().get_subcommands().empty() && !left.empty())
      return Printout{UnknownCommand(left.front()), kUsage};
    std::string command = "engram";
    for (const CLI::App* app = &grammar->app(); !app->get_subcommands().empty();) {
      app = app->get_subcommands().front();
      command += " " + app->get_name();
    }
    return Printout{fmt::format("engram: {}\nSee `{} --help`.\n", error.what(), command), kUsage};
  }
}

std::vector<OfferedCommand> OfferedCommands() { return std::make_unique<Grammar>()->Offered(); }

}  // namespace engram

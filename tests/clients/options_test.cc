#include "clients/cli/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <variant>
#include <vector>

#include "clients/cli/connection.h"
#include "clients/cli/exit_codes.h"
#include "clients/cli/near_names.h"

namespace engram {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::variant<CommandLine, Printout> Parse(std::vector<const char*> words) {
  words.insert(words.begin(), "engram");
  return ParseCommandLine(static_cast<int>(words.size()), words.data());
}

template <typename Options>
Options As(const std::vector<const char*>& words) {
  const auto parsed = Parse(words);
  if (const Printout* printout = std::get_if<Printout>(&parsed)) {
    ADD_FAILURE() << printout->text;
    return Options();
  }
  return std::get<Options>(std::get<CommandLine>(parsed).command);
}

std::string UsageError(const std::vector<const char*>& words) {
  const auto parsed = Parse(words);
  const Printout* printout = std::get_if<Printout>(&parsed);
  if (printout == nullptr) return "parsed";
  EXPECT_EQ(printout->exit_code, kUsage);
  return printout->text;
}

TEST(Options, GlobalOnesStandBeforeOrAfterTheCommand) {
  for (const auto& words : {std::vector<const char*>{"--output", "json", "--timeout", "250ms", "status"},
                            std::vector<const char*>{"status", "--output", "json", "--timeout", "250ms"}}) {
    const auto parsed = Parse(words);
    ASSERT_TRUE(std::holds_alternative<CommandLine>(parsed)) << std::get<Printout>(parsed).text;
    EXPECT_TRUE(std::get<CommandLine>(parsed).global.json);
    EXPECT_EQ(std::get<CommandLine>(parsed).global.timeout_us, 250'000);
  }
}

TEST(Options, ObserveReadsStandardInputUnlessTold) {
  EXPECT_EQ(As<ObserveOptions>({"observe", "notes"}).file, "-");
  const ObserveOptions options =
      As<ObserveOptions>({"observe", "notes", "notes.jsonl", "--ack", "indexed", "--priority", "high", "--stream-id",
                          "s", "--resume", "--batch", "32"});
  EXPECT_EQ(options.file, "notes.jsonl");
  EXPECT_EQ(options.ack_level, v1::ACK_LEVEL_INDEXED);
  EXPECT_EQ(options.priority, v1::PRIORITY_HIGH);
  EXPECT_TRUE(options.resume);
  EXPECT_EQ(options.batch, 32u);
  EXPECT_THAT(UsageError({"observe", "notes", "--resume"}), HasSubstr("--resume needs --stream-id"));
  EXPECT_THAT(UsageError({"observe", "notes", "a.jsonl", "--npy", "a.npy"}), HasSubstr("exclude each other"));
  EXPECT_THAT(UsageError({"observe", "notes", "--text", "a.txt"}), HasSubstr("accompany --npy"));
  EXPECT_THAT(UsageError({"observe", "notes", "--batch", "0"}), HasSubstr("--batch"));
  EXPECT_THAT(UsageError({"observe", "notes", "--ack", "soon"}),
              HasSubstr("\"soon\" is none of received|durable|indexed"));
}

TEST(Options, RecallTakesExactlyOneCue) {
  EXPECT_EQ(As<RecallOptions>({"recall", "notes", "-"}).vector_file, "-");
  EXPECT_EQ(As<RecallOptions>({"recall", "notes", "--vector", "-0.5, 1"}).vector, "-0.5, 1");
  EXPECT_THAT(UsageError({"recall", "notes"}), HasSubstr("name one cue"));
  EXPECT_THAT(UsageError({"recall", "notes", "-", "--id", "a"}), HasSubstr("name one cue"));
  EXPECT_THAT(UsageError({"recall", "notes", "some words"}), HasSubstr("\"some words\" after the space"));
  EXPECT_THAT(UsageError({"recall", "notes", "--id", "a", "--row", "1"}), HasSubstr("--row goes with --npy"));
  EXPECT_THAT(UsageError({"recall", "notes", "--id", "a", "-k", "0"}), HasSubstr("-k"));
}

TEST(Options, TextsAndTagsAreShownInTablesUnlessToldOtherwise) {
  EXPECT_TRUE(As<RecallOptions>({"recall", "notes", "--id", "a"}).content);
  EXPECT_FALSE(As<RecallOptions>({"recall", "notes", "--id", "a", "--no-content"}).content);
  EXPECT_FALSE(As<RecallOptions>({"recall", "notes", "--id", "a", "--output", "json"}).tags);
  EXPECT_TRUE(As<RecallOptions>({"recall", "notes", "--id", "a", "--output", "json", "--tags"}).tags);
}

TEST(Options, ConditionsBecomeTheFilter) {
  const RecallOptions options = As<RecallOptions>({"recall", "notes", "--id", "a", "--tag", "lang=en", "--tag",
                                                   "kind=a=b", "--any-tag", "x=", "--not-tag", "y=1", "--from",
                                                   "2026-03-01", "--to", "2026-03-02", "--min-confidence", "0.5"});
  EXPECT_EQ(options.filter.all_tags().at("kind"), "a=b");
  EXPECT_EQ(options.filter.all_tags().size(), 2u);
  EXPECT_EQ(options.filter.any_tags().at("x"), "");
  EXPECT_EQ(options.filter.no_tags().at("y"), "1");
  EXPECT_EQ(options.filter.observed_to_us() - options.filter.observed_from_us(), 86'400'000'000);
  EXPECT_FLOAT_EQ(options.filter.min_confidence(), 0.5f);
  EXPECT_THAT(UsageError({"recall", "notes", "--id", "a", "--tag", "lang"}), HasSubstr("\"lang\" is not a tag"));
  EXPECT_THAT(UsageError({"recall", "notes", "--id", "a", "--from", "soon"}), HasSubstr("\"soon\" is not a time"));
}

TEST(Options, ForgetTakesIdsOrConditionsAndNeverNeither) {
  EXPECT_THAT(As<ForgetOptions>({"forget", "notes", "a", "b"}).ids, ElementsAre("a", "b"));
  const ForgetOptions options = As<ForgetOptions>({"forget", "notes", "--tag", "lang=en", "--yes"});
  EXPECT_THAT(options.ids, IsEmpty());
  EXPECT_TRUE(options.filter.has_value());
  EXPECT_THAT(UsageError({"forget", "notes"}), HasSubstr("ids or conditions"));
  EXPECT_THAT(UsageError({"forget", "notes", "a", "--tag", "b=c"}), HasSubstr("ids or conditions"));
}

TEST(Options, SpacesListsWhenNothingElseIsNamed) {
  EXPECT_EQ(As<SpacesOptions>({"spaces"}).action, SpacesOptions::Action::kList);
  const SpacesOptions options =
      As<SpacesOptions>({"spaces", "create", "notes", "--dimension", "768", "--metric", "l2"});
  EXPECT_EQ(options.action, SpacesOptions::Action::kCreate);
  EXPECT_EQ(options.dimension, 768u);
  EXPECT_EQ(options.metric, v1::METRIC_L2);
  EXPECT_THAT(UsageError({"spaces", "update", "notes"}), HasSubstr("name what to change"));
}

TEST(Options, CommandsOnDataTakeDirectories) {
  EXPECT_TRUE(As<VerifyOptions>({"verify", "/data", "--quiet"}).quiet);
  const DumpOptions dump =
      As<DumpOptions>({"journal", "dump", "/data", "--space", "notes", "--from", "7", "--limit", "2"});
  EXPECT_EQ(dump.directory, "/data");
  EXPECT_EQ(dump.space, "notes");
  EXPECT_EQ(dump.from, 7u);
  EXPECT_EQ(dump.limit, 2u);
  EXPECT_FALSE(As<DumpOptions>({"journal", "dump", "/data"}).limit.has_value());
  const RestoreOptions restore = As<RestoreOptions>({"restore", "/backup", "/data", "--copy"});
  EXPECT_EQ(restore.snapshot, "/backup");
  EXPECT_EQ(restore.directory, "/data");
  EXPECT_TRUE(restore.copy);
  EXPECT_FALSE(restore.accept_damage);
  EXPECT_EQ(As<SnapshotOptions>({"snapshot", "/backup"}).directory, "/backup");
  As<CheckpointOptions>({"checkpoint"});
  EXPECT_THAT(UsageError({"verify"}), HasSubstr("directory"));
  EXPECT_THAT(UsageError({"restore", "/backup"}), HasSubstr("directory"));
  EXPECT_THAT(UsageError({"journal"}), HasSubstr("subcommand"));
  EXPECT_THAT(UsageError({"journal", "dump", "/data", "--from", "0"}), HasSubstr("--from"));
}

TEST(Options, BenchStartsADaemonUnlessOneIsNamed) {
  const BenchOptions started = As<BenchOptions>({"bench", "--duration", "2s", "--set", "num_workers=2", "--set",
                                                 "queue.capacity=5000", "--threshold", "7%", "--no-limits"});
  EXPECT_FALSE(started.measured.running);
  EXPECT_EQ(started.duration_us, 2'000'000);
  EXPECT_THAT(started.measured.settings, ElementsAre("num_workers=2", "queue.capacity=5000"));
  EXPECT_DOUBLE_EQ(started.threshold, 0.07);
  EXPECT_FALSE(started.limits);
  EXPECT_TRUE(As<BenchOptions>({"--address", "10.0.0.7:1", "bench"}).measured.running);
  EXPECT_EQ(As<BenchOptions>({"--output", "json", "bench"}).format, "json");
  EXPECT_THAT(UsageError({"--address", "10.0.0.7:1", "bench", "--profile", "balanced"}), HasSubstr("--address"));
  EXPECT_THAT(UsageError({"bench", "--compare", "a", "--against", "b"}), HasSubstr("exclude"));
  EXPECT_THAT(UsageError({"bench", "--stored", "a", "--baseline", "b"}), HasSubstr("--stored"));
  EXPECT_THAT(UsageError({"bench", "--threshold", "much"}), HasSubstr("\"much\" is no share"));
  EXPECT_THAT(UsageError({"bench", "--format", "pdf"}), HasSubstr("none of pretty"));
  EXPECT_THAT(UsageError({"bench", "--baseline", "../a"}), HasSubstr("cannot name a report"));
  EXPECT_EQ(started.given.count("--set"), 1u);
  EXPECT_EQ(started.given.count("--batch"), 0u);
}

TEST(Options, DurationsOfMeasurementsHaveAnEnd) {
  const std::initializer_list<std::initializer_list<const char*>> beyond = {
      {"bench", "--duration", "25h"},   {"bench", "--duration", "99ms"},         {"bench", "--warmup", "2h"},
      {"tune", "--budget", "10000d"},   {"tune", "--budget", "999ms"},           {"tune", "--p99", "9us"},
      {"fault", "slow-disk", "--delay", "61m"}, {"fault", "full-disk", "--for", "31d"},
      {"fault", "shift-clock", "--forward", "200000d"}, {"fault", "shift-clock", "--backward", "200000d"}};
  for (const auto& words : beyond) EXPECT_THAT(UsageError(words), HasSubstr("allowed: ")) << *(words.begin() + 2);
  EXPECT_EQ(As<BenchOptions>({"bench", "--duration", "24h"}).duration_us, 86'400'000'000);
}

TEST(Options, AClockCanJumpEitherWay) {
  EXPECT_EQ(As<FaultOptions>({"fault", "shift-clock", "--forward", "1h"}).shift_us, 3'600'000'000);
  EXPECT_EQ(As<FaultOptions>({"fault", "shift-clock", "--backward", "24h"}).shift_us, -86'400'000'000);
  EXPECT_THAT(UsageError({"fault", "shift-clock", "--forward", "1h", "--backward", "1h"}), HasSubstr("exclude"));
}

TEST(Options, ALoadOnARunningDaemonTakesNoSettings) {
  EXPECT_THAT(UsageError({"load", "--scenario", "a", "--running", "--set", "num_workers=2"}), HasSubstr("--running"));
  EXPECT_THAT(UsageError({"load", "--scenario", "a", "--running", "--engramd", "b"}), HasSubstr("--running"));
  EXPECT_THAT(UsageError({"load", "--scenario", "a", "--running", "--storage-dir", "b"}), HasSubstr("--running"));
}

TEST(ExitCodes, SayWhetherToTryAgainOrToAskSomebodyElse) {
  EXPECT_EQ(ExitCodeOf(absl::PermissionDeniedError("no")), kNotPermitted);
  EXPECT_EQ(ExitCodeOf(absl::UnauthenticatedError("no")), kNotPermitted);
  EXPECT_EQ(ExitCodeOf(absl::UnavailableError("no")), kUnreachable);
  EXPECT_EQ(ExitCodeOf(absl::ResourceExhaustedError("no")), kTryAgain);
  EXPECT_EQ(ExitCodeOf(absl::InternalError("no")), kInternal);
}

TEST(Options, TuneTakesItsGoalInUnits) {
  const TuneOptions options = As<TuneOptions>({"tune", "--p99", "5ms", "--min-throughput", "20k", "--budget", "2m"});
  EXPECT_EQ(options.p99_us, 5000);
  EXPECT_EQ(options.min_throughput, 20'000u);
  EXPECT_EQ(options.budget_us, 120'000'000);
  EXPECT_THAT(UsageError({"tune", "--min-throughput", "20x"}), HasSubstr("no count"));
}

TEST(Options, HelpNamesEveryCommandAndEveryExitCode) {
  const auto parsed = Parse({"--help"});
  const Printout& help = std::get<Printout>(parsed);
  EXPECT_EQ(help.exit_code, kOk);
#define ENGRAM_EXIT_CODE_SHOWN(name, number, meaning) EXPECT_THAT(help.text, HasSubstr(meaning));
  ENGRAM_EXIT_CODES(ENGRAM_EXIT_CODE_SHOWN)
#undef ENGRAM_EXIT_CODE_SHOWN
  for (const OfferedCommand& command : OfferedCommands()) {
    const bool is_top = command.name.find(' ') == std::string::npos;
    EXPECT_THAT(help.text, HasSubstr(is_top ? command.name : ""));
  }
  const auto observe = Parse({"observe", "--help"});
  EXPECT_THAT(std::get<Printout>(observe).text, HasSubstr("Examples:"));
  EXPECT_THAT(UsageError({"obsreve"}), HasSubstr("no command \"obsreve\". Did you mean observe?"));
}

TEST(Readme, ListsTheExitCodesThereAre) {
  std::ifstream file("clients/cli/README.md");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
#define ENGRAM_EXIT_CODE_ROW(name, number, meaning) EXPECT_THAT(text, HasSubstr("| " #number " | " meaning " |"));
  ENGRAM_EXIT_CODES(ENGRAM_EXIT_CODE_ROW)
#undef ENGRAM_EXIT_CODE_ROW
}

TEST(TargetOf, TakesHostsAddressesAndSockets) {
  EXPECT_EQ(TargetOf("127.0.0.1:50051").value(), "dns:///127.0.0.1:50051");
  EXPECT_EQ(TargetOf("memory.example:1").value(), "dns:///memory.example:1");
  EXPECT_EQ(TargetOf("[::1]:50051").value(), "ipv6:[::1]:50051");
  EXPECT_EQ(TargetOf("unix:/run/engram.sock").value(), "unix:/run/engram.sock");
  for (const char* address :
       {"", "localhost", ":1", "localhost:", "localhost:x", "localhost:70000", "::1:50051", "unix:", "[]:1"}) {
    EXPECT_EQ(TargetOf(address).status().code(), absl::StatusCode::kInvalidArgument) << address;
  }
}

TEST(NearNames, FindsWhatATypingErrorMakes) {
  const std::vector<std::string> names = {"notes", "note-archive", "wiki", "articles"};
  EXPECT_THAT(NearNames("ntoes", names), ElementsAre("notes"));
  EXPECT_THAT(NearNames("note", names), ElementsAre("notes", "note-archive"));
  EXPECT_THAT(NearNames("zebra", names), IsEmpty());
}

}  // namespace
}  // namespace engram

// What a file may hold, and what is said about each that holds something else.
#include "config/loader.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "config/file_source.h"

namespace engram {
namespace {

LoadRequest OnManyCores() {
  LoadRequest request;
  request.cores = 64;
  return request;
}

std::string Faults(std::string_view text) { return RenderFaults(LoadConfigText("e.yaml", text, OnManyCores()).faults); }

// Maps inside one another.
std::string Nested(size_t depth) {
  std::string text;
  for (size_t i = 0; i < depth; ++i) text += std::string(i, ' ') + "a:\n";
  return text;
}

struct Case {
  std::string text;
  std::string faults;
};

class GoodFile : public ::testing::TestWithParam<std::string> {};

TEST_P(GoodFile, IsTheDefaultsWithThreeWorkers) {
  const LoadResult result = LoadConfigText("e.yaml", GetParam(), OnManyCores());
  EXPECT_EQ(RenderFaults(result.faults), "");
  Settings expected;
  expected.num_workers = 3;
  EXPECT_EQ(result.settings, expected);
}

INSTANTIATE_TEST_SUITE_P(Forms, GoodFile,
                         ::testing::Values("num_workers: 3", "num_workers: 3\r\nmin_batch_size: 10\r\n",
                                           "num_workers: '3'\n", "\xEF\xBB\xBFnum_workers: 3\n",
                                           "---\nnum_workers: 3\n...\n", "%YAML 1.2\n---\nnum_workers: 3\n",
                                           "{num_workers: 3}\n",
                                           "{\"num_workers\": 3, \"queue\": {\"capacity\": 10000}}",
                                           "num_workers: &anchor 3\n", "num_workers: 3\nqueue:\n  # all defaults\n",
                                           "num_workers: 3 # three\nqueue: {}\n", "num_workers: >-\n  3\n",
                                           "num_workers: 3\nqueue.capacity: 10000\nqueue:\n  max_wait: 1s\n",
                                           "num_workers: 3\nlimits: {per_space_quotas.bytes: 0}\n",
                                           "num_workers: 3\nlimits.per_space_quotas: {bytes: 0}\n",
                                           "num_workers: 3\nidle_sleep_ms: 1ms\nlimits.max_content_bytes: 64KiB\n",
                                           "profile: balanced\nnum_workers: 3\n"));

TEST(Loader, EmptyFilesAreAllDefaults) {
  for (const std::string_view text : {"", "\n\n", "# nothing\n", "---\n", "---\n...\n", "~\n", "\xEF\xBB\xBF"}) {
    const LoadResult result = LoadConfigText("e.yaml", text, OnManyCores());
    EXPECT_EQ(RenderFaults(result.faults), "") << text;
    EXPECT_EQ(result.settings, Settings()) << text;
  }
}

TEST(Loader, EveryFaultHasItsLine) {
  const Case cases[] = {
      // Keys.
      {"num_wrokers: 4\nqueue:\n  capasity: 5000\nqueue_config: {capacity: 3}\nzebra: 1\nqueue.zebra: 1\n",
       "e.yaml:1:1: num_wrokers: no such setting; did you mean num_workers?\n"
       "e.yaml:3:3: queue.capasity: no such setting; did you mean queue.capacity?\n"
       "e.yaml:4:1: queue_config: no such setting; did you mean queue?\n"
       "e.yaml:5:1: zebra: no such setting; engramd --print-config names them all\n"
       "e.yaml:6:1: queue.zebra: no such setting; allowed below queue: capacity, capacity_bytes, high_priority_ratio, max_wait\n"},
      {"num_workers: 3\nnum_workers: 5\n", "e.yaml:2:1: num_workers: given twice; the first is on line 1\n"},
      {"queue.capacity: 5000\nqueue:\n  capacity: 6000\n",
       "e.yaml:3:3: queue.capacity: given twice; the first is on line 1\n"},
      {"queue:\n  capacity: 5000\nqueue:\n  max_wait: 1h\n",
       "e.yaml:3:1: queue: given twice; the first is on line 1\n"
       "e.yaml:4:13: queue.max_wait: \"1h\" has the unit \"h\", which is none here; allowed: 0s to 1m, with a unit: "
       "us, ms, "
       "s or m\n"},
      {"? [a]\n: 1\n? {b: c}\n: 2\n~: 3\n",
       "e.yaml:1:3: a key that is not a word; allowed: the name of a setting\n"
       "e.yaml:3:3: a key that is not a word; allowed: the name of a setting\n"
       "e.yaml:5:1: a key that is not a word; allowed: the name of a setting\n"},
      {"profile: fast\nprofile: balanced\n",
       "e.yaml:1:10: profile: \"fast\" is no profile; allowed: balanced, low_latency, high_throughput, "
       "memory_constrained "
       "or multi_tenant\n"
       "e.yaml:2:1: profile: given twice; the first is on line 1\n"},
      {"\"\": 1\n\"a\\nb\": 1\n.: 1\n",
       "e.yaml:1:1: no such setting; engramd --print-config names them all\n"
       "e.yaml:2:1: a\\nb: no such setting; engramd --print-config names them all\n"
       "e.yaml:3:1: .: no such setting; engramd --print-config names them all\n"},
      // Kinds.
      {"num_workers:\nmin_batch_size: ~\nmax_batch_size: [10]\nidle_sleep_ms: {a: 1}\n",
       "e.yaml:1:1: num_workers: has no value; allowed: 1 to 16\n"
       "e.yaml:2:1: min_batch_size: has no value; allowed: 1 to 100\n"
       "e.yaml:3:17: max_batch_size: a list where one value belongs; allowed: 10 to 1000; text that starts with [ "
       "needs "
       "quotes\n"
       "e.yaml:4:16: idle_sleep_ms: a map where one value belongs; allowed: 0 to 100\n"},
      {"queue: 5\nhnsw: [1]\n",
       "e.yaml:1:8: queue: is a group of settings, not one; allowed below it: capacity, capacity_bytes, high_priority_ratio, max_wait\n"
       "e.yaml:2:1: hnsw: is a group of settings, not one; allowed below it: max_connections, ef_construction, "
       "ef_search\n"},
      {"- num_workers\n", "e.yaml:1:1: the file does not hold settings; allowed: lines like `num_workers: 4`\n"},
      {"num_workers 4\n", "e.yaml:1:1: the file does not hold settings; allowed: lines like `num_workers: 4`\n"},
      // Values, all in one run.
      {"num_workers: 010\nmin_batch_size: 0x10\nmax_batch_size: 1_000\nidle_sleep_ms: 1.5\nsteal_threshold: -5\n"
       "queue: {capacity: 64MiB, high_priority_ratio: .nan, max_wait: 250}\nspaces.auto_create: yes\nlog.level: warn\n",
       "e.yaml:1:14: num_workers: \"010\" has a leading zero, which some read as octal; allowed: a whole number from 1 "
       "to "
       "16\n"
       "e.yaml:2:17: min_batch_size: \"0x10\" is not in decimal; allowed: a whole number from 1 to 100\n"
       "e.yaml:3:17: max_batch_size: \"1_000\" has a separator between its digits; allowed: a whole number from 10 to "
       "1000\n"
       "e.yaml:4:16: idle_sleep_ms: \"1.5\" has a fraction; write it whole in a smaller unit; allowed: 0 to 100 in "
       "whole "
       "milliseconds, or with a unit: us, ms, s or m\n"
       "e.yaml:5:18: steal_threshold: \"-5\" has a sign; allowed: a whole number from 100 to 10000\n"
       "e.yaml:6:19: queue.capacity: \"64MiB\" has a unit, and this is a count; allowed: a whole number from 1000 to "
       "1000000\n"
       "e.yaml:6:47: queue.high_priority_ratio: \".nan\" is not a finite number; allowed: a number from 0 to 0.5\n"
       "e.yaml:6:63: queue.max_wait: \"250\" has no unit; write 250us, 250ms, 250s or 250m; allowed: 0s to 1m, with a "
       "unit: "
       "us, ms, s or m\n"
       "e.yaml:7:21: spaces.auto_create: \"yes\" is not a flag; write true; allowed: true or false\n"
       "e.yaml:8:12: log.level: \"warn\" is none of the choices; allowed: debug, info, warning or error; did you mean "
       "warning?\n"},
      {"server.address: 50051\n",
       "e.yaml:1:17: server.address: \"50051\" has no port; allowed: IPV4:PORT, [IPV6]:PORT, HOST:PORT or unix:PATH, "
       "several "
       "separated by commas\n"},
      // Relations.
      {"min_batch_size: 90\nmax_batch_size: 20\nhnsw: {max_connections: 64, ef_construction: 50}\n"
       "limits: {max_content_bytes: 1MiB, max_dimension: 16384}\nserver.max_message_bytes: 64KiB\n",
       "e.yaml:1:17: min_batch_size: 90 does not go with max_batch_size 20 (e.yaml:2:17); allowed: at most "
       "max_batch_size\n"
       "e.yaml:3:46: hnsw.ef_construction: 50 does not go with hnsw.max_connections 64 (e.yaml:3:25); allowed: at "
       "least "
       "hnsw.max_connections\n"
       "e.yaml:4:29: limits.max_content_bytes: 1MiB does not go with server.max_message_bytes 64KiB (e.yaml:5:27); "
       "allowed: "
       "less than server.max_message_bytes, which carries it\n"
       "e.yaml:4:50: limits.max_dimension: 16384 does not go with server.max_message_bytes 64KiB (e.yaml:5:27); "
       "allowed: "
       "less than a quarter of server.max_message_bytes, for an element takes 4 bytes\n"},
      // Parts of YAML that a configuration does without.
      {"num_workers: &w 4\nmin_batch_size: *w\n<<: *w\nmax_batch_size: !!int 20\nqueue: *w\n",
       "e.yaml:2:17: min_batch_size: aliases are not supported; write the value out\n"
       "e.yaml:3:1: <<: merge keys are not supported; write the settings out\n"
       "e.yaml:4:17: max_batch_size: has the tag \"tag:yaml.org,2002:int\"; tags are not supported, the setting knows "
       "its "
       "type\n"
       "e.yaml:5:8: queue: aliases are not supported; write the value out\n"},
      {"num_workers: 4\n---\nnum_workers: 5\n",
       "e.yaml:2:1: a second document starts here; allowed: one document in a file\n"},
      // Syntax: what was complete before it is judged too.
      {"num_workers: 99\nqueue:\n  capacity: 5000\n max_wait: 1s\n",
       "e.yaml:1:14: num_workers: \"99\" is above the limit; allowed: a whole number from 1 to 16\n"
       "e.yaml:4:2: not YAML: end of map not found\n"},
      {"min_batch_size: 60\nmax_batch_size: 20\n@\n", "e.yaml:3:1: not YAML: unknown token\n"},
      {"log.level: \"info\n", "e.yaml:1:12: not YAML: the quote is never closed\n"},
      {"log.level: 'it''s\n", "e.yaml:1:12: not YAML: the quote is never closed\n"},
      {"log.level: \"info", "e.yaml:1:17: not YAML: illegal EOF in scalar\n"},
      {"log: {level: info\n", "e.yaml:2:1: not YAML: end of map flow not found\n"},
      {"num_workers: *none\n", "e.yaml:1:14: not YAML: the referenced anchor is not defined\n"},
      {"num_workers: 4\n]\n", "e.yaml:2:1: not YAML: illegal flow end\n"},
      {"\"num_workers\" \"4\"\n",
       "e.yaml:1:1: the file does not hold settings; allowed: lines like `num_workers: 4`\n"
       "e.yaml:1:15: not YAML: something stands after the end of the settings; check quotes, brackets and "
       "indentation\n"},
      {"queue:\n\tcapacity: 5000\n",
       "e.yaml:2:2: queue: is a group of settings, not one; allowed below it: capacity, capacity_bytes, high_priority_ratio, max_wait\n"
       "e.yaml:2:10: not YAML: illegal map value; indent with spaces, not tabs\n"},
      {"server:\n  address: [::1]:50051\n",
       "e.yaml:2:12: server.address: a list where one value belongs; allowed: HOST:PORT or unix:PATH, several with "
       "commas; "
       "text that starts with [ needs quotes\n"
       "e.yaml:2:17: not YAML: end of map not found\n"},
      {Nested(16), "e.yaml:1:1: a: no such setting; engramd --print-config names them all\n"},
      {Nested(17),
       "e.yaml:1:1: a: no such setting; engramd --print-config names them all\n"
       "e.yaml:17:17: nested too deep; allowed: 16 levels\n"},
      // Bytes.
      {std::string("num_workers: 4\nlog.level: in\0fo\n", 33), "e.yaml:2:14: byte 0x00 is not text; allowed: UTF-8\n"},
      {"log.level: \xFF\n", "e.yaml:1:12: byte 0xff is not text; allowed: UTF-8\n"},
      {"# \xC0\x80\n", "e.yaml:1:3: byte 0xc0 is not text; allowed: UTF-8\n"},
      {"# \xED\xA0\x80\n", "e.yaml:1:3: byte 0xed is not text; allowed: UTF-8\n"},
      {"log.level: \"\\x01\\u2028\"\n",
       "e.yaml:1:12: log.level: \"\\x01\xE2\x80\xA8\" is none of the choices; allowed: debug, info, warning or "
       "error\n"},
  };
  for (const Case& bad : cases) {
    SCOPED_TRACE(bad.text);
    EXPECT_EQ(Faults(bad.text), bad.faults);
  }
}

TEST(Loader, LongValuesAreCutInMessages) {
  const std::string faults = Faults("log.level: " + std::string(100000, 'x') + "\n");
  EXPECT_LT(faults.size(), 300u);
  EXPECT_NE(faults.find("xxx...\""), std::string::npos) << faults;
}

TEST(Loader, FaultsOfOneFileAreBounded) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "key" + std::to_string(i) + ": 1\n";
  const LoadResult result = LoadConfigText("e.yaml", text, OnManyCores());
  ASSERT_EQ(result.faults.size(), kMaxFaultsOfFile + 1);
  EXPECT_EQ(result.faults.back().Render(), "e.yaml: 800 more faults");
}

TEST(Loader, AWholeFileOfNothingIsQuick) {
  // Each of these took minutes or the stack somewhere.
  EXPECT_FALSE(LoadConfigText("e.yaml", std::string(1 << 20, '['), OnManyCores()).ok());
  std::string quotes;
  for (int i = 0; i < 100000; ++i) quotes += "a: \"x\"\n";
  EXPECT_FALSE(LoadConfigText("e.yaml", quotes, OnManyCores()).ok());
}

class ConfigFile : public ::testing::Test {
 protected:
  ConfigFile() {
    std::string name = (std::filesystem::temp_directory_path() / "engram-config-XXXXXX").string();
    directory_ = mkdtemp(name.data());
  }
  ~ConfigFile() override { std::filesystem::remove_all(directory_); }

  LoadResult Load(const std::string& path) {
    LoadRequest request = OnManyCores();
    request.file = path;
    return LoadConfig(request);
  }
  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = directory_ / name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  std::filesystem::path directory_;
};

TEST_F(ConfigFile, IsReadAndNamed) {
  const std::string path = Write("e.yaml", "num_workers: 3\n");
  const LoadResult result = Load(path);
  EXPECT_TRUE(result.ok()) << RenderFaults(result.faults);
  EXPECT_EQ(result.settings.num_workers, 3u);
  EXPECT_EQ(result.origins.at("num_workers"), path + ":1:14");
}

TEST_F(ConfigFile, ThatCannotBeReadIsAFaultAmongTheOthers) {
  const std::string missing = directory_ / "missing.yaml";
  EXPECT_EQ(RenderFaults(Load(missing).faults), missing + ": cannot be read: No such file or directory\n");
  EXPECT_EQ(RenderFaults(Load(directory_).faults), directory_.string() + ": cannot be read: Is a directory\n");
  EXPECT_EQ(RenderFaults(Load("").faults), "--config: cannot be read: No such file or directory\n");

  LoadRequest request = OnManyCores();
  request.file = missing;
  request.assignments = {"num_workers=0"};
  EXPECT_EQ(LoadConfig(request).faults.size(), 2u);
}

TEST_F(ConfigFile, ThatIsTooLargeIsNotParsed) {
  const std::string most = "num_workers: 3\n";
  const std::string fits = Write("fits.yaml", most + std::string(kMaxConfigFileBytes - most.size(), '\n'));
  EXPECT_EQ(RenderFaults(Load(fits).faults), "");
  const std::string large = Write("large.yaml", most + std::string(kMaxConfigFileBytes - most.size() + 1, '\n'));
  EXPECT_EQ(RenderFaults(Load(large).faults), large + ": is larger than 1048576 bytes\n");
  EXPECT_EQ(RenderFaults(Load("/dev/zero").faults), "/dev/zero: is larger than 1048576 bytes\n");
}

TEST_F(ConfigFile, WithANewlineInItsNameStaysOnOneLine) {
  const std::string long_part(200, 'x');
  std::filesystem::create_directory(directory_ / long_part);
  const LoadResult result = Load(Write(long_part + "/a\nb.yaml", "num_workers: 0\n"));
  EXPECT_EQ(RenderFaults(result.faults), directory_.string() + "/" + long_part +
                                             "/a\\nb.yaml:1:14: num_workers: \"0\" is below the limit; allowed: a " +
                                             "whole number from 1 to 16\n");
}

}  // namespace
}  // namespace engram

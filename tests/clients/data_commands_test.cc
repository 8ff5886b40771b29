// The offline commands on directories that the test writes: what they print, and what they exit with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "clients/cli/session.h"
#include "tests/support/journal_files.h"

namespace engram {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::JournalFiles;
using ::testing::Not;

constexpr char kFirst[] = "00000000000000000001.journal";

class DataCommandsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string folder = ::testing::TempDir() + "engram-data-XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    data_ = folder_ + "/data";
    directory_ = OpenPosixDirectory(data_, /*create=*/true).value();
    JournalFiles::MakeSmall(*directory_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  struct Ran {
    ExitCode code = kOk;
    std::string out, err;
  };
  template <typename Options>
  Ran Run(ExitCode (*command)(Session&, const Options&), const Options& options, bool json = false) {
    GlobalOptions global;
    global.json = json;
    Session session(global, nullptr);
    Ran ran;
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    ran.code = command(session, options);
    ran.out = ::testing::internal::GetCapturedStdout();
    ran.err = ::testing::internal::GetCapturedStderr();
    return ran;
  }
  static std::vector<json> Documents(const std::string& lines) {
    std::vector<json> out;
    for (size_t at = 0; at < lines.size();) {
      const size_t end = lines.find('\n', at);
      out.push_back(json::parse(lines.substr(at, end - at)));
      at = end + 1;
    }
    return out;
  }
  // A bit within the record at position 2.
  void Damage() {
    const auto file = directory_->Open(kFirst, Directory::Mode::kReadWrite).value();
    const absl::StatusOr<SegmentFooter> footer = ReadFooter(*file, *ReadHeader(*file));
    const uint64_t at = footer->OffsetOf(2) + 100;
    std::byte byte[1];
    ASSERT_EQ(file->ReadAt(at, byte).value(), 1u);
    byte[0] ^= std::byte{4};
    ASSERT_TRUE(file->WriteAt(at, byte).ok());
  }

  std::string folder_, data_;
  std::unique_ptr<Directory> directory_;
};

TEST_F(DataCommandsTest, VerifySaysWhatIsThereAndEndsWithZero) {
  const Ran ran = Run(RunVerify, VerifyOptions{data_});
  EXPECT_EQ(ran.code, kOk) << ran.out << ran.err;
  EXPECT_THAT(ran.out, AllOf(HasSubstr(data_ + "  sound\n"), HasSubstr("1 to 5, sealed through 5"),
                             HasSubstr("5 with 6 observations of 1 space\n"), HasSubstr("defects      none\n")));
  EXPECT_THAT(ran.err, IsEmpty());
  const Ran quiet = Run(RunVerify, VerifyOptions{data_, true});
  EXPECT_EQ(quiet.code, kOk);
  EXPECT_THAT(quiet.out, IsEmpty());
}

TEST_F(DataCommandsTest, VerifyNamesDamageAndEndsWithItsOwnCode) {
  Damage();
  const Ran ran = Run(RunVerify, VerifyOptions{data_});
  EXPECT_EQ(ran.code, kBadData);
  EXPECT_THAT(ran.out, AllOf(HasSubstr("damaged"), HasSubstr(kFirst), HasSubstr("lost is position 2")));
  const json report = Documents(Run(RunVerify, VerifyOptions{data_}, true).out).at(0);
  EXPECT_EQ(report["sound"], false);
  EXPECT_EQ(report["defects"][0]["file"], kFirst);
  EXPECT_EQ(report["defects"][0]["first_missing"], 2);
  EXPECT_EQ(report["defects"][0]["last_missing"], 2);
  EXPECT_EQ(report["records"], 4);
  EXPECT_EQ(report["segments"][1]["records"], 2);
  EXPECT_EQ(report["spaces"][0]["name"], "notes");
  EXPECT_EQ(report["manifest"]["journal"], "0000000000000063");
}

TEST_F(DataCommandsTest, ADirectoryThatIsNotThereIsAnInputThatCannotBeOpened) {
  EXPECT_EQ(Run(RunVerify, VerifyOptions{folder_ + "/none"}).code, kNoInput);
  EXPECT_EQ(Run(RunDump, DumpOptions{folder_ + "/none"}).code, kNoInput);
  EXPECT_EQ(Run(RunRestore, RestoreOptions{folder_ + "/none", folder_ + "/new"}).code, kNoInput);
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/new"));
}

TEST_F(DataCommandsTest, DumpPrintsEachRecordOnALine) {
  const Ran ran = Run(RunDump, DumpOptions{data_});
  EXPECT_EQ(ran.code, kOk) << ran.err;
  EXPECT_THAT(ran.out,
              AllOf(HasSubstr("         1  space_created  notes  1970-01-01T00:00:01Z  dimension 2, cosine\n"),
                    HasSubstr("         2  observations   notes  1970-01-01T00:00:01Z to 1970-01-01T00:00:03Z  3 "
                              "observations: a0 a1 a2\n"),
                    HasSubstr("         4  tombstones     notes  1 ids: a1\n")));
}

TEST_F(DataCommandsTest, DumpKeepsToTheSpaceThePositionAndTheLimit) {
  JournalFiles files(*directory_);
  files.Begin(6, 0);
  const uint64_t wiki = files.AddSpace("wiki");
  files.AddObservations("wiki", wiki, "w", 1);
  files.AddObservations("notes", 1, "n", 1);
  files.Write(0);
  const auto positions = [&](const std::string& space, uint64_t from, std::optional<uint64_t> limit) {
    DumpOptions options{data_};
    options.space = space;
    options.from = from;
    options.limit = limit;
    std::vector<uint64_t> out;
    for (const json& record : Documents(Run(RunDump, options, true).out)) out.push_back(record["position"]);
    return out;
  };
  EXPECT_THAT(positions("", 1, std::nullopt), ::testing::ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_THAT(positions("wiki", 1, std::nullopt), ::testing::ElementsAre(6, 7));
  EXPECT_THAT(positions("notes", 3, 3), ::testing::ElementsAre(3, 4, 5));
  EXPECT_THAT(positions("", 9, std::nullopt), IsEmpty());
  EXPECT_THAT(positions("", 1, 0), IsEmpty());
}

TEST_F(DataCommandsTest, DumpPrintsObservationsAsObserveReadsThem) {
  DumpOptions options{data_};
  options.from = 2;
  options.limit = 1;
  const json without = Documents(Run(RunDump, options, true).out).at(0);
  EXPECT_EQ(without["type"], "observations");
  EXPECT_EQ(without["dimension"], 2);
  EXPECT_EQ(without["observations"][1], json::parse(R"({"id": "a1", "content": "text of a1", "tags": {"lang": "en"},
                                                         "observed_at": "1970-01-01T00:00:02Z"})"));
  options.embeddings = true;
  const json with = Documents(Run(RunDump, options, true).out).at(0);
  EXPECT_EQ(with["observations"][2]["embedding"], json({2, 1}));
  options.from = 4;
  EXPECT_EQ(Documents(Run(RunDump, options, true).out).at(0)["tombstones"],
            json::parse(R"([{"id": "a1", "through": 2}])"));
  options.from = 1;
  EXPECT_EQ(Documents(Run(RunDump, options, true).out).at(0)["config"]["dimension"], 2);
}

TEST_F(DataCommandsTest, DumpGoesOnBehindDamageAndNamesIt) {
  Damage();
  const Ran ran = Run(RunDump, DumpOptions{data_});
  EXPECT_EQ(ran.code, kBadData);
  EXPECT_THAT(ran.err, AllOf(HasSubstr(kFirst), HasSubstr("positions 2 to 2 are lost")));
  EXPECT_THAT(ran.out, AllOf(Not(HasSubstr("a0")), HasSubstr("b0 b1"), HasSubstr("c0")));
  ASSERT_TRUE(directory_->Remove(kFirst).ok());
  EXPECT_THAT(Run(RunDump, DumpOptions{data_}).err, HasSubstr("a segment is missing: positions 1 to 3 are lost"));
}

TEST_F(DataCommandsTest, RestoreMakesADirectoryWithAnIdentityOfItsOwn) {
  const std::string copy = folder_ + "/a/copy";
  const Ran ran = Run(RunRestore, RestoreOptions{data_, copy}, true);
  ASSERT_EQ(ran.code, kOk) << ran.err;
  const json said = Documents(ran.out).at(0);
  EXPECT_EQ(said["linked"], 2);
  EXPECT_EQ(said["copied"], 0);
  EXPECT_EQ(said["observations"], 6);
  const json report = Documents(Run(RunVerify, VerifyOptions{copy}, true).out).at(0);
  EXPECT_EQ(report["sound"], true);
  EXPECT_EQ(report["records"], 5);
  EXPECT_EQ(report["manifest"]["journal"], said["journal"]);
  EXPECT_NE(report["manifest"]["journal"], "0000000000000063");
  EXPECT_EQ(report["manifest"]["lineage"], "000000000000004d");
  EXPECT_EQ(std::filesystem::hard_link_count(copy + "/" + kFirst), 2u);

  const std::string other = folder_ + "/other";
  RestoreOptions options{data_, other};
  options.copy = true;
  EXPECT_THAT(Run(RunRestore, options).out, HasSubstr("0 of them shared with the snapshot by hard links and 2 copied"));
  EXPECT_EQ(std::filesystem::hard_link_count(other + "/" + kFirst), 1u);
}

TEST_F(DataCommandsTest, RestoreRefusesATargetThatHoldsSomethingAndASnapshotThatIsDamagedOrInUse) {
  const std::string copy = folder_ + "/copy";
  std::filesystem::create_directories(copy + "/folder");
  Ran ran = Run(RunRestore, RestoreOptions{data_, copy});
  EXPECT_EQ(ran.code, kPartial);
  EXPECT_THAT(ran.err, HasSubstr(copy + " is not empty"));
  std::filesystem::remove_all(copy);

  absl::StatusOr<std::unique_ptr<DirectoryLock>> lock = directory_->Lock("LOCK");
  ASSERT_TRUE(lock.ok()) << lock.status();
  ran = Run(RunRestore, RestoreOptions{data_, copy});
  EXPECT_EQ(ran.code, kPartial);
  EXPECT_THAT(ran.err, HasSubstr(fmt::format("in use by process {}", getpid())));
  // Killed: what is left of it is its pid, which in a container is somebody else's.
  lock->reset();
  JournalFiles(*directory_).WriteFile("LOCK", "1\n");

  Damage();
  ran = Run(RunRestore, RestoreOptions{data_, copy});
  EXPECT_EQ(ran.code, kBadData);
  EXPECT_THAT(ran.err, AllOf(HasSubstr("lost is position 2"), HasSubstr("--accept-damage")));
  EXPECT_FALSE(std::filesystem::exists(copy));
  RestoreOptions options{data_, copy};
  options.accept_damage = true;
  EXPECT_EQ(Run(RunRestore, options).code, kOk);
  EXPECT_EQ(Documents(Run(RunVerify, VerifyOptions{copy}, true).out).at(0)["records"], 4);
}

// What is lost is the manifest itself: not a name of its own to be printed, and all observations there.
TEST_F(DataCommandsTest, RestoreMakesALostManifestAgainWhenDamageIsAccepted) {
  ASSERT_TRUE(directory_->Remove("MANIFEST").ok());
  RestoreOptions options{data_, folder_ + "/copy"};
  Ran ran = Run(RunRestore, options);
  EXPECT_EQ(ran.code, kBadData);
  EXPECT_THAT(ran.err, AllOf(HasSubstr("MANIFEST: it is missing"), HasSubstr("--accept-damage")));
  EXPECT_FALSE(std::filesystem::exists(options.directory));
  options.accept_damage = true;
  ran = Run(RunRestore, options);
  EXPECT_EQ(ran.code, kOk) << ran.err;
  EXPECT_THAT(ran.out,
              AllOf(HasSubstr("with 6 observations"), HasSubstr("tokens of the original are refused by it\n")));
  EXPECT_EQ(Documents(Run(RunVerify, VerifyOptions{options.directory}, true).out).at(0)["sound"], true);
}

}  // namespace
}  // namespace engram

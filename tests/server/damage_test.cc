// A data directory of the real engramd, damaged file by file in every way a disk or a person can: the next daemon
// serves the rest, names what is lost, takes writes, and never answers with anything that was not sent.
//
// ENGRAM_SEED says where the bits flip.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <random>

#include "tests/server/metrics_scrape.h"
#include "tests/server/support/engramd_process.h"
#include "tests/server/support/ledger_stream.h"
#include "tests/server/support/test_daemon.h"
#include "tests/support/temp_directory.h"

namespace engram::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using Stub = v1::MemoryService::Stub;

const std::vector<std::string>& Spaces() {
  static const std::vector<std::string> spaces{"alpha", "beta", "gamma"};
  return spaces;
}

uint64_t Seed() {
  const char* given = std::getenv("ENGRAM_SEED");
  return given == nullptr ? 1964 : std::strtoull(given, nullptr, 10);
}

std::vector<std::string> On(const std::string& directory, const std::string& mode) {
  return {"--set", "durability.mode=" + mode,
          "--set", "server.address=127.0.0.1:0",     "--set", "metrics.address=127.0.0.1:0",
          "--set", "storage.directory=" + directory, "--set", "storage.segment_bytes=1MiB",
          "--set", "storage.group_bytes=256KiB",     "--set", "storage.spare_segments=1",
          "--set", "storage.soft_free_bytes=0",      "--set", "storage.hard_free_bytes=0"};
}

std::string Bytes(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Changes one bit in place, as bit rot does: the file stays the same file.
void Flip(const fs::path& file, uint64_t offset, int bit) {
  std::fstream io(file, std::ios::binary | std::ios::in | std::ios::out);
  io.seekg(static_cast<std::streamoff>(offset));
  const char byte = static_cast<char>(io.get() ^ (1 << bit));
  io.seekp(static_cast<std::streamoff>(offset));
  io.put(byte);
}

struct Damage {
  std::string name;
  std::function<void(const fs::path&, std::mt19937_64&)> apply;
};

uint64_t Used(const fs::path& file) {
  const std::string bytes = Bytes(file);
  const size_t last = bytes.find_last_not_of('\0');
  return last == std::string::npos ? std::max<size_t>(bytes.size(), 1) : last + 1;
}

std::vector<Damage> Damages() {
  std::vector<Damage> damages;
  const auto flip_within = [&](const std::string& name, std::function<uint64_t(uint64_t, uint64_t)> place) {
    damages.push_back({name, [place](const fs::path& file, std::mt19937_64& random) {
                         if (fs::file_size(file) == 0) return;
                         const uint64_t used = Used(file);
                         Flip(file, std::min(place(used, random()), used - 1), static_cast<int>(random() % 8));
                       }});
  };
  flip_within("a bit at the front", [](uint64_t, uint64_t random) { return random % 48; });
  flip_within("a bit anywhere", [](uint64_t used, uint64_t random) { return random % used; });
  flip_within("another bit anywhere", [](uint64_t used, uint64_t random) { return random % used; });
  flip_within("a bit near the end",
              [](uint64_t used, uint64_t random) { return used - 1 - random % std::min<uint64_t>(used, 64); });
  damages.push_back({"many bits", [](const fs::path& file, std::mt19937_64& random) {
                       if (fs::file_size(file) == 0) return;
                       const uint64_t used = Used(file);
                       for (int i = 0; i < 40; ++i) Flip(file, random() % used, static_cast<int>(random() % 8));
                     }});
  damages.push_back({"cut short", [](const fs::path& file, std::mt19937_64& random) {
                       fs::resize_file(file, random() % std::max<uint64_t>(Used(file), 1));
                     }});
  damages.push_back({"emptied", [](const fs::path& file, std::mt19937_64&) { fs::resize_file(file, 0); }});
  damages.push_back({"deleted", [](const fs::path& file, std::mt19937_64&) { fs::remove(file); }});
  return damages;
}

class DamageTest : public ::testing::Test {
 protected:
  // Some of everything: versions that replace, forgotten ones, marks of streams.
  void Fill(const EngramdProcess& engramd) {
    const auto stub = v1::MemoryService::NewStub(TestDaemon::Connect(engramd.grpc_address));
    std::mt19937_64 random(Seed());
    for (const std::string& space : Spaces()) {
      LedgerStream stream(space, "stream", &ledger_);
      stream.Open(*stub);
      ASSERT_TRUE(stream.Send(3000, random, {[] {}, [] {}}));
      stream.End();
      v1::ForgetRequest forget;
      forget.set_space(space);
      for (uint64_t s = 2; s < 200; s += 7) forget.add_ids(stream.IdOf(s));
      v1::ForgetResponse forgotten;
      ASSERT_TRUE(Call(*stub, &Stub::Forget, forget, &forgotten).ok());
      v1::GetSpaceRequest get;
      get.set_name(space);
      v1::Space answer;
      ASSERT_TRUE(Call(*stub, &Stub::GetSpace, get, &answer).ok());
      live_[space] = answer.live();
    }
  }

  // A directory left by a daemon that stopped, or was killed.
  void Make(int signal) {
    EngramdProcess engramd(On(original_, mode_));
    ASSERT_TRUE(engramd.AwaitReady()) << engramd.err();
    Fill(engramd);
    engramd.Signal(signal);
    engramd.AwaitExit();
    for (const auto& file : fs::directory_iterator(original_)) files_.push_back(file.path().filename());
    std::sort(files_.begin(), files_.end());
    for (const std::string& file : files_) {
      if (file.ends_with(".journal")) last_segment_ = file;
    }
  }

  // Every answer is made of what was sent; how many observations are gone or cannot be read.
  uint64_t Lost(Stub& stub, std::mt19937_64& random) {
    uint64_t lost = 0;
    for (const std::string& space : Spaces()) {
      v1::GetSpaceRequest get;
      get.set_name(space);
      v1::Space answer;
      const grpc::Status status = Call(stub, &Stub::GetSpace, get, &answer);
      // All it had may have been in what is gone.
      EXPECT_TRUE(status.ok() || status.error_code() == grpc::StatusCode::NOT_FOUND) << status.error_message();
      if (!status.ok()) {
        lost += live_[space];
        continue;
      }
      lost += live_[space] > answer.live() ? live_[space] - answer.live() : 0;
      lost += GetAll(stub, space);
      for (int i = 0; i < 20; ++i) RecallSome(stub, space, answer.live(), random);
    }
    return lost;
  }

  uint64_t GetAll(Stub& stub, const std::string& space) {
    const std::vector<std::string> ids = ledger_.Ids(space);
    uint64_t unreadable = 0;
    for (size_t first = 0; first < ids.size(); first += 1000) {
      v1::GetObservationsRequest request;
      request.set_space(space);
      request.set_include_embedding(true);
      for (size_t i = first; i < std::min(first + 1000, ids.size()); ++i) request.add_ids(ids[i]);
      v1::GetObservationsResponse response;
      const grpc::Status status = Call(stub, &Stub::GetObservations, request, &response);
      EXPECT_TRUE(status.ok()) << status.error_message();
      for (const v1::Observation& one : response.observations()) {
        EXPECT_TRUE(ledger_.EverSent(space, one)) << one.id() << ": " << one.content();
      }
      EXPECT_EQ(response.observations_size() + response.missing_size() + response.unreadable_size(),
                request.ids_size());
      unreadable += static_cast<uint64_t>(response.unreadable_size());
    }
    return unreadable;
  }

  void RecallSome(Stub& stub, const std::string& space, uint64_t live, std::mt19937_64& random) {
    const std::vector<std::string> ids = ledger_.Ids(space);
    const std::string& id = ids[random() % ids.size()];
    v1::RecallRequest request;
    request.set_space(space);
    *request.mutable_embedding_f32() = ObservationOf(space, id, ledger_.LastSent(space, id)).embedding_f32();
    request.set_k(5);
    request.set_include_content(true);
    v1::RecallResponse response;
    const grpc::Status status = Call(stub, &Stub::Recall, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    for (const v1::Hit& hit : response.hits()) {
      v1::Observation found;
      found.set_id(hit.id());
      found.set_content(hit.content());
      EXPECT_TRUE(ledger_.EverSent(space, found)) << hit.id() << ": " << hit.content();
    }
    // Whoever cannot be read gives way to the next.
    EXPECT_LE(response.hits_size(), std::min<int64_t>(static_cast<int64_t>(live), 5));
    EXPECT_GE(static_cast<uint64_t>(response.hits_size()) + response.coverage().unreadable(), std::min<uint64_t>(live, 5));
  }

  // Starts a daemon on the damaged copy and holds it to its word.
  void Survives(const std::string& directory, const std::string& file, bool must_name, std::mt19937_64& random) {
    std::string late = "late";
    {
      EngramdProcess engramd(On(directory, mode_));
      if (!engramd.AwaitReady()) {
        // A version that this program does not know is not a damage it may guess at.
        EXPECT_LT(engramd.AwaitExit(), 128) << engramd.err();
        EXPECT_THAT(engramd.err(), AllOf(HasSubstr(file), HasSubstr("newer"))) << engramd.err();
        return;
      }
      const auto stub = v1::MemoryService::NewStub(TestDaemon::Connect(engramd.grpc_address));
      const uint64_t lost = Lost(*stub, random);
      const double defects = Exposition::Scrape(engramd.metrics_address).Value("engram_journal_defects").value_or(0);
      v1::ObserveRequest observe;
      observe.set_space("alpha");
      *observe.add_observations() = ObservationOf("alpha", late, 1);
      v1::ObserveResponse observed;
      const grpc::Status status = Call(*stub, &Stub::Observe, observe, &observed);
      EXPECT_TRUE(status.ok() && observed.accepted() == 1) << status.error_message();
      engramd.Signal(SIGKILL);
      EXPECT_EQ(engramd.AwaitExit(), 128 + SIGKILL) << engramd.err();
      if (lost > 0 && must_name) {
        EXPECT_GT(defects, 0) << lost << " observations are gone without a word\n" << engramd.err();
        // Whether a segment was cut at a record's end or the one behind it is missing, nobody can tell.
        EXPECT_THAT(engramd.err(), AnyOf(HasSubstr(file), HasSubstr("no segment covers these positions")));
      }
    }
    EngramdProcess again(On(directory, mode_));
    ASSERT_TRUE(again.AwaitReady()) << again.err();
    const auto stub = v1::MemoryService::NewStub(TestDaemon::Connect(again.grpc_address));
    v1::GetObservationsRequest get;
    get.set_space("alpha");
    get.add_ids(late);
    v1::GetObservationsResponse got;
    EXPECT_TRUE(Call(*stub, &Stub::GetObservations, get, &got).ok());
    EXPECT_EQ(got.observations_size(), 1) << "what was acknowledged after the damage is lost";
  }

  void DamageEach(const std::vector<std::string>& files, int signal) {
    std::mt19937_64 random(Seed());
    for (const std::string& file : files) {
      for (const Damage& damage : Damages()) {
        SCOPED_TRACE(fmt::format("ENGRAM_SEED={}: {}: {}", Seed(), file, damage.name));
        const TempDirectory copy;
        fs::copy(original_, copy / "data", fs::copy_options::recursive);
        damage.apply(fs::path(copy / "data") / file, random);
        // The end of a killed daemon's last segment looks like a write that never finished, and nobody misses its name.
        Survives(copy / "data", file, signal != SIGKILL || file != last_segment_, random);
      }
    }
  }

  const TempDirectory root_;
  const std::string original_ = root_ / "data";
  std::string mode_ = "fsync";
  Ledger ledger_;
  std::map<std::string, uint64_t> live_;
  std::vector<std::string> files_;
  std::string last_segment_;
};

TEST_F(DamageTest, OfAnyFileIsNamedAndTheRestIsServed) {
  Make(SIGTERM);
  DamageEach(files_, SIGTERM);
}

class DamageInEitherMode : public DamageTest, public ::testing::WithParamInterface<const char*> {
 protected:
  DamageInEitherMode() { mode_ = GetParam(); }
};

TEST_P(DamageInEitherMode, OfTheEndThatAKillLeftIsSurvived) {
  Make(SIGKILL);
  DamageEach({"MANIFEST", last_segment_}, SIGKILL);
}

INSTANTIATE_TEST_SUITE_P(Modes, DamageInEitherMode, ::testing::Values("fsync", "interval"),
                         [](const auto& info) { return std::string(info.param); });

TEST_F(DamageTest, BehindTheBackOfARunningDaemonIsCountedAndNeverServed) {
  std::mt19937_64 random(Seed());
  {
    EngramdProcess engramd(On(original_, mode_));
    ASSERT_TRUE(engramd.AwaitReady()) << engramd.err();
    Fill(engramd);
    const auto stub = v1::MemoryService::NewStub(TestDaemon::Connect(engramd.grpc_address));
    ASSERT_EQ(Lost(*stub, random), 0u);
    for (const auto& file : fs::directory_iterator(original_)) {
      if (file.path().extension() != ".journal") continue;
      for (int i = 0; i < 200; ++i) Flip(file, 4096 + random() % (Used(file) - 4096), static_cast<int>(random() % 8));
    }
    EXPECT_GT(Lost(*stub, random), 0u);
    EXPECT_GT(Exposition::Scrape(engramd.metrics_address).Value("engram_journal_defects").value_or(0), 0);
  }
  Survives(original_, ".journal", /*must_name=*/true, random);
}

}  // namespace
}  // namespace engram::testing

// kill -9: the real engramd dies at moments that a seed chooses, under streams, single calls and forgetting, and while
// it recovers. What was acknowledged as durable is there afterwards, exactly, once; nothing else is.
//
// ENGRAM_SEED replays a plan (threads still race as they like), ENGRAM_ROUNDS says how many times to kill in each mode.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>

#include "tests/server/metrics_scrape.h"
#include "tests/server/support/engramd_process.h"
#include "tests/server/support/ledger_check.h"
#include "tests/server/support/ledger_stream.h"
#include "tests/server/support/test_daemon.h"
#include "tests/support/temp_directory.h"

namespace engram::testing {
namespace {

using Stub = v1::MemoryService::Stub;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* given = std::getenv(name);
  return given == nullptr ? otherwise : std::strtoull(given, nullptr, 10);
}

// Kills the daemon at the event that uses up the count.
class Fuse {
 public:
  Fuse(const EngramdProcess& engramd, uint64_t count) : engramd_(engramd), left_(static_cast<int64_t>(count)) {}
  void Burn() {
    if (left_.fetch_sub(1) == 1) engramd_.Signal(SIGKILL);
  }

 private:
  const EngramdProcess& engramd_;
  std::atomic<int64_t> left_;
};

// Single calls: new observations, forgetting what streams and it itself have sent, and observing what was forgotten.
class Caller {
 public:
  Caller(std::string space, Ledger* ledger) : space_(std::move(space)), ledger_(ledger) {}

  // Until the daemon is gone. `streams` have sent nothing beyond `durable` yet that an id up to there could be replaced
  // by.
  void Run(Stub& stub, v1::AdminService::Stub& admin, const std::vector<std::string>& ripe, std::mt19937_64& random,
           Fuse& fuse) {
    bool there = true;
    while (there) {
      const uint64_t what = random() % 20;
      if (what < 10) {
        there = Observe(stub, random);
      } else if (what < 17) {
        there = Forget(stub, ripe, random);
      } else if (what < 19) {
        there = Recall(stub, random);
      } else {
        v1::CheckpointResponse ignored;
        const grpc::Status status = Call(admin, &v1::AdminService::Stub::Checkpoint, v1::CheckpointRequest(), &ignored);
        there = status.ok() || status.error_code() == grpc::StatusCode::UNIMPLEMENTED;
      }
      if (there) fuse.Burn();
    }
  }

 private:
  bool Observe(Stub& stub, std::mt19937_64& random) {
    v1::ObserveRequest request;
    request.set_space(space_);
    std::vector<std::pair<std::string, uint64_t>> versions;
    for (uint64_t i = 0, count = 1 + random() % 8; i < count; ++i) {
      const bool again = !forgotten_.empty() && random() % 4 == 0;
      std::string id = again ? forgotten_.back() : "one-" + std::to_string(next_);
      if (again) forgotten_.pop_back();
      // Beyond every sequence: what a stream sent under this id is older.
      versions.emplace_back(std::move(id), (uint64_t{1} << 40) + next_++);
      *request.add_observations() = ObservationOf(space_, versions.back().first, versions.back().second);
      ledger_->Sent(space_, versions.back().first, versions.back().second);
    }
    v1::ObserveResponse response;
    const grpc::Status status = Call(stub, &Stub::Observe, request, &response);
    if (!status.ok()) return Gone(status);
    EXPECT_EQ(response.accepted(), versions.size());
    for (const auto& [id, version] : versions) ledger_->Answered(space_, id, version);
    ledger_->Keep(space_, response.token());
    return true;
  }

  bool Forget(Stub& stub, const std::vector<std::string>& ripe, std::mt19937_64& random) {
    v1::ForgetRequest request;
    request.set_space(space_);
    std::vector<std::string> ids;
    for (uint64_t i = 0, count = 1 + random() % 5; i < count; ++i) {
      std::string id = random() % 2 == 0 || ripe.empty() ? "one-" + std::to_string(random() % (next_ + 1))
                                                         : ripe[random() % ripe.size()];
      if (ledger_->Certain(space_, id) == 0 || std::find(ids.begin(), ids.end(), id) != ids.end()) continue;
      *request.add_ids() = id;
      ids.push_back(id);
    }
    if (ids.empty()) return true;
    for (const std::string& id : ids) ledger_->Sent(space_, id, 0);
    v1::ForgetResponse response;
    const grpc::Status status = Call(stub, &Stub::Forget, request, &response);
    if (!status.ok()) return Gone(status);
    EXPECT_EQ(response.forgotten(), ids.size());
    for (const std::string& id : ids) {
      ledger_->Answered(space_, id, 0);
      forgotten_.push_back(id);
    }
    ledger_->Keep(space_, response.token());
    return true;
  }

  // Load, and the newest token: read your writes.
  bool Recall(Stub& stub, std::mt19937_64& random) {
    v1::RecallRequest request;
    request.set_space(space_);
    request.mutable_embedding()->mutable_values()->Resize(kLedgerDimension, static_cast<float>(random() % 100 + 1));
    request.set_k(10);
    request.set_include_content(true);
    *request.mutable_at_least() = ledger_->Newest(space_);
    v1::RecallResponse response;
    const grpc::Status status = Call(stub, &Stub::Recall, request, &response);
    return status.ok() || Gone(status) || status.error_code() == grpc::StatusCode::NOT_FOUND;
  }

  // The only thing that may happen to a call here. Always false.
  static bool Gone(const grpc::Status& status) {
    EXPECT_TRUE(status.error_code() == grpc::StatusCode::UNAVAILABLE ||
                status.error_code() == grpc::StatusCode::NOT_FOUND)
        << status.error_code() << ": " << status.error_message();
    return false;
  }

  const std::string space_;
  Ledger* const ledger_;
  uint64_t next_ = 1;
  std::vector<std::string> forgotten_;
};

// One data directory, from empty on, and the daemons that live on it one after the other.
class Life {
 public:
  Life(const std::string& mode, uint64_t seed, uint64_t rounds) : random_(seed), rounds_(rounds) {
    for (const std::string space : {"alpha", "beta", "graph"}) {
      for (const std::string stream : {"first", "second"}) {
        streams_.push_back(std::make_unique<LedgerStream>(space, stream, &ledger_));
      }
      callers_.push_back(std::make_unique<Caller>(space, &ledger_));
    }
    const uint64_t segment_mib = random_() % 3 == 0 ? 16 : 1;
    arguments_ = {"--set", "server.address=127.0.0.1:0", "--set", "metrics.address=127.0.0.1:0", "--set",
                  "storage.directory=" + directory_ / "data", "--set",
                  "storage.segment_bytes=" + std::to_string(segment_mib) + "MiB", "--set",
                  "storage.spare_segments=" + std::to_string(random_() % 3), "--set", "storage.checkpoint_bytes=4MiB",
                  "--set", "storage.group_bytes=256KiB", "--set", "storage.soft_free_bytes=0", "--set",
                  "storage.hard_free_bytes=0",
                  "--set", "durability.mode=" + mode};
  }

  void Run() {
    for (uint64_t round = 0; round < rounds_ && !::testing::Test::HasFailure(); ++round) {
      SCOPED_TRACE("round " + std::to_string(round));
      DieWhileRecovering();
      Begin();
      if (!::testing::Test::HasFailure()) LoadUntilKilled();
    }
    if (::testing::Test::HasFailure()) return;
    // The clients finish what they have begun; the daemon stops in good order, and the next one has everything.
    Begin();
    for (const auto& stream : streams_) {
      EXPECT_TRUE(stream->Send(stream->durable() + 300, random_, {[] {}, [] {}}));
      stream->End();
    }
    engramd_->Signal(SIGTERM);
    EXPECT_EQ(engramd_->AwaitExit(), 0) << engramd_->err();
    Begin();
    if (!::testing::Test::HasFailure()) FindAll();
    engramd_->Signal(SIGKILL);
    std::printf("%llu kills under load, %d before it was ready\n", static_cast<unsigned long long>(rounds_),
                died_starting_);
    for (const auto& stream : streams_) {
      stream->Abandon();
      std::printf("%s: %llu sequences, all durable\n", stream->space().c_str(),
                  static_cast<unsigned long long>(stream->durable()));
    }
  }

 private:
  // Up to three times, each somewhere within what the last whole start has read.
  void DieWhileRecovering() {
    while (start_bytes_ > 0 && random_() % 3 == 0) {
      EngramdProcess dies(arguments_);
      dies.KillOnceItHasRead(random_() % start_bytes_);
      EXPECT_EQ(dies.AwaitExit(), 128 + SIGKILL) << dies.err();
      died_starting_ += dies.out().empty() ? 1 : 0;
    }
  }

  // Starts a daemon, resumes every stream, and looks at everything.
  void Begin() {
    engramd_ = std::make_unique<EngramdProcess>(arguments_);
    if (!engramd_->AwaitReady()) {
      engramd_->AwaitExit();
      FAIL() << "does not start: " << engramd_->err();
    }
    start_bytes_ = engramd_->BytesRead().value_or(1);
    const auto channel = TestDaemon::Connect(engramd_->grpc_address);
    stub_ = v1::MemoryService::NewStub(channel);
    admin_ = v1::AdminService::NewStub(channel);
    v1::CreateSpaceRequest create;
    create.set_name("graph");
    create.mutable_config()->set_flat_threshold(0);
    v1::Space space;
    EXPECT_TRUE(Call(*stub_, &Stub::CreateSpace, create, &space).ok());
    for (const auto& stream : streams_) stream->Open(*stub_);
    LedgerCheck check{*stub_, ledger_, random_};
    for (const std::string name : {"alpha", "beta", "graph"}) {
      if (ledger_.Ids(name).empty()) continue;
      check.Contents(name);
      check.OwnVectors(name, 100);
      check.Forgotten(name, 50);
      check.Tokens(name);
    }
    EXPECT_EQ(Exposition::Scrape(engramd_->metrics_address).Value("engram_journal_defects"), 0);
    if (::testing::Test::HasFailure()) Show();
  }

  // Every observation that this life has had acknowledged, by its own vector, and where there is a graph by walking it
  // too.
  void FindAll() {
    LedgerCheck check{*stub_, ledger_, random_};
    // All but in the short form, where a quick machine may have written many more.
    const size_t most = std::getenv("ENGRAM_ROUNDS") == nullptr ? 3000 : SIZE_MAX;
    size_t found = 0;
    for (const std::string name : {"alpha", "beta", "graph"}) found += check.OwnVectors(name, most);
    check.AwaitLinked("graph");
    const size_t walked = check.OwnVectors("graph", most, LedgerCheck::How::kAsByDefault);
    std::printf("%zu found by their own vectors, %zu of them by a walk too\n", found, walked);
    if (::testing::Test::HasFailure()) Show();
  }

  // What the daemon has to say when something is wrong.
  void Show() {
    engramd_->Signal(SIGKILL);
    engramd_->AwaitExit();
    ADD_FAILURE() << engramd_->err();
  }

  void LoadUntilKilled() {
    const bool at_sends = random_() % 3 == 0;
    Fuse fuse(*engramd_, 1 + random_() % (random_() % 4 == 0 ? 5 : 200));
    LedgerStream::Events events{[] {}, [] {}};
    (at_sends ? events.sent : events.acknowledged) = [&fuse] { fuse.Burn(); };
    std::vector<std::jthread> threads;
    for (const auto& stream : streams_) {
      threads.emplace_back([&events, raw = stream.get(), seed = random_()] {
        std::mt19937_64 random(seed);
        raw->Send(UINT64_MAX, random, events);
        raw->Abandon();
      });
    }
    for (size_t i = 0; i < callers_.size(); ++i) {
      // What their streams will not send again: each id of theirs is replaced once, soon after.
      std::vector<std::string> ripe;
      for (const auto& stream : {streams_[2 * i].get(), streams_[2 * i + 1].get()}) {
        for (uint64_t s = 1; s + LedgerStream::kReplaceBack <= stream->durable(); s += 1 + random_() % 20) {
          ripe.push_back(stream->IdOf(s));
        }
      }
      threads.emplace_back([this, &fuse, i, ripe = std::move(ripe), seed = random_()] {
        std::mt19937_64 random(seed);
        callers_[i]->Run(*stub_, *admin_, ripe, random, fuse);
      });
    }
    threads.clear();
    EXPECT_EQ(engramd_->AwaitExit(), 128 + SIGKILL) << engramd_->err();
  }

  std::mt19937_64 random_;
  const uint64_t rounds_;
  const TempDirectory directory_;
  std::vector<std::string> arguments_;
  Ledger ledger_;
  std::vector<std::unique_ptr<LedgerStream>> streams_;
  std::vector<std::unique_ptr<Caller>> callers_;
  std::unique_ptr<EngramdProcess> engramd_;
  std::unique_ptr<Stub> stub_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
  uint64_t start_bytes_ = 0;
  int died_starting_ = 0;
};

// The page cache outlives a process, so neither mode may lose anything to a kill.
class Kill : public ::testing::TestWithParam<const char*> {};

TEST_P(Kill, LosesNothingThatWasAcknowledgedAndInventsNothing) {
  const uint64_t seed = FromEnvironment("ENGRAM_SEED", 20261124);
  const uint64_t rounds = FromEnvironment("ENGRAM_ROUNDS", 3);
  // A directory lives for some kills; then the next one begins, with other settings.
  constexpr uint64_t kRoundsOfLife = 10;
  for (uint64_t done = 0; done < rounds && !HasFailure(); done += kRoundsOfLife) {
    const uint64_t of_life = done == 0 ? seed : Mix(seed, done);
    SCOPED_TRACE("ENGRAM_SEED=" + std::to_string(of_life) + " ENGRAM_ROUNDS=10");
    Life(GetParam(), of_life, std::min(kRoundsOfLife, rounds - done)).Run();
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, Kill, ::testing::Values("fsync", "interval"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace engram::testing

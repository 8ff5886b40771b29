// The whole engine on a disk that loses what it may, against what its clients know. Lives of random frames (sent again,
// replacing, refused), calls that forget, ttls, spaces that come and go, checkpoints and rewrites; each ends with a
// power cut at some operation of the disk or with the death of the process, and starts may be cut, too. After each
// start every space holds what its clients were told and nothing else; at the end the clients send what they have left,
// and all of it is there once. See power_cut_model.h for what is known.
//
// ENGRAM_SEED replays a run: its calls, the operations of the disk, the cut and what it leaves come from the seed. What
// differs are the seeds of segments, and how far appliers are at a moment nobody waits for them. With
// ENGRAM_ROUNDS there are so many times more runs, from ENGRAM_SEED on.
#include <cstdlib>
#include <iostream>
#include <set>

#include "tests/core/power_cut_world.h"

namespace engram::testing {
namespace {

constexpr const char* kSpaces[] = {"a", "b", "c"};

class PowerCutRun {
 public:
  explicit PowerCutRun(uint64_t seed) : world_(seed) {}
  ~PowerCutRun() { clients_.clear(); }

  void Run() {
    StartAndCheck();
    for (int life = 0, lives = 2 + static_cast<int>(Below(3)); life < lives && !Failed(); ++life) {
      Live(Below(4) == 0);
      StartAndCheck();
    }
    if (!Failed()) Finish();
  }

  uint64_t starts_from_checkpoint = 0;
  uint64_t pendings = 0;
  uint64_t took_effect = 0;
  uint64_t lost = 0;  // Observations sent and not there.
  const PowerCutWorld& world() const { return world_; }

 private:
  struct Client {
    Waker waker;
    std::shared_ptr<ObserveStream> stream;
    ~Client() {
      if (stream != nullptr) stream->Close();
    }
  };

  static bool Failed() { return ::testing::Test::HasFailure(); }
  uint64_t Below(uint64_t n) { return world_.Below(n); }

  // --- lives ---

  void Live(bool crash) {
    if (!crash) world_.disk().CutAt(world_.disk().operations() + 1 + Below(Below(3) == 0 ? 400 : 120));
    for (uint64_t left = crash ? Below(60) : 400; left > 0 && world_.Alive() && !Failed(); --left) Step();
    for (const char* space : kSpaces) promised_[space] = world_.journal().Promised(space);
    if (crash && world_.Alive()) {
      // The journal's own end would commit what it holds.
      world_.disk().Crash();
    } else if (world_.disk().powered()) {
      EXPECT_TRUE(Failed() || world_.Alive()) << "the journal gave up on a disk without a fault";
      world_.disk().Cut(Below(UINT64_MAX));
    }
    clients_.clear();
    world_.End();
    if (!world_.disk().powered()) world_.disk().PowerOn(Below(UINT64_MAX));
  }

  void StartAndCheck() {
    for (int tries = 0;; ++tries) {
      if (tries < 3 && Below(4) == 0) world_.disk().CutAt(world_.disk().operations() + 1 + Below(30));
      const bool began = world_.Begin();
      if (began && world_.disk().powered()) break;
      if (Failed()) return;
      world_.End();
      world_.disk().PowerOn(Below(UINT64_MAX));
    }
    starts_from_checkpoint += world_.from_checkpoint() ? 1 : 0;
    // A start that was not cut ends in an orderly way, or by a crash before anything is appended: the same again.
    if (Below(8) == 0) CheckOtherWays();
    CallOffCut();
    std::map<std::string, SeenSpace> seen;
    for (const char* space : kSpaces) Check(space, seen[space] = world_.See(space));
    promised_.clear();
    pending_.reset();
  }
  // The announced one has not come.
  void CallOffCut() { world_.disk().CutAt(world_.disk().operations() + (uint64_t{1} << 40)); }

  // From the checkpoint, from the journal alone, and to a clock for which nothing has expired yet.
  void CheckOtherWays() {
    CallOffCut();
    std::map<std::string, std::string> texts;
    for (const char* space : kSpaces) texts[space] = world_.See(space).Text();
    world_.disk().Crash();
    world_.End();
    world_.RemoveCheckpoints();
    FakeClock early;
    ASSERT_TRUE(world_.Begin(&early));
    for (const char* space : kSpaces) early_[space] = world_.See(space);
    world_.disk().Crash();
    world_.End();
    ASSERT_TRUE(world_.Begin());
    EXPECT_FALSE(world_.from_checkpoint());
    for (const char* space : kSpaces) EXPECT_EQ(world_.See(space).Text(), texts[space]) << "from the journal alone";
  }

  void Check(const std::string& space, const SeenSpace& seen) {
    std::string why;
    std::vector<SpaceModel> may = {models_[space]};
    if (pending_ && pending_->first == space) may.insert(may.end(), pending_->second.begin(), pending_->second.end());
    for (size_t i = 0; i < may.size(); ++i) {
      auto settled = Settled(may[i], seen, promised_[space], &why);
      if (!settled) continue;
      const std::string expected = Expected(*settled, seen, world_.now_us()).Text();
      if (expected != seen.Text()) {
        why += "--- expected\n" + expected;
        continue;
      }
      pendings += may.size() > 1 ? 1 : 0;
      took_effect += i > 0 ? 1 : 0;
      for (const auto& [name, stream] : may[i].streams) lost += stream.sent() - settled->streams[name].acknowledged;
      models_[space] = *std::move(settled);
      CheckEarly(space);
      return;
    }
    ADD_FAILURE() << "space " << space << "\n" << why << "--- seen\n" << seen.Text();
  }

  // What is buried is not back for a clock that runs behind either.
  void CheckEarly(const std::string& space) {
    const auto early = early_.extract(space);
    if (early.empty()) return;
    for (const auto& [id, observation] : early.mapped().found) {
      const auto kept = models_[space].kept.find(id);
      ASSERT_NE(kept, models_[space].kept.end()) << id << " is back in space " << space;
      EXPECT_FALSE(kept->second.buried) << id << " is back in space " << space;
      EXPECT_EQ(Line(observation), Line(kept->second.observation));
    }
  }

  // Everybody resumes and sends what is left, and it is there once; also after an orderly end.
  void Finish() {
    for (const char* space : kSpaces) {
      if (!models_[space].there) continue;
      for (const std::string& stream : Streams()) {
        for (uint64_t frames = Below(3); frames > 0; --frames) Send(space, stream);
      }
    }
    for (const char* space : kSpaces) Drain(space);
    std::map<std::string, SeenSpace> seen;
    for (const char* space : kSpaces) Check(space, world_.See(space));
    clients_.clear();
    world_.End();
    ASSERT_TRUE(world_.Begin());
    for (const char* space : kSpaces) Check(space, world_.See(space));
  }

  // --- steps ---

  void Step() {
    const std::string space = kSpaces[Below(3)];
    SpaceModel& model = models_[space];
    const uint64_t dice = Below(100);
    if (!model.there) {
      Create(space);
    } else if (dice < 45) {
      Send(space, Streams()[Below(3)]);
    } else if (dice < 55) {
      world_.RunOneTask();
    } else if (dice < 63) {
      Drain(space);
    } else if (dice < 70) {
      Forget(space);
    } else if (dice < 74) {
      ObserveOnce(space);
    } else if (dice < 79) {
      world_.clock().Advance(Duration{static_cast<int64_t>(Below(2000))});
    } else if (dice < 83) {
      Bury();
    } else if (dice < 85) {
      Change(space);
    } else if (dice < 87) {
      Delete(space);
    } else if (dice < 91) {
      world_.Checkpoint();
    } else if (dice < 97) {
      world_.Rewrite();
    } else if (dice < 98) {
      world_.journal().segmented().SealThrough().IgnoreError();
    } else {
      clients_.erase(space + Streams()[Below(3)]);
    }
  }

  TestObservation AnyObservation(const std::string& owner, std::set<std::string>& ids) {
    TestObservation o;
    do {
      o.id = fmt::format("{}-{}", owner, Below(kIds));
    } while (!ids.insert(o.id).second);
    for (int i = 0; i < 4; ++i) o.embedding.push_back(1 + static_cast<float>(Below(1000)));
    o.content = fmt::format("{} of {}", ++versions_, o.id) + std::string(Below(3) == 0 ? Below(1500) : Below(60), '.');
    o.tags["t"] = std::to_string(Below(5));
    o.observed_at_us = world_.now_us();
    o.confidence = static_cast<float>(Below(5)) / 4;
    if (Below(5) == 0) o.ttl_us = 1 + static_cast<int64_t>(Below(8000));
    return o;
  }

  // The next frame of the stream; part of it, or all of what came before, may be sent again, with other words that must
  // not be kept.
  void Send(const std::string& space, const std::string& name) {
    SpaceModel& model = models_[space];
    StreamModel& stream = model.streams[name];
    Client& client = clients_[space + name];
    if (client.stream == nullptr) {
      const auto opened =
          world_.engine().OpenStream({.space = space, .stream_id = name, .resume = true}, &client.waker);
      ASSERT_TRUE(opened.ok()) << opened.status();
      client.stream = *opened;
      EXPECT_EQ(client.stream->first_expected(), stream.sent() + 1);
    }
    const uint64_t expected = stream.sent() + 1;
    uint64_t sequence = expected;
    if (Below(4) == 0) sequence -= std::min(expected - 1, Below(8));
    const uint64_t first = sequence;
    const bool refused = Below(12) == 0;
    std::set<std::string> ids;
    std::vector<TestObservation> frame;
    bool stores = false;
    for (uint64_t i = 1 + Below(8); i > 0; --i, ++sequence) {
      SentObservation sent{sequence, AnyObservation(name, ids)};
      sent.valid = !refused && Below(15) != 0;
      if (!sent.valid) sent.observation.embedding.clear();
      frame.push_back(sent.observation);
      if (sequence < expected) continue;
      stores |= sent.valid;
      stream.ahead.push_back(std::move(sent));
    }
    // A high one wakes its worker though it brings nothing but the mark; a normal one waits for a clock that stands.
    client.stream->Submit(first, !stores || Below(3) == 0 ? Priority::kHigh : Priority::kNormal,
                          MakeBatch(std::move(frame)));
    const StreamProgress progress = client.stream->TakeProgress();
    // The promise is made before it is told, and only for what is sent.
    if (world_.Alive()) {
      const auto& promised = world_.journal().Promised(space);
      const auto at = promised.find(name);
      const uint64_t most = std::max(stream.acknowledged, at == promised.end() ? 0 : at->second);
      EXPECT_LE(progress.durable_through, most) << "told before it was durable";
      EXPECT_LE(progress.durable_through, stream.sent());
    }
  }

  // Everything sent to the space is acknowledged, unless the power goes.
  void Drain(const std::string& space) {
    world_.Work();
    SpaceModel& model = models_[space];
    for (auto& [name, stream] : model.streams) {
      if (stream.ahead.empty() || !world_.Alive()) continue;
      Client& client = clients_[space + name];
      if (client.stream == nullptr) {
        const auto opened =
            world_.engine().OpenStream({.space = space, .stream_id = name, .resume = true}, &client.waker);
        ASSERT_TRUE(opened.ok()) << opened.status();
        client.stream = *opened;
      }
      while (!client.stream->Reached()) ASSERT_TRUE(client.waker.Await()) << "no acknowledgement";
      const StreamProgress progress = client.stream->TakeProgress();
      EXPECT_TRUE(progress.ended.ok()) << progress.ended;
      EXPECT_EQ(progress.durable_through, stream.sent());
      EXPECT_LE(progress.durable_through, world_.journal().Promised(space).at(name));
      model.Acknowledge(name, stream.sent());
    }
  }

  // A call that changes the space to the last of `after`, in steps; while it has no answer, any of them may be.
  template <typename Call>
  void Try(const std::string& space, std::vector<SpaceModel> after, const Call& call) {
    if (!world_.Alive()) return;
    pending_.emplace(space, std::move(after));
    const absl::Status status = call();
    if (status.ok()) {
      models_[space] = std::move(pending_->second.back());
      pending_.reset();
    } else {
      EXPECT_FALSE(world_.Alive()) << status;
    }
  }

  void Create(const std::string& space) {
    SpaceModel after;
    after.there = true;
    if (Below(2) == 0) {
      after.ef_search = 10 + static_cast<uint32_t>(Below(100));
      Try(space, {after}, [&] { return world_.engine().CreateSpace(space, {.ef_search = after.ef_search}).status(); });
    } else {
      after.ef_search = static_cast<uint32_t>(Settings{}.hnsw_ef_search);
      Client& client = clients_[space + "s0"];
      Try(space, {after}, [&] {
        auto opened = world_.engine().OpenStream({.space = space, .stream_id = "s0"}, &client.waker);
        if (opened.ok()) client.stream = *opened;
        return opened.status();
      });
    }
  }
  void Change(const std::string& space) {
    SpaceModel after = models_[space];
    after.ef_search = 10 + static_cast<uint32_t>(Below(100));
    SpaceChange change;
    change.ef_search = after.ef_search;
    Try(space, {after}, [&] { return world_.engine().UpdateSpace(space, change).status(); });
  }
  // Also while observations are on their way to it.
  void Delete(const std::string& space) {
    const bool at_once = Below(2) == 0;
    if (!at_once) Drain(space);
    Try(space, {SpaceModel{}}, [&] { return world_.engine().DeleteSpace(space).status(); });
    if (models_[space].there || !world_.Alive()) return;
    // What was queued finds the space gone.
    if (at_once && Below(2) == 0) world_.Work();
    for (const std::string& name : Streams()) clients_.erase(space + name);
  }

  void Forget(const std::string& space) {
    Drain(space);
    SpaceModel after = models_[space];
    ForgetQuery query;
    query.space = space;
    uint64_t count = 0;
    const auto take = [&](const auto& meant) {
      count = std::erase_if(after.kept, [&](const auto& entry) {
        return entry.second.Live(world_.now_us()) && meant(entry.second.observation);
      });
    };
    if (Below(3) == 0) {
      const std::string tag = std::to_string(Below(5));
      query.filter.emplace().all_tags = {{"t", tag}};
      take([&](const TestObservation& o) { return o.tags.at("t") == tag; });
    } else {
      std::set<std::string> ids;
      for (uint64_t i = 1 + Below(8); i > 0; --i) ids.insert(fmt::format("{}-{}", Streams()[Below(3)], Below(kIds)));
      query.ids.assign(ids.begin(), ids.end());
      take([&](const TestObservation& o) { return ids.contains(o.id); });
    }
    Try(space, {after}, [&] {
      const auto answer = world_.engine().Forget(query);
      if (answer.ok()) {
        EXPECT_EQ(answer->forgotten, count);
      }
      return answer.status();
    });
  }

  // Without a stream of its own, over anybody's ids.
  void ObserveOnce(const std::string& space) {
    Drain(space);
    std::vector<SpaceModel> after = {models_[space]};
    std::set<std::string> ids;
    std::vector<TestObservation> frame;
    for (uint64_t i = 1 + Below(6); i > 0; --i) {
      const TestObservation& o = frame.emplace_back(AnyObservation(Below(2) == 0 ? "x" : Streams()[Below(3)], ids));
      // They may come into several records.
      after.push_back(after.back());
      after.back().kept[o.id] = {o};
    }
    after.erase(after.begin());
    Try(space, std::move(after), [&]() -> absl::Status {
      Client client;
      auto opened = world_.engine().OpenStream({.space = space}, &client.waker);
      if (!opened.ok()) return opened.status();
      client.stream = *opened;
      client.stream->Submit(1, Priority::kNormal, MakeBatch(std::move(frame)));
      world_.Work();
      if (!world_.Alive()) return absl::UnavailableError("the power is cut");
      while (!client.stream->Reached()) {
        if (!client.waker.Await()) return absl::DeadlineExceededError("no acknowledgement");
      }
      EXPECT_TRUE(client.stream->TakeProgress().rejected.empty());
      return absl::OkStatus();
    });
  }

  // What has expired is forgotten in the log, as the janitor does it.
  void Bury() {
    world_.Work();
    if (!world_.Alive()) return;
    world_.AwaitApplied();
    const absl::Status status = world_.engine().Housekeep();
    world_.journal().Settle();
    if (!world_.Alive()) return;
    EXPECT_TRUE(status.ok()) << status;
    for (auto& [space, model] : models_) {
      for (auto& [id, kept] : model.kept) kept.buried |= !kept.Live(world_.now_us());
    }
  }

  PowerCutWorld world_;
  std::map<std::string, SpaceModel> models_;
  std::optional<std::pair<std::string, std::vector<SpaceModel>>> pending_;
  std::map<std::string, SteppingJournal::Marks> promised_;
  std::map<std::string, SeenSpace> early_;
  std::map<std::string, Client> clients_;  // By space and stream.
  uint64_t versions_ = 0;
};

TEST(PowerCutTest, WhatWasAcknowledgedIsThereOnceAndNothingElseIs) {
  const auto number = [](const char* name, uint64_t otherwise) {
    const char* const given = std::getenv(name);
    return given != nullptr ? std::strtoull(given, nullptr, 10) : otherwise;
  };
  const bool replay = std::getenv("ENGRAM_SEED") != nullptr && std::getenv("ENGRAM_ROUNDS") == nullptr;
  const uint64_t first = number("ENGRAM_SEED", 1);
  const uint64_t runs = replay ? 1 : 300 * number("ENGRAM_ROUNDS", 1);
  uint64_t checkpoints = 0, rewrites = 0, starts = 0, pendings = 0, effects = 0, lost = 0, done = 0;
  for (uint64_t seed = first; seed < first + runs && !HasFailure(); ++seed, ++done) {
    SCOPED_TRACE("ENGRAM_SEED=" + std::to_string(seed));
    PowerCutRun run(seed);
    run.Run();
    checkpoints += run.world().checkpoints();
    rewrites += run.world().rewrites();
    starts += run.starts_from_checkpoint;
    pendings += run.pendings;
    effects += run.took_effect;
    lost += run.lost;
  }
  std::cout << fmt::format(
      "{} runs: {} checkpoints, {} starts from one, {} rewrites, {} calls without an answer, of which {} took effect, "
      "{} observations sent and lost before their acknowledgement\n",
      done, checkpoints, starts, rewrites, pendings, effects, lost);
  // Walks that meet nothing prove nothing.
  if (replay || HasFailure()) return;
  EXPECT_GT(checkpoints, runs / 4);
  EXPECT_GT(starts, runs / 4);
  EXPECT_GT(rewrites, runs / 4);
  EXPECT_GT(effects, 0u);
  EXPECT_GT(pendings, effects);
  EXPECT_GT(lost, runs);
}

}  // namespace
}  // namespace engram::testing

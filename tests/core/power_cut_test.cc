// The whole engine on a disk that loses what it may, against what its clients know. Lives of random frames (sent again,
// replacing, refused), calls that forget, ttls, spaces that come and go, checkpoints and rewrites; each ends with a
// power cut at some operation of the disk or with the death of the process, and starts may be cut, too. After each
// start every space holds what its clients were told and nothing else; at the end the clients send what they have left,
// and all of it is there once. See power_cut_model.h for what is known.
//
// ENGRAM_SEED replays a run: its calls, the operations of the disk, the cut, what it leaves and what is seen afterwards
// come from the seed alone. ENGRAM_ROUNDS makes so many times more runs, from ENGRAM_SEED on. Not here: graphs, which
// are linked by threads, and calls at once from several threads (checkpoint_test, engine_model_test).
#include <cstdlib>
#include <iostream>

#include "tests/core/power_cut_clients.h"

namespace engram::testing {
namespace {

class PowerCutRun : public PowerCutClients {
 public:
  explicit PowerCutRun(uint64_t seed) : PowerCutClients(seed) {}

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
  std::string story;  // Where each life ended and what the next one saw.

 private:
  // --- lives ---

  void Live(bool crash) {
    cut_ = true;
    if (!crash) world_.disk().CutAt(world_.disk().operations() + 1 + Below(Below(3) == 0 ? 400 : 120));
    for (uint64_t left = crash ? Below(60) : 400; left > 0 && world_.Alive() && !Failed(); --left) Step();
    if (world_.synced()) {
      for (const char* space : kSpaces) promised_[space] = world_.journal().Promised(space);
    }
    if (crash && world_.Alive()) {
      // The journal's own end would commit what it holds.
      world_.disk().Crash();
      cut_ = false;
    } else if (world_.disk().powered()) {
      EXPECT_TRUE(Failed() || world_.Alive()) << "the journal gave up on a disk without a fault";
      world_.disk().Cut(Below(UINT64_MAX));
    }
    story += fmt::format("operation {}: {}\n", world_.disk().operations(), world_.disk().cut_at());
    Disconnect();
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
      cut_ = true;
    }
    starts_from_checkpoint += world_.from_checkpoint() ? 1 : 0;
    if (Below(8) == 0) CheckOtherWays();
    CallOffCut();
    for (const char* space : kSpaces) Check(space, world_.See(space));
    promised_.clear();
    pending_.reset();
    // A start syncs what it finds.
    history_.clear();
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
    // Only the death of the power takes back what the system was given.
    if (cut_) may.insert(may.begin(), history_[space].begin(), history_[space].end());
    const size_t before = may.size();
    if (pending_ && pending_->first == space) may.insert(may.end(), pending_->second.begin(), pending_->second.end());
    std::optional<SpaceModel> found;
    for (size_t i = 0; i < may.size(); ++i) {
      auto settled = Settled(may[i], seen, promised_[space], &why);
      if (!settled) continue;
      const std::string expected = Expected(*settled, seen, world_.now_us()).Text();
      if (expected != seen.Text()) {
        why += "--- expected\n" + expected;
      } else if (!found) {
        pendings += may.size() > before ? 1 : 0;
        took_effect += i >= before ? 1 : 0;
        for (const auto& [name, stream] : may[i].streams) lost += stream.sent() - settled->streams[name].acknowledged;
        found = std::move(settled);
      } else {
        // The two differ in what has expired.
        for (const auto& [id, kept] : settled->kept) found->perhaps.emplace(id, Line(kept.observation));
        found->perhaps.insert(settled->perhaps.begin(), settled->perhaps.end());
      }
    }
    if (!found) {
      ADD_FAILURE() << "space " << space << "\n" << why << "--- seen\n" << seen.Text();
      return;
    }
    models_[space] = *std::move(found);
    story += seen.Text();
    CheckEarly(space);
  }

  // What is buried is not back for a clock that runs behind either.
  void CheckEarly(const std::string& space) {
    const auto early = early_.extract(space);
    if (early.empty()) return;
    const SpaceModel& model = models_[space];
    for (const auto& [id, observation] : early.mapped().found) {
      const std::string line = Line(observation);
      const auto kept = model.kept.find(id);
      const bool known = kept != model.kept.end();
      if (known && !kept->second.buried && Line(kept->second.observation) == line) continue;
      const auto [from, to] = model.perhaps.equal_range(id);
      const bool perhaps = std::any_of(from, to, [&](const auto& entry) { return entry.second == line; });
      EXPECT_TRUE(perhaps && !(known && kept->second.Live(world_.now_us())))
          << id << " is back in space " << space << "\n"
          << line;
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
    history_.clear();
    for (const char* space : kSpaces) Check(space, world_.See(space));
    Disconnect();
    world_.End();
    ASSERT_TRUE(world_.Begin());
    for (const char* space : kSpaces) Check(space, world_.See(space));
  }

  std::map<std::string, SteppingJournal::Marks> promised_;
  std::map<std::string, SeenSpace> early_;
  bool cut_ = false;  // Not only the process died.
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

TEST(PowerCutTest, ASeedReplaysItsRun) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    std::string stories[2];
    for (std::string& story : stories) {
      PowerCutRun run(seed);
      run.Run();
      story = run.story;
    }
    ASSERT_FALSE(stories[0].empty());
    EXPECT_EQ(stories[0], stories[1]);
  }
}

}  // namespace
}  // namespace engram::testing

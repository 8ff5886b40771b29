// The power is cut at every single operation of a journal's life, and again during the recovery from it. Afterwards the log
// is a prefix of what was appended, holds all that was committed, and goes on. A stepped journal does the same each time, so
// ENGRAM_SEED replays a failure. ENGRAM_ROUNDS makes so many times more runs, from ENGRAM_SEED on.
#include <cstdlib>

#include "tests/core/journal/journal_fixture.h"

namespace engram::testing {
namespace {

class JournalPowerCutTest : public JournalFixture {
 protected:
  JournalOptions Stepped(std::mt19937_64& random) {
    JournalOptions options = SmallJournal();
    options.segment_bytes = 24 << 10;
    options.group_bytes = 4 << 10;
    options.stepped = true;
    options.spare_segments = random() % 3;
    return options;
  }

  // Appends and commits at random until the power goes, or `appends` are done; the last position the sink heard of.
  void Live(std::mt19937_64& random, uint64_t appends) {
    for (uint64_t i = 0; i < appends && disk_.powered(); ++i) {
      if (!AppendNext().ok()) break;
      if (random() % 3 == 0) journal_->Step();
      if (random() % 40 == 0) journal_->SealThrough().IgnoreError();
    }
    if (random() % 4 != 0) {
      while (journal_->Step()) {
      }
    }
  }

  // One seed: several lives, each cut at some operation; answers how many operations the first life had.
  void Run(uint64_t seed) {
    SCOPED_TRACE("ENGRAM_SEED=" + std::to_string(seed));
    std::mt19937_64 random(seed);
    disk_.~FaultyDisk();
    new (&disk_) FaultyDisk({.seed = seed, .tear_sectors = random() % 2 == 0});
    uint64_t promised = 0;
    uint64_t sent = 0;
    for (int life = 0; life < 4; ++life) {
      disk_.CutAt(disk_.operations() + 1 + random() % 90);
      const absl::Status opened = Open(Stepped(random));
      if (opened.ok()) {
        ASSERT_TRUE(journal_->defects().empty()) << journal_->defects()[0].Render();
        // All that was promised is there, and nothing that was not sent.
        ASSERT_GE(journal_->last(), promised);
        ASSERT_LE(journal_->last(), sent);
        const std::vector<uint64_t> replayed = ReplayAll();
        if (disk_.powered()) {
          ASSERT_EQ(replayed.size(), journal_->last());
        }
        Start();
        promised = journal_->last();
        Live(random, random() % 120);
        sent = journal_->last();
        promised = std::max(promised, sink_.through());
      } else {
        ASSERT_FALSE(disk_.powered()) << opened;
      }
      journal_.reset();
      disk_.Cut(random());
    }
    ASSERT_TRUE(Open(Stepped(random)).ok());
    ASSERT_TRUE(journal_->defects().empty()) << journal_->defects()[0].Render();
    ASSERT_GE(journal_->last(), promised);
    ASSERT_LE(journal_->last(), sent);
    ASSERT_EQ(ReplayAll().size(), journal_->last());
    journal_.reset();
  }
};

TEST_F(JournalPowerCutTest, NothingPromisedIsLostAndNothingElseAppears) {
  const auto number = [](const char* name, uint64_t otherwise) {
    const char* const given = std::getenv(name);
    return given != nullptr ? std::strtoull(given, nullptr, 10) : otherwise;
  };
  const bool replay = std::getenv("ENGRAM_SEED") != nullptr && std::getenv("ENGRAM_ROUNDS") == nullptr;
  const uint64_t first = number("ENGRAM_SEED", 1);
  const uint64_t runs = replay ? 1 : 1500 * number("ENGRAM_ROUNDS", 1);
  for (uint64_t seed = first; seed < first + runs && !HasFatalFailure(); ++seed) Run(seed);
}

}  // namespace
}  // namespace engram::testing

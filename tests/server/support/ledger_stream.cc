#include "tests/server/support/ledger_stream.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace engram::testing {

std::string LedgerStream::IdOf(uint64_t sequence) const {
  const bool replaces = sequence % kReplaceEvery == 0 && sequence > kReplaceBack;
  return fmt::format("{}-{}", stream_, replaces ? sequence - kReplaceBack : sequence);
}

void LedgerStream::Open(v1::MemoryService::Stub& stub) {
  client_ = std::make_unique<StreamClient>(stub);
  client_->SendStart(space_, stream_, /*resume=*/true);
  const v1::StreamStarted started = client_->ReadStarted();
  ASSERT_EQ(started.stream_id(), stream_);
  EXPECT_GT(started.next_sequence(), durable_) << space_ << "/" << stream_ << " lost what was acknowledged";
  EXPECT_LE(started.next_sequence(), sent_ + 1) << space_ << "/" << stream_ << " knows what was never sent";
  // What is taken is in the journal: it is there, and what is behind it is not.
  for (uint64_t i = durable_ + 1; i <= sent_; ++i) {
    if (i < started.next_sequence()) {
      ledger_->Answered(space_, IdOf(i), i);
    } else {
      ledger_->Lost(space_, IdOf(i), i);
    }
  }
  durable_ = sent_ = started.next_sequence() - 1;
}

void LedgerStream::TakeAck() {
  EXPECT_TRUE(client_->rejected.empty()) << space_ << "/" << stream_ << ": " << client_->rejected.front().message();
  const uint64_t through = std::min(client_->last_ack.durable_through(), sent_);
  for (uint64_t i = durable_ + 1; i <= through; ++i) ledger_->Answered(space_, IdOf(i), i);
  durable_ = std::max(durable_, through);
  ledger_->Keep(space_, client_->last_ack.token());
}

bool LedgerStream::SendAgain(std::mt19937_64& random) {
  constexpr uint64_t kBack = 150;
  if (random() % 2 == 0 || sent_ < kBack) return true;
  std::vector<v1::Observation> frame;
  const uint64_t first = sent_ - kBack + 1;
  for (uint64_t i = first; i < first + kMostInFrame; ++i) frame.push_back(ObservationOf(space_, IdOf(i), i));
  return client_->SendBatch(first, frame);
}

bool LedgerStream::Send(uint64_t least, std::mt19937_64& random, const Events& events) {
  const uint64_t window = 1 + random() % 256;
  if (!SendAgain(random)) return false;
  while (durable_ < least) {
    std::vector<v1::Observation> frame;
    const uint64_t first = sent_ + 1;
    const uint64_t count = 1 + random() % kMostInFrame;
    for (uint64_t i = first; i < first + count; ++i) {
      frame.push_back(ObservationOf(space_, IdOf(i), i));
      // Before it is on its way: the daemon may know it before Send has returned.
      ledger_->Sent(space_, IdOf(i), i);
    }
    sent_ += count;
    if (!client_->SendBatch(first, frame, random() % 4 == 0 ? v1::PRIORITY_HIGH : v1::PRIORITY_NORMAL)) break;
    events.sent();
    bool there = true;
    while (there && (sent_ - durable_ > window || (sent_ >= least && durable_ < least))) {
      there = client_->ReadUntilDurable(durable_ + 1);
      TakeAck();
      if (there) events.acknowledged();
    }
    if (!there) break;
  }
  return durable_ >= least;
}

void LedgerStream::End() {
  ASSERT_TRUE(client_->SendEnd(/*drain=*/true));
  EXPECT_TRUE(client_->ReadUntilEnded());
  TakeAck();
  EXPECT_TRUE(client_->Finish().ok());
  EXPECT_EQ(client_->ended->durable_through(), sent_);
  client_.reset();
}

void LedgerStream::Abandon() {
  if (client_ == nullptr) return;
  client_->ReadUntil([] { return false; });
  TakeAck();
  client_.reset();
}

}  // namespace engram::testing

#include "loadtest/ack_ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace engram {
namespace {

using ::testing::HasSubstr;
using Promise = AckLedger::Promise;

TEST(AckLedger, WhatIsDurableMustBeThereAndWhatWasOnlySentMayBe) {
  AckLedger ledger;
  ledger.Sent(10);
  ledger.Durable(4);
  EXPECT_EQ(ledger.Of(4), Promise::kThere);
  EXPECT_EQ(ledger.Of(5), Promise::kOpen);
  EXPECT_EQ(ledger.Of(10), Promise::kOpen);
  EXPECT_EQ(ledger.Of(11), Promise::kNotThere);
  EXPECT_EQ(ledger.Read().contradictions, 0u);
}

TEST(AckLedger, WhatIsRefusedForGoodMustNotBeThereAndIsCountedOnce) {
  AckLedger ledger;
  ledger.Sent(10);
  ledger.Refused(3, 2, "bad");
  ledger.Refused(3, 4, "worse");
  ledger.Refused(9, 1, "");
  ledger.Durable(10);
  EXPECT_EQ(ledger.Read().refused, 5u);
  EXPECT_EQ(ledger.Read().first_refusal, "bad");
  EXPECT_EQ(ledger.Of(2), Promise::kThere);
  EXPECT_EQ(ledger.Of(3), Promise::kNotThere);
  EXPECT_EQ(ledger.Of(6), Promise::kNotThere);
  EXPECT_EQ(ledger.Of(7), Promise::kThere);
  EXPECT_EQ(ledger.Of(9), Promise::kNotThere);
}

TEST(AckLedger, ADaemonThatForgetsWhatItAcknowledgedContradictsItself) {
  AckLedger ledger;
  ledger.Sent(10);
  ledger.Durable(8);
  ledger.Resumed(9);
  ledger.Resumed(11);
  EXPECT_EQ(ledger.Read().contradictions, 0u);
  ledger.Resumed(8);
  EXPECT_EQ(ledger.Read().contradictions, 1u);
  EXPECT_THAT(ledger.Read().first_contradiction, HasSubstr("8 was acknowledged"));
}

TEST(AckLedger, ADaemonThatKnowsWhatWasNeverSentContradictsItself) {
  AckLedger ledger;
  ledger.Sent(10);
  ledger.Resumed(12);
  ledger.Durable(11);
  EXPECT_EQ(ledger.Read().contradictions, 2u);
  EXPECT_EQ(ledger.Read().durable, 10u);
}

}  // namespace
}  // namespace engram

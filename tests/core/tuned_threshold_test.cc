// A space that names no flat_threshold has the machine's, wherever it is loaded.
#include <gtest/gtest.h>

#include "core/checkpoint/space_image.h"
#include "core/replica.h"
#include "index/flat_threshold.h"
#include "tests/support/engine_fixture.h"

namespace engram::testing {
namespace {

class TunedThreshold : public EngineFixture {};

TEST_F(TunedThreshold, IsTheMachinesOnceTheDimensionIsKnown) {
  ASSERT_TRUE(engine().CreateSpace("notes", {}).ok());
  EXPECT_EQ(engine().GetSpace("notes")->config.flat_threshold, std::nullopt);
  MustObserve("notes", {{.id = "a", .embedding = {1, 0}}});
  EXPECT_EQ(engine().GetSpace("notes")->config.flat_threshold, TunedFlatThreshold(Metric::kCosine, 2));
}

TEST_F(TunedThreshold, GivesWayToTheSettingAndToTheSpacesOwn) {
  settings_.index_flat_threshold = 7;
  EXPECT_EQ(engine().CreateSpace("notes", {.dimension = 2})->config.flat_threshold, 7u);
  EXPECT_EQ(engine().CreateSpace("graph", {.dimension = 2, .flat_threshold = 0})->config.flat_threshold, 0u);
}

TEST_F(TunedThreshold, StaysOpenInTheLogAndInCheckpoints) {
  EXPECT_EQ(ResolveConfig({}, settings_).flat_threshold, std::nullopt);
  Space::Snapshot snapshot;
  snapshot.origin.name = "notes";
  snapshot.origin.id = 1;
  snapshot.applied_position = 1;
  snapshot.origin.config = ResolveConfig({}, settings_);
  using Threshold = std::optional<uint64_t>;
  for (const Threshold threshold : {Threshold(), Threshold(0), Threshold(5)}) {
    snapshot.origin.config.flat_threshold = threshold;
    const auto decoded = DecodeSpace(EncodeSpace(snapshot));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(decoded->origin.config.flat_threshold, threshold);
  }
}

}  // namespace
}  // namespace engram::testing

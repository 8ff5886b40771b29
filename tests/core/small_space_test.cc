// What a space of a hundred observations costs beyond its codes. Not with sanitizers, which have an allocator of their own.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <string>
#include <vector>

#include "core/space_registry.h"
#include "tests/support/observations.h"

namespace engram::testing {
namespace {

constexpr size_t kObservations = 100, kSpaces = 200;
constexpr uint32_t kDimension = 128;
// A byte an element, a scale and a norm.
constexpr double kCodeBytes = kObservations * (kDimension + 8.0);

TEST(SmallSpace, CostsLessThanEighteenKilobytesBeyondItsCodes) {
  Metrics metrics(1, 100);
  SpaceRegistry registry(1, /*keeps_contents=*/false, &metrics);
  std::vector<TestObservation> observations(kObservations);
  for (size_t i = 0; i < kObservations; ++i) {
    observations[i].id = fmt::format("observation-{:08}", i);
    observations[i].content = "of which the journal keeps the text";
    observations[i].embedding.assign(kDimension, static_cast<float>(i + 1));
  }
  const ObservationBatch batch = MakeBatch(observations);
  SpaceConfig config;
  config.max_connections = 16;
  config.ef_construction = 56;
  config.flat_threshold = 4000;
  uint64_t position = 0;
  const auto fill = [&](size_t number) {
    const auto space = registry.Add(fmt::format("small-{}", number), ++position, config, 1);
    ASSERT_TRUE(space->FixDimension(kDimension).ok());
    space->Apply(batch.observations, ++position, {});
  };
  // What all spaces share is there then.
  fill(kSpaces);
  const struct mallinfo2 before = mallinfo2();
  for (size_t number = 0; number < kSpaces; ++number) fill(number);
  const struct mallinfo2 after = mallinfo2();
  const double heap = static_cast<double>(after.uordblks - before.uordblks) / kSpaces;
  std::printf("a space: %.0f bytes of heap, %.0f beyond its codes\n", heap, heap - kCodeBytes);
  EXPECT_LT(heap - kCodeBytes, 18'000);
  // All of it is heap: no column of so few rows has pages of its own.
  EXPECT_GT(heap, static_cast<double>(registry.All().front()->Info().resident_bytes));
}

}  // namespace
}  // namespace engram::testing

// What a view shows of observations whose time is over.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

#include "core/space.h"
#include "tests/support/observations.h"

namespace engram::testing {
namespace {

constexpr int64_t kNowUs = 1'000'000;

std::shared_ptr<Space> MakeSpace(Metrics& metrics) {
  Space::Origin origin;
  origin.name = "s";
  origin.id = 1;
  origin.config.max_connections = 16;
  origin.config.ef_construction = 56;
  origin.config.flat_threshold = 4'000'000;
  origin.config.dimension = 2;
  origin.keeps_contents = false;
  return std::make_shared<Space>(origin, 0, metrics.AddSpace("s"));
}

bool ShowsExpired(const Space& space, IndexView view) {
  const Ordinal last = view.visible - 1;
  return view.visible != 0 && space.index()->Live(last, view) && space.records().ExpiresAt(last) <= kNowUs;
}

// One comes after the other, each between two looks, and some between a look for what has expired and the view.
TEST(SpaceExpiryTest, WhatHasExpiredWhenItComesIsNotTakenForAlive) {
  constexpr uint64_t kApplied = 500;
  Metrics metrics(1, 10);
  const std::shared_ptr<Space> space = MakeSpace(metrics);
  const ObservationBatch batch = MakeBatch({{.id = "late", .embedding = {1, 0}, .observed_at_us = 1, .ttl_us = 1}});
  std::atomic<bool> done{false};
  const std::jthread reader([&] {
    while (!done.load(std::memory_order_relaxed)) {
      bool mortals_gone = false;
      const IndexView view = space->PinAt(kNowUs, &mortals_gone);
      if (!mortals_gone || !ShowsExpired(*space, view)) continue;
      ADD_FAILURE() << "row " << view.visible - 1;
      done.store(true);
    }
  });
  for (uint64_t i = 0; i < kApplied && !done.load(); ++i) {
    space->Apply(batch.observations, 2 + i, {});
    while (space->HasExpired(kNowUs) && !done.load()) std::this_thread::yield();
  }
  done.store(true);
}

}  // namespace
}  // namespace engram::testing

// Which metrics a test program has seen with exactly the value it caused, so that none of the table is forgotten.
#pragma once

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>

#include "core/metrics/metrics.h"

namespace engram::testing {

// The metrics asserted by this program so far. Only tests touch it, from their own thread.
inline std::set<MetricId>& AssertedMetrics() {
  static std::set<MetricId> asserted;
  return asserted;
}

// When the program ends, every row of the table is in AssertedMetrics or in `elsewhere`, and in one of them only.
class EveryRowIsAsserted final : public ::testing::Environment {
 public:
  explicit EveryRowIsAsserted(std::set<MetricId> elsewhere) : elsewhere_(std::move(elsewhere)) {}

  void TearDown() override {
    // Some tests alone assert only some of the rows.
    if (::testing::GTEST_FLAG(filter) != "*") return;
    for (const MetricRow& row : MetricRows()) {
      const bool here = AssertedMetrics().contains(row.id);
      EXPECT_NE(here, elsewhere_.contains(row.id))
          << row.name << (here ? " is asserted here, strike it from the list" : " is moved and asserted by no test");
    }
  }

 private:
  const std::set<MetricId> elsewhere_;
};

}  // namespace engram::testing

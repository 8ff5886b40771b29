#include "core/canary_window.h"

#include <gtest/gtest.h>

namespace engram {
namespace {

TEST(CanaryWindow, HasNothingBeforeTheFirstCheck) { EXPECT_FALSE(CanaryWindow().Read().has_value()); }

TEST(CanaryWindow, IsOfTheChecksThereWereUntilItIsFull) {
  CanaryWindow window;
  window.Add(1);
  window.Add(0.5);
  EXPECT_DOUBLE_EQ(window.Read()->mean, 0.75);
  EXPECT_DOUBLE_EQ(window.Read()->least, 0.5);
}

TEST(CanaryWindow, TheOldestGiveWay) {
  CanaryWindow window;
  window.Add(0);
  window.Add(0.25);
  for (size_t i = 2; i < CanaryWindow::kChecks; ++i) window.Add(1);
  EXPECT_DOUBLE_EQ(window.Read()->least, 0);
  window.Add(1);
  EXPECT_DOUBLE_EQ(window.Read()->least, 0.25);
  window.Add(1);
  EXPECT_DOUBLE_EQ(window.Read()->least, 1);
  for (size_t i = 0; i < CanaryWindow::kChecks; ++i) window.Add(0.5);
  EXPECT_DOUBLE_EQ(window.Read()->mean, 0.5);
}

}  // namespace
}  // namespace engram

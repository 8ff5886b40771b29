#include "loadtest/measure/environment.h"

#include <gtest/gtest.h>

#include "core/base/machine.h"

namespace engram {
namespace {

TEST(EnvironmentTest, ADaemonIsDescribedByWhatItSaysOfItself) {
  v1::GetStatusResponse status;
  status.set_version("1.2.3");
  status.mutable_build()->set_commit("abc");
  status.mutable_machine()->set_name("elsewhere");
  status.mutable_machine()->set_cores(96);
  BenchDocument document;
  PutEnvironment(status, "", document);
  EXPECT_EQ(document.Text("environment.daemon.version"), "1.2.3");
  EXPECT_EQ(document.Text("environment.daemon.commit"), "abc");
  EXPECT_EQ(document.Text("environment.daemon.machine"), "elsewhere");
  EXPECT_EQ(document.Number("environment.daemon.cores"), 96);
  EXPECT_EQ(document.Text("environment.client.machine"), ThisMachine().name);
  EXPECT_NE(document.Text("environment.client.commit"), "abc");
  EXPECT_FALSE(OnThisMachine(status));
}

TEST(EnvironmentTest, WhatADaemonElsewhereDoesNotSayIsUnknownAndNotTheClients) {
  BenchDocument document;
  PutEnvironment(v1::GetStatusResponse(), "", document);
  for (const char* fact : {"machine", "system", "cpu", "commit", "build", "version"}) {
    EXPECT_EQ(document.Text(std::string("environment.daemon.") + fact), kUnknown) << fact;
  }
  for (const char* fact : {"cores", "memory_bytes"}) {
    const Json* found = document.Find(std::string("environment.daemon.") + fact);
    ASSERT_NE(found, nullptr) << fact;
    EXPECT_TRUE(found->is_null()) << fact;
  }
}

TEST(EnvironmentTest, ADaemonStartedHereIsHere) {
  BenchDocument document;
  PutEnvironment(v1::GetStatusResponse(), "/proc/self/exe", document);
  EXPECT_EQ(document.Text("environment.daemon.machine"), ThisMachine().name);
  EXPECT_EQ(document.Text("environment.daemon.commit"), kUnknown);
  EXPECT_EQ(document.Text("environment.daemon.crc32c").size(), 8u);
}

}  // namespace
}  // namespace engram

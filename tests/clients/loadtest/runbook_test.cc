#include "loadtest/runbook.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "loadtest/spawn.h"

namespace engram {
namespace {

using ::testing::HasSubstr;
using Kind = RunbookStep::Kind;

std::string ErrorOf(const std::string& text, const std::string& dataset = "") {
  const auto book = ParseRunbook(text, dataset);
  return book.ok() ? "no error" : std::string(book.status().message());
}

TEST(RunbookTest, StepsAreReadInTheOrderOfTheirNumbers) {
  const auto book = ParseRunbook(
      "small:\n"
      "  max_pts: 100\n"
      "  2: {operation: \"search\"}\n"
      "  1:\n    operation: \"insert\"\n    start: 0\n    end: 60\n"
      "  3: {operation: delete, start: 10, end: 20}\n"
      "  4: {operation: replace, tags_start: 20, tags_end: 30, ids_start: 90, ids_end: 100}\n"
      "  gt_url: \"https://example.org/truth\"\n",
      "");
  ASSERT_TRUE(book.ok()) << book.status();
  EXPECT_EQ(book->dataset, "small");
  EXPECT_EQ(book->max_points, 100u);
  ASSERT_EQ(book->steps.size(), 4u);
  EXPECT_EQ(book->steps[0].kind, Kind::kInsert);
  EXPECT_EQ(book->steps[0].end, 60u);
  EXPECT_EQ(book->steps[0].first_row, 0u);
  EXPECT_EQ(book->steps[1].kind, Kind::kSearch);
  EXPECT_EQ(book->steps[2].kind, Kind::kDelete);
  EXPECT_EQ(book->steps[2].start, 10u);
  EXPECT_EQ(book->steps[3].kind, Kind::kReplace);
  EXPECT_EQ(book->steps[3].start, 20u);
  EXPECT_EQ(book->steps[3].end, 30u);
  EXPECT_EQ(book->steps[3].first_row, 90u);
}

TEST(RunbookTest, OneOfSeveralDatasetsMustBeNamed) {
  const std::string two =
      "a: {max_pts: 10, 1: {operation: search}}\n"
      "b: {max_pts: 20, 1: {operation: search}}\n";
  EXPECT_THAT(ErrorOf(two), HasSubstr("2 datasets"));
  EXPECT_EQ(ParseRunbook(two, "b")->max_points, 20u);
  EXPECT_EQ(ParseRunbook(two, "c").status().code(), absl::StatusCode::kNotFound);
}

TEST(RunbookTest, AFaultNamesItsStep) {
  const auto with = [](const std::string& step) { return "a: {max_pts: 100, 1: {" + step + "}}"; };
  EXPECT_THAT(ErrorOf(with("operation: forget")), HasSubstr("step 1: operation forget"));
  EXPECT_THAT(ErrorOf(with("start: 1")), HasSubstr("step 1: no operation"));
  EXPECT_THAT(ErrorOf(with("operation: insert, start: 1")), HasSubstr("step 1: end is missing"));
  EXPECT_THAT(ErrorOf(with("operation: insert, start: 0, end: 101")), HasSubstr("end is 101; allowed: 0 to 100"));
  EXPECT_THAT(ErrorOf(with("operation: insert, start: -1, end: 10")), HasSubstr("start is -1"));
  EXPECT_THAT(ErrorOf(with("operation: delete, start: 5, end: 5")), HasSubstr("nothing lies between 5 and 5"));
  EXPECT_THAT(ErrorOf(with("operation: replace, tags_start: 0, tags_end: 3, ids_start: 4, ids_end: 6")),
              HasSubstr("3 tags are replaced by 2 rows"));
}

TEST(RunbookTest, AGapInTheNumbersDoesNotCutTheBookShort) {
  EXPECT_THAT(ErrorOf("a: {max_pts: 10, 1: {operation: search}, 3: {operation: search}}"),
              HasSubstr("2 steps, of which 1"));
}

TEST(RunbookTest, WhatIsNoRunbookIsRefused) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("no dataset"));
  EXPECT_THAT(ErrorOf("a: [1"), HasSubstr("not YAML"));
  EXPECT_THAT(ErrorOf("a: 1"), HasSubstr("no steps"));
  EXPECT_THAT(ErrorOf("a: {1: {operation: search}}"), HasSubstr("max_pts is missing"));
  EXPECT_EQ(ReadRunbook("/no/such/file", "").status().code(), absl::StatusCode::kNotFound);
}

TEST(RunbookTest, OurOwnAreSoundAndForgetAndReplace) {
  for (const char* name : {"sliding-window", "shifting-topics"}) {
    const auto book = ReadRunbook(std::string("loadtest/runbooks/") + name + ".yaml", "");
    ASSERT_TRUE(book.ok()) << book.status();
    EXPECT_EQ(book->dataset, name);
    for (const Kind kind : {Kind::kInsert, Kind::kDelete, Kind::kReplace, Kind::kSearch}) {
      EXPECT_TRUE(std::any_of(book->steps.begin(), book->steps.end(), [&](const auto& s) { return s.kind == kind; }))
          << name << " has no " << NameOf(kind);
    }
  }
}

}  // namespace
}  // namespace engram

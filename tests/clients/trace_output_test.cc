// Traces as text, as JSON and as Chrome's events.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "clients/cli/trace_json.h"
#include "clients/cli/trace_text.h"

namespace engram {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

void Add(v1::Trace& trace, const char* name, int parent, int64_t start_ns, int64_t duration_ns) {
  v1::Span& span = *trace.add_spans();
  span.set_name(name);
  span.set_parent(parent);
  span.set_start_ns(start_ns);
  span.set_duration_ns(duration_ns);
}

// 1 ms from `started_at_us` on; linked from 1 ms to 9 ms.
v1::Trace Made(uint64_t number, int64_t started_at_us) {
  v1::Trace trace;
  trace.set_number(number);
  trace.set_kind(v1::TRACE_KIND_OBSERVATION);
  trace.set_space("notes");
  trace.set_id("o" + std::to_string(number));
  trace.set_started_at_us(started_at_us);
  trace.set_total_ns(1'000'000);
  Add(trace, "observe", -1, 0, 1'000'000);
  Add(trace, "admit", 0, 0, 200'500);
  Add(trace, "decode", 1, 0, 100'000);
  Add(trace, "journal", 0, 300'000, 600'000);
  Add(trace, "link", -1, 1'000'000, 8'000'000);
  Add(trace, "turn", 4, 2'000'000, 7'000'000);
  trace.mutable_buffers()->set_frame_bytes(1000);
  return trace;
}

TEST(TraceJson, NestsSpansInTheirParents) {
  const json document = json::parse(TraceJson(Made(3, 1'700'000'000'000'000), false));
  EXPECT_EQ(document["kind"], "observation");
  EXPECT_EQ(document["total_us"], 1000.0);
  EXPECT_FALSE(document.contains("buffers"));
  ASSERT_EQ(document["spans"].size(), 2u);
  const json& observe = document["spans"][0];
  ASSERT_EQ(observe["children"].size(), 2u);
  EXPECT_EQ(observe["children"][0]["name"], "admit");
  EXPECT_EQ(observe["children"][0]["duration_us"], 200.5);
  EXPECT_EQ(observe["children"][0]["children"][0]["name"], "decode");
  EXPECT_EQ(observe["children"][1]["name"], "journal");
  EXPECT_FALSE(observe["children"][1].contains("children"));
  EXPECT_EQ(document["spans"][1]["children"][0]["start_us"], 2000.0);
  EXPECT_EQ(json::parse(TraceJson(Made(3, 0), true))["buffers"]["frame"]["bytes"], 1000);
}

TEST(ChromeTrace, PutsWhatOverlapsOnDifferentThreads) {
  // The second begins while the first is under way, the third afterwards; all three link at the same time.
  const json document = json::parse(ChromeTrace({Made(1, 5'000'000), Made(2, 5'000'500), Made(3, 5'001'000)}, false));
  std::map<std::string, std::vector<int>> threads;
  for (const json& event : document["traceEvents"]) {
    if (event["ph"] != "X" || !event.contains("args")) continue;
    threads[event["name"]].push_back(event["tid"]);
    EXPECT_EQ(event["pid"], event["name"] == "link" ? 3 : 1);
    EXPECT_EQ(event["args"]["space"], "notes");
  }
  EXPECT_THAT(threads["observe"], ::testing::ElementsAre(1, 2, 1));
  EXPECT_THAT(threads["link"], ::testing::ElementsAre(1, 2, 3));
}

TEST(ChromeTrace, TimesAreMicrosecondsSinceTheFirstTraceBegan) {
  const json document = json::parse(ChromeTrace({Made(2, 5'000'500), Made(1, 5'000'000)}, false));
  std::map<std::string, double> begin;
  for (const json& event : document["traceEvents"]) {
    if (event["ph"] == "X" && event["name"] == "journal") begin[std::to_string(event["tid"].get<int>())] = event["ts"];
  }
  EXPECT_EQ(begin, (std::map<std::string, double>{{"1", 300.0}, {"2", 800.0}}));
  EXPECT_EQ(json::parse(ChromeTrace({}, true))["traceEvents"].size(), 0u);
}

TEST(TraceText, DrawsTheTreeAndColoursOnlyWhereAsked) {
  v1::TraceState state;
  state.set_sample_period(1000);
  state.set_slow_us(10'000);
  state.set_frame_reuses(3);
  state.set_frame_fallbacks(1);
  const std::string text = TraceText({}, {Made(7, 0)}, state, true);
  EXPECT_THAT(text, HasSubstr("#7 observation notes o7"));
  EXPECT_THAT(text, HasSubstr("│  └─ decode             100 us"));
  EXPECT_THAT(text, HasSubstr("└─ journal               600 us"));
  EXPECT_THAT(text, HasSubstr("one of every 1,000 sampled, 10ms and slower kept apart"));
  EXPECT_THAT(text, HasSubstr("frames from the pool: 3 of 4 (75.0 %)"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  Terminal terminal;
  terminal.colour = true;
  EXPECT_THAT(TraceText(terminal, {Made(7, 0)}, state, false), HasSubstr("\x1b"));
  EXPECT_EQ(TraceText({}, {}, state, true), "");
}

}  // namespace
}  // namespace engram

// What the engine notes of its observations and recalls: a trace for each at a rate of 1, and the stages as histograms.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "core/journal/segmented_journal.h"
#include "core/trace/tracer.h"
#include "tests/support/engine_fixture.h"
#include "tests/support/temp_directory.h"

namespace engram::testing {
namespace {

using std::chrono::nanoseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Outlives the engine of the fixture.
struct Disk {
  TempDirectory place_;
  std::unique_ptr<Directory> on_disk_;
  JournalObserver observer_;
};

class EngineTrace : public Disk, public EngineFixture {
 protected:
  EngineTrace() {
    settings_.trace_sample_rate = 1;
    settings_.index_flat_threshold = 64;
  }

  void OnDisk() {
    auto directory = OpenPosixDirectory(place_.path(), /*create=*/false);
    ENGRAM_CHECK(directory.ok());
    on_disk_ = *std::move(directory);
    auto journal = SegmentedJournal::Open(on_disk_.get(), {.segment_bytes = 4 << 20}, &real_clock_, &observer_);
    ENGRAM_CHECK(journal.ok());
    journal_ = *std::move(journal);
  }

  static std::vector<TestObservation> Some(int from, int count) {
    std::vector<TestObservation> observations;
    for (int i = from; i < from + count; ++i) {
      const auto angle = static_cast<float>(i);
      observations.push_back({.id = "o" + std::to_string(i), .embedding = {std::cos(angle), std::sin(angle)}});
    }
    return observations;
  }

  std::vector<Trace> Traces(Tracer::Query query = {.limit = 10'000}) { return engine().tracer().Read(query); }
  uint64_t Counted(Stage stage) {
    uint64_t sum = 0;
    for (const uint64_t n : metrics().process().ReadHistogram(MetricId::kStage, SecondOf(stage)).counts) sum += n;
    return sum;
  }
};

// Children lie within their parents, one after the other, and sum up to no more than them.
void ExpectTree(const Trace& trace) {
  std::map<int, nanoseconds> end_of_last, sum;
  for (int i = 0; i < trace.span_count; ++i) {
    const TraceSpan& span = trace.spans[static_cast<size_t>(i)];
    ASSERT_LT(span.parent, i);
    EXPECT_GE(span.duration.count(), 0);
    if (span.parent < 0) continue;
    const TraceSpan& parent = trace.spans[static_cast<size_t>(span.parent)];
    EXPECT_GE(span.start, parent.start) << WordOf(span.name);
    EXPECT_LE(span.end(), parent.end()) << WordOf(span.name);
    EXPECT_GE(span.start, end_of_last[span.parent]) << WordOf(span.name) << " begins before the one before it ends";
    end_of_last[span.parent] = span.end();
    sum[span.parent] += span.duration;
    EXPECT_LE(sum[span.parent], parent.duration);
  }
}

std::vector<std::string> Below(const Trace& trace, int parent) {
  std::vector<std::string> words;
  for (size_t i = 0; i < trace.span_count; ++i) {
    if (trace.spans[i].parent == parent) words.emplace_back(WordOf(trace.spans[i].name));
  }
  return words;
}

int PlaceOf(const Trace& trace, SpanName name) {
  for (int i = 0; i < trace.span_count; ++i) {
    if (trace.spans[static_cast<size_t>(i)].name == name) return i;
  }
  return -2;
}

TEST_F(EngineTrace, EveryObservationHasItsTreeOfSpans) {
  OnDisk();
  Waker waker;
  const auto stream = engine().OpenStream({.space = "notes", .stream_id = "s"}, &waker);
  ASSERT_TRUE(stream.ok());
  for (int frame = 0; frame < 3; ++frame) {
    (*stream)->Submit(static_cast<uint64_t>(frame) * 10 + 1, Priority::kNormal, MakeBatch(Some(frame * 10, 10)));
  }
  EXPECT_EQ(AwaitReached(**stream, waker).durable_through, 30u);

  const std::vector<Trace> traces = Traces();
  ASSERT_THAT(traces, SizeIs(30));
  std::set<uint64_t> sequences, ordinals;
  for (const Trace& trace : traces) {
    ExpectTree(trace);
    EXPECT_EQ(trace.kind, TraceKind::kObservation);
    EXPECT_TRUE(trace.sampled);
    EXPECT_EQ(trace.space, "notes");
    EXPECT_EQ(trace.stream, "s");
    EXPECT_EQ(trace.id, "o" + std::to_string(trace.sequence - 1));
    EXPECT_EQ(trace.ordinal, trace.sequence - 1);
    EXPECT_GT(trace.position, 0u);
    EXPECT_GE(trace.batch, 1u);
    EXPECT_GE(trace.batch_observations, trace.buffers.record_observations);
    EXPECT_GE(trace.buffers.group_records, 1u);
    EXPECT_GT(trace.buffers.group_bytes, trace.buffers.record_bytes);
    EXPECT_GT(trace.buffers.record_bytes, 0u);
    EXPECT_EQ(trace.buffers.frame_observations, 10u);
    EXPECT_GT(trace.total().count(), 0);
    EXPECT_THAT(Below(trace, 0), ElementsAre("admit", "queue", "encode", "journal", "publish", "acknowledge"));
    EXPECT_THAT(Below(trace, PlaceOf(trace, SpanName::kAdmit)), ElementsAre("decode", "check", "room"));
    EXPECT_THAT(Below(trace, PlaceOf(trace, SpanName::kEncode)), ElementsAre("fill", "reserve", "serialize"));
    EXPECT_THAT(Below(trace, PlaceOf(trace, SpanName::kJournal)), ElementsAre("gather", "write", "sync"));
    EXPECT_THAT(Below(trace, PlaceOf(trace, SpanName::kPublish)), ElementsAre("hand_over", "apply"));
    // All the same from one end to the other but for the moments between: nothing of it is missing.
    EXPECT_GT(trace.spans[static_cast<size_t>(PlaceOf(trace, SpanName::kWrite))].duration.count(), 0);
    EXPECT_GT(trace.spans[static_cast<size_t>(PlaceOf(trace, SpanName::kSync))].duration.count(), 0);
    sequences.insert(trace.sequence);
    ordinals.insert(trace.ordinal);
  }
  EXPECT_THAT(sequences, SizeIs(30));
  EXPECT_THAT(ordinals, SizeIs(30));
}

TEST_F(EngineTrace, WhatIsRefusedDoesNotShiftTheOthers) {
  std::vector<TestObservation> observations = Some(0, 4);
  observations[1].embedding = {0, 0};
  engine().Observe("notes", MakeBatch(std::move(observations)), Priority::kHigh, AckLevel::kDurable, Soon()).status().IgnoreError();
  const std::vector<Trace> traces = Traces();
  ASSERT_THAT(traces, SizeIs(3));
  EXPECT_EQ(traces[1].id, "o2");
  EXPECT_EQ(traces[1].sequence, 3u);
  EXPECT_EQ(traces[1].ordinal, 1u);
  EXPECT_EQ(traces[1].priority, Priority::kHigh);
}

TEST_F(EngineTrace, LinkingComesToTheTraceBehindTheAnswer) {
  MustObserve("notes", Some(0, 300));
  // Every one is linked once the engine's executor rests: a space above its threshold is linked at once.
  while (engine().GetSpace("notes")->link_backlog != 0) MustObserve("other", Some(0, 1));
  size_t linked = 0;
  for (const Trace& trace : Traces({.limit = 10'000, .space = "notes"})) {
    ExpectTree(trace);
    const int link = PlaceOf(trace, SpanName::kLink);
    if (link < 0) continue;
    ++linked;
    EXPECT_THAT(Below(trace, link), ElementsAre("backlog", "turn"));
  }
  // The last turn may not have been told yet.
  EXPECT_GT(linked, 0u);
  EXPECT_GT(Counted(Stage::kLink), 0u);
}

TEST_F(EngineTrace, ARecallTellsWhatItSearchedAndRead) {
  MustObserve("notes", Some(0, 20));
  EXPECT_THAT(RecallIds("notes", {1, 0}, 3), SizeIs(3));
  const std::vector<Trace> traces = Traces({.limit = 10, .observations = false, .recalls = true});
  ASSERT_THAT(traces, SizeIs(1));
  ExpectTree(traces[0]);
  EXPECT_EQ(traces[0].kind, TraceKind::kRecall);
  EXPECT_EQ(traces[0].k, 3u);
  EXPECT_EQ(traces[0].hits, 3u);
  EXPECT_EQ(traces[0].tail_scanned, 20u);
  EXPECT_THAT(Below(traces[0], 0), ElementsAre("at_least", "slot", "search", "read"));
  EXPECT_THAT(Below(traces[0], PlaceOf(traces[0], SpanName::kSearch)), ElementsAre("scan"));
}

TEST_F(EngineTrace, TheStagesAreTimedAlsoWhenNothingIsTraced) {
  settings_.trace_sample_rate = 0;
  MustObserve("notes", Some(0, 30));
  MustObserve("notes", Some(30, 20));
  for (const Stage stage : {Stage::kAdmit, Stage::kQueue, Stage::kEncode, Stage::kJournal, Stage::kPublish}) {
    EXPECT_EQ(Counted(stage), 50u) << SecondLabelValues(LabelSet::kStage)[SecondOf(stage)];
  }
  RecallIds("notes", {1, 0}, 3);
  EXPECT_EQ(Counted(Stage::kScan), 1u);
  EXPECT_EQ(Counted(Stage::kWalk), 0u);

  // Above the threshold a recall walks, once everything is linked, and looks again at the best.
  MustObserve("notes", Some(50, 300));
  while (engine().GetSpace("notes")->link_backlog != 0) MustObserve("other", Some(0, 1));
  RecallIds("notes", {1, 0}, 3);
  EXPECT_EQ(Counted(Stage::kWalk), 1u);
  EXPECT_EQ(Counted(Stage::kRerank), 1u);
  EXPECT_THAT(Traces(), IsEmpty());
}

TEST_F(EngineTrace, TheRateAndWhatIsSlowChangeWhileItRuns) {
  MustObserve("notes", Some(0, 5));
  ASSERT_THAT(Traces(), SizeIs(5));
  settings_.trace_sample_rate = 0;
  engine().ApplySettings(std::make_shared<const Settings>(settings_));
  MustObserve("notes", Some(5, 5));
  EXPECT_THAT(Traces(), SizeIs(5));
  // Of what is not sampled one is kept when it took so long; and anything does.
  settings_.trace_sample_rate = 0.000001;
  settings_.trace_slow = Duration(0);
  engine().ApplySettings(std::make_shared<const Settings>(settings_));
  MustObserve("notes", Some(10, 5));
  const std::vector<Trace> traces = Traces();
  ASSERT_THAT(traces, SizeIs(6));
  EXPECT_FALSE(traces.back().sampled);
  EXPECT_EQ(traces.back().id, "o10");
}

}  // namespace
}  // namespace engram::testing

// Which observations are traced, and which traces are kept.
#include "core/trace/tracer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "tests/support/fake_clock.h"

namespace engram::testing {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr Duration kSlow = milliseconds(10);

Trace Made(MonotonicTime began, nanoseconds took, Ordinal ordinal = kNoOrdinal) {
  Trace trace;
  trace.Begin(began);
  trace.space = "notes";
  trace.space_id = 7;
  trace.ordinal = ordinal;
  trace.Add(SpanName::kObserve, Trace::kRoot, began, began + took);
  return trace;
}

class TracerTest : public ::testing::Test {
 protected:
  TracerTest() { tracer_.Tune(0.001, kSlow); }

  void Record(nanoseconds took, Ordinal ordinal = kNoOrdinal) { tracer_.Record(Made(clock_.Now(), took, ordinal)); }
  std::vector<uint64_t> Numbers(Tracer::Query query = {}) const {
    std::vector<uint64_t> numbers;
    for (const Trace& trace : tracer_.Read(query)) numbers.push_back(trace.number);
    return numbers;
  }

  FakeClock clock_;
  Tracer tracer_{4, 42};
};

// The numbers of those traced among the first `count`, asked in frames and slices of random size.
std::vector<uint64_t> Traced(Tracer& tracer, uint64_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<uint64_t> traced;
  for (uint64_t first = 0; first < count;) {
    const auto size = static_cast<uint32_t>(std::min<uint64_t>(random() % 300 + 1, count - first));
    const TraceSample sample = tracer.Sample(size);
    for (uint32_t begin = 0; begin < size;) {
      const auto end = static_cast<uint32_t>(std::min<uint64_t>(begin + random() % 100 + 1, size));
      for (uint32_t at = sample.Next(begin, end); at < end; at = sample.Next(at + 1, end)) traced.push_back(first + at);
      begin = end;
    }
    first += size;
  }
  return traced;
}

TEST(TraceSample, TakesOneOfEachPeriodHoweverTheyAreCutIntoFramesAndSlices) {
  for (const double rate : {1.0, 0.5, 0.1, 0.001}) {
    const auto period = static_cast<uint64_t>(1 / rate + 0.5);
    Tracer one(4, 5), other(4, 5), of_another_seed(4, 6);
    for (Tracer* tracer : {&one, &other, &of_another_seed}) tracer->Tune(rate, kSlow);
    const std::vector<uint64_t> traced = Traced(one, 50 * period, 1);
    ASSERT_EQ(traced.size(), 50u) << rate;
    for (size_t i = 0; i < traced.size(); ++i) EXPECT_EQ(traced[i] / period, i);
    EXPECT_EQ(Traced(other, 50 * period, 2), traced) << "not a matter of frames";
    if (period > 1) {
      EXPECT_NE(Traced(of_another_seed, 50 * period, 1), traced);
    }
    // Every n-th would fall into step with frames.
    if (period > 2) {
      EXPECT_NE(traced[1] - traced[0], traced[2] - traced[1]);
    }
  }
}

TEST(TraceSample, OfTheRecallsThereAreAsMany) {
  Tracer tracer(4, 5);
  tracer.Tune(0.01, kSlow);
  int traced = 0;
  for (int i = 0; i < 10'000; ++i) traced += tracer.SampleRecall();
  EXPECT_EQ(traced, 100);
}

TEST_F(TracerTest, ARateOfZeroTurnsEverythingOff) {
  tracer_.Tune(0, kSlow);
  EXPECT_THAT(Traced(tracer_, 10'000, 1), IsEmpty());
  EXPECT_FALSE(tracer_.SampleRecall());
  EXPECT_FALSE(tracer_.Promote(milliseconds(100), clock_.Now()));
}

TEST_F(TracerTest, TheNewestAreKept) {
  for (int i = 0; i < 6; ++i) Record(milliseconds(1));
  EXPECT_THAT(Numbers(), ElementsAre(3, 4, 5, 6));
  EXPECT_THAT(Numbers({.limit = 2}), ElementsAre(5, 6));
  EXPECT_EQ(tracer_.ReadState().recorded, 6u);
}

TEST_F(TracerTest, QuickOnesDoNotPushOutTheSlow) {
  Record(kSlow - nanoseconds(1));
  Record(kSlow);
  Record(milliseconds(30));
  for (int i = 0; i < 5; ++i) Record(milliseconds(1));
  EXPECT_THAT(Numbers(), ElementsAre(2, 3, 5, 6, 7, 8));
  EXPECT_THAT(Numbers({.slow = kSlow}), ElementsAre(2, 3));
  EXPECT_THAT(Numbers({.slow = milliseconds(20)}), ElementsAre(3));
}

TEST_F(TracerTest, AQueryChoosesBySpaceAndKind) {
  Record(milliseconds(1));
  Trace recall = Made(clock_.Now(), milliseconds(1));
  recall.kind = TraceKind::kRecall;
  recall.space = "other";
  tracer_.Record(recall);
  EXPECT_THAT(Numbers(), ElementsAre(1));
  EXPECT_THAT(Numbers({.recalls = true}), ElementsAre(1, 2));
  EXPECT_THAT(Numbers({.observations = false, .recalls = true}), ElementsAre(2));
  EXPECT_THAT(Numbers({.space = "notes", .recalls = true}), ElementsAre(1));
}

TEST_F(TracerTest, OfWhatWasSlowAndNotSampledOneAMillisecondIsKept) {
  EXPECT_FALSE(tracer_.Promote(kSlow - nanoseconds(1), clock_.Now()));
  EXPECT_TRUE(tracer_.Promote(kSlow, clock_.Now()));
  EXPECT_FALSE(tracer_.Promote(kSlow, clock_.Now()));
  clock_.Advance(microseconds(999));
  EXPECT_FALSE(tracer_.Promote(kSlow, clock_.Now()));
  clock_.Advance(microseconds(1));
  EXPECT_TRUE(tracer_.Promote(kSlow, clock_.Now()));
}

TEST_F(TracerTest, ALinkedObservationsTraceIsToldOfIt) {
  const MonotonicTime began = clock_.Now();
  Record(milliseconds(2), 100);
  Record(kSlow, 101);
  Record(milliseconds(2), 200);
  tracer_.Linked(8, 0, 300, began, began);  // Another space.
  tracer_.Linked(7, 0, 102, began + milliseconds(50), began + milliseconds(60));
  const std::vector<Trace> traces = tracer_.Read({});
  ASSERT_THAT(traces, SizeIs(3));
  EXPECT_EQ(traces[2].span_count, 1);
  for (const size_t i : {size_t{0}, size_t{1}}) {
    const Trace& trace = traces[i];
    ASSERT_EQ(trace.span_count, 4);
    const nanoseconds visible = trace.spans[0].duration;
    EXPECT_EQ(trace.total(), visible) << "linking is behind the answer";
    EXPECT_EQ(trace.spans[1].name, SpanName::kLink);
    EXPECT_EQ(trace.spans[1].parent, -1);
    EXPECT_EQ(trace.spans[1].start, visible);
    EXPECT_EQ(trace.spans[1].end(), milliseconds(60));
    EXPECT_EQ(trace.spans[2].duration, milliseconds(50) - visible);
    EXPECT_EQ(trace.spans[3].duration, milliseconds(10));
  }
  // Once.
  tracer_.Linked(7, 0, 102, began + milliseconds(70), began + milliseconds(80));
  EXPECT_EQ(tracer_.Read({})[0].span_count, 4);
}

TEST_F(TracerTest, WhatWasLinkedBeforeItsTraceWasThereIsNotTimedByALaterTurn) {
  const MonotonicTime began = clock_.Now();
  Record(milliseconds(2), 100);
  tracer_.Linked(7, 101, 200, began, began + milliseconds(60));
  EXPECT_EQ(tracer_.Read({})[0].span_count, 1);
}

TEST_F(TracerTest, WhoseTraceWasOverwrittenIsLeftAlone) {
  const MonotonicTime began = clock_.Now();
  Record(milliseconds(2), 100);
  // By such as wait for nothing, so that it is still remembered as one that does.
  for (int i = 0; i < 4; ++i) Record(milliseconds(2));
  tracer_.Linked(7, 0, 102, began, began + milliseconds(60));
  for (const Trace& trace : tracer_.Read({})) EXPECT_EQ(trace.span_count, 1);
}

TEST(TraceTest, WhatLiesOutsideOfItsParentIsCutOff) {
  FakeClock clock;
  const MonotonicTime began = clock.Now();
  Trace trace = Made(began, milliseconds(10));
  const int early = trace.Add(SpanName::kAdmit, 0, MonotonicTime{}, began + milliseconds(2));
  const int late = trace.Add(SpanName::kQueue, 0, began + milliseconds(5), began + milliseconds(50));
  const int backwards = trace.Add(SpanName::kRoom, late, began + milliseconds(7), began + milliseconds(6));
  EXPECT_EQ(trace.spans[static_cast<size_t>(early)].start, nanoseconds(0));
  EXPECT_EQ(trace.spans[static_cast<size_t>(early)].duration, milliseconds(2));
  EXPECT_EQ(trace.spans[static_cast<size_t>(late)].end(), milliseconds(10));
  EXPECT_EQ(trace.spans[static_cast<size_t>(backwards)].start, milliseconds(7));
  EXPECT_EQ(trace.spans[static_cast<size_t>(backwards)].duration, nanoseconds(0));
}

// Writers, a linker and a reader at once: every trace that is read is one that was recorded, whole.
TEST(TracerConcurrency, ATraceIsReadWhole) {
  constexpr int kWriters = 3;
  constexpr uint32_t kEach = 2000;
  RealClock clock;
  Tracer tracer(16, 1);
  tracer.Tune(1, kSlow);
  const MonotonicTime began = clock.Now();
  std::atomic<int> writing{kWriters};
  std::vector<std::jthread> threads;
  for (int writer = 0; writer < kWriters; ++writer) {
    threads.emplace_back([&, writer] {
      for (uint32_t i = 0; i < kEach; ++i) {
        const nanoseconds took = (i + 1) * (writer == 0 ? kSlow : Duration(1));
        Trace trace = Made(began, took, i);
        trace.sequence = i;
        trace.id = fmt::format("an id of writer {}, longer than a string holds in itself: {}", writer, i);
        trace.stream = trace.id;
        tracer.Record(trace);
        tracer.Promote(took, clock.Now());
        tracer.Sample(10);
      }
      writing.fetch_sub(1);
    });
  }
  threads.emplace_back([&] {
    for (Ordinal end = 0; writing.load() > 0; end = (end + 7) % kEach) tracer.Linked(7, 0, end, began, began);
  });
  size_t read = 0;
  do {
    for (const Trace& trace : tracer.Read({.limit = 100})) {
      ++read;
      EXPECT_EQ(trace.id, trace.stream);
      EXPECT_TRUE(trace.id.ends_with(fmt::format(": {}", trace.sequence))) << trace.id << " " << trace.sequence;
      EXPECT_EQ(trace.ordinal, trace.sequence);
      EXPECT_TRUE(trace.span_count == 1 || trace.span_count == 4) << int{trace.span_count};
    }
  } while (writing.load() > 0);
  threads.clear();
  EXPECT_GT(read, 0u);
  EXPECT_EQ(tracer.ReadState().recorded, uint64_t{kWriters} * kEach);
  EXPECT_THAT(tracer.Read({.limit = 100}), SizeIs(32));
}

}  // namespace
}  // namespace engram::testing

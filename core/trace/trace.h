// What became of one observation or recall: a tree of spans, and the buffers it went through.
//
// Threads:  a value. Bounded: so many spans; texts as long as names and ids may be. A trace that is assigned to again
//           keeps its memory.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/types.h"

namespace engram {

// The numbers are those of engram.v1; server/trace_wire.cc asserts it.
enum class TraceKind : uint8_t { kObservation = 1, kRecall = 2 };

// Every span there is, with the word it is told by. docs/observability.md says what each covers.
#define ENGRAM_SPANS(SPAN)                                                                                      \
  SPAN(kObserve, "observe") SPAN(kAdmit, "admit") SPAN(kDecode, "decode") SPAN(kCheck, "check")                 \
  SPAN(kRoom, "room") SPAN(kQueue, "queue") SPAN(kEncode, "encode") SPAN(kFill, "fill")                         \
  SPAN(kReserve, "reserve") SPAN(kSerialize, "serialize") SPAN(kJournal, "journal") SPAN(kGather, "gather")     \
  SPAN(kWrite, "write") SPAN(kSync, "sync") SPAN(kPublish, "publish") SPAN(kHandOver, "hand_over")              \
  SPAN(kApply, "apply") SPAN(kAcknowledge, "acknowledge") SPAN(kLink, "link") SPAN(kBacklog, "backlog")         \
  SPAN(kTurn, "turn") SPAN(kRecall, "recall") SPAN(kAtLeast, "at_least") SPAN(kSlot, "slot")                    \
  SPAN(kSearch, "search") SPAN(kWalk, "walk") SPAN(kScan, "scan") SPAN(kRerank, "rerank") SPAN(kRead, "read")

enum class SpanName : uint8_t {
#define ENGRAM_SPAN(id, word) id,
  ENGRAM_SPANS(ENGRAM_SPAN)
#undef ENGRAM_SPAN
};
std::string_view WordOf(SpanName name);

struct TraceSpan {
  SpanName name = SpanName::kObserve;
  int8_t parent = -1;  // Its place in the trace; -1: none, it is a root.
  std::chrono::nanoseconds start{0};  // Since the trace began.
  std::chrono::nanoseconds duration{0};

  std::chrono::nanoseconds end() const { return start + duration; }
};

struct TraceBuffers {
  uint64_t frame_bytes = 0;
  uint32_t frame_observations = 0;
  bool frame_reused = false;  // Its buffer came from the pool.
  uint64_t record_bytes = 0;  // Ids, embeddings, texts and tags.
  uint32_t record_observations = 0;
  bool record_reused = false;
  uint64_t group_bytes = 0;   // Written and synced at once.
  uint32_t group_records = 0;
};

struct Trace {
  static constexpr size_t kMostSpans = 24;
  static constexpr int kRoot = -1;

  uint64_t number = 0;  // Among all traces of this process, from 1; given by the Tracer.
  TraceKind kind = TraceKind::kObservation;
  bool sampled = true;  // False: kept because it was slow.
  std::string space;
  // Of an observation; of a recall by id, what it looked like.
  std::string id;
  std::string stream;
  uint64_t sequence = 0;
  uint64_t space_id = 0;
  Ordinal ordinal = kNoOrdinal;
  uint64_t position = 0;  // In the journal; of a recall, what it saw.
  Priority priority = Priority::kNormal;
  uint32_t lane = 0;
  uint32_t worker = 0;
  uint64_t batch = 0;  // Of the worker, since the start.
  uint64_t batch_observations = 0;
  // Of a recall.
  uint32_t k = 0;
  uint32_t hits = 0;
  uint64_t graph_candidates = 0;
  uint64_t tail_scanned = 0;

  MonotonicTime began{};
  int64_t began_wall_us = 0;
  TraceBuffers buffers;
  std::array<TraceSpan, kMostSpans> spans;
  uint8_t span_count = 0;

  // From the first to the last moment of the first span, which is the whole but for what goes on behind the answer.
  std::chrono::nanoseconds total() const { return span_count == 0 ? std::chrono::nanoseconds(0) : spans[0].duration; }

  // Starts anew at `when`, without spans.
  void Begin(MonotonicTime when) {
    began = when;
    span_count = 0;
  }
  // Adds a span and answers its place. What lies outside of its parent is cut off, so that a tree is one whatever the
  // clocks of its parts say.
  int Add(SpanName name, int parent, MonotonicTime begin, MonotonicTime end) {
    ENGRAM_CHECK(span_count < kMostSpans && parent < span_count);
    TraceSpan& span = spans[span_count];
    auto from = std::max(std::chrono::nanoseconds(begin - began), std::chrono::nanoseconds(0));
    auto to = std::max(std::chrono::nanoseconds(end - began), from);
    if (parent != kRoot) {
      const TraceSpan& above = spans[static_cast<size_t>(parent)];
      from = std::clamp(from, above.start, above.end());
      to = std::clamp(to, from, above.end());
    }
    span = {name, static_cast<int8_t>(parent), from, to - from};
    return span_count++;
  }
};

}  // namespace engram

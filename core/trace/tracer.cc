#include "core/trace/tracer.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <utility>

namespace engram {

std::string_view WordOf(SpanName name) {
  static constexpr std::string_view kWords[] = {
#define ENGRAM_SPAN(id, word) word,
      ENGRAM_SPANS(ENGRAM_SPAN)
#undef ENGRAM_SPAN
  };
  return kWords[static_cast<size_t>(name)];
}

Tracer::Tracer(size_t capacity, uint64_t seed) : capacity_(std::max<size_t>(capacity, 1)), seed_(seed) {
  recent_.slots.resize(capacity_);
  slow_.slots.resize(capacity_);
  unlinked_.resize(capacity_);
}

void Tracer::Tune(double rate, Duration slow) {
  constexpr double kLongest = 1e15;
  const double period = rate <= 0 ? 0 : std::round(std::min(1 / rate, kLongest));
  period_.store(static_cast<uint64_t>(period), std::memory_order_relaxed);
  slow_ns_.store(std::chrono::nanoseconds(slow).count(), std::memory_order_relaxed);
}

bool Tracer::Promote(std::chrono::nanoseconds took, MonotonicTime now) {
  if (took.count() < slow_ns_.load(std::memory_order_relaxed)) return false;
  if (period_.load(std::memory_order_relaxed) == 0) return false;
  const int64_t at = std::chrono::nanoseconds(now.time_since_epoch()).count();
  int64_t next = next_promoted_ns_.load(std::memory_order_relaxed);
  if (at < next) return false;
  const int64_t after = at + std::chrono::nanoseconds(kBetweenPromoted).count();
  // Of several at once, one.
  return next_promoted_ns_.compare_exchange_strong(next, after, std::memory_order_relaxed);
}

void Tracer::Record(const Trace& trace) noexcept {
  const bool slow = trace.total().count() >= slow_ns_.load(std::memory_order_relaxed);
  MutexLock lock(mu_);
  Ring& ring = slow ? slow_ : recent_;
  const size_t slot = ring.next;
  ring.next = (ring.next + 1) % capacity_;
  Trace& kept = ring.slots[slot];
  // Nobody takes a half of it for one.
  kept.number = 0;
  try {
    kept = trace;
  } catch (const std::bad_alloc&) {
    kept.number = 0;
    return;
  }
  kept.number = ++recorded_;
  if (trace.kind != TraceKind::kObservation || trace.ordinal == kNoOrdinal) return;
  if (unlinked_[next_unlinked_].number == 0) ++unlinked_count_;
  unlinked_[next_unlinked_] = {kept.number, trace.space_id, trace.ordinal, static_cast<uint32_t>(slot), slow};
  next_unlinked_ = (next_unlinked_ + 1) % capacity_;
}

void Tracer::Linked(uint64_t space_id, Ordinal from, Ordinal end, MonotonicTime begun, MonotonicTime ended) {
  MutexLock lock(mu_);
  if (unlinked_count_ == 0) return;
  for (Unlinked& one : unlinked_) {
    if (one.number == 0 || one.space_id != space_id || one.ordinal >= end) continue;
    Trace& trace = (one.slow ? slow_ : recent_).slots[one.slot];
    const uint64_t number = std::exchange(one.number, 0);
    --unlinked_count_;
    // Another may have taken its place; or it was linked before its trace was there, and nobody knows when.
    if (trace.number != number || one.ordinal < from) continue;
    const MonotonicTime visible = trace.began + trace.spans[0].end();
    const int link = trace.Add(SpanName::kLink, Trace::kRoot, visible, ended);
    trace.Add(SpanName::kBacklog, link, visible, begun);
    trace.Add(SpanName::kTurn, link, begun, ended);
  }
}

std::vector<Trace> Tracer::Read(const Query& query) const {
  const auto wanted = [&](const Trace& trace) {
    if (trace.number == 0 || trace.total() < query.slow) return false;
    if (!query.space.empty() && trace.space != query.space) return false;
    return trace.kind == TraceKind::kRecall ? query.recalls : query.observations;
  };
  struct Place {
    uint64_t number;
    size_t slot;
  };
  std::vector<Place> places;
  places.reserve(2 * capacity_);
  // One at a time, so that who records does not wait for all of them; and only what is asked for is copied.
  for (size_t slot = 0; slot < 2 * capacity_; ++slot) {
    MutexLock lock(mu_);
    if (wanted(At(slot))) places.push_back({At(slot).number, slot});
  }
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) { return a.number < b.number; });
  if (places.size() > query.limit) places.erase(places.begin(), places.end() - static_cast<ptrdiff_t>(query.limit));
  std::vector<Trace> found;
  found.reserve(places.size());
  for (const Place& place : places) {
    MutexLock lock(mu_);
    // Unless another has taken its place since.
    if (At(place.slot).number == place.number) found.push_back(At(place.slot));
  }
  return found;
}

Tracer::Reading Tracer::ReadState() const {
  Reading reading;
  reading.period = period_.load(std::memory_order_relaxed);
  reading.slow = std::chrono::duration_cast<Duration>(std::chrono::nanoseconds(slow_ns_.load(std::memory_order_relaxed)));
  reading.capacity = capacity_;
  MutexLock lock(mu_);
  reading.recorded = recorded_;
  return reading;
}

}  // namespace engram

#include "core/recall_budget.h"

#include <fmt/format.h>

#include <algorithm>

namespace engram {
namespace {

// What is done once for each row weighs as much as so many elements.
constexpr double kRowOverhead = 128;
// A shorter scan is over before its own beginning and end stop mattering.
constexpr uint64_t kLeastRows = 1024;

// Where frames on their way in fill the bound and no backlog does, so that the level is normal: some batches' time.
constexpr Duration kLeastRetry{5'000};

double BytesOf(const SpaceIndex& index) { return kRowOverhead + index.options().dimension; }

}  // namespace

uint64_t BacklogBound(std::chrono::milliseconds budget, double row_nanos) {
  if (budget.count() == 0) return 0;
  const double rows = std::chrono::duration<double, std::nano>(budget).count() / row_nanos;
  return static_cast<uint64_t>(std::clamp<double>(rows, kLeastBacklogBound, kNoOrdinal));
}

void RecallBudget::NoteScan(Space& space, uint64_t rows, std::chrono::nanoseconds took) {
  if (rows < kLeastRows || took.count() <= 0) return;
  const double row = static_cast<double>(took.count()) / static_cast<double>(rows);
  RowCost& own = space.backlog().row_cost();
  // The first one may have been unlucky; it is taken with what is known of the others.
  if (own.nanos() == 0) own.Note(byte_cost_.nanos() * BytesOf(*space.index()));
  own.Note(row);
  byte_cost_.Note(row / BytesOf(*space.index()));
}

RecallBudget::Reading RecallBudget::Read(const Space& space) const {
  const SpaceIndex* const index = space.index();
  if (index == nullptr) return {};
  if (!index->has_graph() && index->live() <= index->options().flat_threshold) return {};
  Reading reading;
  reading.backlog = index->link_backlog() + space.queued();
  if (space.linking_hindered()) return reading;
  const double own = space.backlog().row_cost().nanos();
  reading.bound = BacklogBound(budget(), own > 0 ? own : byte_cost_.nanos() * BytesOf(*index));
  return reading;
}

PressureReading RecallBudget::ReadPressure(const Space& space) const {
  PressureReading pressure;
  pressure.level = space.backlog().level();
  if (pressure.level == PressureLevel::kNormal) return pressure;
  const Reading reading = Read(space);
  pressure.depth = reading.backlog;
  pressure.capacity = reading.bound;
  const double excess = static_cast<double>(reading.backlog) - 0.4 * static_cast<double>(reading.bound);
  const double speed = space.backlog().speed();
  pressure.retry_after =
      speed <= 0 ? Duration{100'000} : Duration{static_cast<int64_t>(std::clamp(excess / speed * 1e6, 1e3, 60e6))};
  return pressure;
}

bool RecallBudget::NoteBacklog(Space& space) {
  const Reading reading = Read(space);
  const auto level = space.backlog().UpdateLevel(reading.backlog, reading.bound);
  if (!level) return false;
  space.series().Add(MetricId::kBudgetActivations, 1, SecondOf(*level));
  return true;
}

bool RecallBudget::TryEnter(Space& space, uint64_t units) {
  const Reading reading = Read(space);
  return space.backlog().TryEnter(units, reading.backlog, reading.bound == 0 ? UINT64_MAX : reading.bound);
}

RecallBudget::Entry RecallBudget::AwaitEntry(const std::shared_ptr<Space>& space, uint64_t units,
                                             MonotonicTime deadline, const std::function<bool()>& over) {
  SpaceBacklog& backlog = space->backlog();
  const MonotonicTime begin = clock_->Now();
  backlog.Hold();
  // It may have stopped for want of memory, which may be there again.
  linker_->Schedule(space);
  Entry entry = Entry::kFull;
  while (true) {
    // Before the look, so that nothing is missed that comes after it.
    const uint64_t rung = backlog.bell().rung();
    if (over()) {
      entry = Entry::kOver;
      break;
    }
    if (TryEnter(*space, units)) {
      entry = Entry::kOpen;
      break;
    }
    if (clock_->Now() >= deadline) break;
    backlog.bell().AwaitBeyond(rung, *clock_, deadline);
  }
  backlog.Unhold();
  metrics_->process().Observe(MetricId::kBudgetWait, std::chrono::nanoseconds(clock_->Now() - begin).count());
  return entry;
}

RecallBudget::Refused RecallBudget::Refusal(const Space& space) const {
  const Reading reading = Read(space);
  return {absl::ResourceExhaustedError(
              fmt::format("{} observations of space '{}' wait to be linked, recall.budget_ms {} allows {}",
                          reading.backlog, space.name(), budget().count(), reading.bound)),
          std::max(ReadPressure(space).retry_after, kLeastRetry)};
}

void RecallBudget::Linked(Space& space, uint64_t units) {
  space.backlog().NoteLinked(units, clock_->Now());
  if (space.backlog().held() > 0) space.backlog().bell().Ring();
}

}  // namespace engram

#include "core/ingest.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

#include "core/observation_check.h"

namespace engram {
namespace {

WorkerTuning TuningOf(const Settings& settings) {
  return {settings.min_batch_size, settings.max_batch_size, settings.steal_threshold,
          std::chrono::duration_cast<Duration>(settings.idle_sleep_ms)};
}

absl::Status Draining() { return absl::UnavailableError("the daemon is draining"); }

}  // namespace

Ingest::Ingest(const Settings& settings, CommitLog* log, ResourceWatermarks* watermarks, Executor* executor, Clock* clock,
               Metrics* metrics, Tracer* tracer)
    : log_(log),
      watermarks_(watermarks),
      clock_(clock),
      metrics_(metrics),
      tracer_(tracer),
      gate_(settings.queue_capacity, settings.queue_high_priority_ratio, clock),
      bytes_gate_(settings.queue_capacity_bytes, settings.queue_high_priority_ratio, clock),
      pressure_(settings.queue_capacity),
      linker_(
          executor, clock, [this](Space& space, const LinkedTurn& turn) { NoteLinked(space, turn); },
          [this] { return watermarks_->SpareMemory(); }),
      budget_(settings.recall_budget_ms, &linker_, clock, metrics),
      committer_(log, &linker_, clock, metrics, tracer, settings.storage_embeddings == "f16" && settings.durability_mode != "memory"),
      pool_(settings.num_workers, settings.queue_capacity, TuningOf(settings), this, executor, clock) {}

Ingest::~Ingest() {
  // No batch is left that could start linking.
  linker_.Stop();
}

bool Ingest::Finish(MonotonicTime deadline) {
  gate_.Shut();
  bytes_gate_.Shut();
  return pool_.AwaitIdle(deadline);
}

void Ingest::Tune(const Settings& settings) {
  pool_.Tune(TuningOf(settings));
  budget_.Tune(settings.recall_budget_ms);
  MutexLock lock(mu_);
  for (const auto& [stream, connection] : connections_) connection.space->backlog().bell().Ring();
}

// --- admission ---

void Ingest::Submit(const std::shared_ptr<Space>& space, const std::shared_ptr<StreamState>& stream,
                    uint64_t generation, uint64_t first_sequence, Priority priority, ObservationBatch batch,
                    const Settings& settings) {
  const uint64_t count = batch.observations.size();
  if (count == 0 || !stream->AwaitRejectedRoom(generation)) return;
  const uint64_t last = first_sequence + count - 1;
  const uint64_t expected = stream->received_through() + 1;
  Turn turn{stream, generation, first_sequence, last};
  if (batch.too_many || count > settings.limits_max_batch_observations) {
    return RefuseForNow(*space, turn, RejectReason::kInvalidSequence,
                        absl::OutOfRangeError(fmt::format(
                            "batch has {} observations, limits.max_batch_observations is {}; send smaller ones", count,
                            settings.limits_max_batch_observations)),
                        Duration{0});
  }
  if (first_sequence == 0 || last < first_sequence || first_sequence > expected) {
    return RefuseForNow(*space, turn, RejectReason::kInvalidSequence,
                        absl::OutOfRangeError(fmt::format("batch begins at sequence {}, the next expected is {}",
                                                          first_sequence, expected)),
                        Duration{0});
  }
  const uint64_t known = std::min(expected - first_sequence, count);
  if (known > 0) {
    committer_.CountRefused(*space, RejectReason::kDuplicate, known);
    stream->Repeated(first_sequence, first_sequence + known - 1);
    if (known == count) return;
  }
  turn.next = first_sequence + known;
  if (!admitting()) return RefuseForNow(*space, turn, RejectReason::kDraining, Draining(), Duration{0});
  if (const auto full = watermarks_->Check(); !full.refusal.ok()) {
    NotePressure();
    return RefuseForNow(*space, turn, full.reason, full.refusal, full.retry_after);
  }
  Checked checked = Check(*space, first_sequence, known, std::move(batch), priority, settings);
  Frame& frame = *checked.frame;
  frame.stream = stream;
  frame.sample = tracer_->Sample(frame.batch.observations.size());
  frame.checked = clock_->Now();
  Admit(space, turn, checked, settings);
}

Ingest::Checked Ingest::Check(Space& space, uint64_t first_sequence, uint64_t skip, ObservationBatch batch,
                              Priority priority, const Settings& settings) {
  // One per reader thread; keeps its memory.
  thread_local DuplicateFinder seen;
  Checked checked;
  checked.frame = std::make_shared<Frame>();
  Frame& frame = *checked.frame;
  frame.priority = priority;
  frame.first_sequence = first_sequence;
  frame.arrived = clock_->Now();
  frame.arrived_wall_us = clock_->WallMicros();
  frame.batch = std::move(batch);
  auto& observations = frame.batch.observations;
  const size_t count = observations.size();
  uint64_t bytes = 0;
  size_t kept = 0;
  seen.Begin(count);
  for (size_t place = skip; place < count; ++place) {
    const ObservationView& observation = observations[place];
    absl::Status status = CheckObservation(observation, space.metric(), settings);
    if (status.ok()) status = space.FixDimension(observation.embedding.dimension);
    if (status.ok()) {
      // Observations before `kept` have moved to the front; the finder compares only those.
      if (kept != place) observations[kept] = observation;
      if (const int64_t earlier = seen.Add(observations, kept); earlier >= 0) {
        status = absl::InvalidArgumentError(
            fmt::format("id '{}' is twice in one batch, first at sequence {}", observations[kept].id,
                        frame.sequences.empty() ? first_sequence + static_cast<uint64_t>(earlier)
                                                : frame.sequences[static_cast<size_t>(earlier)]));
      }
    }
    if (!status.ok()) {
      if (frame.sequences.empty() && kept > 0) {
        for (size_t i = 0; i < kept; ++i) frame.sequences.push_back(first_sequence + skip + i);
      }
      checked.invalid.push_back({first_sequence + place, 1, std::move(status), Duration{0}});
      continue;
    }
    if (!checked.invalid.empty() || skip > 0) frame.sequences.push_back(first_sequence + place);
    bytes += sizeof(ObservationView) + observation.embedding.bytes() + observation.content.size();
    ++kept;
  }
  observations.resize(kept);
  // One that is larger than all of its room waits until that is empty, and has it to itself.
  frame.bytes_each = kept == 0 ? 0 : std::min(bytes / kept, bytes_gate_.share(frame.priority));
  return checked;
}

bool Ingest::Queue(const std::shared_ptr<Space>& space, Turn& turn, const Checked& checked, uint32_t begin, uint32_t end,
                   uint64_t through) {
  size_t invalid = turn.invalid;
  while (invalid < checked.invalid.size() && checked.invalid[invalid].sequence <= through) ++invalid;
  const std::span refused(checked.invalid.data() + turn.invalid, invalid - turn.invalid);
  // Counted first: who has been told finds it in the metrics.
  if (!refused.empty()) committer_.CountRefused(*space, RejectReason::kInvalid, refused.size());
  MutexLock lock(turn.stream->order());
  if (!turn.stream->Claim(turn.generation, turn.next, through, refused)) return false;
  turn.invalid = invalid;
  turn.next = through + 1;
  Slice slice;
  slice.frame = checked.frame;
  slice.begin = begin;
  slice.end = end;
  slice.through_sequence = through;
  slice.queued = clock_->Now();
  metrics_->process().Observe(MetricId::kStage, std::chrono::nanoseconds(slice.queued - checked.frame->came()).count(),
                              slice.size(), SecondOf(Stage::kAdmit));
  pool_.Push(space->lane(), space, std::move(slice));
  return true;
}

void Ingest::Admit(const std::shared_ptr<Space>& space, Turn turn, const Checked& checked, const Settings& settings) {
  const Frame& frame = *checked.frame;
  const auto total = static_cast<uint32_t>(frame.batch.observations.size());
  // What is invalid before the first valid one needs no room, and is named whatever becomes of the rest. Nothing is stored
  // of it, but the watermarks move past it when its turn comes.
  const uint64_t leading = total == 0 ? turn.last : frame.SequenceOf(0) - 1;
  if (leading >= turn.next && !Queue(space, turn, checked, 0, 0, leading)) return;
  if (total == 0) return;
  const MonotonicTime deadline = frame.arrived + settings.queue_max_wait;
  NoteBacklog(*space);
  if (!EnterBacklog(space, turn, frame, deadline)) return;
  const Space::Allowance allowance = space->Allow(total, frame.arrived, frame.arrived_wall_us);
  budget_.Entered(*space, total);
  const auto allowed = static_cast<uint32_t>(allowance.granted);
  // Observations leave a quarter of the high share to the recalls, or a stream of high ones would shut them out.
  const bool apart = frame.priority == Priority::kHigh && gate_.share(Priority::kHigh) < gate_.capacity();
  const uint64_t spare = apart ? gate_.share(Priority::kHigh) / 4 : 0;
  uint32_t place = 0;
  while (place < allowed) {
    const uint32_t granted = TakeRoom(frame, allowed - place, spare);
    if (granted > 0) {
      NotePressure();
      const uint32_t end = place + granted;
      if (!Queue(space, turn, checked, place, end, end == total ? turn.last : frame.SequenceOf(end) - 1)) {
        ReturnRoom(frame, granted);
        return space->ReturnAllowance(allowed - place);
      }
      place = end;
      continue;
    }
    const bool late = clock_->Now() >= deadline;
    const bool room = AwaitRoom(frame, allowed - place, spare, deadline) && !late;
    // A connection that is over sends no more; what was queued is finished all the same.
    if (!turn.stream->Current(turn.generation)) return space->ReturnAllowance(allowed - place);
    if (room) continue;
    space->ReturnAllowance(allowed - place);
    if (!admitting()) return RefuseForNow(*space, turn, RejectReason::kDraining, Draining(), Duration{0});
    return RefuseForNow(*space, turn, RejectReason::kOverCapacity,
                        absl::ResourceExhaustedError(fmt::format(
                            "the queue is full: {} of {} observations wait, {} of {} bytes", gate_.depth(),
                            gate_.capacity(), bytes_gate_.depth(), bytes_gate_.capacity())),
                        std::max(gate_.RetryAfter(), bytes_gate_.RetryAfter()));
  }
  if (place == total) return;
  RefuseForNow(*space, turn, allowance.reason, allowance.refusal, allowance.retry_after);
}

uint32_t Ingest::TakeRoom(const Frame& frame, uint32_t want, uint64_t spare) {
  const uint64_t each = frame.bytes_each;
  const uint64_t granted = gate_.TakeUpTo(frame.priority, want, spare);
  const uint64_t bytes = bytes_gate_.TakeUpTo(frame.priority, granted * each);
  const uint64_t fit = each == 0 ? granted : bytes / each;
  gate_.Return(frame.priority, granted - fit);
  bytes_gate_.Return(frame.priority, bytes - fit * each);
  return static_cast<uint32_t>(fit);
}

bool Ingest::AwaitRoom(const Frame& frame, uint32_t want, uint64_t spare, MonotonicTime deadline) {
  return bytes_gate_.AwaitRoom(frame.priority, want * frame.bytes_each, deadline, 0, frame.bytes_each) &&
         gate_.AwaitRoom(frame.priority, want, deadline, spare);
}

void Ingest::ReturnRoom(const Frame& frame, uint64_t granted) {
  gate_.Return(frame.priority, granted);
  bytes_gate_.Return(frame.priority, granted * frame.bytes_each);
}

bool Ingest::EnterBacklog(const std::shared_ptr<Space>& space, const Turn& turn, const Frame& frame, MonotonicTime deadline) {
  const uint64_t count = frame.batch.observations.size();
  if (budget_.TryEnter(*space, count)) return true;
  const auto over = [&] { return !admitting() || !turn.stream->Current(turn.generation); };
  const RecallBudget::Entry entry = budget_.AwaitEntry(space, count, deadline, over);
  if (entry == RecallBudget::Entry::kOpen) return true;
  // A connection that is over sends no more.
  if (!turn.stream->Current(turn.generation)) return false;
  if (entry == RecallBudget::Entry::kOver) {
    RefuseForNow(*space, turn, RejectReason::kDraining, Draining(), Duration{0});
  } else {
    const RecallBudget::Refused refused = budget_.Refusal(*space);
    RefuseForNow(*space, turn, RejectReason::kRecallBudget, refused.status, refused.retry_after);
  }
  return false;
}

void Ingest::RefuseForNow(Space& space, const Turn& turn, RejectReason reason, absl::Status why, Duration retry_after) {
  const uint64_t count = turn.last - turn.next + 1;
  committer_.CountRefused(space, reason, count);
  turn.stream->Refuse(turn.generation, {turn.next, static_cast<uint32_t>(count), std::move(why), retry_after});
}

// --- connections and pressure ---

void Ingest::Connect(Space* space, StreamState* stream) {
  const PressureReading reading = ReadPressure(*space);
  MutexLock lock(mu_);
  Connection& connection = connections_[stream];
  connection.space = space;
  ++connection.count;
  // Looked at under the mutex: who stops or drops later finds the connection in the map.
  if (!admitting()) stream->EndWhenReached(Draining());
  if (space->dropped()) stream->End(absl::NotFoundError(fmt::format("space '{}' was deleted", space->name())));
  if (reading.level != PressureLevel::kNormal) stream->NotePressure(reading);
  // The connection that was there before is over.
  space->backlog().bell().Ring();
}

void Ingest::Disconnect(StreamState* stream) {
  MutexLock lock(mu_);
  const auto at = connections_.find(stream);
  if (at == connections_.end()) return;
  at->second.space->backlog().bell().Ring();
  if (--at->second.count == 0) connections_.erase(at);
}

void Ingest::EndStreams(const Space* space, const absl::Status& why) {
  MutexLock lock(mu_);
  for (const auto& [stream, connection] : connections_) {
    if (connection.space != space) continue;
    stream->End(why);
    connection.space->backlog().bell().Ring();
  }
}

uint64_t Ingest::connections() const {
  MutexLock lock(mu_);
  uint64_t sum = 0;
  for (const auto& [stream, connection] : connections_) sum += connection.count;
  return sum;
}

void Ingest::StopAdmitting() {
  admitting_.store(false, std::memory_order_release);
  gate_.Shut();
  bytes_gate_.Shut();
  MutexLock lock(mu_);
  for (const auto& [stream, connection] : connections_) {
    stream->EndWhenReached(Draining());
    connection.space->backlog().bell().Ring();
  }
}

void Ingest::ResumeAdmitting() {
  gate_.Reopen();
  bytes_gate_.Reopen();
  admitting_.store(true, std::memory_order_release);
  MutexLock lock(mu_);
  for (const auto& [stream, connection] : connections_) stream->Reopen();
}

PressureReading Ingest::ReadPressure() const {
  const ResourceWatermarks::Verdict left = watermarks_->Check();
  PressureReading reading{std::max(pressure_.level(), left.floor), gate_.depth(), gate_.capacity()};
  if (reading.level != PressureLevel::kNormal) reading.retry_after = std::max({gate_.RetryAfter(), bytes_gate_.RetryAfter(), left.retry_after});
  return reading;
}

PressureReading Ingest::ReadPressure(const Space& space) const {
  const PressureReading whole = ReadPressure();
  const PressureReading own = budget_.ReadPressure(space);
  return own.level > whole.level ? own : whole;
}

void Ingest::NotePressure() {
  const double bytes = static_cast<double>(bytes_gate_.fill()) / static_cast<double>(bytes_gate_.capacity());
  const auto bytes_fill = static_cast<uint64_t>(bytes * static_cast<double>(gate_.capacity()));
  if (!pressure_.Update(std::max(gate_.fill(), bytes_fill)) && !watermarks_->TakeChanged()) return;
  const PressureReading reading = ReadPressure();
  MutexLock lock(mu_);
  for (const auto& [stream, connection] : connections_) {
    const PressureReading own = budget_.ReadPressure(*connection.space);
    stream->NotePressure(own.level > reading.level ? own : reading);
  }
}

void Ingest::NoteBacklog(Space& space) {
  if (!budget_.NoteBacklog(space)) return;
  const PressureReading reading = ReadPressure(space);
  MutexLock lock(mu_);
  for (const auto& [stream, connection] : connections_) {
    if (connection.space == &space) stream->NotePressure(reading);
  }
}

void Ingest::NoteLinked(Space& space, const LinkedTurn& turn) {
  if (turn.linked != 0) {
    const int64_t each = std::chrono::nanoseconds(turn.ended - turn.begun).count() / turn.linked;
    metrics_->process().Observe(MetricId::kStage, each, turn.linked, SecondOf(Stage::kLink));
    tracer_->Linked(space.id(), turn.from, turn.end, turn.begun, turn.ended);
  }
  budget_.Linked(space, turn.linked);
  NoteBacklog(space);
  MutexLock lock(mu_);
  for (const auto& [stream, connection] : connections_) {
    if (connection.space == &space) stream->NoteLinked();
  }
}

// --- batches ---

void Ingest::Started(const Batch& batch, size_t worker, bool stolen) {
  Series& series = metrics_->worker(worker);
  series.Add(MetricId::kBatches);
  if (stolen) series.Add(MetricId::kStolen);
  series.Observe(MetricId::kBatchSize, static_cast<int64_t>(batch.observations));
  std::array<uint64_t, 2> left{};
  std::array<uint64_t, 2> bytes{};
  for (const Portion& portion : batch.portions) {
    for (const Slice& slice : portion.slices) {
      const Priority priority = slice.frame->priority;
      left[priority == Priority::kHigh ? 1 : 0] += slice.size();
      bytes[priority == Priority::kHigh ? 1 : 0] += slice.size() * slice.frame->bytes_each;
      const int64_t waited = std::chrono::nanoseconds(batch.turn.begun - slice.queued).count();
      metrics_->process().Observe(MetricId::kQueueWait, waited, slice.size(), SecondOf(priority));
      metrics_->process().Observe(MetricId::kStage, waited, slice.size(), SecondOf(Stage::kQueue));
    }
  }
  bytes_gate_.Release(Priority::kNormal, bytes[0]);
  bytes_gate_.Release(Priority::kHigh, bytes[1]);
  gate_.Release(Priority::kNormal, left[0]);
  gate_.Release(Priority::kHigh, left[1]);
  NotePressure();
}

void Ingest::Failed(size_t worker, bool threw) {
  metrics_->worker(worker).Add(MetricId::kBatchFailures, 1,
                               static_cast<size_t>(threw ? BatchError::kException : BatchError::kStatus));
}

}  // namespace engram

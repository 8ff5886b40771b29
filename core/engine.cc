#include "core/engine.h"

#include <absl/cleanup/cleanup.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <utility>

#include "core/base/check.h"
#include "core/base/effective_cpus.h"
#include "core/commit_log.h"
#include "core/forgetter.h"
#include "core/ingest.h"
#include "core/janitor.h"
#include "core/journal/memory_journal.h"
#include "core/observation_check.h"
#include "core/observe_outcome.h"
#include "core/one_shot_listener.h"
#include "core/recall_canary.h"
#include "core/recall_follow.h"
#include "core/recaller.h"
#include "core/replica.h"
#include "core/resource_watermarks.h"
#include "core/space_registry.h"
#include "core/space_shaper.h"
#include "core/stream_connection.h"
#include "core/stream_state.h"
#include "core/trace/tracer.h"
#include "core/worker_utilization.h"

namespace engram {
namespace {

uint64_t RandomId() {
  std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) | device() | 1;
}

// Random where the process began, and then one after the other: each call of Observe takes one, and the device is slow.
std::shared_ptr<StreamState> Unnamed(const Space& space) {
  static std::atomic<uint64_t> next{RandomId()};  // Relaxed: only hands out different numbers.
  const uint64_t number = next.fetch_add(1, std::memory_order_relaxed);
  return std::make_shared<StreamState>(fmt::format("s-{:016x}", number), false, &space);
}

// A full disk, or a journal that has failed, must not keep the process from ending.
constexpr std::chrono::seconds kFinishWithin{30};

// Applying takes about as long as the workers' share of a batch, so half of the cores do it.
size_t Partitions(const Settings& settings) {
  const auto half = static_cast<size_t>(std::max(1, EffectiveCpus() / 2));
  return std::min<size_t>(settings.num_workers, half);
}

class EngineImpl final : public Engine {
 public:
  EngineImpl(std::shared_ptr<const Settings> settings, EngineDeps deps)
      : clock_(deps.clock),
        metrics_(deps.metrics),
        tracer_(settings->trace_capacity, RandomId()),
        journal_(deps.journal != nullptr ? std::move(deps.journal)
                                         : std::make_unique<MemoryJournal>(RandomId(), deps.clock)),
        unknown_space_(deps.metrics->AddSpace("-")),
        registry_(settings->num_workers, !journal_->keeps_records(), deps.metrics),
        watermarks_(*settings, {.clock = deps.clock, .directory = deps.directory, .root = deps.system_root}),
        replica_(&registry_, settings),
        log_(journal_.get(), &registry_, &replica_, deps.clock, deps.metrics, Partitions(*settings)),
        shaper_(&registry_, &log_, &watermarks_, deps.clock),
        forgetter_(&log_, deps.clock),
        ingest_(*settings, &log_, &watermarks_, deps.executor, deps.clock, deps.metrics, &tracer_),
        canary_(deps.executor, deps.clock, journal_.get()),
        recaller_(&ingest_, journal_.get(), deps.executor, deps.clock, &canary_, deps.metrics, &tracer_),
        followers_(&recaller_, &ingest_, journal_.get(), deps.executor, deps.clock),
        janitor_(deps.clock, [this] { Housekeep().IgnoreError(); }),
        settings_(std::move(settings)) {
    canary_.Tune(settings_->recall_canary_rate);
    tracer_.Tune(settings_->trace_sample_rate, settings_->trace_slow);
    metrics_->AddGaugeSource([this](const GaugeSink& sink) { ReadGauges(sink); });
  }
  ~EngineImpl() override {
    metrics_->ClearGaugeSources();
    janitor_.RequestStop();
    ingest_.Finish(clock_->Now() + kFinishWithin);
    // What the workers still hold is refused by a closed journal.
    log_.Close();
    ingest_.Finish(MonotonicTime::max());
    janitor_.Join();
  }

  absl::Status Replay(const JournalRecord& record, uint64_t position) override {
    return replica_.Replay(record, position, journal_->id());
  }
  void Start() override {
    log_.Start();
    ScheduleWhatIsDue();
    janitor_.Start();
  }

  SpaceRegistry& registry() override { return registry_; }
  uint64_t applied_through() const override { return log_.applied().through(); }
  void ScheduleLinking(const std::shared_ptr<Space>& space) override { ingest_.linker().Schedule(space); }

  absl::StatusOr<std::shared_ptr<ObserveStream>> OpenStream(const StreamRequest& request,
                                                            StreamListener* listener) override {
    if (!ingest_.admitting()) return absl::UnavailableError("the daemon is draining");
    ENGRAM_RETURN_IF_ERROR(CheckStreamId(request.stream_id));
    const auto settings = this->settings();
    ENGRAM_ASSIGN_OR_RETURN(const std::shared_ptr<Space> space, shaper_.FindOrCreate(request.space, *settings));
    std::shared_ptr<StreamState> state;
    if (request.stream_id.empty()) {
      state = Unnamed(*space);
    } else {
      ENGRAM_ASSIGN_OR_RETURN(state, space->FindStream(request.stream_id, settings->limits_max_streams_per_space));
      const uint64_t received = state->received_through();
      if (!request.resume && received > 0) {
        return absl::AlreadyExistsError(
            fmt::format("stream '{}' of space '{}' has {} observations; resume it from {} or choose another stream_id",
                        request.stream_id, request.space, received, received + 1));
      }
    }
    return std::make_shared<StreamConnection>(this, &ingest_, space, std::move(state), request.ack_level, listener);
  }

  absl::StatusOr<ObserveOutcome> Observe(const std::string& space, ObservationBatch batch, Priority priority,
                                         AckLevel level, MonotonicTime deadline) override;

  absl::StatusOr<RecallAnswer> Recall(const RecallQuery& query, MonotonicTime deadline) override {
    return RecallIn(registry_.Find(query.space), query, deadline);
  }

  absl::StatusOr<FollowedRecall> RecallAndFollow(const RecallQuery& query, MonotonicTime deadline) override {
    // Before the answer is worked out: there would be nothing behind it.
    if (!ingest_.admitting()) return absl::UnavailableError("the daemon is draining");
    const auto space = registry_.Find(query.space);
    FollowedRecall both;
    ENGRAM_ASSIGN_OR_RETURN(both.answer, RecallIn(space, query, deadline));
    both.follow = followers_.OpenBehind(*space, query, both.answer);
    return both;
  }

  absl::StatusOr<std::unique_ptr<RecallFollow>> Follow(const RecallQuery& query, const FollowPoint& after) override {
    ENGRAM_ASSIGN_OR_RETURN(const auto space, registry_.Find(query.space));
    return followers_.Open(space, query, after, *settings());
  }

  absl::StatusOr<GetAnswer> Get(const std::string& space, std::span<const std::string> ids) override {
    ENGRAM_ASSIGN_OR_RETURN(const auto found, registry_.Find(space));
    return recaller_.Get(found, ids);
  }

  absl::StatusOr<ForgetAnswer> Forget(const ForgetQuery& query) override {
    ENGRAM_ASSIGN_OR_RETURN(const auto found, registry_.Find(query.space));
    return forgetter_.Forget(found, query);
  }

  absl::StatusOr<SpaceInfo> CreateSpace(const std::string& name, const SpaceConfig& config) override {
    ENGRAM_ASSIGN_OR_RETURN(const auto space, shaper_.Create(name, config, *settings()));
    return space->Info();
  }

  absl::StatusOr<SpaceInfo> GetSpace(const std::string& name) override {
    ENGRAM_ASSIGN_OR_RETURN(const auto space, registry_.Find(name));
    space->ExpireDue(clock_->WallMicros());
    return space->Info();
  }

  std::vector<SpaceInfo> ListSpaces(const std::string& prefix, const std::string& after, size_t limit) override {
    std::vector<SpaceInfo> infos;
    for (const auto& space : registry_.List(prefix, after, limit)) {
      space->ExpireDue(clock_->WallMicros());
      infos.push_back(space->Info());
    }
    return infos;
  }

  absl::StatusOr<SpaceInfo> UpdateSpace(const std::string& name, const SpaceChange& change) override {
    ENGRAM_ASSIGN_OR_RETURN(const auto space, shaper_.Change(name, change));
    return space->Info();
  }

  absl::StatusOr<uint64_t> DeleteSpace(const std::string& name) override {
    ENGRAM_ASSIGN_OR_RETURN(const auto space, shaper_.Drop(name));
    ingest_.EndStreams(space.get(), absl::NotFoundError(fmt::format("space '{}' was deleted", name)));
    return space->Info().live;
  }

  EngineStatus ReadStatus() override;
  const Tracer& tracer() const override { return tracer_; }
  Durability durability() const override { return journal_->durability(); }

  void ApplySettings(std::shared_ptr<const Settings> settings) override ABSL_LOCKS_EXCLUDED(mu_) {
    ingest_.Tune(*settings);
    watermarks_.Tune(*settings);
    canary_.Tune(settings->recall_canary_rate);
    tracer_.Tune(settings->trace_sample_rate, settings->trace_slow);
    MutexLock lock(mu_);
    settings_ = std::move(settings);
  }
  std::shared_ptr<const Settings> settings() const override ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    return settings_;
  }

  void StopAdmitting() override {
    ingest_.StopAdmitting();
    followers_.Wake();
  }
  void ResumeAdmitting() override { ingest_.ResumeAdmitting(); }
  bool AwaitDrained(MonotonicTime deadline) override { return ingest_.AwaitDrained(deadline); }
  uint64_t Unfinished() override {
    uint64_t sum = 0;
    for (const auto& space : registry_.All()) sum += space->queued();
    return sum;
  }
  absl::Status Housekeep() override ABSL_LOCKS_EXCLUDED(housekeeping_mu_) {
    MutexLock lock(housekeeping_mu_);
    // Forgetting makes a rebuild due too, and what memory was missing for may fit by now.
    ScheduleWhatIsDue();
    for (const auto& space : registry_.All()) ENGRAM_RETURN_IF_ERROR(forgetter_.Expire(space));
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<RecallAnswer> RecallIn(const absl::StatusOr<std::shared_ptr<Space>>& space, const RecallQuery& query,
                                        MonotonicTime deadline) {
    const MonotonicTime begin = clock_->Now();
    Series& series = space.ok() ? (*space)->series() : *unknown_space_;
    absl::StatusOr<RecallAnswer> answer =
        space.ok() ? recaller_.Recall(*space, query, *settings(), deadline) : absl::StatusOr<RecallAnswer>(space.status());
    series.Add(MetricId::kRecallRequests, 1, static_cast<size_t>(answer.status().code()));
    if (!answer.ok()) return answer;
    recalls_total_.fetch_add(1, std::memory_order_relaxed);
    series.Add(MetricId::kRecallHits, answer->hits.size());
    series.Add(MetricId::kRecallTailScanned, answer->tail_scanned);
    series.Add(MetricId::kRecallGraphCandidates, answer->graph_candidates);
    series.Observe(MetricId::kRecallLatency, std::chrono::nanoseconds(clock_->Now() - begin).count());
    return answer;
  }
  void ReadGauges(const GaugeSink& sink);
  void ScheduleWhatIsDue() {
    for (const auto& space : registry_.All()) {
      ingest_.linker().Schedule(space);
    }
  }

  // Constant after construction; each synchronises itself.
  Clock* const clock_;
  Metrics* const metrics_;
  Tracer tracer_;
  const std::unique_ptr<Journal> journal_;
  // Counts what names a space that is not there; '-' can be no space's name.
  const std::shared_ptr<Series> unknown_space_;
  SpaceRegistry registry_;
  ResourceWatermarks watermarks_;
  Replica replica_;
  CommitLog log_;
  SpaceShaper shaper_;
  Forgetter forgetter_;
  Ingest ingest_;
  RecallCanary canary_;
  Recaller recaller_;
  Followers followers_;
  Janitor janitor_;
  // Atomic: a sum.
  std::atomic<uint64_t> recalls_total_{0};

  // One housekeeper at a time; guards nothing else.
  Mutex housekeeping_mu_;

  mutable Mutex mu_;
  std::shared_ptr<const Settings> settings_ ABSL_GUARDED_BY(mu_);

  WorkerUtilization utilization_;
};

absl::StatusOr<ObserveOutcome> EngineImpl::Observe(const std::string& space, ObservationBatch batch, Priority priority,
                                                   AckLevel level, MonotonicTime deadline) {
  const size_t count = batch.observations.size();
  const auto most = settings()->limits_max_batch_observations;
  if (count == 0 || count > most) {
    return absl::InvalidArgumentError(
        fmt::format("{} observations given, 1..{} (limits.max_batch_observations) are allowed", count, most));
  }
  if (!ingest_.admitting()) {
    const auto known = registry_.Find(space);
    Series& series = known.ok() ? (*known)->series() : *unknown_space_;
    series.Add(MetricId::kRejected, count, static_cast<size_t>(RejectReason::kDraining));
    return absl::UnavailableError("the daemon is draining");
  }
  std::vector<std::string> ids;
  for (const ObservationView& observation : batch.observations) ids.emplace_back(observation.id);
  OneShotListener listener(clock_);
  // What is observed goes behind a creation, with it into the same sync; who is answered finds the space.
  ENGRAM_ASSIGN_OR_RETURN(const SpaceShaper::Opened opened, shaper_.Open(space, *settings()));
  const absl::Cleanup finish = [&] { shaper_.Finish(opened).IgnoreError(); };
  const auto stream =
      std::make_shared<StreamConnection>(this, &ingest_, opened.space, Unnamed(*opened.space), level, &listener);
  stream->Submit(1, priority, std::move(batch));
  ENGRAM_ASSIGN_OR_RETURN(ObserveOutcome outcome, AwaitOutcome(*stream, listener, std::move(ids), level, deadline));
  ENGRAM_RETURN_IF_ERROR(shaper_.Finish(opened));
  return outcome;
}

EngineStatus EngineImpl::ReadStatus() {
  EngineStatus status;
  const WorkerPool& pool = ingest_.pool();
  status.queue_depth = ingest_.gate().depth();
  status.queue_capacity = ingest_.gate().capacity();
  // Asked for once a second by the daemon's sampler, so a stream hears of a disk that fills up while it is idle.
  ingest_.NotePressure();
  status.pressure = ingest_.ReadPressure().level;
  for (size_t i = 0; i < pool.lanes(); ++i) {
    const WorkerPool::WorkerReading reading = pool.Read(i);
    status.lanes.push_back({pool.lane(i).DepthOf(Priority::kHigh), pool.lane(i).DepthOf(Priority::kNormal),
                            reading.batches, reading.stolen, reading.busy});
  }
  status.recalls_waiting = recaller_.waiting();
  status.streams = ingest_.connections();
  status.recalls_total = recalls_total_.load(std::memory_order_relaxed);
  status.draining = !ingest_.admitting();
  const auto spaces = registry_.All();
  status.spaces = spaces.size();
  for (const auto& space : spaces) {
    const SpaceInfo info = space->Info();
    status.observations_live += info.live;
    status.link_backlog += info.link_backlog;
    status.resident_bytes += info.resident_bytes;
  }
  status.observations_total = ingest_.committed_total();
  status.rejected_total = ingest_.refused_total();
  return status;
}

void EngineImpl::ReadGauges(const GaugeSink& sink) {
  const EngineStatus status = ReadStatus();
  uint64_t high = 0;
  uint64_t normal = 0;
  std::vector<Duration> busy;
  for (const LaneReading& lane : status.lanes) {
    high += lane.depth_high;
    normal += lane.depth_normal;
    busy.push_back(lane.busy);
  }
  sink(MetricId::kQueueDepth, "", 0, static_cast<double>(high));
  sink(MetricId::kQueueDepth, "", 1, static_cast<double>(normal));
  sink(MetricId::kQueueCapacity, "", 0, static_cast<double>(status.queue_capacity));
  sink(MetricId::kActiveSessions, "", 0, static_cast<double>(status.streams));
  sink(MetricId::kQueueMemory, "", 0, static_cast<double>(ingest_.queue_bytes()));
  sink(MetricId::kQueueMemoryCapacity, "", 0, static_cast<double>(settings()->queue_capacity_bytes));
  sink(MetricId::kRecallWaiting, "", 0, static_cast<double>(status.recalls_waiting));
  sink(MetricId::kSpaces, "", 0, static_cast<double>(status.spaces));
  watermarks_.Tell(sink);
  followers_.Tell(sink);
  utilization_.Tell(sink, clock_->Now(), std::move(busy));
  const double level = static_cast<double>(status.pressure) - static_cast<double>(PressureLevel::kNormal);
  for (const auto& space : registry_.All()) {
    const SpaceInfo info = space->Info();
    const double own = static_cast<double>(space->backlog().level()) - static_cast<double>(PressureLevel::kNormal);
    sink(MetricId::kBackpressureState, info.name, 0, std::max(level, own));
    sink(MetricId::kLinkBacklog, info.name, 0, static_cast<double>(info.link_backlog));
    sink(MetricId::kBacklogBound, info.name, 0, static_cast<double>(ingest_.budget().Read(*space).bound));
    sink(MetricId::kGraphDead, info.name, 0, info.graph_dead_share);
    if (const auto canary = space->canary().Read()) {
      sink(MetricId::kRecallCanaryMean, info.name, 0, canary->mean);
      sink(MetricId::kRecallCanaryLeast, info.name, 0, canary->least);
    }
    sink(MetricId::kSpaceLive, info.name, 0, static_cast<double>(info.live));
    sink(MetricId::kSpaceResident, info.name, 0, static_cast<double>(info.resident_bytes));
  }
}

}  // namespace

std::unique_ptr<Engine> Engine::Create(std::shared_ptr<const Settings> settings, EngineDeps deps) {
  ENGRAM_CHECK(deps.clock != nullptr && deps.executor != nullptr && deps.metrics != nullptr);
  return std::make_unique<EngineImpl>(std::move(settings), std::move(deps));
}

}  // namespace engram

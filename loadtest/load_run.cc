#include "loadtest/load_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <thread>

#include "core/base/mutex.h"
#include "loadtest/borrowed_daemon.h"
#include "loadtest/fault_names.h"
#include "loadtest/load_sampler.h"
#include "loadtest/load_stream.h"
#include "loadtest/load_target.h"
#include "loadtest/observe_client.h"
#include "loadtest/pacing.h"
#include "loadtest/recall_load.h"

namespace engram {
namespace {

constexpr int64_t kHeadStart = 300'000'000, kLookUp = 100'000'000;
// Beyond the time a scenario has to recover in.
constexpr double kGraceSeconds = 60;

int64_t Nanos(double seconds) { return static_cast<int64_t>(seconds * kNanosPerSecond); }

// A daemon that is killed, drains or has no room says so; anything else is a fault of its own.
bool IsGraceful(int code) {
  return code == grpc::StatusCode::UNAVAILABLE || code == grpc::StatusCode::RESOURCE_EXHAUSTED ||
         code == grpc::StatusCode::DEADLINE_EXCEEDED;
}

class Run {
 public:
  Run(const Scenario& scenario, const LoadRunOptions& options, Report& report)
      : scenario_(scenario),
        options_(options),
        report_(report),
        shape_(scenario.load.shape),
        made_(options.seed, scenario.load.dimension, scenario.load.content_bytes, scenario.load.users) {}

  absl::StatusOr<LoadOutcome> Do() {
    ENGRAM_RETURN_IF_ERROR(Open());
    began_ = NowNanos() + kHeadStart;
    MakeStreams();
    RecallLoad recalls({.address = target_->address(),
                        .recalls = scenario_.recalls,
                        .seed = options_.seed,
                        .began = began_,
                        .seconds = shape_.seconds(),
                        .users = scenario_.load.users > 0},
                       &streams_, &made_);
    for (const auto& stream : streams_) stream->Start();
    recalls.Start();
    LoadSampler sampler(target_.get(), &streams_);
    const absl::Status happened = Happen();
    if (happened.ok()) AwaitCompletion();
    LookAtFaults();
    const int64_t ended = NowNanos();
    sampler.Stop();
    for (const auto& stream : streams_) stream->Finish();
    recalls.Finish();
    if (borrowed_ != nullptr) borrowed_->LoadOver();
    ENGRAM_RETURN_IF_ERROR(happened);
    if (Interrupted()) return absl::CancelledError("the load was interrupted");
    Gather(recalls, sampler, ended);
    Verify();
    if (borrowed_ != nullptr) outcome_.left_behind = std::string(borrowed_->GiveBack().message());
    return outcome_;
  }

 private:
  absl::Status Open() {
    if (!options_.address.empty()) {
      ENGRAM_RETURN_IF_ERROR(Borrow());
    } else {
      ENGRAM_ASSIGN_OR_RETURN(target_, LoadTarget::Spawn(options_.daemon, scenario_.daemon, options_.settings,
                                                         options_.storage));
    }
    ENGRAM_ASSIGN_OR_RETURN(outcome_.daemon, target_->Status());
    // Names of their own, so that a daemon that runs on can be loaded twice.
    prefix_ = options_.address.empty() ? "load" : fmt::format("engram-load-{}", NowNanos());
    for (uint32_t i = 0; i < scenario_.load.spaces; ++i) {
      v1::CreateSpaceRequest request;
      request.set_name(SpaceOf(i));
      request.mutable_config()->set_dimension(scenario_.load.dimension);
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
      context.set_wait_for_ready(true);
      v1::Space space;
      if (borrowed_ != nullptr) borrowed_->Made(SpaceOf(i));
      ENGRAM_RETURN_IF_ERROR(
          FromGrpc(target_->memory().CreateSpace(&context, request, &space), "create space " + SpaceOf(i)));
    }
    return absl::OkStatus();
  }

  absl::Status Borrow() {
    ENGRAM_RETURN_IF_ERROR(CheckForBorrowed(scenario_));
    borrowed_ = std::make_unique<BorrowedDaemon>(options_.address);
    ENGRAM_ASSIGN_OR_RETURN(const v1::GetStatusResponse status, borrowed_->Look());
    ENGRAM_RETURN_IF_ERROR(borrowed_->CheckFaults(scenario_));
    std::vector<std::string> left_out = scenario_.daemon.set;
    if (status.profile() != scenario_.daemon.profile) left_out.push_back("profile " + scenario_.daemon.profile);
    if (scenario_.pass.verify_after_kill && options_.warn) {
      options_.warn(fmt::format("the daemon at {} runs for others: it is not killed before it is asked what it has",
                                options_.address));
    }
    if (!left_out.empty() && options_.warn) {
      options_.warn(fmt::format("the daemon at {} runs with settings of its own; not applied: {}", options_.address,
                                fmt::join(left_out, ", ")));
    }
    target_ = LoadTarget::Attach(options_.address);
    return absl::OkStatus();
  }

  std::string SpaceOf(uint32_t i) const { return fmt::format("{}-{}", prefix_, i); }

  void MakeStreams() {
    const std::vector<double> shares = ZipfShares(scenario_.load.spaces, scenario_.load.zipf);
    const uint32_t each = scenario_.load.streams_per_space;
    for (uint32_t i = 0; i < scenario_.load.spaces * each; ++i) {
      LoadStream::Plan plan{.address = target_->address(),
                            .space = SpaceOf(i / each),
                            .number = i,
                            .share = shares[i / each] / each,
                            .batch = scenario_.load.batch,
                            .began = began_,
                            .reconnect_every = Nanos(scenario_.load.reconnect_every_seconds)};
      // The last ones, which have the least to do.
      if (i + scenario_.load.slow_readers >= scenario_.load.spaces * each) {
        plan.read_every = Nanos(scenario_.load.slow_every_seconds);
      }
      streams_.push_back(std::make_unique<LoadStream>(std::move(plan), &shape_, &made_));
    }
  }

  void Tell(const std::string& what) const {
    report_.Line(fmt::format("{:7.1f} s  {}", Seconds(NowNanos() - began_), what));
  }

  bool Interrupted() const { return borrowed_ != nullptr && borrowed_->interrupted(); }

  // Nothing is to be waited for any more: the daemon has ended by itself, or we are to end.
  bool Over() {
    if (outcome_.death.empty() && target_->own()) Died(target_->EndedByItself());
    return !outcome_.death.empty() || Interrupted();
  }

  void Died(const std::string& how) {
    if (how.empty()) return;
    outcome_.death = how;
    Tell(how);
  }

  // False when it is over before.
  bool SleepUntil(int64_t instant) {
    while (!Over()) {
      const int64_t now = NowNanos();
      if (now >= instant) return true;
      SleepUntilNanos(std::min(instant, now + kLookUp));
    }
    return false;
  }

  // What the scenario lets happen, each at its instant.
  absl::Status Happen() {
    std::vector<LoadEvent> events = scenario_.events;
    std::stable_sort(events.begin(), events.end(),
                     [](const LoadEvent& a, const LoadEvent& b) { return a.at_seconds < b.at_seconds; });
    calm_ = began_ + Nanos(shape_.RushEnds());
    for (const LoadEvent& event : events) {
      if (!SleepUntil(began_ + Nanos(event.at_seconds))) return absl::OkStatus();
      if (const absl::Status done = Do(event); !done.ok()) {
        // It may just have ended.
        if (borrowed_ != nullptr) Died(std::string(borrowed_->StayedUp().message()));
        return SleepUntil(NowNanos() + 2 * kLookUp) ? done : absl::OkStatus();
      }
      calm_ = std::max(calm_, NowNanos() + Nanos(event.goes_on_seconds()));
    }
    SleepUntil(began_ + Nanos(shape_.seconds()));
    return absl::OkStatus();
  }

  absl::Status Do(const LoadEvent& event) {
    const int64_t until = NowNanos() + Nanos(event.for_seconds);
    switch (event.kind) {
      case LoadEvent::Kind::kFault:
        Tell(fmt::format("fault {}", NameOf(event.fault.kind())));
        if (borrowed_ != nullptr) borrowed_->Broke();
        return Inject(event);
      case LoadEvent::Kind::kFreeze:
        Tell("the daemon stands still");
        ENGRAM_RETURN_IF_ERROR(target_->Freeze());
        SleepUntil(until);
        Tell("it goes on");
        return target_->Thaw();
      case LoadEvent::Kind::kKill: {
        Tell("the daemon is killed");
        LookAtFaults();
        tally_.LifeOver();
        ENGRAM_RETURN_IF_ERROR(target_->Kill());
        SleepUntilNanos(until);
        if (const absl::Status started = target_->Restart(); !started.ok()) {
          Died(fmt::format("killed and not started again: {}", std::string(started.message())));
        } else {
          Tell("it serves again");
        }
        return absl::OkStatus();
      }
    }
    return absl::OkStatus();
  }

  absl::Status Inject(const LoadEvent& event) {
    ENGRAM_ASSIGN_OR_RETURN(const v1::GetStatusResponse before, target_->Status());
    ENGRAM_RETURN_IF_ERROR(target_->Inject(event.fault));
    tally_.Ordered(event, before);
    return absl::OkStatus();
  }

  // One that has ended tells nothing more.
  void LookAtFaults() {
    if (tally_.outcomes().empty()) return;
    if (const auto status = target_->Status(); status.ok()) tally_.Look(*status);
  }

  void AwaitCompletion() {
    const int64_t give_up = std::max(calm_, began_ + Nanos(shape_.seconds())) +
                            Nanos(scenario_.pass.recovered_within_seconds + kGraceSeconds);
    const auto complete = [](const auto& stream) { return stream->Complete(); };
    int64_t progressed = NowNanos();
    uint64_t durable = 0;
    while (!Over() && NowNanos() < give_up && !std::all_of(streams_.begin(), streams_.end(), complete)) {
      SleepUntilNanos(NowNanos() + kLookUp / 10);
      uint64_t now_durable = 0;
      for (const auto& stream : streams_) now_durable += stream->durable();
      if (now_durable > durable) progressed = NowNanos();
      durable = now_durable;
      // What is refused for good need not be asked for until the time is over.
      if (scenario_.pass.may_fall_behind && NowNanos() > progressed + 3 * kNanosPerSecond) return;
    }
  }

  void Gather(const RecallLoad& recalls, const LoadSampler& sampler, int64_t ended) {
    outcome_.seconds = std::max(Seconds(ended - began_), 1e-3);
    for (const auto& stream : streams_) {
      const AckLedger::Reading ledger = stream->ledger().Read();
      outcome_.due += stream->due();
      outcome_.durable += stream->durable() - ledger.refused;
      outcome_.refused += ledger.refused;
      outcome_.pushed_back += stream->pushed_back();
      outcome_.connections += stream->connections();
      outcome_.contradictions += ledger.contradictions;
      if (outcome_.first_contradiction.empty()) outcome_.first_contradiction = ledger.first_contradiction;
      if (outcome_.first_refusal.empty()) outcome_.first_refusal = ledger.first_refusal;
      if (!stream->slow_reader()) outcome_.observe.Merge(stream->latency());
      for (const auto& [code, count] : stream->ended_by_code()) outcome_.ended[code] += count;
    }
    outcome_.recall = recalls.latency();
    outcome_.recalls_due = recalls.due();
    outcome_.recalls_answered = recalls.answered();
    outcome_.not_found = recalls.not_found();
    outcome_.wrong = recalls.wrong();
    outcome_.first_wrong = recalls.first_wrong();
    for (const auto& [code, count] : recalls.ended_by_code()) outcome_.ended[code] += count;
    for (const auto& [code, count] : outcome_.ended) outcome_.ungraceful += IsGraceful(code) ? 0 : count;
    outcome_.faults = tally_.outcomes();
    outcome_.peak_bytes = sampler.peak_bytes();
    const bool complete = outcome_.durable + outcome_.refused >= outcome_.due;
    outcome_.recovered_seconds = complete || scenario_.pass.may_fall_behind
                                     ? std::max(0.0, Seconds(sampler.last_late() - calm_))
                                     : std::numeric_limits<double>::quiet_NaN();
  }

  // Also of a daemon that has ended: what it had acknowledged has to be there when it is started again.
  void Verify() {
    if (borrowed_ != nullptr && outcome_.death.empty()) Died(std::string(borrowed_->StayedUp().message()));
    const absl::Status asked = AskWhatItHas();
    if (asked.ok()) return;
    outcome_.unverified = std::string(asked.message());
    if (outcome_.death.empty()) Died(target_->EndedByItself());
  }

  absl::Status AskWhatItHas() {
    const bool again = target_->own() && (scenario_.pass.verify_after_kill || !target_->Runs());
    if (again) {
      Tell("killed and started again, to be asked what it has");
      ENGRAM_RETURN_IF_ERROR(target_->Kill());
      ENGRAM_RETURN_IF_ERROR(target_->Restart());
    }
    std::vector<LedgerStreamRef> ledgers;
    for (const auto& stream : streams_) {
      ledgers.push_back({.space = stream->plan().space, .number = stream->plan().number, .ledger = &stream->ledger()});
    }
    ENGRAM_ASSIGN_OR_RETURN(outcome_.verdict, CheckLedgers(target_->memory(), made_, ledgers));
    return absl::OkStatus();
  }

  const Scenario& scenario_;
  const LoadRunOptions& options_;
  Report& report_;
  const LoadShape shape_;
  const MadeObservations made_;
  std::string prefix_;
  std::unique_ptr<LoadTarget> target_;
  std::unique_ptr<BorrowedDaemon> borrowed_;  // Null: the target is a daemon of our own.
  std::vector<std::unique_ptr<LoadStream>> streams_;
  FaultTally tally_;
  int64_t began_ = 0;
  int64_t calm_ = 0;  // From when on nothing of the scenario disturbs the daemon any more.
  LoadOutcome outcome_;
};

}  // namespace

absl::StatusOr<LoadOutcome> RunScenario(const Scenario& scenario, const LoadRunOptions& options, Report& report) {
  return Run(scenario, options, report).Do();
}

}  // namespace engram

// engram observe: streams a file or a pipe into a space.
//
// Four threads: one reads and parses the input, the caller's sends, one takes in what the daemon answers, one draws the
// progress and sees to Ctrl-C, also while the others are held back by the daemon.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "clients/cli/interrupt.h"
#include "clients/cli/json_output.h"
#include "clients/cli/progress.h"
#include "clients/cli/record_source.h"
#include "clients/cli/send_window.h"
#include "clients/cli/session.h"
#include "clients/cli/time_text.h"
#include "core/base/clock.h"

namespace engram {
namespace {

using SteadyClock = std::chrono::steady_clock;

// A batch that is not full waits so long for more input.
constexpr auto kLinger = std::chrono::milliseconds(5);
constexpr auto kTick = std::chrono::milliseconds(100);
constexpr auto kGoingBackTick = std::chrono::milliseconds(10);
constexpr uint64_t kMaxInFlight = 16384;

int64_t SteadyMicros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(SteadyClock::now().time_since_epoch()).count();
}

// Reasons that differ only in their figures are of one kind.
std::string KindOf(std::string reason) {
  reason.erase(std::remove_if(reason.begin(), reason.end(), [](char c) { return c >= '0' && c <= '9'; }), reason.end());
  return reason;
}

class ObserveRun {
 public:
  ObserveRun(Session& session, const ObserveOptions& options)
      : session_(session), options_(options), progress_(session.err()) {}

  ExitCode Run() {
    absl::StatusOr<std::unique_ptr<RecordSource>> source = OpenRecords(options_, interrupt_.fd());
    if (!source.ok()) return session_.FailInput(source.status());
    source_ = *std::move(source);
    patient_ = source_->Share() >= 0;
    call_ = session_.daemon().Observe();
    std::jthread watcher([this] { Watch(); });
    const ExitCode code = Stream();
    {
      MutexLock lock(mu_);
      finished_ = true;
      changed_.NotifyAll();
    }
    watcher.join();
    progress_.Clear();
    return code;
  }

 private:
  ExitCode Stream() {
    if (!Start()) {
      const absl::Status status = call_->Finish();
      if (TimedOut()) {
        return session_.Fail(absl::UnavailableError(
            fmt::format("cannot reach engramd at {}: no answer within {}. Start it with `engramd` or name another with "
                        "--address.",
                        session_.global().address, FormatDuration(session_.global().timeout_us))));
      }
      if (interrupt_.count() > 0) return kInterrupted;
      const ExitCode code = session_.FailIn(options_.space, status);
      if (status.code() == absl::StatusCode::kAlreadyExists && !options_.resume) {
        session_.Warn(
            fmt::format("stream \"{}\" has been here before: --resume goes on where it stopped", options_.stream_id));
      }
      return code;
    }
    if (source_->dimension() != 0 && limits_.dimension() != 0 && source_->dimension() != limits_.dimension()) {
      call_->Cancel();
      while (call_->Read(&response_)) {
      }
      static_cast<void>(call_->Finish());
      session_.Warn(fmt::format("space \"{}\" holds embeddings of {} elements; those of {} have {}", options_.space,
                                limits_.dimension(), options_.npy == "-" ? "standard input" : options_.npy, source_->dimension()));
      return kBadData;
    }
    std::jthread reader([this] { ReadInput(); });
    std::jthread receiver([this] { Receive(); });
    Send();
    receiver.join();
    {
      MutexLock lock(mu_);
      ended_ = true;
      changed_.NotifyAll();
    }
    // The reader may be waiting for a producer that never writes again.
    interrupt_.Wake();
    reader.join();
    return Report(call_->Finish());
  }

  bool TimedOut() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    return timed_out_;
  }

  bool Start() {
    v1::ObserveStreamRequest request;
    request.mutable_start()->set_space(options_.space);
    request.mutable_start()->set_stream_id(options_.stream_id);
    request.mutable_start()->set_ack_level(options_.ack_level);
    request.mutable_start()->set_resume(options_.resume);
    if (!call_->Write(request) || !call_->Read(&response_) || !response_.has_started()) {
      while (call_->Read(&response_)) {
      }
      return false;
    }
    MutexLock lock(mu_);
    const v1::StreamStarted& started = response_.started();
    started_ = true;
    started_at_ = SteadyClock::now();
    limits_ = started.limits();
    summary_.space = options_.space;
    summary_.stream_id = started.stream_id();
    summary_.durability = NameOf(started.durability());
    first_sequence_ = started.next_sequence();
    const uint64_t in_flight = std::clamp<uint64_t>(limits_.queue_capacity(), 4 * options_.batch,
                                                    std::max<uint64_t>(kMaxInFlight, 4 * options_.batch));
    window_ = std::make_unique<SendWindow>(first_sequence_, options_.ack_level, in_flight);
    return true;
  }

  // --- The input ---

  void ReadInput() {
    const size_t most_waiting = 4 * options_.batch;
    uint64_t to_skip = first_sequence_ - 1;
    Record record;
    while (interrupt_.count() == 0 && source_->Next(&record)) {
      share_ = source_->Share();
      StandInWhereTooLarge(limits_.max_message_bytes(), &record);
      const bool has_sequence = record.fault.empty() || record.stands_in;
      MutexLock lock(mu_);
      if (has_sequence && to_skip > 0) {
        --to_skip;
        ++summary_.skipped;
        continue;
      }
      if (!has_sequence || (record.stands_in && options_.strict)) {
        bad_input_ = true;
        Refuse(record.line, record.observation.id(), record.fault);
        if (!options_.strict) continue;
        input_fault_ = absl::InvalidArgumentError(fmt::format("stopped at line {}: --strict", record.line));
        break;
      }
      while (input_.size() >= most_waiting && !ended_) changed_.Wait(mu_);
      if (ended_) break;
      input_.push_back(std::move(record));
      if (input_.size() == 1 || input_.size() >= options_.batch) changed_.NotifyAll();
    }
    MutexLock lock(mu_);
    if (interrupt_.count() == 0 && input_fault_.ok()) input_fault_ = source_->status();
    if (interrupt_.count() == 0 && input_fault_.ok() && to_skip > 0 && !ended_) {
      input_fault_ = absl::InvalidArgumentError(
          fmt::format("the input ended within what was taken before: {} good lines, and sequence {} is next. --resume wants "
                      "all of the input, from its first line, not only the rest", summary_.skipped, first_sequence_));
    }
    input_ended_ = true;
    changed_.NotifyAll();
  }

  void Refuse(uint64_t line, const std::string& id, const std::string& reason) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    Tell(Count(ObserveSummary::Refused{line, id, reason}, &summary_));
  }

  void Tell(const std::string& line) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (!line.empty()) progress_.Above(Printable(line) + "\n");
  }

  // --- Towards the daemon ---

  void Send() {
    const size_t batch_size = std::min<size_t>(options_.batch, std::max<uint32_t>(1, limits_.max_batch_observations()));
    // The frame around the observations, and room for a message that is counted slightly differently.
    const size_t batch_bytes = limits_.max_message_bytes() > 8192 ? limits_.max_message_bytes() - 4096 : 4096;
    v1::ObserveStreamRequest request;
    request.mutable_batch()->set_priority(options_.priority);
    mu_.lock();
    while (!ended_) {
      const bool stopping = interrupt_.count() > 0 || gave_up_;
      if (stopping ? window_->AllAnswered() : input_ended_ && input_.empty() && window_->AllReceived()) break;
      if (!stopping) {
        window_->GoOn(SteadyMicros());
        while (!input_.empty() && window_->HasRoom()) {
          Record& next = input_.front();
          window_->Add(next.line, std::move(next.observation), std::move(next.fault));
          input_.pop_front();
        }
        const bool more_may_come = !input_ended_ && window_->HasRoom() && (patient_ || !lingered_);
        const bool linger = more_may_come && window_->unsent() > 0 &&
                            window_->unsent() < std::min<uint64_t>(batch_size, window_->most_in_batch());
        if (!linger && window_->TakeBatch(batch_size, batch_bytes, request.mutable_batch())) {
          lingered_ = false;
          changed_.NotifyAll();
          mu_.unlock();
          const bool written = call_->Write(request);
          mu_.lock();
          if (!written) break;
          continue;
        }
        lingered_ = linger;
      }
      const auto nap = lingered_ && !patient_ ? kLinger : window_->going_back() ? kGoingBackTick : kTick;
      clock_.WaitUntil(changed_, mu_, clock_.Now() + nap);
    }
    const bool whole = !ended_;
    mu_.unlock();
    if (whole) {
      v1::ObserveStreamRequest end;
      end.mutable_end()->set_drain(true);
      static_cast<void>(call_->Write(end));
    }
    call_->WritesDone();
  }

  // --- From the daemon ---

  void Receive() {
    while (call_->Read(&response_)) {
      MutexLock lock(mu_);
      if (response_.has_ack()) {
        for (const SendWindow::Refused& one : window_->OnAck(response_.ack(), SteadyMicros())) {
          if (one.sequence < first_sequence_) {
            Tell(Count(ObserveSummary::RefusedEarlier{one.sequence, one.reason}, &summary_));
            continue;
          }
          ++refused_by_daemon_;
          bad_input_ |= one.of_input;
          Refuse(one.line, one.id, one.reason);
        }
        if (window_->going_back()) TellWhyWaiting(window_->transient_reason());
      } else if (response_.has_pressure()) {
        pressure_ = response_.pressure();
      } else if (response_.has_ended()) {
        window_->OnEnded(response_.ended());
      }
      changed_.NotifyAll();
    }
    MutexLock lock(mu_);
    ended_ = true;
    changed_.NotifyAll();
  }

  // A wait that nobody explains looks like a program that hangs, and most of all in a log.
  void TellWhyWaiting(const std::string& reason) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (!reasons_told_.insert(KindOf(reason)).second) return;
    Tell(fmt::format("engram: waiting to send again: {}", reason));
  }

  // --- Beside them ---

  void Watch() {
    const auto begun = SteadyClock::now();
    SteadyClock::time_point interrupted_at, gave_up_at;
    MutexLock lock(mu_);
    while (!finished_) {
      const MonotonicTime tick = clock_.Now() + kTick;
      while (!finished_ && clock_.WaitUntil(changed_, mu_, tick)) {
      }
      const auto now = SteadyClock::now();
      const auto patience = std::chrono::microseconds(session_.global().timeout_us);
      if (!started_ && now - begun > patience) {
        timed_out_ = true;
        call_->Cancel();
      }
      if (started_ && !ended_ && !gave_up_ && window_->StuckFor(SteadyMicros()) >= options_.give_up_after_us) {
        gave_up_ = true;
        gave_up_at = now;
        changed_.NotifyAll();
      }
      // Ending in order takes the daemon's help; one that gives none is left.
      if (gave_up_ && !ended_ && now - gave_up_at > patience) call_->Cancel();
      const int interruptions = ended_ ? 0 : interrupt_.count();
      if (interruptions > 0 && interrupted_at == SteadyClock::time_point()) interrupted_at = now;
      if (interruptions > 1 || (interruptions > 0 && (!started_ || now - interrupted_at > patience))) call_->Cancel();
      if (started_ && !ended_) DrawProgress();
    }
  }

  void DrawProgress() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const double seconds = std::chrono::duration<double>(SteadyClock::now() - started_at_).count();
    const uint64_t done = Accepted();
    std::string note;
    if (interrupt_.count() > 0) {
      note = "ending; Ctrl-C again to give up";
    } else if (gave_up_) {
      note = "no room, ending";
    } else if (window_->going_back()) {
      note = "no room, waiting to send again";
    } else if (pressure_.level() > v1::PRESSURE_LEVEL_NORMAL) {
      note = fmt::format("pressure {}: {} of {} waiting", NameOf(pressure_.level()), Grouped(pressure_.depth()),
                         Grouped(pressure_.capacity()));
    }
    progress_.Draw(done, summary_.refused, share_, seconds > 0 ? static_cast<double>(done) / seconds : 0, seconds,
                   note);
  }

  uint64_t Accepted() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const uint64_t through = window_->acknowledged() - (first_sequence_ - 1);
    return through - std::min(through, refused_by_daemon_);
  }

  ExitCode Report(const absl::Status& status) {
    MutexLock lock(mu_);
    progress_.Clear();
    summary_.interrupted = interrupt_.count() > 0;
    summary_.accepted = Accepted();
    summary_.resent = window_->resent();
    summary_.next_sequence = window_->received() + 1;
    summary_.seconds = std::chrono::duration<double>(SteadyClock::now() - started_at_).count();
    for (const std::string& line : NotShown(summary_)) session_.Warn(line);
    if (session_.global().json) {
      session_.Print(ToJson(summary_) + "\n");
    } else {
      session_.Print(TextOf(summary_));
    }
    // Malformed lines are the input's fault, whatever the daemon said of the others.
    ExitCode code = bad_input_ ? kBadData : summary_.refused > 0 ? kPartial : kOk;
    if (!input_fault_.ok()) code = session_.FailInput(input_fault_);
    const bool failed = !status.ok() && !(gave_up_ && status.code() == absl::StatusCode::kCancelled);
    if (gave_up_) {
      session_.Warn(fmt::format("gave up: the daemon took nothing for {}: {}",
                                FormatDuration(options_.give_up_after_us), window_->transient_reason()));
      code = kTryAgain;
    }
    if (failed && !summary_.interrupted) code = session_.FailIn(options_.space, status);
    if (summary_.interrupted) code = kInterrupted;
    if (summary_.interrupted || gave_up_ || !status.ok() || !input_fault_.ok())
      session_.Warn(HowToGoOn(summary_, !options_.stream_id.empty()));
    return code;
  }

  Session& session_;
  const ObserveOptions options_;
  const Interrupt interrupt_;
  Progress progress_;
  std::unique_ptr<RecordSource> source_;
  std::unique_ptr<ObserveCall> call_;
  // The reading thread's: first the caller's, then the receiver's.
  v1::ObserveStreamResponse response_;
  std::atomic<double> share_{-1};
  // The input is a file, which is never slow: batches are always filled.
  bool patient_ = false;

  RealClock clock_;
  // Set by Start, before there is a reader and a receiver; then only read.
  v1::StreamLimits limits_;
  uint64_t first_sequence_ = 1;

  Mutex mu_;
  CondVar changed_;
  bool started_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  bool timed_out_ ABSL_GUARDED_BY(mu_) = false;
  bool gave_up_ ABSL_GUARDED_BY(mu_) = false;
  std::set<std::string> reasons_told_ ABSL_GUARDED_BY(mu_);
  bool input_ended_ ABSL_GUARDED_BY(mu_) = false;
  bool lingered_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status input_fault_ ABSL_GUARDED_BY(mu_);
  std::deque<Record> input_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<SendWindow> window_ ABSL_GUARDED_BY(mu_);
  v1::Pressure pressure_ ABSL_GUARDED_BY(mu_);
  // Sequences that were used up and are not stored.
  uint64_t refused_by_daemon_ ABSL_GUARDED_BY(mu_) = 0;
  bool bad_input_ ABSL_GUARDED_BY(mu_) = false;
  SteadyClock::time_point started_at_ ABSL_GUARDED_BY(mu_);
  ObserveSummary summary_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

ExitCode RunObserve(Session& session, const ObserveOptions& options) { return ObserveRun(session, options).Run(); }

}  // namespace engram

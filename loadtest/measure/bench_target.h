// A daemon under measurement: started here or running already, with the spaces a benchmark needs, asked round by round.
//
// Threads:   the main thread (it may start a daemon; see spawn.h), and one more that looks at the daemon meanwhile.
// Ownership: it ends what it started and deletes the spaces it made, also when destroyed. Plan and data must outlive it.
// Blocking:  Start until the preloaded space is linked; a part for as long as it was told, Settle for ten seconds at most.
// Errors:    of spawning, of calls, and of reading metrics that were there before.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "engram/v1/admin_service.grpc.pb.h"
#include "loadtest/measure/bench_plan.h"
#include "loadtest/measure/load_phase.h"
#include "loadtest/measure/metric_page.h"
#include "loadtest/measure/metric_source.h"
#include "loadtest/measure/settling.h"
#include "loadtest/recall_probe.h"
#include "loadtest/spawn.h"

namespace engram {

// One look at the daemon, a few times a second.
struct Look {
  int64_t instant = 0;
  double queue_depth = 0;
  double link_backlog = 0;
  bool pressed = false;
};

// One part of a round, beside what the load itself says.
struct PartOutcome {
  int64_t began = 0, ended = 0;
  // What the daemon's metrics moved by; empty where it has none.
  MetricPage moved;
  // Processor seconds, of the daemon (0: unknown) and of this process.
  double daemon_cpu = 0, client_cpu = 0;
  uint64_t wakeups = 0;  // Times a thread of a daemon started here left the processor by itself.
  std::vector<Look> looks;
  bool settled = true;  // Of a steady part.

  double Wall() const { return static_cast<double>(ended - began) / 1e9; }
};

struct RoundOutcome {
  PartOutcome steady_part, burst_part;
  SteadyOutcome steady;
  BurstOutcome burst;
};

class BenchTarget {
 public:
  static absl::StatusOr<std::unique_ptr<BenchTarget>> Start(const TargetSpec& spec, const BenchPlan& plan,
                                                            const BenchData& data);
  ~BenchTarget();

  // The parts of a round.
  absl::Status Burst(double seconds, RoundOutcome& round);
  // Settles then: what a steady part left to be linked counts among its links, and does not slow what follows.
  absl::Status Steady(double seconds, double observations_per_second, RoundOutcome& round);
  // Until it has done what earlier parts left it to do: links, and segments to write ahead or anew; of a daemon that runs
  // already, and may serve others, the links of the last steady part only. False when that took too long and it goes on with
  // it, and once it did, it is not waited for again.
  absl::StatusOr<bool> Settle();
  absl::StatusOr<RecallQuality> Quality() { return probe_->Measure(*stubs_.front(), data_.cues, plan_.k); }
  absl::StatusOr<v1::GetStatusResponse> Status();
  // Deletes the spaces, ends the daemon if it was started here.
  absl::Status Finish();

  const MetricPage& last_page() const { return metrics_.last(); }
  // 0 where it cannot be known.
  int64_t PeakResidentBytes() const { return daemon_ == nullptr ? 0 : daemon_->PeakResidentBytes(); }
  std::vector<FramePool>& pools() { return pools_; }
  const TargetSpec& spec() const { return spec_; }

 private:
  BenchTarget(const TargetSpec& spec, const BenchPlan& plan, const BenchData& data)
      : spec_(spec), plan_(plan), data_(data) {}

  absl::Status Connect();
  absl::Status Prepare();
  absl::Status MakeSpace(const std::string& name, bool flat);
  // All that a benchmark made, an earlier one that was killed included.
  absl::Status DropSpaces();
  // Whether it has nothing left to do; `done` is what it had done when last asked, and becomes what it has by now.
  absl::StatusOr<bool> Quiet(double& done);
  // Runs `load` as a part: with the daemon's metrics before and after, and a look at it now and then.
  absl::Status AsPart(PartOutcome& part, const std::function<absl::Status()>& load);
  double DaemonCpu(const MetricPage& page) const;
  uint64_t Wakeups() const;

  const TargetSpec spec_;
  const BenchPlan& plan_;
  const BenchData& data_;

  std::unique_ptr<TemporaryDirectory> directory_;
  std::unique_ptr<Child> daemon_;
  std::string address_;
  MetricSource metrics_;
  Stubs stubs_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
  std::vector<FramePool> pools_;
  std::unique_ptr<FramePool> steady_pool_, single_pool_;
  std::unique_ptr<RecallProbe> probe_;
  uint32_t steady_spaces_ = 0;
  std::string steady_space_;  // The last of them.
  Settling settling_{10'000'000'000, 300'000'000};
  bool prepared_ = false;
};

}  // namespace engram

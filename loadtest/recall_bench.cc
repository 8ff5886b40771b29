// What a recall finds, from the last acknowledgement of a stream to after a crash; and each observation by its own
// vector, at the first call behind its acknowledgement.
#include <fmt/format.h>

#include <atomic>
#include <thread>

#include "loadtest/clustered_matrix.h"
#include "loadtest/durable_daemon.h"
#include "loadtest/observe_client.h"
#include "loadtest/open_loop.h"
#include "loadtest/pacing.h"
#include "loadtest/recall_bench.h"
#include "loadtest/recall_probe.h"
#include "loadtest/space_check.h"

namespace engram {
namespace {

constexpr uint32_t kHits = 10;
constexpr double kTailFloor = 0.98, kGraphFloor = 0.97, kForgottenShare = 0.3;
constexpr int64_t kBetweenLooks = 5'000'000;
constexpr uint32_t kOwnDimension = 128;

// The rows beyond the first `points` take the place of what was forgotten.
struct Subject {
  std::string name;
  Matrix rows, cues;
  size_t points = 0;
};

class Life {
 public:
  Life(const BenchContext& context, const Subject& subject, Report& report)
      : context_(context),
        subject_(subject),
        report_(report),
        tail_("tail", subject.rows, subject.points),
        graph_("graph", subject.rows, subject.points) {}

  absl::Status Run() {
    ENGRAM_ASSIGN_OR_RETURN(const auto daemon, DurableDaemon::Start(context_, {.profile = "balanced"}));
    const size_t points = subject_.points, again = subject_.rows.rows() - points;
    ENGRAM_RETURN_IF_ERROR(CreateFlatSpace(daemon->stub(), tail_.space(), subject_.rows.dimension));
    ENGRAM_RETURN_IF_ERROR(CreateGraphSpace(daemon->stub(), graph_.space(), subject_.rows.dimension));

    ENGRAM_RETURN_IF_ERROR(tail_.Put(daemon->stub(), 0, points, 0));
    ENGRAM_RETURN_IF_ERROR(Look(daemon->stub(), tail_, "tail: at the last acknowledgement", kTailFloor));
    ENGRAM_RETURN_IF_ERROR(graph_.Put(daemon->stub(), 0, points, 0));
    ENGRAM_RETURN_IF_ERROR(Look(daemon->stub(), graph_, "graph: at the last acknowledgement", kGraphFloor));
    ENGRAM_RETURN_IF_ERROR(LookWhileLinking(daemon->stub(), "graph: during linking"));
    ENGRAM_RETURN_IF_ERROR(AwaitLinked(daemon->stub(), graph_.space()));
    ENGRAM_RETURN_IF_ERROR(Look(daemon->stub(), graph_, "graph: linked", kGraphFloor));

    for (RecallProbe* probe : {&tail_, &graph_}) {
      ENGRAM_RETURN_IF_ERROR(probe->Forget(daemon->stub(), 0, again));
      ENGRAM_RETURN_IF_ERROR(probe->Put(daemon->stub(), points, again, 0));
    }
    ENGRAM_RETURN_IF_ERROR(Look(daemon->stub(), tail_, "tail: a part forgotten, streamed anew", kTailFloor));
    ENGRAM_RETURN_IF_ERROR(Look(daemon->stub(), graph_, "graph: a part forgotten, streamed anew", kGraphFloor));
    ENGRAM_RETURN_IF_ERROR(AwaitLinked(daemon->stub(), graph_.space()));
    ENGRAM_RETURN_IF_ERROR(Look(daemon->stub(), graph_, "graph: the same, linked", kGraphFloor));

    ENGRAM_RETURN_IF_ERROR(daemon->Kill());
    ENGRAM_RETURN_IF_ERROR(daemon->Restart().status());
    ENGRAM_RETURN_IF_ERROR(Look(daemon->stub(), tail_, "tail: killed, started again", kTailFloor));
    ENGRAM_RETURN_IF_ERROR(Look(daemon->stub(), graph_, "graph: killed, started again", kGraphFloor));
    ENGRAM_RETURN_IF_ERROR(AwaitLinked(daemon->stub(), graph_.space()));
    ENGRAM_RETURN_IF_ERROR(Look(daemon->stub(), graph_, "graph: the same, linked", kGraphFloor));

    report_.Heading(fmt::format("Recall@10, {}: {} x {}-d, {} cues, {} of the ids forgotten and streamed anew",
                                subject_.name, Grouped(static_cast<double>(points)), subject_.rows.dimension,
                                subject_.cues.rows(), Grouped(static_cast<double>(again))));
    report_.Table(rows_);
    report_.Put("recall/" + subject_.name, std::move(figures_));
    report_.AddBar({fmt::format("recall@10 in the tail, {}, worst mean", subject_.name), tail_least_, kTailFloor, true,
                    ""});
    report_.AddBar({fmt::format("recall@10 with a graph, {}, worst mean", subject_.name), graph_least_, kGraphFloor,
                    true, ""});
    return daemon->Stop();
  }

 private:
  absl::Status Look(v1::MemoryService::Stub& stub, RecallProbe& probe, const std::string& when, double floor) {
    ENGRAM_ASSIGN_OR_RETURN(const RecallQuality quality, probe.Measure(stub, subject_.cues, kHits));
    double& least = &probe == &tail_ ? tail_least_ : graph_least_;
    least = std::min(least, quality.mean);
    rows_.push_back({when, fmt::format("{:.4f}", quality.mean), fmt::format("{:.2f}", quality.least),
                     Milliseconds(quality.latency.Percentile(0.5)), Milliseconds(quality.latency.Percentile(0.99)),
                     Grouped(quality.graph_candidates), Grouped(quality.tail_scanned),
                     quality.mean >= floor ? "" : "below"});
    figures_.push_back({{"when", when},
                        {"recall", quality.mean},
                        {"least", quality.least},
                        {"floor", floor},
                        {"latency", PercentilesToJson(quality.latency)},
                        {"graph_candidates", quality.graph_candidates},
                        {"tail_scanned", quality.tail_scanned}});
    return absl::OkStatus();
  }

  // As soon as the half is linked. What links faster than it can be watched has no row.
  absl::Status LookWhileLinking(v1::MemoryService::Stub& stub, const std::string& when) {
    while (true) {
      ENGRAM_ASSIGN_OR_RETURN(const SpaceState state, StateOf(stub, graph_.space()));
      if (state.linked >= state.size) return absl::OkStatus();
      if (state.linked * 2 >= state.size) return Look(stub, graph_, when, kGraphFloor);
      SleepUntilNanos(NowNanos() + kBetweenLooks);
    }
  }

  const BenchContext& context_;
  const Subject& subject_;
  Report& report_;
  RecallProbe tail_, graph_;
  double tail_least_ = 1, graph_least_ = 1;
  std::vector<std::vector<std::string>> rows_ = {
      {"", "recall@10", "least", "p50 ms", "p99 ms", "walked", "scanned", ""}};
  nlohmann::ordered_json figures_ = nlohmann::ordered_json::array();
};

Subject SampleSubject(Sample sample) {
  // The last of the sample take the place of what is forgotten: a share of what stays.
  const size_t rows = sample.embeddings.rows();
  const auto points = static_cast<size_t>(static_cast<double>(rows) / (1 + kForgottenShare));
  return {"sample", std::move(sample.embeddings), std::move(sample.query_embeddings), points};
}

// Callers that observe one vector, wait until it is durable, and ask for it.
absl::Status FindEachByItself(const BenchContext& context, const RecallPlan& plan, Report& report) {
  ENGRAM_ASSIGN_OR_RETURN(const auto daemon, DurableDaemon::Start(context, {.profile = "low_latency"}));
  const ClusteredSource source(kOwnDimension, context.seed + 1);
  const Matrix rows = source.Draw(plan.observations, kRowStream);
  constexpr const char* kSpace = "each";
  ENGRAM_RETURN_IF_ERROR(CreateGraphSpace(daemon->stub(), kSpace, kOwnDimension));

  std::atomic<size_t> next{0};  // Relaxed: only hands out different numbers.
  std::vector<uint64_t> missed(plan.callers);
  std::vector<absl::Status> failed(plan.callers);
  std::vector<Histogram> latency(plan.callers);
  const int64_t began = NowNanos();
  {
    std::vector<std::jthread> callers;
    for (uint32_t caller = 0; caller < plan.callers; ++caller) {
      callers.emplace_back([&, caller] {
        const auto stub = v1::MemoryService::NewStub(ConnectTo(daemon->address()));
        for (size_t i; failed[caller].ok() && (i = next.fetch_add(1, std::memory_order_relaxed)) < rows.rows();) {
          failed[caller] = TimeObserve(*stub, kSpace, RandomText(i), rows.row(i)).status();
          if (!failed[caller].ok()) return;
          const absl::StatusOr<Answer> answer = Ask(*stub, kSpace, rows.row(i), 1);
          failed[caller] = answer.status();
          if (!answer.ok()) return;
          latency[caller].Record(answer->nanos);
          if (answer->ids != std::vector<std::string>{IdText(i)}) ++missed[caller];
        }
      });
    }
  }
  Histogram recalls;
  uint64_t misses = 0;
  for (uint32_t caller = 0; caller < plan.callers; ++caller) {
    ENGRAM_RETURN_IF_ERROR(failed[caller]);
    recalls.Merge(latency[caller]);
    misses += missed[caller];
  }
  const double seconds = Seconds(NowNanos() - began);
  report.Line(fmt::format("\n  {} observations of {}-d, one by one by {} callers, each asked for by its own vector at the "
                          "next call: {} not found; recall p50 {} ms, p99 {} ms, {:.0f} s",
                          Grouped(static_cast<double>(recalls.count())), kOwnDimension, plan.callers, misses,
                          Milliseconds(recalls.Percentile(0.5)), Milliseconds(recalls.Percentile(0.99)), seconds));
  report.Put("recall/own_vector", {{"observations", recalls.count()},
                                   {"not_found", misses},
                                   {"callers", plan.callers},
                                   {"seconds", seconds},
                                   {"recall", PercentilesToJson(recalls)}});
  report.AddBar({"acknowledged, not found by its own vector at the next call", static_cast<double>(misses), 0, false,
                 fmt::format("of {}", recalls.count())});
  return daemon->Stop();
}

}  // namespace

absl::Status MeasureRecall(const BenchContext& context, const RecallPlan& plan, Report& report) {
  for (const uint32_t dimension : plan.dimensions) {
    const ClusteredSource source(dimension, context.seed);
    const auto again = static_cast<size_t>(static_cast<double>(plan.points) * kForgottenShare);
    const Subject subject{fmt::format("clusters-{}d", dimension), source.Draw(plan.points + again, kRowStream),
                          source.Draw(plan.cues, kCueStream), plan.points};
    ENGRAM_RETURN_IF_ERROR(Life(context, subject, report).Run());
  }
  if (!plan.sample.empty()) {
    ENGRAM_ASSIGN_OR_RETURN(Sample sample, ReadSample(plan.sample));
    const Subject subject = SampleSubject(std::move(sample));
    ENGRAM_RETURN_IF_ERROR(Life(context, subject, report).Run());
  }
  return FindEachByItself(context, plan, report);
}

}  // namespace engram

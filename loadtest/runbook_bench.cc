// A runbook of the big-ann streaming track, step by step through the real daemon.
#include <fmt/format.h>

#include <algorithm>

#include "loadtest/clustered_matrix.h"
#include "loadtest/durable_daemon.h"
#include "loadtest/pacing.h"
#include "loadtest/recall_bench.h"
#include "loadtest/recall_probe.h"
#include "loadtest/runbook.h"
#include "loadtest/space_check.h"
#include "loadtest/vector_file.h"

namespace engram {
namespace {

constexpr uint32_t kHits = 10;
constexpr const char* kSpace = "runbook";

struct Subject {
  Matrix rows, cues;
};

absl::StatusOr<Subject> SubjectOf(const BenchContext& context, const RunbookPlan& plan, uint64_t max_points) {
  if (plan.data.empty() != plan.cues.empty()) {
    return absl::InvalidArgumentError("a runbook's vectors and cues come both from files or neither does");
  }
  if (plan.data.empty()) {
    const ClusteredSource source(plan.dimension, context.seed);
    return Subject{source.Draw(max_points, kRowStream), source.Draw(plan.cue_count, kCueStream)};
  }
  Subject subject;
  ENGRAM_ASSIGN_OR_RETURN(subject.rows, ReadVectorFile(plan.data, max_points));
  ENGRAM_ASSIGN_OR_RETURN(subject.cues, ReadVectorFileUpTo(plan.cues, plan.cue_count));
  if (subject.rows.dimension != subject.cues.dimension) {
    return absl::InvalidArgumentError(fmt::format("{} has {} dimensions, {} has {}", plan.data.string(),
                                                  subject.rows.dimension, plan.cues.string(), subject.cues.dimension));
  }
  return subject;
}

}  // namespace

absl::Status RunRunbook(const BenchContext& context, const RunbookPlan& plan, Report& report) {
  ENGRAM_ASSIGN_OR_RETURN(const Runbook book, ReadRunbook(plan.file, plan.dataset));
  ENGRAM_ASSIGN_OR_RETURN(const Subject subject, SubjectOf(context, plan, book.max_points));
  ENGRAM_ASSIGN_OR_RETURN(const auto daemon, DurableDaemon::Start(context, {.profile = "balanced"}));
  v1::MemoryService::Stub& stub = daemon->stub();
  ENGRAM_RETURN_IF_ERROR(CreateGraphSpace(stub, kSpace, subject.rows.dimension));
  RecallProbe probe(kSpace, subject.rows, book.max_points);

  report.Heading(fmt::format("Runbook {}: {} steps, {} rows of {}-d, {} cues, k {}", book.dataset, book.steps.size(),
                             Grouped(static_cast<double>(book.max_points)), subject.rows.dimension,
                             subject.cues.rows(), kHits));
  std::vector<std::vector<std::string>> rows = {
      {"step", "", "rows", "seconds", "live", "recall@10", "least", "p50 ms", "walked", "scanned"}};
  auto steps = nlohmann::ordered_json::array();
  double sum = 0, least = 1, searches = 0;
  for (size_t i = 0; i < book.steps.size(); ++i) {
    const RunbookStep& step = book.steps[i];
    const size_t count = step.end - step.start;
    const int64_t began = NowNanos();
    std::vector<std::string> found(5);
    nlohmann::ordered_json figures = {{"step", i + 1}, {"operation", NameOf(step.kind)}};
    switch (step.kind) {
      case RunbookStep::Kind::kInsert:
      case RunbookStep::Kind::kReplace:
        ENGRAM_RETURN_IF_ERROR(probe.Put(stub, step.first_row, count, step.start));
        break;
      case RunbookStep::Kind::kDelete:
        ENGRAM_RETURN_IF_ERROR(probe.Forget(stub, step.start, count));
        break;
      case RunbookStep::Kind::kSearch: {
        ENGRAM_ASSIGN_OR_RETURN(const RecallQuality quality, probe.Measure(stub, subject.cues, kHits));
        sum += quality.mean;
        least = std::min(least, quality.mean);
        ++searches;
        found = {fmt::format("{:.4f}", quality.mean), fmt::format("{:.2f}", quality.least),
                 Milliseconds(quality.latency.Percentile(0.5)), Grouped(quality.graph_candidates),
                 Grouped(quality.tail_scanned)};
        figures.update({{"recall", quality.mean},
                        {"least", quality.least},
                        {"latency", PercentilesToJson(quality.latency)},
                        {"graph_candidates", quality.graph_candidates},
                        {"tail_scanned", quality.tail_scanned}});
        break;
      }
    }
    const double seconds = Seconds(NowNanos() - began);
    ENGRAM_ASSIGN_OR_RETURN(const SpaceState state, StateOf(stub, kSpace));
    if (state.live != probe.live().count()) {
      return absl::DataLossError(fmt::format("step {}: the space holds {} observations; {} are live", i + 1, state.live,
                                             probe.live().count()));
    }
    figures.update({{"rows", count}, {"seconds", seconds}, {"live", state.live}});
    steps.push_back(std::move(figures));
    rows.push_back({fmt::format("{}", i + 1), std::string(NameOf(step.kind)), Grouped(static_cast<double>(count)),
                    fmt::format("{:.2f}", seconds), Grouped(static_cast<double>(state.live))});
    rows.back().insert(rows.back().end(), found.begin(), found.end());
  }
  report.Table(rows);
  const double mean = searches == 0 ? 1 : sum / searches;
  report.Line(fmt::format("  mean recall@10 {:.4f}, of the worst search {:.4f}", mean, least));
  report.Put("runbook", {{"dataset", book.dataset},
                         {"dimension", subject.rows.dimension},
                         {"cues", subject.cues.rows()},
                         {"mean_recall", mean},
                         {"least_recall", least},
                         {"steps", std::move(steps)}});
  report.AddBar({fmt::format("runbook {}, mean recall@10", book.dataset), mean, plan.floor, true, ""});
  return daemon->Stop();
}

}  // namespace engram

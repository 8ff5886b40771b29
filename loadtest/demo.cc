#include "loadtest/demo.h"

#include <fmt/format.h>

#include <fstream>

#include "loadtest/dataset.h"
#include "loadtest/demo_check.h"
#include "loadtest/exact_search.h"
#include "loadtest/observe_client.h"
#include "loadtest/pacing.h"
#include "loadtest/report.h"
#include "loadtest/scrape.h"
#include "loadtest/spawn.h"

namespace engram {
namespace {

constexpr double kRecallBar = 0.95;
constexpr size_t kBatch = 256;
constexpr size_t kShownHits = 3;
constexpr size_t kWidth = 100;
// One space is scanned; the other has a graph from its first observation on, which is what recall@10 is about.
constexpr const char* kScanned = "glosses";
constexpr const char* kLinked = "glosses-graph";

// The configuration a demo needs no file for.
constexpr const char* kConfiguration =
    "# engram-demo: the balanced profile; everything not named here has its default.\n"
    "profile: balanced\n"
    "log:\n"
    "  level: warning\n";

// At most `width` bytes, cut before a word or, failing that, before a character.
std::string Shorten(const std::string& text, size_t width) {
  if (text.size() <= width) return text;
  size_t end = text.rfind(' ', width - 3);
  if (end == std::string::npos || end < width / 2) {
    end = width - 3;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  }
  return text.substr(0, end) + "...";
}

absl::Status CreateLinkedSpace(v1::MemoryService::Stub& stub, uint32_t dimension) {
  grpc::ClientContext context;
  v1::CreateSpaceRequest request;
  request.set_name(kLinked);
  request.mutable_config()->set_dimension(dimension);
  request.mutable_config()->set_flat_threshold(0);
  v1::Space space;
  return FromGrpc(stub.CreateSpace(&context, request, &space), "create space");
}

absl::StatusOr<v1::Space> GetSpace(v1::MemoryService::Stub& stub, const std::string& name) {
  grpc::ClientContext context;
  v1::GetSpaceRequest request;
  request.set_name(name);
  v1::Space space;
  ENGRAM_RETURN_IF_ERROR(FromGrpc(stub.GetSpace(&context, request, &space), "get space " + name));
  return space;
}

std::string DurabilityWords(v1::Durability durability) {
  switch (durability) {
    case v1::DURABILITY_FSYNC:
      return "durable: on disk, survives a power cut";
    case v1::DURABILITY_INTERVAL:
      return "durable: written, on disk within an interval";
    default:
      return "durable as the daemon's process (durability MEMORY)";
  }
}

void ShowQueries(const Sample& sample, const QueryRun& run, size_t shown, Report& report) {
  report.Heading(
      fmt::format("{} queries, the {} nearest texts of each (graph walk, k 10)", sample.queries.size(), shown));
  auto json = nlohmann::ordered_json::array();
  for (size_t query = 0; query < sample.queries.size(); ++query) {
    report.Line(fmt::format("\n{}", Shorten(sample.queries[query], kWidth)));
    auto hits = nlohmann::ordered_json::array();
    for (const v1::Hit& hit : run.responses[query].hits()) {
      if (hits.size() < shown)
        report.Line(fmt::format("   {:.3f}  {}", hit.score(), Shorten(hit.content(), kWidth - 10)));
      hits.push_back({{"id", hit.id()}, {"score", hit.score()}, {"content", hit.content()}});
    }
    json.push_back({{"query", sample.queries[query]}, {"hits", std::move(hits)}});
  }
  report.Put("queries", std::move(json));
}

void ShowMetrics(const std::string& address, Report& report) {
  const absl::StatusOr<std::string> page = Scrape(address, "/metrics");
  report.Line(fmt::format("\nmetrics at http://{}/metrics while it ran; some of them:", address));
  if (!page.ok()) {
    report.Line("  " + std::string(page.status().message()));
    return;
  }
  const std::vector<std::string> lines = SampleLines(
      *page, {"engram_streaming_observations_total", "engram_streaming_batches_processed_total",
              "engram_streaming_observation_latency_seconds_count", "engram_recall_requests_total",
              "engram_recall_graph_candidates_total", "engram_space_observations", "process_resident_memory_bytes"});
  for (const std::string& line : lines) report.Line("  " + line);
  report.Put("metrics", lines);
}

std::vector<std::string> LatencyRow(std::string name, const Histogram& histogram) {
  return {std::move(name),
          Grouped(static_cast<double>(histogram.count())),
          Milliseconds(histogram.Percentile(0.5)),
          Milliseconds(histogram.Percentile(0.9)),
          Milliseconds(histogram.Percentile(0.99)),
          Milliseconds(histogram.max())};
}

}  // namespace

absl::StatusOr<bool> RunDemo(const DemoOptions& options) {
  Report report(options.json);
  ENGRAM_ASSIGN_OR_RETURN(const Sample sample, ReadSample(options.sample));
  const size_t total = sample.observations.size();
  const ExactSearch exact(sample.embeddings);

  ENGRAM_ASSIGN_OR_RETURN(const auto directory, TemporaryDirectory::Create());
  const std::filesystem::path configuration = directory->path() / "engram.yaml";
  std::ofstream(configuration) << kConfiguration;
  ENGRAM_ASSIGN_OR_RETURN(const auto daemon,
                          StartDaemon(options.daemon, {"--config", configuration.string()}, *directory));
  const std::string address = daemon->Ready("grpc");
  const auto stub = v1::MemoryService::NewStub(ConnectTo(address));
  report.Line(fmt::format("engramd (pid {}) listens at {}, profile balanced", daemon->pid(), address));

  // 1. Stream the sample in, to each of the two spaces.
  const std::vector<v1::ObserveStreamRequest> frames = MakeFrames(sample.observations, sample.embeddings, kBatch);
  ENGRAM_ASSIGN_OR_RETURN(const ObserveResult scanned, ObserveFrames(*stub, {.space = kScanned}, frames));
  const double rate = static_cast<double>(total) / Seconds(scanned.nanos);
  report.Line(fmt::format("{} texts with {}-d embeddings streamed into space {} in {:.3f} s; all acknowledged,\n  {}",
                          Grouped(static_cast<double>(total)), sample.embeddings.dimension, kScanned,
                          Seconds(scanned.nanos), DurabilityWords(scanned.durability)));
  ENGRAM_RETURN_IF_ERROR(CreateLinkedSpace(*stub, sample.embeddings.dimension));
  ENGRAM_ASSIGN_OR_RETURN(const ObserveResult linked,
                          ObserveFrames(*stub, {.space = kLinked, .ack_level = v1::ACK_LEVEL_INDEXED}, frames));
  ENGRAM_ASSIGN_OR_RETURN(const v1::Space space, GetSpace(*stub, kLinked));
  report.Line(fmt::format(
      "and into {} (flat_threshold 0), acknowledged as linked into its graph in {:.3f} s: {} of {} nodes", kLinked,
      Seconds(linked.nanos), Grouped(static_cast<double>(space.linked())), Grouped(static_cast<double>(space.size()))));

  // 2. Everything acknowledged comes back.
  Returned from_scanned, from_linked;
  Histogram scan_latency, walk_latency;
  ENGRAM_RETURN_IF_ERROR(CheckById(*stub, kScanned, sample, from_scanned));
  ENGRAM_RETURN_IF_ERROR(CheckByVector(*stub, kScanned, sample, from_scanned, scan_latency));
  ENGRAM_RETURN_IF_ERROR(CheckById(*stub, kLinked, sample, from_linked));
  const bool all_back = from_scanned.by_id == total && from_scanned.by_vector == total && from_linked.by_id == total;
  report.Line(
      fmt::format("came back: {} of {} by id (text, tags and every bit of the embedding), {} of {} first by their "
                  "own vector",
                  Grouped(static_cast<double>(from_scanned.by_id)), Grouped(static_cast<double>(total)),
                  Grouped(static_cast<double>(from_scanned.by_vector)), Grouped(static_cast<double>(total))));
  for (const Returned* returned : {&from_scanned, &from_linked}) {
    if (!returned->first_fault.empty()) report.Line("  first fault: " + returned->first_fault);
  }

  // 3. The queries, through the graph and by scanning.
  ENGRAM_ASSIGN_OR_RETURN(const QueryRun walked, RunQueries(*stub, kLinked, sample, exact, walk_latency));
  ENGRAM_ASSIGN_OR_RETURN(const QueryRun scanned_run, RunQueries(*stub, kScanned, sample, exact, scan_latency));
  const bool graph_was_walked = !walked.responses.empty() && walked.responses.front().coverage().graph_candidates() > 0;
  ShowQueries(sample, walked, options.all ? 10 : kShownHits, report);
  // More walks for the latency's percentiles than there are queries.
  Returned ignored;
  ENGRAM_RETURN_IF_ERROR(CheckByVector(*stub, kLinked, sample, ignored, walk_latency));

  report.Line(fmt::format("\nrecall@10 {:.3f}", walked.recall_at_10));
  report.Line(
      fmt::format("  by graph walk ({} nodes, ef {}) against exact search in double precision; by scanning {:.3f}",
                  Grouped(static_cast<double>(space.linked())), space.config().ef_search(), scanned_run.recall_at_10));
  if (!graph_was_walked) report.Line("  no graph was walked: that figure is a scan's");

  report.Line(fmt::format("\ningest {} observations/s (one stream, batches of {}, sent to acknowledged)\n",
                          Grouped(rate), kBatch));
  report.Table({{"latency, ms", "count", "p50", "p90", "p99", "max"},
                LatencyRow("observation, at that speed, sent to durable", scanned.latency),
                LatencyRow("recall by scanning, k 10", scan_latency),
                LatencyRow("recall by graph walk, k 10", walk_latency)});

  report.Put("observations", total);
  report.Put("came_back", {{"by_id", from_scanned.by_id},
                           {"by_own_vector", from_scanned.by_vector},
                           {"by_id_graph", from_linked.by_id},
                           {"all", all_back}});
  report.Put("recall_at_10", {{"graph", walked.recall_at_10}, {"scan", scanned_run.recall_at_10}});
  report.Put("graph", {{"linked", space.linked()}, {"size", space.size()}, {"walked", graph_was_walked}});
  report.Put("ingest_obs_per_s", rate);
  report.Put("latency", {{"observation", PercentilesToJson(scanned.latency)},
                         {"recall_scan", PercentilesToJson(scan_latency)},
                         {"recall_graph", PercentilesToJson(walk_latency)}});
  ShowMetrics(daemon->Ready("metrics"), report);

  const absl::Status stopped = daemon->Stop();
  const bool passed = all_back && graph_was_walked && walked.recall_at_10 >= kRecallBar;
  report.Line(passed ? "\nengramd stopped; every acknowledged observation came back and recall@10 is at least 0.95"
                     : "\nengramd stopped; NOT every acknowledged observation came back by a good recall (see above)");
  report.Put("passed", passed);
  if (options.json) report.Finish();
  ENGRAM_RETURN_IF_ERROR(stopped);
  return passed;
}

}  // namespace engram

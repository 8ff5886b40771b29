// docs/metrics.md: the table, and a word on the metrics that are watched.
#include <fmt/format.h>

#include <iterator>

#include "core/metrics/metrics.h"

namespace engram {
namespace {

constexpr std::string_view kIntroduction = R"(# Metrics

Written by `engramd --print-metrics-reference > docs/metrics.md`; a test fails while it differs from the table
(`core/metrics/metrics.def`).

`engramd` serves them at `http://<metrics.address>/metrics` in Prometheus' text format, by default on
`127.0.0.1:9464`, without TLS. Counters and histogram buckets only grow until the daemon restarts; everything starts
from zero then.

- `memory_space` is the name of a space. `metrics.max_spaces` of them have series of their own, all of them while they
  fit, otherwise the busiest at a scrape, which keep their place. The others are summed under `memory_space="other"`
  (of the pressure level, the highest). What a scrape has shown under `other` stays there. A deleted space's counters
  stay until a living space needs the place; its gauges end at once. `memory_space="-"` counts recalls that name a space
  that is not there.
- `worker_id` counts the lanes from 0 to `num_workers` - 1.
- Bounds of buckets are inclusive. Every histogram has a `+Inf` bucket, a `_sum` and a `_count`.
- The HTTP server adds three of its own, `exposer_transferred_bytes_total`, `exposer_scrapes_total` and
  `exposer_request_latencies`, about scrapes.

)";

struct Advice {
  MetricId id;
  std::string_view expect;
  std::string_view worry;
};

// The ones somebody is woken by, or looks at first.
constexpr Advice kAdvice[] = {
    {MetricId::kObservations, "Its rate is what the clients send. A rate of zero with streams open is an idle client.",
     "The rate falls while `engram_streaming_queue_depth` stays high: the daemon is the bottleneck."},
    {MetricId::kRejected,
     "Zero, or `duplicate` after a client has reconnected and sent again what it had no acknowledgement for.",
     "More than 1 % of the observations. `over_capacity`: more comes in than is worked off. `rate_limited`, `quota`: a "
     "tenant is at its limit. `invalid`, `invalid_sequence`: a client is wrong. `failed`: see the log, and report it. "
     "`disk_full`, `memory_full`: nothing is taken until there is room; the refusal says how much. `recall_budget`: a "
     "space is written faster than it is linked."},
    {MetricId::kBackpressureActivations, "A few `warning` and `normal` in bursts.",
     "`critical` or `overloaded` again and again: clients do not slow down, or there are too few workers."},
    {MetricId::kBatchFailures, "Zero.",
     "Anything else. One observation made a batch fail; the others of the batch were retried one by one and kept."},
    {MetricId::kStolen, "Up to 30 % of `engram_streaming_batches_processed_total` when spaces are unevenly busy.",
     "More: one space has most of the traffic, or `steal_threshold` is too low."},
    {MetricId::kQueueDepth, "Near zero; thousands in bursts.",
     "Above 80 % of `queue.capacity` for minutes. The next thing is `over_capacity`."},
    {MetricId::kWorkerUtilization, "40 to 80 under load.",
     "All above 90: no room for a burst. One at 100 and the others idle: one space has most of the traffic."},
    {MetricId::kActiveSessions, "The number of clients that stream.", "It only grows: clients leave streams open."},
    {MetricId::kBackpressureState, "0.", "2 or 3 for ten minutes."},
    {MetricId::kObservationLatency,
     "With `fsync`, a few times the time of a sync of the disk; it grows with the queue.",
     "The 99th percentile above 0.1 s for minutes."},
    {MetricId::kRecallLatency, "Milliseconds; it grows with the space, with `k` and `ef`, and with a long tail.",
     "The 99th percentile above 0.05 s for minutes. Look at `engram_streaming_link_backlog` next."},
    {MetricId::kBatchSize, "Near `min_batch_size` when idle, near `max_batch_size` when the queue is filling.",
     "Always at the maximum: the workers never catch up."},
    {MetricId::kQueueWait, "Below 0.01 s.", "The 99th percentile above 0.1 s, or `high` waits longer than `normal`."},
    {MetricId::kTimeToDurable, "Most of the observation latency.", "It grows while the queue is empty: the disk."},
    {MetricId::kTimeToSearchable, "As `engram_streaming_time_to_durable_seconds`: what is durable is recallable.",
     "It leaves that one behind."},
    {MetricId::kLinkBacklog, "It rises while observations stream in and falls to zero afterwards.",
     "It grows for hours: recalls compare more and more one by one."},
    {MetricId::kBacklogBound, "Well above `engram_streaming_link_backlog`; it moves with how busy the cores are.",
     "The backlog is at it for minutes: writers are held to the speed of linking."},
    {MetricId::kBudgetActivations, "None, or `warning` and `normal` in bursts.",
     "`overloaded` again and again: more is written into the space than is linked."},
    {MetricId::kBudgetWait, "None, or short ones at the end of a long load.",
     "The 99th percentile at `queue.max_wait`: frames are refused as `recall_budget`."},
    {MetricId::kLinkStalls, "Zero.", "Anything else: memory is out, and recalls of that space compare ever more one by one."},
    {MetricId::kRecallRequests, "`OK`.",
     "`RESOURCE_EXHAUSTED`: more recalls than workers. `DEADLINE_EXCEEDED`: slow, or waiting for a token too new."},
    {MetricId::kRecallTailScanned, "Small beside the graph's candidates, in a space that has a graph.",
     "Many per recall: linking has fallen behind."},
    {MetricId::kRecallFollowLag, "It comes back to 0 between bursts.",
     "It grows: a follower's client reads more slowly than matches come in. Nothing is lost; the client is behind."},
    {MetricId::kRecallCanaryMean, "Above 0.95; about what `hnsw.ef_search` buys.",
     "Below 0.9: raise `hnsw.ef_search` (or a recall's `ef`), or make the space with more `hnsw.max_connections`."},
    {MetricId::kPoolFallbacks, "A fifth of `engram_pool_reuses_total` or less once the daemon is warm.",
     "More: frames are larger, or more of them are under way, than the pool keeps."},
    {MetricId::kSpaceResident, "About 1.0 KB an observation of 768 dimensions, 1.3 KB once it is linked; in mode `memory` its embedding and text besides.",
     "`engram_memory_used_bytes` approaches `engram_memory_limit_bytes`. Set `limits.per_space_quotas.bytes`."},
    {MetricId::kGraphDead, "Below 0.25, and for as long as a rebuild takes above.",
     "Above 0.25 for hours: `engram_memory_used_bytes` leaves no room for a second graph below `limits.memory_soft`, or "
     "more than half of the linking rate arrives all the time."},
    {MetricId::kMemoryUsed, "Somewhat more than the sum of `engram_space_resident_bytes`, and the queue.",
     "Above `limits.memory_soft` (0.8) of `engram_memory_limit_bytes`. At `limits.memory_hard` observations are refused."},
    {MetricId::kDiskFree, "It falls with the rate of the journal and rises when segments are rewritten.",
     "Below `storage.soft_free_bytes`. Below `storage.hard_free_bytes` observations are refused."},
    {MetricId::kProcessFds, "Two or three a connection.", "Near `process_max_fds`: no further connection is accepted."},
};

std::string_view TypeName(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
    case MetricType::kSampledCounter:
      return "counter";
    case MetricType::kGauge:
      return "gauge";
    case MetricType::kHistogram:
      break;
  }
  return "histogram";
}

std::string_view UnitName(const MetricRow& row) {
  std::string_view name = row.name;
  if (name.ends_with("_total")) name.remove_suffix(std::string_view("_total").size());
  if (name.ends_with("_seconds")) return "seconds";
  if (name.ends_with("_bytes")) return "bytes";
  if (name.ends_with("_utilization")) return "percent";
  if (name.ends_with("_state")) return "level";
  if (name.ends_with("_ratio")) return "ratio";
  return "count";
}

std::string Labels(LabelSet labels) {
  std::string text;
  if (const std::string_view owner = OwnerLabelName(labels); !owner.empty()) text += fmt::format("`{}`", owner);
  if (const std::string_view second = SecondLabelName(labels); !second.empty()) {
    if (!text.empty()) text += ", ";
    text += fmt::format("`{}` (", second);
    std::string_view separator;
    for (const std::string_view word : SecondLabelValues(labels)) {
      text += fmt::format("{}`{}`", separator, word);
      separator = ", ";
    }
    text += ")";
  }
  return text.empty() ? "none" : text;
}

}  // namespace

std::string MetricsReference() {
  std::string page(kIntroduction);
  auto out = std::back_inserter(page);
  page += "| name | type | unit |\n|---|---|---|\n";
  for (const MetricRow& row : MetricRows()) {
    fmt::format_to(out, "| [`{0}`](#{0}) | {1} | {2} |\n", row.name, TypeName(row.type), UnitName(row));
  }
  for (const MetricRow& row : MetricRows()) {
    fmt::format_to(out, "\n## {}\n\n{}\n\n", row.name, row.help);
    fmt::format_to(out, "- type: {}\n- unit: {}\n- labels: {}\n", TypeName(row.type), UnitName(row),
                   Labels(row.labels));
    if (!row.buckets.empty()) {
      page += "- buckets:";
      for (const double bound : row.buckets) fmt::format_to(out, " {}", bound);
      page += " +Inf\n";
    }
    for (const Advice& advice : kAdvice) {
      if (advice.id != row.id) continue;
      fmt::format_to(out, "- expect: {}\n- worry when: {}\n", advice.expect, advice.worry);
    }
  }
  return page;
}

}  // namespace engram

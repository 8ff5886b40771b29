#include "clients/cli/json_output.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "clients/cli/time_text.h"
#include "loadtest/fault_names.h"

namespace engram {
namespace {

using nlohmann::ordered_json;

std::string Line(const ordered_json& document) {
  return document.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

// The double that prints with no more digits than the float needs.
double Shortest(float value) {
  return std::isfinite(value) ? std::strtod(fmt::format("{}", value).c_str(), nullptr) : static_cast<double>(value);
}

template <typename Values>
ordered_json Elements(const Values& values) {
  ordered_json out = ordered_json::array();
  for (const float value : values) out.push_back(Shortest(value));
  return out;
}

template <typename Tags>
ordered_json TagsOf(const Tags& tags) {
  const std::map<std::string, std::string> sorted(tags.begin(), tags.end());
  ordered_json out = ordered_json::object();
  for (const auto& [key, value] : sorted) out[key] = value;
  return out;
}

ordered_json LatencyOf(const v1::LatencySummary& latency) {
  return {{"p50_us", latency.p50_us()}, {"p99_us", latency.p99_us()}, {"count", latency.count()}};
}

ordered_json HitOf(const v1::Hit& hit) {
  ordered_json one = {{"id", hit.id()},
                      {"similarity", Shortest(hit.similarity())},
                      {"score", Shortest(hit.score())},
                      {"observed_at", FormatInstant(hit.observed_at_us())},
                      {"confidence", Shortest(hit.confidence())}};
  if (!hit.content().empty()) one["content"] = hit.content();
  if (!hit.tags().empty()) one["tags"] = TagsOf(hit.tags());
  if (!hit.embedding().empty()) one["embedding"] = Elements(hit.embedding());
  return one;
}

float Widened(uint16_t half) {
  const int sign = half >> 15, exponent = half >> 10 & 0x1f, fraction = half & 0x3ff;
  float magnitude = 0;
  if (exponent == 0) {
    magnitude = std::ldexp(static_cast<float>(fraction), -24);
  } else if (exponent == 31) {
    magnitude = fraction == 0 ? INFINITY : NAN;
  } else {
    magnitude = std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  }
  return sign ? -magnitude : magnitude;
}

}  // namespace

std::string TokenText(const v1::Token& token) {
  // Tokens have all 64 bits, which many JSON readers round: so text.
  return fmt::format("{:016x}-{}", token.journal(), token.position());
}

std::vector<float> ElementsOf(const v1::Observation& observation) {
  std::vector<float> out;
  switch (observation.vector_case()) {
    case v1::Observation::kEmbedding:
      out.assign(observation.embedding().values().begin(), observation.embedding().values().end());
      break;
    case v1::Observation::kEmbeddingF32:
      out.resize(observation.embedding_f32().size() / sizeof(float));
      if (!out.empty()) std::memcpy(out.data(), observation.embedding_f32().data(), out.size() * sizeof(float));
      break;
    case v1::Observation::kEmbeddingF16:
      for (size_t i = 0; i + 1 < observation.embedding_f16().size(); i += 2) {
        uint16_t half = 0;
        std::memcpy(&half, observation.embedding_f16().data() + i, sizeof(half));
        out.push_back(Widened(half));
      }
      break;
    case v1::Observation::VECTOR_NOT_SET:
      break;
  }
  return out;
}

std::string NameOf(v1::Metric metric) {
  switch (metric) {
    case v1::METRIC_INNER_PRODUCT:
      return "inner_product";
    case v1::METRIC_L2:
      return "l2";
    default:
      return "cosine";
  }
}

std::string NameOf(v1::Durability durability) {
  switch (durability) {
    case v1::DURABILITY_MEMORY:
      return "memory";
    case v1::DURABILITY_INTERVAL:
      return "interval";
    case v1::DURABILITY_FSYNC:
      return "fsync";
    default:
      return "unknown";
  }
}

std::string NameOf(v1::PressureLevel level) {
  switch (level) {
    case v1::PRESSURE_LEVEL_NORMAL:
      return "normal";
    case v1::PRESSURE_LEVEL_WARNING:
      return "warning";
    case v1::PRESSURE_LEVEL_CRITICAL:
      return "critical";
    case v1::PRESSURE_LEVEL_OVERLOADED:
      return "overloaded";
    default:
      return "unknown";
  }
}

std::string ToJson(const ObserveSummary& summary) {
  ordered_json examples = ordered_json::array();
  for (const ObserveSummary::Refused& refused : summary.examples) {
    examples.push_back({{"line", refused.line}, {"id", refused.id}, {"reason", refused.reason}});
  }
  ordered_json earlier = ordered_json::array();
  for (const ObserveSummary::RefusedEarlier& refused : summary.earlier_examples) {
    earlier.push_back({{"sequence", refused.sequence}, {"reason", refused.reason}});
  }
  return Line({{"space", summary.space},
               {"stream_id", summary.stream_id},
               {"accepted", summary.accepted},
               {"refused", summary.refused},
               {"skipped", summary.skipped},
               {"resent", summary.resent},
               {"elapsed_seconds", summary.seconds},
               {"observations_per_second", summary.seconds > 0 ? summary.accepted / summary.seconds : 0.0},
               {"next_sequence", summary.next_sequence},
               {"durability", summary.durability},
               {"interrupted", summary.interrupted},
               {"refusals", examples},
               {"refused_earlier", summary.refused_earlier},
               {"refusals_earlier", earlier}});
}

std::string ToJson(const v1::RecallResponse& response, uint64_t row, const std::string& id) {
  ordered_json hits = ordered_json::array();
  for (const v1::Hit& hit : response.hits()) {
    hits.push_back(HitOf(hit));
  }
  const v1::Coverage& coverage = response.coverage();
  ordered_json cue = ordered_json::object();
  if (id.empty()) {
    cue["row"] = row;
  } else {
    cue["id"] = id;
  }
  return Line({{"cue", cue},
               {"hits", hits},
               {"coverage",
                {{"visible_through", TokenText(coverage.visible_through())},
                 {"exact", coverage.exact()},
                 {"graph_candidates", coverage.graph_candidates()},
                 {"tail_scanned", coverage.tail_scanned()},
                 {"live", coverage.live()},
                 {"unreadable", coverage.unreadable()}}},
               {"elapsed_us", response.elapsed_us()}});
}

std::string ToJson(const v1::Hit& hit) { return Line(HitOf(hit)); }

std::string ToJson(const v1::Observation& observation) {
  ordered_json out = {{"id", observation.id()}};
  if (observation.vector_case() != v1::Observation::VECTOR_NOT_SET) {
    out["embedding"] = Elements(ElementsOf(observation));
  }
  if (!observation.content().empty()) out["content"] = observation.content();
  if (!observation.tags().empty()) out["tags"] = TagsOf(observation.tags());
  if (observation.observed_at_us() != 0) out["observed_at"] = FormatInstant(observation.observed_at_us());
  if (observation.has_confidence()) out["confidence"] = Shortest(observation.confidence());
  if (observation.ttl_us() != 0) out["ttl"] = FormatDuration(observation.ttl_us());
  return Line(out);
}

std::string ToJson(const v1::ForgetResponse& response, bool dry_run) {
  ordered_json missing = ordered_json::array();
  for (const std::string& id : response.missing()) missing.push_back(id);
  return Line({{dry_run ? "would_forget" : "forgotten", response.forgotten()}, {"missing", missing}});
}

std::string ToJson(const v1::Space& space) {
  const v1::SpaceConfig& config = space.config();
  return Line({{"name", space.name()},
               {"dimension", config.dimension()},
               {"metric", NameOf(config.metric())},
               {"live", space.live()},
               {"size", space.size()},
               {"linked", space.linked()},
               {"queued", space.queued()},
               {"has_graph", space.has_graph()},
               {"resident_bytes", space.resident_bytes()},
               {"created_at", FormatInstant(space.created_at_us())},
               {"max_connections", config.max_connections()},
               {"ef_construction", config.ef_construction()},
               {"ef_search", config.ef_search()},
               {"flat_threshold", config.flat_threshold()},
               {"max_rate", config.max_rate()},
               {"quota_observations", config.quota_observations()},
               {"quota_bytes", config.quota_bytes()}});
}

std::string ToJson(const v1::DeleteSpaceResponse& response, const std::string& name) {
  return Line({{"deleted", name}, {"forgotten", response.forgotten()}});
}

std::string ToJson(const v1::GetStatusResponse& status) {
  ordered_json lanes = ordered_json::array();
  for (const v1::LaneStatus& lane : status.lanes()) {
    lanes.push_back({{"lane", lane.lane()},
                     {"depth_high", lane.depth_high()},
                     {"depth_normal", lane.depth_normal()},
                     {"batches", lane.batches()},
                     {"stolen", lane.stolen()},
                     {"utilization", lane.utilization()}});
  }
  ordered_json fault_effects = ordered_json::object();
  for (const v1::FaultEffect& effect : status.fault_effects()) fault_effects[NameOf(effect.kind())] = effect.count();
  const v1::MachineStatus& machine = status.machine();
  return Line({{"version", status.version()},
               {"started_at", FormatInstant(status.started_at_us())},
               {"uptime_us", status.uptime_us()},
               {"profile", status.profile()},
               {"durability", NameOf(status.durability())},
               {"draining", status.draining()},
               {"queue", {{"depth", status.queue_depth()}, {"capacity", status.queue_capacity()}}},
               {"pressure", NameOf(status.pressure())},
               {"lanes", lanes},
               {"recalls_waiting", status.recalls_waiting()},
               {"streams", status.streams()},
               {"spaces", status.spaces()},
               {"observations_live", status.observations_live()},
               {"link_backlog", status.link_backlog()},
               {"observations_total", status.observations_total()},
               {"rejected_total", status.rejected_total()},
               {"recalls_total", status.recalls_total()},
               {"resident_bytes", status.resident_bytes()},
               {"observe_latency", LatencyOf(status.observe_latency())},
               {"recall_latency", LatencyOf(status.recall_latency())},
               {"grpc_address", status.grpc_address()},
               {"metrics_address", status.metrics_address()},
               {"build", {{"commit", status.build().commit()}, {"flags", status.build().flags()}}},
               {"machine",
                {{"name", machine.name()},
                 {"system", machine.system()},
                 {"cpu", machine.cpu()},
                 {"cores", machine.cores()},
                 {"memory_bytes", machine.memory_bytes()}}},
               {"fault_effects", fault_effects}});
}

std::string ToJson(const v1::SnapshotResponse& response, const std::string& directory) {
  return Line({{"directory", directory},
               {"token", TokenText(response.token())},
               {"segments", response.segments()},
               {"bytes", response.bytes()}});
}

std::string ToJson(const v1::CheckpointResponse& response) { return Line({{"token", TokenText(response.token())}}); }

}  // namespace engram

#include "clients/cli/journal_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "clients/cli/json_output.h"
#include "clients/cli/time_text.h"

namespace engram {
namespace {

using nlohmann::ordered_json;

std::string Line(const ordered_json& document) {
  return document.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

// All 64 bits, which many JSON readers round: so text.
std::string IdText(uint64_t id) { return fmt::format("{:016x}", id); }

ordered_json PositionOrNull(uint64_t position) {
  return position == UINT64_MAX ? ordered_json(nullptr) : ordered_json(position);
}

ordered_json ManifestOf(const std::optional<Manifest>& manifest) {
  if (!manifest.has_value()) return nullptr;
  return {{"lineage", IdText(manifest->lineage)},
          {"journal", IdText(manifest->journal_id)},
          {"sealed_through", manifest->sealed_through},
          {"checkpoint", manifest->checkpoint}};
}

ordered_json FilesOf(const std::vector<VerifyReport::OtherFile>& files) {
  ordered_json out = ordered_json::array();
  for (const VerifyReport::OtherFile& one : files) {
    out.push_back({{"file", one.file}, {"bytes", one.bytes}, {"what", one.what}});
  }
  return out;
}

ordered_json DefectOf(const VerifyDefect& defect) {
  ordered_json out = {
      {"file", defect.file}, {"offset", defect.offset}, {"length", defect.length}, {"what", defect.what}};
  out["first_missing"] = defect.loses_records() ? ordered_json(defect.first_missing) : ordered_json(nullptr);
  out["last_missing"] = defect.loses_records() ? PositionOrNull(defect.last_missing) : ordered_json(nullptr);
  return out;
}

v1::Observation MessageFor(const ObservationView& view, bool embeddings) {
  v1::Observation out;
  out.set_id(std::string(view.id));
  const EmbeddingView& embedding = view.embedding;
  if (embeddings && embedding.dimension > 0) {
    std::string bytes(reinterpret_cast<const char*>(embedding.data), embedding.bytes());
    if (embedding.encoding == Encoding::kF16) {
      out.set_embedding_f16(std::move(bytes));
    } else {
      out.set_embedding_f32(std::move(bytes));
    }
  }
  out.set_content(std::string(view.content));
  for (const TagView& tag : view.tags) (*out.mutable_tags())[std::string(tag.key)] = tag.value;
  out.set_observed_at_us(view.observed_at_us);
  if (view.confidence != 1.0f) out.set_confidence(view.confidence);
  out.set_ttl_us(view.ttl_us);
  return out;
}

ordered_json ConfigOf(const SpaceConfig& config) {
  return {{"dimension", config.dimension},
          {"max_connections", config.max_connections},
          {"ef_construction", config.ef_construction},
          {"ef_search", config.ef_search},
          {"flat_threshold",
           config.flat_threshold.has_value() ? ordered_json(*config.flat_threshold) : ordered_json(nullptr)},
          {"max_rate", config.max_rate},
          {"quota_observations", config.quota_observations},
          {"quota_bytes", config.quota_bytes}};
}

}  // namespace

std::string NameOf(RecordType type) {
  switch (type) {
    case RecordType::kObservations:
      return "observations";
    case RecordType::kTombstones:
      return "tombstones";
    case RecordType::kSpaceCreated:
      return "space_created";
    case RecordType::kSpaceChanged:
      return "space_changed";
    case RecordType::kSpaceDropped:
      return "space_dropped";
  }
  return "unknown";
}

std::string ToJson(const VerifyReport& report, double seconds) {
  ordered_json segments = ordered_json::array(), spaces = ordered_json::array(), defects = ordered_json::array();
  for (const VerifyReport::Segment& one : report.segments) {
    segments.push_back({{"file", one.file},
                        {"first_position", one.first_position},
                        {"last_position", one.last_position},
                        {"bytes", one.bytes},
                        {"records", one.records},
                        {"observations", one.observations},
                        {"generation", one.generation},
                        {"sealed", one.sealed}});
  }
  for (const auto& [id, space] : report.spaces) {
    spaces.push_back(
        {{"space_id", id}, {"name", space.name}, {"records", space.records}, {"observations", space.observations}});
  }
  for (const VerifyDefect& defect : report.defects) defects.push_back(DefectOf(defect));
  return Line({{"directory", report.directory},
               {"sound", report.sound()},
               {"in_use_by", report.in_use_by},
               {"manifest", ManifestOf(report.manifest)},
               {"first_position", report.first_position},
               {"last_position", report.last_position},
               {"records", report.records},
               {"observations", report.observations},
               {"bytes", report.bytes},
               {"elapsed_seconds", seconds},
               {"defects", defects},
               {"remarks", report.remarks},
               {"segments", segments},
               {"spaces", spaces},
               {"checkpoints", FilesOf(report.checkpoints)},
               {"leftovers", FilesOf(report.leftovers)}});
}

std::string ToJson(const RestoreOutcome& outcome, const RestoreOptions& options, const VerifyReport& report) {
  return Line({{"snapshot", options.snapshot},
               {"directory", options.directory},
               {"lineage", IdText(outcome.manifest.lineage)},
               {"journal", IdText(outcome.manifest.journal_id)},
               {"last_position", report.last_position},
               {"records", report.records},
               {"observations", report.observations},
               {"linked", outcome.linked},
               {"copied", outcome.copied},
               {"bytes", outcome.bytes},
               {"defects", report.defects.size()}});
}

std::string ToJson(const DecodedRecord& decoded, const RecordOrigin& origin, bool embeddings) {
  const JournalRecord& record = decoded.record;
  ordered_json out = {{"position", decoded.position},
                      {"type", NameOf(record.type)},
                      {"space", record.space},
                      {"space_id", record.space_id},
                      {"metric", NameOf(static_cast<v1::Metric>(record.metric))},
                      {"durable", decoded.durable},
                      {"file", origin.file},
                      {"offset", origin.offset},
                      {"bytes", origin.bytes}};
  ordered_json marks = ordered_json::array(), tombstones = ordered_json::array();
  for (const StreamMark& mark : record.marks) marks.push_back({{"stream", mark.stream}, {"through", mark.through}});
  if (!marks.empty()) out["marks"] = std::move(marks);
  if (record.config != nullptr) {
    out["config"] = ConfigOf(*record.config);
    out["created_at"] = FormatInstant(record.created_at_us);
  }
  if (record.type == RecordType::kTombstones) {
    for (const Tombstone& one : record.tombstones) tombstones.push_back({{"id", one.id}, {"through", one.through}});
    out["tombstones"] = std::move(tombstones);
  }
  if (record.type != RecordType::kObservations) return Line(out);
  if (!record.observations.empty()) out["dimension"] = record.observations.front().embedding.dimension;
  if (!record.places.empty()) out["places"] = std::vector<uint32_t>(record.places.begin(), record.places.end());
  // Printed one by one: a record may hold thousands, and each is a document already.
  std::string line = Line(out);
  line.pop_back();
  line += ",\"observations\":[";
  for (size_t i = 0; i < record.observations.size(); ++i) {
    if (i > 0) line += ",";
    line += ToJson(MessageFor(record.observations[i], embeddings));
  }
  return line + "]}";
}

}  // namespace engram

// engram journal dump: what a data directory's journal holds, record by record, without its daemon.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "clients/cli/journal_json.h"
#include "clients/cli/json_output.h"
#include "clients/cli/session.h"
#include "clients/cli/time_text.h"
#include "core/journal/segment_files.h"
#include "core/journal/segment_reader.h"

namespace engram {
namespace {

constexpr size_t kIdsShown = 5;

template <typename Items>
std::string IdsOf(const Items& items) {
  std::string out;
  for (size_t i = 0; i < std::min(items.size(), kIdsShown); ++i) out += " " + Printable(items[i].id);
  if (items.size() > kIdsShown) out += fmt::format(" and {} more", Grouped(items.size() - kIdsShown));
  return out;
}

std::string Times(std::span<const ObservationView> observations) {
  const auto [least, most] =
      std::minmax_element(observations.begin(), observations.end(),
                          [](const auto& a, const auto& b) { return a.observed_at_us < b.observed_at_us; });
  const std::string from = FormatInstant(least->observed_at_us), to = FormatInstant(most->observed_at_us);
  return from == to ? from : from + " to " + to;
}

std::string View(const DecodedRecord& decoded) {
  const JournalRecord& record = decoded.record;
  std::string out = fmt::format("{:>10}  {:<13}  {}", decoded.position, NameOf(record.type), Printable(record.space));
  if (!record.observations.empty()) {
    out += fmt::format("  {}  {} observations:{}", Times(record.observations), Grouped(record.observations.size()),
                       IdsOf(record.observations));
  }
  if (record.type == RecordType::kTombstones) {
    out += fmt::format("  {} ids:{}", Grouped(record.tombstones.size()), IdsOf(record.tombstones));
  }
  if (record.config != nullptr) {
    out += fmt::format("  {}  dimension {}, {}", FormatInstant(record.created_at_us), record.config->dimension,
                       NameOf(static_cast<v1::Metric>(record.metric)));
  }
  for (const StreamMark& mark : record.marks) {
    out += fmt::format("  stream {} through {}", Printable(mark.stream), mark.through);
  }
  return out;
}

class Dump {
 public:
  Dump(const Session& session, const DumpOptions& options) : session_(session), options_(options) {}

  ExitCode Run(const std::vector<SegmentFile>& segments) {
    uint64_t covered = 0;
    for (const SegmentFile& segment : segments) {
      if (segment.superseded) continue;
      if (segment.first_position > covered + 1 && segment.first_position > options_.from) {
        Name(fmt::format("a segment is missing: positions {} to {} are lost", covered + 1, segment.first_position - 1));
      }
      covered = segment.last_position;
      if (segment.last_position < options_.from) continue;
      if (left_ == 0) break;
      Read(segment);
    }
    return damaged_ ? kBadData : kOk;
  }

 private:
  void Name(const std::string& damage) {
    damaged_ = true;
    session_.Warn(damage);
  }

  void Read(const SegmentFile& segment) {
    if (!segment.header.ok()) return Name(std::string(MessageOf(segment.header.status())));
    SegmentReader reader(*segment.file,
                         {.sealed = segment.sealed || segment.followed, .last_position = segment.last_position});
    size_t named = 0;
    const auto name_new = [&] {
      for (; named < reader.defects().size(); ++named) Name(reader.defects()[named].Describe(segment.file->path()));
    };
    absl::Status status = reader.Open();
    while (status.ok()) {
      const absl::StatusOr<bool> more = reader.Next();
      status = more.status();
      // What is damaged in a segment that is still being written shows only at its end.
      if (segment.sealed || segment.followed) name_new();
      if (!status.ok() || !*more) break;
      const DecodedRecord& decoded = reader.record();
      if (decoded.position < options_.from || (!options_.space.empty() && decoded.record.space != options_.space)) {
        continue;
      }
      if (left_ == 0) return;
      --left_;
      session_.Print((session_.global().json
                          ? ToJson(decoded, {segment.name, reader.offset(), reader.length()}, options_.embeddings)
                          : View(decoded)) +
                     "\n");
    }
    name_new();
    if (!status.ok()) Name(std::string(MessageOf(status)));
  }

  const Session& session_;
  const DumpOptions& options_;
  uint64_t left_ = options_.limit.value_or(UINT64_MAX);
  bool damaged_ = false;
};

}  // namespace

ExitCode RunDump(Session& session, const DumpOptions& options) {
  const absl::StatusOr<std::unique_ptr<Directory>> directory = OpenPosixDirectory(options.directory, /*create=*/false);
  if (!directory.ok()) {
    session.Warn(std::string(MessageOf(directory.status())));
    return kNoInput;
  }
  const absl::StatusOr<std::vector<SegmentFile>> segments = OpenSegments(**directory);
  if (!segments.ok()) {
    session.Warn(std::string(MessageOf(segments.status())));
    return absl::IsPermissionDenied(segments.status()) ? kNoInput : kInputOutput;
  }
  if (segments->empty()) session.Warn(fmt::format("{} holds no segment of a journal", options.directory));
  return Dump(session, options).Run(*segments);
}

}  // namespace engram

#include "core/recovery.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace engram {
namespace {

// The one the manifest names, then those newer than it: a crash came between their renaming and their naming. An older
// one may show what the journal has since been rid of.
absl::StatusOr<std::vector<std::string>> Candidates(SegmentedJournal& journal) {
  ENGRAM_ASSIGN_OR_RETURN(const std::vector<std::string> names, journal.directory().List());
  const std::string named = journal.checkpoint();
  std::vector<std::string> newer;
  for (const std::string& name : names) {
    // They have the same length, so they sort as their positions do.
    if (CheckpointPosition(name) && name > named) newer.push_back(name);
  }
  std::sort(newer.rbegin(), newer.rend());
  // Without a manifest to say which one counted, only the newest is sure not to be behind.
  if (named.empty() && newer.size() > 1) newer.resize(1);
  if (!named.empty()) newer.insert(newer.begin(), named);
  return newer;
}

JournalDefect Refused(const std::string& name, const absl::Status& why) {
  JournalDefect defect;
  defect.file = name;
  defect.what = std::string("the checkpoint is not used: ") + std::string(MessageOf(why));
  return defect;
}

}  // namespace

absl::StatusOr<RecoveryReport> Recover(Engine& engine, SegmentedJournal& journal, Clock& clock,
                                       RecoveryProgress& progress) {
  const MonotonicTime begin = clock.Now();
  RecoveryReport report;
  std::vector<JournalDefect> refused;
  ENGRAM_ASSIGN_OR_RETURN(const std::vector<std::string> candidates, Candidates(journal));
  for (const std::string& name : candidates) {
    uint64_t size = 0;
    if (const auto file = journal.directory().Open(name, Directory::Mode::kRead); file.ok()) {
      size = (*file)->Size().value_or(0);
    }
    const uint64_t after = CheckpointPosition(name).value_or(0);
    progress.Enter(RecoveryPhase::kCheckpoint, size + journal.ReplayBytes(after));
    auto loaded = LoadCheckpoint(journal, name, engine.registry(), clock.WallMicros(),
                                 [&](uint64_t bytes) { progress.Read(bytes); });
    if (loaded.ok()) {
      report.checkpoint = *std::move(loaded);
      break;
    }
    if (absl::IsResourceExhausted(loaded.status())) return loaded.status();
    refused.push_back(Refused(name, loaded.status()));
  }
  // Before the log goes on: one that is ahead of it now would seem to fit once the log has grown.
  if (journal.checkpoint() != report.checkpoint.name) {
    // On a full disk the manifest goes on naming one that is removed here: the next start says so, and loses nothing.
    const absl::Status named = journal.SetCheckpoint(report.checkpoint.name);
    if (!named.ok() && !absl::IsResourceExhausted(named)) return named;
  }
  ENGRAM_RETURN_IF_ERROR(RemoveCheckpoints(journal.directory(), report.checkpoint.name));

  const uint64_t before = report.checkpoint.bytes;
  const uint64_t to_replay = journal.ReplayBytes(report.checkpoint.position);
  progress.Read(before);
  progress.Enter(RecoveryPhase::kReplay, before + to_replay);
  const auto apply = [&](const JournalRecord& record, uint64_t position) -> absl::Status {
    ++report.records;
    report.observations += record.observations.size();
    const absl::Status status = engine.Replay(record, position);
    if (!absl::IsDataLoss(status)) return status;
    JournalDefect defect;
    defect.file = "journal";
    defect.first = defect.last = position;
    defect.what = std::string(MessageOf(status));
    refused.push_back(std::move(defect));
    return absl::OkStatus();
  };
  ENGRAM_RETURN_IF_ERROR(
      journal.Replay(report.checkpoint.position, apply, [&](uint64_t bytes) { progress.Read(before + bytes); }));
  std::vector<PositionRange> missing;
  std::merge(report.checkpoint.missing.begin(), report.checkpoint.missing.end(), journal.missed().begin(),
             journal.missed().end(), std::back_inserter(missing),
             [](const PositionRange& a, const PositionRange& b) { return a.first < b.first; });
  for (const PositionRange& range : missing) AddRange(range, &report.missing);
  report.position = journal.last();
  report.bytes = before + to_replay;
  report.defects = journal.defects();
  report.defects.insert(report.defects.end(), refused.begin(), refused.end());
  report.took = std::chrono::duration_cast<Duration>(clock.Now() - begin);
  progress.Enter(RecoveryPhase::kDone, before + to_replay);
  return report;
}

}  // namespace engram

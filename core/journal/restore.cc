#include "core/journal/restore.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/journal/segment_files.h"

namespace engram {
namespace {

constexpr uint64_t kPieceBytes = 1 << 20;
constexpr std::string_view kAside = ".tmp";

struct Source {
  std::string name;
  std::unique_ptr<File> file;
  uint64_t bytes = 0;
  // Nothing is written to it any more.
  bool final = false;
};

// Whether a manifest can be made again in the place of the one that was not read: it is gone, or damaged. One of a
// newer version is neither, and one that cannot be read now may be whole.
bool IsLost(const absl::Status& manifest) { return absl::IsNotFound(manifest) || absl::IsDataLoss(manifest); }

// What the daemon would make in its place: each segment names the journal it is of, and says how far it was sealed. Of
// a checkpoint nothing is known, and it only makes the start quicker. Nothing when no header can be read.
std::optional<Manifest> FromSegments(const std::vector<SegmentFile>& segments) {
  std::optional<Manifest> manifest;
  for (const SegmentFile& segment : segments) {
    if (!segment.readable()) continue;
    if (!manifest.has_value()) manifest.emplace().lineage = segment.header->lineage;
    if (segment.sealed && segment.header->lineage == manifest->lineage) {
      manifest->sealed_through = std::max(manifest->sealed_through, segment.last_position);
    }
  }
  return manifest;
}

absl::StatusOr<std::vector<Source>> SourcesOf(Directory& snapshot, std::vector<SegmentFile> segments,
                                              Manifest* manifest) {
  std::vector<Source> sources;
  for (SegmentFile& segment : segments) {
    if (segment.superseded) continue;
    sources.push_back({segment.name, std::move(segment.file), segment.bytes, segment.sealed});
  }
  if (manifest->checkpoint.empty()) return sources;
  Source checkpoint;
  checkpoint.name = manifest->checkpoint;
  checkpoint.final = true;
  absl::StatusOr<std::unique_ptr<File>> file = snapshot.Open(checkpoint.name, Directory::Mode::kRead);
  if (absl::IsNotFound(file.status())) {
    // It only makes the start quicker.
    manifest->checkpoint.clear();
    return sources;
  }
  if (!file.ok()) return file.status();
  checkpoint.file = *std::move(file);
  ENGRAM_ASSIGN_OR_RETURN(checkpoint.bytes, checkpoint.file->Size());
  sources.push_back(std::move(checkpoint));
  return sources;
}

absl::Status Copy(const Source& source, Directory& target, const std::string& name,
                  const std::function<void(uint64_t)>& progress) {
  ENGRAM_ASSIGN_OR_RETURN(const auto file, target.Open(name, Directory::Mode::kCreate));
  std::vector<std::byte> piece(std::min(kPieceBytes, source.bytes));
  for (uint64_t at = 0; at < source.bytes; at += piece.size()) {
    const std::span<std::byte> room = std::span(piece).first(std::min<uint64_t>(piece.size(), source.bytes - at));
    ENGRAM_ASSIGN_OR_RETURN(const size_t got, source.file->ReadAt(at, room));
    if (got < room.size()) return absl::AbortedError(fmt::format("{} became shorter", source.file->path()));
    ENGRAM_RETURN_IF_ERROR(file->WriteAt(at, room));
    progress(at + got);
  }
  return file->Sync();
}

class Restoring {
 public:
  Restoring(Directory& snapshot, Directory& target, const RestorePlan& plan)
      : snapshot_(snapshot), target_(target), plan_(plan) {}

  absl::StatusOr<RestoreOutcome> Run(Manifest manifest, std::vector<SegmentFile> segments) {
    ENGRAM_ASSIGN_OR_RETURN(const std::vector<Source> sources, SourcesOf(snapshot_, std::move(segments), &manifest));
    manifest.journal_id = plan_.journal_id;
    for (const Source& source : sources) total_ += source.bytes;
    for (const Source& source : sources) ENGRAM_RETURN_IF_ERROR(Bring(source));
    ENGRAM_RETURN_IF_ERROR(target_.Sync());
    // Backwards: without the first segment nobody takes the others for the whole.
    for (auto source = sources.rbegin(); source != sources.rend(); ++source) {
      ENGRAM_RETURN_IF_ERROR(target_.Rename(source->name + std::string(kAside), source->name));
      made_.push_back(source->name);
    }
    ENGRAM_RETURN_IF_ERROR(target_.Sync());
    made_.emplace_back(kManifestName);
    ENGRAM_RETURN_IF_ERROR(WriteManifest(target_, manifest));
    outcome_.manifest = std::move(manifest);
    return outcome_;
  }

  void Undo() {
    for (const std::string& name : made_) target_.Remove(name).IgnoreError();
    target_.Sync().IgnoreError();
  }

 private:
  absl::Status Bring(const Source& source) {
    const std::string aside = source.name + std::string(kAside);
    made_.push_back(aside);
    const uint64_t before = outcome_.bytes;
    const auto progress = [&](uint64_t bytes) {
      if (plan_.progress) plan_.progress(before + bytes, total_);
    };
    absl::Status linked = absl::FailedPreconditionError("not to be linked");
    if (plan_.link && source.final) linked = snapshot_.LinkInto(source.name, target_, aside);
    if (linked.ok()) {
      // Whoever copied the snapshot there may not have synced it.
      ENGRAM_RETURN_IF_ERROR(source.file->Sync());
      ++outcome_.linked;
    } else if (absl::IsFailedPrecondition(linked) || absl::IsPermissionDenied(linked)) {
      // Another file system, or one that lets nobody link what is another user's.
      ENGRAM_RETURN_IF_ERROR(Copy(source, target_, aside, progress));
      ++outcome_.copied;
    } else {
      return linked;
    }
    progress(source.bytes);
    outcome_.bytes += source.bytes;
    return absl::OkStatus();
  }

  Directory& snapshot_;
  Directory& target_;
  const RestorePlan& plan_;
  uint64_t total_ = 0;
  RestoreOutcome outcome_;
  // Names in the target, to be removed again when it fails.
  std::vector<std::string> made_;
};

}  // namespace

absl::StatusOr<RestoreOutcome> Restore(Directory& snapshot, Directory& target, const RestorePlan& plan) {
  ENGRAM_CHECK(plan.journal_id != 0);
  ENGRAM_ASSIGN_OR_RETURN(const std::vector<std::string> there, target.List());
  if (!there.empty()) {
    return absl::FailedPreconditionError(fmt::format("{} is not empty: it holds {} files, {} the first of them",
                                                     target.path(), there.size(), there.front()));
  }
  absl::StatusOr<Manifest> manifest = ReadManifest(snapshot);
  if (!manifest.ok() && !(plan.accept_damage && IsLost(manifest.status()))) return manifest.status();
  ENGRAM_ASSIGN_OR_RETURN(std::vector<SegmentFile> segments, OpenSegments(snapshot));
  if (!manifest.ok()) {
    std::optional<Manifest> made = FromSegments(segments);
    if (!made.has_value()) return manifest.status();
    manifest = *std::move(made);
  }
  Restoring restoring(snapshot, target, plan);
  absl::StatusOr<RestoreOutcome> outcome = restoring.Run(*std::move(manifest), std::move(segments));
  if (!outcome.ok()) restoring.Undo();
  return outcome;
}

}  // namespace engram

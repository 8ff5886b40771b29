#include "core/checkpoint/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "core/base/check.h"
#include "core/checkpoint/space_image.h"
#include "core/journal/little_endian.h"

namespace engram {
namespace {

constexpr uint64_t kMostSpaceBytes = uint64_t{1} << 30;

absl::Status WriteSection(CheckpointWriter& writer, SectionType type, uint32_t space,
                          std::span<const std::byte> bytes) {
  writer.Begin(type, space);
  ENGRAM_RETURN_IF_ERROR(writer.Write(bytes));
  return writer.End();
}

absl::Status WriteSpace(CheckpointWriter& writer, uint32_t number, const Space& space) {
  const Space::Snapshot snapshot = space.TakeSnapshot();
  ENGRAM_RETURN_IF_ERROR(WriteSection(writer, SectionType::kSpace, number, EncodeSpace(snapshot)));
  if (snapshot.size == 0) return absl::OkStatus();
  const IndexView view{snapshot.size};
  writer.Begin(SectionType::kRecords, number);
  ENGRAM_RETURN_IF_ERROR(space.records().Save(snapshot.size, writer));
  ENGRAM_RETURN_IF_ERROR(writer.End());
  writer.Begin(SectionType::kRows, number);
  ENGRAM_RETURN_IF_ERROR(space.index()->SaveRows(view, writer));
  ENGRAM_RETURN_IF_ERROR(writer.End());
  writer.Begin(SectionType::kGraph, number);
  ENGRAM_RETURN_IF_ERROR(space.index()->SaveGraph(view, writer));
  return writer.End();
}

class Loader {
 public:
  Loader(std::shared_ptr<const CheckpointFile> file, const SpaceRegistry& registry, uint64_t journal_id, int64_t now_us,
         const std::function<void(uint64_t)>& progress)
      : file_(std::move(file)), registry_(registry), journal_id_(journal_id), now_us_(now_us), progress_(progress) {}

  absl::Status Load() {
    ENGRAM_ASSIGN_OR_RETURN(const std::vector<std::byte> dropped, TakeAll(SectionType::kDropped, 0));
    dropped_.resize(dropped.size() / sizeof(uint64_t));
    if (!dropped_.empty()) std::memcpy(dropped_.data(), dropped.data(), dropped_.size() * sizeof(uint64_t));
    ENGRAM_RETURN_IF_ERROR(LoadMissing());
    for (uint32_t number = 0; number < file_->header().spaces; ++number) ENGRAM_RETURN_IF_ERROR(LoadSpace(number));
    if (next_ != file_->sections().size()) {
      return file_->Lost(file_->sections()[next_].offset, "a section behind the last space");
    }
    return absl::OkStatus();
  }

  std::vector<uint64_t>& dropped() { return dropped_; }
  std::vector<PositionRange>& missing() { return missing_; }
  std::vector<std::shared_ptr<Space>>& spaces() { return spaces_; }
  std::vector<LoadedCheckpoint::Graph>& graphs() { return graphs_; }

 private:
  absl::StatusOr<CheckpointSection> Take(SectionType type, uint32_t space) {
    const auto& sections = file_->sections();
    if (next_ == sections.size() || sections[next_].type != type || sections[next_].space != space) {
      return file_->Lost(next_ == sections.size() ? file_->bytes() : sections[next_].offset,
                         fmt::format("section {} of space {} is missing", static_cast<unsigned>(type), space));
    }
    return sections[next_++];
  }

  absl::StatusOr<std::vector<std::byte>> TakeAll(SectionType type, uint32_t space) {
    ENGRAM_ASSIGN_OR_RETURN(const CheckpointSection section, Take(type, space));
    if (section.bytes > kMostSpaceBytes) return file_->Lost(section.offset, "the section is too large");
    std::vector<std::byte> bytes(section.bytes);
    ENGRAM_RETURN_IF_ERROR(file_->Read(section)->Read(bytes));
    return bytes;
  }

  absl::Status LoadMissing() {
    if (next_ == file_->sections().size() || file_->sections()[next_].type != SectionType::kMissing) {
      return absl::OkStatus();
    }
    const uint64_t at = file_->sections()[next_].offset;
    ENGRAM_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, TakeAll(SectionType::kMissing, 0));
    ByteCursor in(bytes);
    while (in.left() > 0) {
      const auto first = in.Take<uint64_t>();
      const auto last = in.Take<uint64_t>();
      if (!in.ok() || first > last || (!missing_.empty() && first <= missing_.back().last)) {
        return file_->Lost(at, "what it lacks is no list of positions");
      }
      missing_.push_back({first, last});
    }
    return absl::OkStatus();
  }

  // What a section's reader found wrong, and where.
  absl::Status In(const CheckpointSection& section, const absl::Status& status) const {
    if (status.ok() || !(absl::IsDataLoss(status) || absl::IsFailedPrecondition(status))) return status;
    const std::string_view what = MessageOf(status);
    if (what.find(file_->name()) != std::string_view::npos) return status;
    return file_->Lost(section.offset, what);
  }

  absl::Status LoadSpace(uint32_t number) {
    const uint64_t at = next_ < file_->sections().size() ? file_->sections()[next_].offset : file_->bytes();
    ENGRAM_ASSIGN_OR_RETURN(const std::vector<std::byte> meta, TakeAll(SectionType::kSpace, number));
    auto snapshot = DecodeSpace(meta);
    if (!snapshot.ok()) return file_->Lost(at, MessageOf(snapshot.status()));
    if (!names_.insert(snapshot->origin.name).second || !ids_.insert(snapshot->origin.id).second) {
      return file_->Lost(at, fmt::format("space '{}' is there twice", snapshot->origin.name));
    }
    if (snapshot->applied_position > file_->through()) {
      return file_->Lost(at, fmt::format("space '{}' is at {}, beyond {}", snapshot->origin.name,
                                         snapshot->applied_position, file_->through()));
    }
    Space::Origin origin = snapshot->origin;
    origin.keeps_contents = registry_.keeps_contents();
    // A dimension in the origin makes an index of its own, which the one that is loaded replaces.
    if (snapshot->size != 0) origin.config.dimension = 0;
    const std::shared_ptr<Space> space = registry_.Make(std::move(origin));
    if (snapshot->size == 0) {
      ENGRAM_RETURN_IF_ERROR(space->Restore(*snapshot, nullptr, nullptr, now_us_));
    } else {
      ENGRAM_RETURN_IF_ERROR(LoadRows(number, *snapshot, *space));
      ENGRAM_ASSIGN_OR_RETURN(const CheckpointSection graph, Take(SectionType::kGraph, number));
      ENGRAM_CHECK(space->ClaimLinking());
      graphs_.push_back({space, graph});
    }
    RestoreStreams(*snapshot, *space);
    spaces_.push_back(space);
    return absl::OkStatus();
  }

  absl::Status LoadRows(uint32_t number, const Space::Snapshot& snapshot, Space& space) {
    ENGRAM_ASSIGN_OR_RETURN(const CheckpointSection records, Take(SectionType::kRecords, number));
    ENGRAM_ASSIGN_OR_RETURN(const CheckpointSection rows, Take(SectionType::kRows, number));
    const auto rows_source = file_->Read(rows, &progress_);
    auto index = SpaceIndex::LoadRows(space.IndexOptionsFor(snapshot.origin.config.dimension), *rows_source);
    if (!index.ok()) return In(rows, index.status());
    const auto records_source = file_->Read(records, &progress_);
    return In(records, space.Restore(snapshot, *std::move(index), records_source.get(), now_us_));
  }

  void RestoreStreams(const Space::Snapshot& snapshot, Space& space) const {
    std::vector<StreamMark> marks;
    for (const auto& [stream, through] : snapshot.streams) marks.push_back({stream, through});
    space.NoteMarks(marks, snapshot.applied_position);
    space.RestoreStreams(marks, {journal_id_, snapshot.applied_position}, snapshot.size);
  }

  const std::shared_ptr<const CheckpointFile> file_;
  const SpaceRegistry& registry_;
  const uint64_t journal_id_;
  const int64_t now_us_;
  const std::function<void(uint64_t)>& progress_;
  size_t next_ = 0;
  std::vector<uint64_t> dropped_;
  std::vector<PositionRange> missing_;
  std::vector<std::shared_ptr<Space>> spaces_;
  std::vector<LoadedCheckpoint::Graph> graphs_;
  std::set<std::string> names_;
  std::set<uint64_t> ids_;
};

}  // namespace

absl::StatusOr<WrittenCheckpoint> WriteCheckpoint(uint64_t position, const SpaceRegistry& registry,
                                                  SegmentedJournal& journal, std::span<const PositionRange> missing,
                                                  CheckpointPace pace) {
  // Before the spaces: one that is dropped in between is in neither, and replay drops it again.
  const std::vector<uint64_t> dropped = registry.RemovedLately();
  const std::vector<std::shared_ptr<Space>> spaces = registry.All();
  const CheckpointHeader header = {journal.lineage(), position, static_cast<uint32_t>(spaces.size())};
  ENGRAM_ASSIGN_OR_RETURN(const auto writer, CheckpointWriter::Create(&journal.directory(), header, std::move(pace)));
  ENGRAM_RETURN_IF_ERROR(WriteSection(*writer, SectionType::kDropped, 0, std::as_bytes(std::span(dropped))));
  if (!missing.empty()) {
    std::vector<std::byte> bytes(missing.size() * 2 * sizeof(uint64_t));
    ByteWriter out(bytes.data());
    for (const PositionRange& range : missing) {
      out.Put(range.first);
      out.Put(range.last);
    }
    ENGRAM_RETURN_IF_ERROR(WriteSection(*writer, SectionType::kMissing, 0, bytes));
  }
  uint32_t number = 0;
  for (const auto& space : spaces) ENGRAM_RETURN_IF_ERROR(WriteSpace(*writer, number++, *space));
  // The rows may show what was forgotten by later records than those of the snapshots.
  uint64_t through = position;
  for (const auto& space : spaces) through = std::max(through, space->touched_position());
  // A drop shows in no space that is left, so `through` does not know of it: its record must not be lost to a power cut.
  ENGRAM_RETURN_IF_ERROR(journal.AwaitDurable());
  ENGRAM_RETURN_IF_ERROR(writer->Finish(through));
  ENGRAM_RETURN_IF_ERROR(journal.SetCheckpoint(writer->name()));
  ENGRAM_RETURN_IF_ERROR(RemoveCheckpoints(journal.directory(), writer->name()));
  return WrittenCheckpoint{writer->name(), position, spaces.size(), writer->bytes()};
}

absl::StatusOr<LoadedCheckpoint> LoadCheckpoint(SegmentedJournal& journal, const std::string& name,
                                                SpaceRegistry& registry, int64_t now_us,
                                                const std::function<void(uint64_t)>& progress) {
  ENGRAM_ASSIGN_OR_RETURN(const auto file, CheckpointFile::Open(journal.directory(), name));
  if (file->header().lineage != journal.lineage()) {
    return absl::FailedPreconditionError(fmt::format("{} is of journal {:016x}, this directory's is {:016x}", name,
                                                     file->header().lineage, journal.lineage()));
  }
  if (file->through() > journal.last()) {
    return absl::FailedPreconditionError(
        fmt::format("{} goes through {}, the journal ends at {}", name, file->through(), journal.last()));
  }
  Loader loader(file, registry, journal.id(), now_us, progress);
  ENGRAM_RETURN_IF_ERROR(loader.Load());
  if (!loader.missing().empty()) {
    ENGRAM_ASSIGN_OR_RETURN(const bool there, journal.HoldsAny(loader.missing()));
    if (there) {
      return absl::FailedPreconditionError(
          fmt::format("{} was made while positions {}..{} could not all be read, and now some can", name,
                      loader.missing().front().first, loader.missing().back().last));
    }
  }
  // Nothing can fail any more.
  for (const uint64_t id : loader.dropped()) registry.Remove(id);
  for (const auto& space : loader.spaces()) ENGRAM_CHECK(registry.Put(space));
  progress(file->bytes());
  return LoadedCheckpoint{name, file->header().position,      file->bytes(),
                          file, std::move(loader.missing()), std::move(loader.graphs())};
}

std::vector<JournalDefect> AttachGraphs(LoadedCheckpoint loaded, const std::stop_token& stop,
                                        const std::function<void(const std::shared_ptr<Space>&)>& attached) {
  std::vector<JournalDefect> defects;
  for (const auto& [space, section] : loaded.graphs) {
    if (stop.stop_requested()) break;
    if (space->dropped()) continue;
    const auto source = loaded.file->Read(section);
    const absl::Status status = space->index()->AttachGraph(*source);
    if (!status.ok()) {
      JournalDefect defect;
      defect.file = loaded.name;
      defect.offset = section.offset;
      defect.bytes = section.bytes;
      defect.what = fmt::format("the graph of space '{}' is linked anew: {}", space->name(), MessageOf(status));
      defects.push_back(std::move(defect));
    }
    space->ReleaseLinking();
    attached(space);
  }
  return defects;
}

absl::Status RemoveCheckpoints(Directory& directory, const std::string& kept) {
  ENGRAM_ASSIGN_OR_RETURN(const std::vector<std::string> names, directory.List());
  for (const std::string& name : names) {
    if (name == kept || !CheckpointPosition(name)) continue;
    const absl::Status removed = directory.Remove(name);
    if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  }
  // Even when nothing was removed here: a removal by SetCheckpoint may not be safe yet. As things are the log grows only
  // behind the sync of a new segment's name, and is rewritten behind another, so no cut shows this one missing; it stays so
  // that what depends on the removal need not know of those.
  return directory.Sync();
}

}  // namespace engram

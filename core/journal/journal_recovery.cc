// How the segmented journal finds out what is there: opening, cutting the tail.
#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "core/base/check.h"
#include "core/journal/record_head.h"
#include "core/journal/segment_files.h"
#include "core/journal/segment_reader.h"
#include "core/journal/segmented_journal.h"

namespace engram {
namespace {

constexpr std::string_view kLockName = "LOCK";

uint64_t RandomId() {
  std::random_device device;
  return ((uint64_t{device()} << 32) | device()) | 1;
}

Segment::Added Summarize(const SegmentReader& reader) {
  Segment::Added added = Segment::Summarize(reader.record().record, reader.record().position);
  added.offset = reader.offset();
  return added;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SegmentedJournal>> SegmentedJournal::Open(Directory* directory,
                                                                         const JournalOptions& options, Clock* clock,
                                                                         JournalObserver* observer) {
  std::unique_ptr<SegmentedJournal> journal(new SegmentedJournal(directory, options, clock, observer));
  ENGRAM_RETURN_IF_ERROR(journal->Load());
  return journal;
}

absl::Status SegmentedJournal::LoadManifest(const std::vector<std::string>& names) {
  MutexLock lock(files_mu_);
  auto manifest = ReadManifest(*directory_);
  if (manifest.ok()) {
    manifest_ = *std::move(manifest);
  } else if (const bool fresh = absl::IsNotFound(manifest.status()); !fresh && !absl::IsDataLoss(manifest.status())) {
    // What cannot be read now may be whole, and says more than the segments do: which journal a restored copy is.
    return manifest.status();
  } else {
    // Each segment names the journal it is of, so a lost manifest can be made again.
    for (const std::string& name : names) {
      if (!PositionOfSegmentFile(name)) continue;
      ENGRAM_ASSIGN_OR_RETURN(const auto file, directory_->Open(name, Directory::Mode::kRead));
      const auto header = ReadHeader(*file);
      if (absl::IsDataLoss(header.status())) continue;
      if (!header.ok()) return header.status();
      manifest_.lineage = header->lineage;
      JournalDefect defect;
      defect.file = kManifestName;
      defect.what = fresh ? "is missing; made again from the segments"
                          : std::string(manifest.status().message()) + "; made again from the segments";
      NoteDefect(std::move(defect));
      break;
    }
    if (manifest_.lineage == 0) {
      if (!fresh) return manifest.status();
      manifest_.lineage = RandomId();
    }
    manifest_.journal_id = manifest_.lineage;
    ENGRAM_RETURN_IF_ERROR(WriteManifest());
  }
  lineage_ = manifest_.lineage;
  manifest_id_ = manifest_.journal_id;
  return absl::OkStatus();
}

absl::Status SegmentedJournal::Load() {
  ENGRAM_ASSIGN_OR_RETURN(lock_, directory_->Lock(kLockName));
  ENGRAM_ASSIGN_OR_RETURN(const std::vector<std::string> names, directory_->List());
  for (const std::string& name : names) {
    // What a crash left half-written, under a name of its own.
    if (name.ends_with(".tmp")) ENGRAM_RETURN_IF_ERROR(directory_->Remove(name));
  }
  ENGRAM_RETURN_IF_ERROR(LoadManifest(names));
  ENGRAM_RETURN_IF_ERROR(spares_.Adopt(names));
  std::vector<std::string> segments;
  for (const std::string& name : names) {
    if (PositionOfSegmentFile(name)) segments.push_back(name);
  }
  // Names are as long as each other, so they sort as their positions do.
  std::sort(segments.begin(), segments.end());
  for (size_t i = 0; i < segments.size(); ++i) {
    const std::optional<uint64_t> next = i + 1 < segments.size() ? PositionOfSegmentFile(segments[i + 1]) : std::nullopt;
    ENGRAM_RETURN_IF_ERROR(LoadSegment(segments[i], next));
  }
  CheckContinuity();
  MutexLock lock(files_mu_);
  // The last one that is there may have been cut short by a crash before the manifest spoke of it.
  if (last() > manifest_.sealed_through) {
    manifest_.sealed_through = last();
    // On a full disk it must be possible to start, and to forget; the next sealing says it again.
    const absl::Status written = WriteManifest();
    if (!written.ok() && !absl::IsResourceExhausted(written)) return written;
  }
  return directory_->Sync();
}

absl::Status SegmentedJournal::LoadSegment(const std::string& name, std::optional<uint64_t> next) {
  const uint64_t first = *PositionOfSegmentFile(name);
  ENGRAM_ASSIGN_OR_RETURN(std::shared_ptr<File> file, directory_->Open(name, Directory::Mode::kReadWrite));
  const auto header = ReadHeader(*file);
  // Of a newer version, or not to be read now: it may be whole, and what is taken for damaged is gone on without.
  if (!header.ok() && !absl::IsDataLoss(header.status())) return header.status();
  if (first <= last()) return RemoveCovered(name, *file, header);
  if (header.ok() && header->lineage != lineage_) {
    return absl::FailedPreconditionError(fmt::format("{} is a segment of journal {:016x}, this directory's is {:016x}",
                                                     file->path(), header->lineage, lineage_));
  }
  if (!header.ok() || header->first_position != first) {
    JournalDefect defect;
    defect.file = name;
    defect.first = first;
    if (next) defect.last = *next - 1;
    defect.what = header.ok() ? fmt::format("its header says position {}", header->first_position)
                              : std::string(header.status().message());
    NoteDefect(std::move(defect));
    // Its name is taken, and as many positions as it may have held were perhaps acknowledged: none is given out again.
    ENGRAM_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
    last_.store(next ? *next - 1 : first + size / kRecordFixedBytes, std::memory_order_release);
    return absl::OkStatus();
  }
  auto footer = ReadFooter(*file, *header);
  if (!footer.ok() && !absl::IsDataLoss(footer.status())) return footer.status();
  // Where a whole footer ends before the next segment, what lay between is missing, and this one has all it ever had.
  if (footer.ok()) {
    ENGRAM_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
    last_.store(footer->last_position, std::memory_order_release);
    auto segment = std::make_shared<Segment>(name, std::move(file), *header, *std::move(footer), size, /*sealed=*/true);
    MutexLock lock(segments_mu_);
    segments_[first] = std::move(segment);
    return absl::OkStatus();
  }
  return ReadUnsealed(name, std::move(file), *header, next);
}

absl::Status SegmentedJournal::RemoveCovered(const std::string& name, File& file,
                                             const absl::StatusOr<SegmentHeader>& header) {
  JournalDefect defect;
  defect.file = name;
  if (header.ok() && header->lineage != lineage_) {
    defect.what = fmt::format("it is a segment of journal {:016x}, and another one holds its positions; not used",
                              header->lineage);
  } else if (header.ok()) {
    const auto footer = ReadFooter(file, *header);
    if (!footer.ok() && !absl::IsDataLoss(footer.status())) return footer.status();
    if (footer.ok() && footer->last_position > last()) {
      defect.what = fmt::format("it goes through position {}, the one before it through {}; not used",
                                footer->last_position, last());
    }
  }
  if (!defect.what.empty()) {
    // Put there by somebody: whose it is we cannot know.
    NoteDefect(std::move(defect));
    return absl::OkStatus();
  }
  // A rewrite put its records into the one before, and a crash came between the renaming and this removal. A power cut must
  // not undo the first and keep the second.
  ENGRAM_RETURN_IF_ERROR(directory_->Sync());
  return directory_->Remove(name);
}

absl::Status SegmentedJournal::ReadUnsealed(const std::string& name, std::shared_ptr<File> file,
                                            const SegmentHeader& header, std::optional<uint64_t> next) {
  // With a later segment there, or a manifest that knows it sealed, all of this one had been synced.
  if (!next) {
    MutexLock lock(files_mu_);
    if (header.first_position <= manifest_.sealed_through) next = manifest_.sealed_through + 1;
  }
  SegmentReader::Options how;
  how.sealed = next.has_value();
  if (next) how.last_position = *next - 1;
  SegmentReader reader(*file, how);
  ENGRAM_RETURN_IF_ERROR(reader.Open());
  std::vector<std::pair<Segment::Added, uint64_t>> found;
  uint64_t durable = 0;
  while (true) {
    ENGRAM_ASSIGN_OR_RETURN(const bool more, reader.Next());
    // What is behind it was cut off by an earlier start, and its positions have been given to others since.
    if (!more || (next && reader.record().position >= *next)) break;
    found.emplace_back(Summarize(reader), reader.offset() + reader.length());
    durable = std::max(durable, reader.record().durable);
  }
  // A record that was lost without having been synced, and all behind it, reached the disk out of order before a power
  // cut and was never acknowledged.
  uint64_t cut = UINT64_MAX;
  for (const SegmentDefect& defect : reader.defects()) {
    if (!next && defect.loses_records() && !defect.was_durable()) {
      cut = defect.first_missing;
      break;
    }
  }
  SegmentFooter empty;
  empty.first_position = header.first_position;
  empty.last_position = header.first_position - 1;
  auto segment = std::make_shared<Segment>(name, file, header, empty, kHeaderBlockBytes, /*sealed=*/false);
  for (const auto& [added, end] : found) {
    if (added.position < cut) segment->Add(added, end);
  }
  const bool damaged = NoteDefects(*segment, reader, cut);
  uint64_t through = next ? *next - 1 : cut != UINT64_MAX ? cut - 1 : std::max(segment->last(), reader.last_position());
  if (through < header.first_position && !damaged) {
    // Opened and never written to: an ordinary end of the daemon.
    return directory_->Remove(name);
  }
  if (!next && !damaged) ENGRAM_RETURN_IF_ERROR(TellTail(*segment));
  segment->SetLast(through);
  last_.store(through, std::memory_order_release);
  ENGRAM_RETURN_IF_ERROR(WriteAgain(*segment, durable));
  if (damaged) {
    // Left as it is: what is in it is evidence, and perhaps somebody can read more of it than this.
    segment->SetSealed(segment->bytes());
  } else {
    ENGRAM_RETURN_IF_ERROR(CutAndSeal(*segment));
  }
  MutexLock lock(segments_mu_);
  segments_[segment->first()] = std::move(segment);
  return absl::OkStatus();
}

absl::Status SegmentedJournal::TellTail(Segment& segment) const {
  ENGRAM_ASSIGN_OR_RETURN(const uint64_t size, segment.file().Size());
  std::vector<std::byte> piece(std::min<uint64_t>(size - std::min(size, segment.bytes()), uint64_t{1} << 20));
  uint64_t end = segment.bytes();
  for (uint64_t at = segment.bytes(); at < size; at += piece.size()) {
    const auto part = std::span(piece).first(std::min<uint64_t>(piece.size(), size - at));
    ENGRAM_ASSIGN_OR_RETURN(const size_t got, segment.file().ReadAt(at, part));
    for (size_t i = got; i > 0; --i) {
      if (part[i - 1] == std::byte{0}) continue;
      end = at + i;
      break;
    }
    if (got < part.size()) break;
  }
  // The rest is what was written ahead.
  if (observer_ != nullptr && end > segment.bytes()) {
    observer_->OnTail(segment.name(), segment.bytes(), end - segment.bytes());
  }
  return absl::OkStatus();
}

absl::Status SegmentedJournal::WriteAgain(Segment& segment, uint64_t durable) {
  uint64_t begin = segment.bytes();
  for (const SegmentFooter::RecordPlace& record : segment.footer().records) {
    if (record.position <= durable) continue;
    begin = record.offset;
    break;
  }
  std::vector<std::byte> piece(std::min<uint64_t>(segment.bytes() - begin, uint64_t{1} << 20));
  for (uint64_t at = begin; at < segment.bytes(); at += piece.size()) {
    const auto part = std::span(piece).first(std::min<uint64_t>(piece.size(), segment.bytes() - at));
    ENGRAM_ASSIGN_OR_RETURN(const size_t got, segment.file().ReadAt(at, part));
    ENGRAM_RETURN_IF_ERROR(segment.file().WriteAt(at, part.first(got)));
    if (got < part.size()) break;
  }
  return segment.file().Sync();
}

absl::Status SegmentedJournal::CutAndSeal(Segment& segment) {
  const uint64_t end = segment.bytes();
  std::vector<std::byte> footer;
  EncodeFooter(segment.footer(), segment.last(), segment.header().seed, &footer);
  ENGRAM_RETURN_IF_ERROR(segment.file().Truncate(end));
  ENGRAM_RETURN_IF_ERROR(segment.file().Sync());
  absl::Status status = segment.file().WriteAt(end, footer);
  if (status.ok()) status = segment.file().Sync();
  // Without room for a footer the next start reads the records instead.
  if (!status.ok() && !absl::IsResourceExhausted(status)) return status;
  segment.SetSealed(status.ok() ? end + footer.size() : end);
  return absl::OkStatus();
}

void SegmentedJournal::NoteDefect(JournalDefect defect) const {
  MutexLock lock(segments_mu_);
  // A damaged place is met again and again; it is one defect.
  constexpr size_t kMost = 1000;
  const bool known = std::any_of(defects_.begin(), defects_.end(), [&](const JournalDefect& d) {
    return d.file == defect.file && d.offset == defect.offset && d.first <= defect.first && defect.last <= d.last;
  });
  if (!known && defects_.size() < kMost) defects_.push_back(std::move(defect));
}

void SegmentedJournal::CheckContinuity() {
  uint64_t covered = 0;
  const auto missing = [&](uint64_t first, uint64_t last) {
    JournalDefect defect;
    defect.file = FileNameOfSegment(first);
    defect.first = first;
    defect.last = last;
    defect.what = "no segment covers these positions";
    NoteDefect(std::move(defect));
  };
  const auto named = [&](uint64_t first) {
    const auto defects = this->defects();
    return std::any_of(defects.begin(), defects.end(),
                       [&](const JournalDefect& d) { return d.file == FileNameOfSegment(first) && d.first == first; });
  };
  for (const auto& segment : segments()) {
    if (segment->first() > covered + 1 && !named(covered + 1)) missing(covered + 1, segment->first() - 1);
    covered = segment->last();
  }
  uint64_t sealed_through;
  {
    MutexLock lock(files_mu_);
    sealed_through = manifest_.sealed_through;
  }
  if (sealed_through > covered && !named(covered + 1)) missing(covered + 1, sealed_through);
  // New records must not take positions that a lost one may have had.
  last_.store(std::max(last(), sealed_through), std::memory_order_release);
}

}  // namespace engram

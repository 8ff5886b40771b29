#include "core/journal/segment_rewrite.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

namespace engram {
namespace {

// Written, synced and paced in pieces: one large sync would hold up the log's own.
constexpr uint64_t kPiece = uint64_t{1} << 20;

}  // namespace

absl::StatusOr<std::shared_ptr<Segment>> SegmentRewrite::Run() {
  const auto survey = [this](const DecodedRecord& record) {
    Survey(record);
    return absl::OkStatus();
  };
  ENGRAM_RETURN_IF_ERROR(ReadAll(survey));
  const absl::Status stale = directory_->Remove(temporary());
  if (!stale.ok() && !absl::IsNotFound(stale)) return stale;
  absl::StatusOr<std::shared_ptr<Segment>> written = Write();
  if (!written.ok()) {
    segment_.reset();
    directory_->Remove(temporary()).IgnoreError();
  }
  return written;
}

absl::Status SegmentRewrite::Moved(uint64_t bytes) {
  if (pace_->Pass(bytes)) return absl::OkStatus();
  return absl::CancelledError("rewriting was stopped");
}

absl::Status SegmentRewrite::ReadAll(const std::function<absl::Status(const DecodedRecord&)>& see) {
  for (const auto& segment : run_) {
    SegmentReader reader(segment->file(), {.sealed = true, .last_position = segment->last()});
    ENGRAM_RETURN_IF_ERROR(reader.Open());
    uint64_t paced = 0;
    while (true) {
      ENGRAM_ASSIGN_OR_RETURN(const bool more, reader.Next());
      const uint64_t through = more ? reader.offset() + reader.length() : segment->bytes();
      if (!more || through - paced >= kPiece) {
        read_bytes_ += through - paced;
        ENGRAM_RETURN_IF_ERROR(Moved(through - paced));
        paced = through;
      }
      if (!more) break;
      ENGRAM_RETURN_IF_ERROR(see(reader.record()));
    }
    if (!reader.defects().empty()) return absl::DataLossError(reader.defects()[0].Describe(segment->name()));
  }
  return absl::OkStatus();
}

void SegmentRewrite::Survey(const DecodedRecord& record) {
  const uint64_t space = record.record.space_id;
  for (const StreamMark& mark : record.record.marks) {
    last_marks_[{space, std::string(mark.stream)}] = record.position;
  }
  if (record.record.type == RecordType::kSpaceChanged) last_changes_[space] = record.position;
}

absl::StatusOr<std::shared_ptr<Segment>> SegmentRewrite::Write() {
  ENGRAM_ASSIGN_OR_RETURN(std::shared_ptr<File> file, directory_->Open(temporary(), Directory::Mode::kCreate));
  SegmentHeader header = run_.front()->header();
  for (const auto& segment : run_) header.generation = std::max(header.generation, segment->header().generation);
  ++header.generation;
  header.seed = std::random_device()();
  SegmentFooter footer;
  footer.first_position = header.first_position;
  footer.last_position = header.first_position - 1;
  segment_ = std::make_shared<Segment>(run_.front()->name(), std::move(file), header, std::move(footer),
                                       kHeaderBlockBytes, /*sealed=*/false);
  out_.resize(kHeaderBlockBytes);
  EncodeHeaderBlock(header, out_.data());
  ENGRAM_RETURN_IF_ERROR(ReadAll([this](const DecodedRecord& record) { return Append(record); }));
  const uint64_t last = run_.back()->last();
  segment_->SetLast(last);
  EncodeFooter(segment_->footer(), last, header.seed, &out_);
  ENGRAM_RETURN_IF_ERROR(Flush());
  segment_->SetSealed(out_begin_);
  return std::move(segment_);
}

absl::Status SegmentRewrite::Append(const DecodedRecord& record) {
  JournalRecord left;
  if (!Reduce(record, &left)) return absl::OkStatus();
  ENGRAM_ASSIGN_OR_RETURN(const uint64_t size, EncodedSize(left));
  const size_t at = out_.size();
  out_.resize(at + size);
  Encode(left, record.position, record.durable, segment_->header().seed, std::span(out_).subspan(at));
  Segment::Added added = Segment::Summarize(left, record.position);
  added.offset = out_begin_ + at;
  segment_->Add(added, out_begin_ + out_.size());
  return out_.size() < kPiece ? absl::OkStatus() : Flush();
}

bool SegmentRewrite::Reduce(const DecodedRecord& record, JournalRecord* left) {
  *left = record.record;
  const uint64_t space = left->space_id;
  if (!liveness_->KeepsSpace(space)) {
    left->marks = {};
    return left->type == RecordType::kSpaceDropped && liveness_->KeepsDrop(space, record.position);
  }
  marks_.clear();
  for (const StreamMark& mark : left->marks) {
    if (last_marks_[{space, std::string(mark.stream)}] == record.position) marks_.push_back(mark);
  }
  left->marks = marks_;
  switch (left->type) {
    case RecordType::kSpaceCreated:
    case RecordType::kSpaceDropped:
      return true;
    case RecordType::kSpaceChanged:
      return last_changes_[space] == record.position || !marks_.empty();
    case RecordType::kTombstones:
      tombstones_.clear();
      for (const Tombstone& tombstone : left->tombstones) {
        if (liveness_->KeepsTombstone(space, tombstone, record.position)) tombstones_.push_back(tombstone);
      }
      left->tombstones = tombstones_;
      return !tombstones_.empty() || !marks_.empty();
    case RecordType::kObservations:
      break;
  }
  observations_.clear();
  places_.clear();
  for (size_t i = 0; i < left->observations.size(); ++i) {
    const uint32_t place = left->places.empty() ? static_cast<uint32_t>(i) : left->places[i];
    if (!liveness_->KeepsObservation(space, {record.position, place})) continue;
    observations_.push_back(left->observations[i]);
    places_.push_back(place);
  }
  // As it was first written when all of it is left.
  if (observations_.size() < left->observations.size()) left->places = places_;
  left->observations = observations_;
  return !observations_.empty() || !marks_.empty();
}

absl::Status SegmentRewrite::Flush() {
  if (out_begin_ + out_.size() > most_bytes_) {
    return absl::ResourceExhaustedError(
        fmt::format("what is needed of {} takes more than the {} bytes there is room for", run_.front()->name(), most_bytes_));
  }
  ENGRAM_RETURN_IF_ERROR(segment_->file().WriteAt(out_begin_, out_));
  ENGRAM_RETURN_IF_ERROR(segment_->file().Sync());
  const uint64_t bytes = out_.size();
  out_begin_ += bytes;
  out_.clear();
  return Moved(bytes);
}

}  // namespace engram

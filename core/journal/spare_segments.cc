#include "core/journal/spare_segments.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace engram {
namespace {

constexpr std::string_view kPrefix = "spare-";
// While it is being filled; a life that finds one removes it.
constexpr std::string_view kHalfDone = ".filling";
constexpr uint64_t kPiece = uint64_t{1} << 20;
// How soon to look again whether the disk has room.
constexpr Duration kRoomCheck{250'000};
// How long a busy log is left alone before it is looked at again.
constexpr Duration kStepBack{100'000};

uint64_t NumberOf(std::string_view name) {
  uint64_t number = 0;
  const char* const begin = name.data() + kPrefix.size();
  std::from_chars(begin, name.data() + name.size(), number);
  return number;
}

}  // namespace

SpareSegments::SpareSegments(Directory* directory, const Options& options, Clock* clock)
    : directory_(directory), options_(options), clock_(clock) {}

bool SpareSegments::IsSpare(std::string_view name) { return name.substr(0, kPrefix.size()) == kPrefix; }

absl::Status SpareSegments::Adopt(const std::vector<std::string>& names) {
  MutexLock lock(mu_);
  for (const std::string& name : names) {
    if (!IsSpare(name)) continue;
    next_number_ = std::max(next_number_, NumberOf(name) + 1);
    bool keep = name.find(kHalfDone) == std::string::npos && ready_.size() < options_.count;
    if (keep) {
      ENGRAM_ASSIGN_OR_RETURN(const auto file, directory_->Open(name, Directory::Mode::kRead));
      ENGRAM_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
      keep = size == options_.segment_bytes;
    }
    if (keep) {
      ready_.push_back(name);
    } else {
      ENGRAM_RETURN_IF_ERROR(directory_->Remove(name));
    }
  }
  reading_.ready = ready_.size();
  return absl::OkStatus();
}

std::string SpareSegments::NextName() { return fmt::format("{}{:06}", kPrefix, next_number_++); }

std::string SpareSegments::NextReady() {
  MutexLock lock(mu_);
  if (ready_.empty()) return "";
  std::string name = std::move(ready_.front());
  ready_.pop_front();
  reading_.ready = ready_.size();
  return name;
}

absl::StatusOr<SpareSegments::Spare> SpareSegments::Take() {
  Spare spare;
  while (!(spare.name = NextReady()).empty()) {
    auto file = directory_->Open(spare.name, Directory::Mode::kReadWrite);
    // Somebody made room by hand. Nothing was in it, so nothing ends for want of it.
    if (absl::IsNotFound(file.status())) continue;
    if (!file.ok()) return file.status();
    spare.file = *std::move(file);
    spare.prepared = true;
    MutexLock lock(mu_);
    ++reading_.taken_prepared;
    return spare;
  }
  ENGRAM_ASSIGN_OR_RETURN(const DiskSpace space, directory_->Space());
  // Into what is kept free otherwise: by now only what makes room is let in, and it must be recorded too.
  if (space.free_bytes < options_.segment_bytes) {
    return absl::ResourceExhaustedError(fmt::format("{} has {} bytes free, a segment takes {}", directory_->path(),
                                                    space.free_bytes, options_.segment_bytes));
  }
  {
    MutexLock lock(mu_);
    spare.name = NextName();
    ++reading_.taken_empty;
  }
  ENGRAM_ASSIGN_OR_RETURN(spare.file, directory_->Open(spare.name, Directory::Mode::kCreate));
  return spare;
}

absl::Status SpareSegments::Recycle(const std::string& name) {
  ENGRAM_ASSIGN_OR_RETURN(const auto file, directory_->Open(name, Directory::Mode::kReadWrite));
  ENGRAM_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  std::string spare;
  // Where room is what is missing, it is what the file gives back.
  const absl::StatusOr<DiskSpace> space = directory_->Space();
  const bool room = space.ok() && space->free_bytes >= options_.least_free_bytes;
  if (room) {
    MutexLock lock(mu_);
    if (size >= LeastRecycled(options_.segment_bytes) && ready_.size() < options_.count) spare = NextName();
  }
  if (spare.empty()) return directory_->Remove(name);
  if (size != options_.segment_bytes) {
    ENGRAM_RETURN_IF_ERROR(file->Truncate(options_.segment_bytes));
    ENGRAM_RETURN_IF_ERROR(file->Sync());
  }
  ENGRAM_RETURN_IF_ERROR(directory_->Rename(name, spare));
  MutexLock lock(mu_);
  ready_.push_back(std::move(spare));
  reading_.ready = ready_.size();
  ++reading_.recycled;
  return absl::OkStatus();
}

bool SpareSegments::Busy(MonotonicTime now) {
  const uint64_t committed = committed_.load(std::memory_order_relaxed);
  const double seconds = std::chrono::duration<double>(now - looked_).count();
  const bool busy = static_cast<double>(committed - committed_before_) >
                    seconds * static_cast<double>(options_.bytes_per_second) / 10;
  committed_before_ = committed;
  looked_ = now;
  return busy;
}

absl::StatusOr<MonotonicTime> SpareSegments::Prepare() {
  const MonotonicTime now = clock_->Now();
  if (now < next_piece_) return next_piece_;
  {
    MutexLock lock(mu_);
    if (filling_ == nullptr && ready_.size() >= options_.count) return MonotonicTime::max();
  }
  if (now - looked_ >= kStepBack && Busy(now)) {
    next_piece_ = now + kStepBack;
    return next_piece_;
  }
  if (filling_ == nullptr) {
    const auto space = directory_->Space();
    const uint64_t wanted = options_.least_free_bytes + 2 * options_.segment_bytes;
    if (!space.ok() || space->free_bytes < wanted) return now + kRoomCheck;
    {
      MutexLock lock(mu_);
      filling_name_ = NextName();
    }
    auto made = directory_->Open(filling_name_ + std::string(kHalfDone), Directory::Mode::kCreate);
    // A quota, descriptors that have run out: preparing is a convenience, and nothing ends for want of it.
    if (!made.ok()) return now + kRoomCheck;
    filling_ = *std::move(made);
    filled_ = 0;
    next_piece_ = now;
    zeros_.resize(std::min(kPiece, options_.segment_bytes));
  }
  const uint64_t piece = std::min<uint64_t>(zeros_.size(), options_.segment_bytes - filled_);
  absl::Status status = filling_->WriteAt(filled_, std::span(zeros_).first(piece));
  // Synced piece by piece, or the last sync would hold up the log's own for a quarter of a gigabyte.
  if (status.ok()) status = filling_->Sync();
  if (!status.ok()) {
    filling_.reset();
    directory_->Remove(filling_name_ + std::string(kHalfDone)).IgnoreError();
    // The disk is full, or says so: it is looked at again, and the log's own writes say what is the matter.
    return now + kRoomCheck;
  }
  filled_ += piece;
  next_piece_ = std::max(now, next_piece_ + Duration(piece * 1'000'000 / std::max<uint64_t>(options_.bytes_per_second, 1)));
  const bool done = filled_ == options_.segment_bytes;
  if (done) {
    filling_.reset();
    zeros_ = {};
    if (!directory_->Rename(filling_name_ + std::string(kHalfDone), filling_name_).ok()) {
      directory_->Remove(filling_name_ + std::string(kHalfDone)).IgnoreError();
      return now + kRoomCheck;
    }
    // Not synced: a cut costs no more than this file, and who takes it syncs the name that it gets then.
  }
  MutexLock lock(mu_);
  reading_.zero_bytes += piece;
  if (!done) return next_piece_;
  ready_.push_back(filling_name_);
  reading_.ready = ready_.size();
  return now;
}

SpareSegments::Reading SpareSegments::Read() const {
  MutexLock lock(mu_);
  return reading_;
}

}  // namespace engram

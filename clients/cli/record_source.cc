#include "clients/cli/record_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "clients/cli/json_lines.h"
#include "clients/cli/npy.h"
#include "core/base/status.h"

namespace engram {
namespace {

constexpr size_t kReadSize = 256 * 1024;
constexpr size_t kMaxLine = 64 * 1024 * 1024;
// What a message has around one observation, at most.
constexpr uint64_t kAroundOne = 64;
// Longer ones are refused by every daemon.
constexpr size_t kLongestId = 1024;

int64_t NowMicros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

class JsonLines final : public RecordSource {
 public:
  explicit JsonLines(std::unique_ptr<LineReader> lines) : lines_(std::move(lines)) {}

  bool Next(Record* record) override {
    std::string_view line;
    do {
      if (!lines_->Next(&line)) return false;
    } while (line.find_first_not_of(" \t") == std::string_view::npos);
    record->line = lines_->line();
    const absl::Status status = ParseObservation(line, EmbeddingFrom::kRecord, NowMicros(), &record->observation);
    record->fault = std::string(status.message());
    return true;
  }
  absl::Status status() const override { return lines_->status(); }
  double Share() const override { return lines_->Share(); }
  uint64_t dimension() const override { return 0; }

 private:
  const std::unique_ptr<LineReader> lines_;
};

class MatrixRows final : public RecordSource {
 public:
  MatrixRows(std::unique_ptr<NpyFile> file, std::unique_ptr<LineReader> texts, std::unique_ptr<LineReader> records)
      : file_(std::move(file)), texts_(std::move(texts)), records_(std::move(records)) {}

  bool Next(Record* record) override {
    const NpyHeader& header = file_->header();
    LineReader* const beside = texts_ ? texts_.get() : records_.get();
    std::string_view line;
    const bool has_line = beside != nullptr && beside->Next(&line);
    if (row_ == header.rows) {
      if (has_line)
        status_ = absl::InvalidArgumentError(
            fmt::format("{} goes on after {} lines; {} has {} rows", beside->name(), row_, file_->name(), row_));
      return false;
    }
    if (beside != nullptr && !has_line) {
      status_ = beside->status();
      if (status_.ok()) {
        status_ = absl::InvalidArgumentError(
            fmt::format("{} ends after {} lines; {} has {} rows", beside->name(), row_, file_->name(), header.rows));
      }
      return false;
    }
    record->line = row_ + 1;
    record->observation.Clear();
    record->fault.clear();
    if (texts_) record->observation.set_content(std::string(line));
    if (records_) {
      record->fault =
          std::string(ParseObservation(line, EmbeddingFrom::kMatrix, NowMicros(), &record->observation).message());
    }
    const std::string elements(file_->Row(row_++));
    if (header.element == NpyHeader::Element::kFloat32) {
      record->observation.set_embedding_f32(elements);
    } else {
      record->observation.set_embedding_f16(elements);
    }
    return true;
  }
  absl::Status status() const override { return status_; }
  double Share() const override {
    return file_->header().rows == 0 ? 1 : static_cast<double>(row_) / static_cast<double>(file_->header().rows);
  }
  uint64_t dimension() const override { return file_->header().columns; }

 private:
  const std::unique_ptr<NpyFile> file_;
  const std::unique_ptr<LineReader> texts_;
  const std::unique_ptr<LineReader> records_;
  absl::Status status_;
  uint64_t row_ = 0;
};

}  // namespace

void StandInWhereTooLarge(uint64_t most, Record* record) {
  const uint64_t bytes = record->observation.ByteSizeLong();
  record->stands_in = record->fault.empty() && most > 0 && bytes + kAroundOne > most;
  if (!record->stands_in) return;
  record->fault = fmt::format("the observation has {} bytes; the daemon takes messages of at most {}", bytes, most);
  v1::Observation stand_in;
  if (record->observation.id().size() <= kLongestId) stand_in.set_id(record->observation.id());
  record->observation = std::move(stand_in);
}

LineReader::LineReader(int fd, std::string name, int wake_fd) : fd_(fd), name_(std::move(name)), wake_fd_(wake_fd) {
  struct stat info = {};
  if (fstat(fd_, &info) == 0 && S_ISREG(info.st_mode)) size_ = static_cast<uint64_t>(info.st_size);
}

LineReader::~LineReader() { close(fd_); }

absl::StatusOr<std::unique_ptr<LineReader>> LineReader::Open(const std::string& path, int wake_fd) {
  const int fd = path == "-" ? dup(STDIN_FILENO) : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return absl::NotFoundError(fmt::format("cannot open {}: {}", path, strerror(errno)));
  return std::make_unique<LineReader>(fd, path == "-" ? "standard input" : path, wake_fd);
}

bool LineReader::Fill() {
  if (ended_) return false;
  if (begin_ > 0) {
    buffer_.erase(0, begin_);
    searched_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() > kMaxLine) {
    status_ = absl::InvalidArgumentError(fmt::format("{}: line {} is longer than 64 MiB", name_, line_ + 1));
    ended_ = true;
    return false;
  }
  pollfd waited[2] = {{fd_, POLLIN, 0}, {wake_fd_, POLLIN, 0}};
  while (poll(waited, 2, -1) < 0 && errno == EINTR) {
  }
  if (waited[1].revents != 0) {
    ended_ = true;
    buffer_.clear();
    searched_ = 0;
    return false;
  }
  const size_t had = buffer_.size();
  buffer_.resize(had + kReadSize);
  ssize_t got = 0;
  do {
    got = read(fd_, buffer_.data() + had, kReadSize);
  } while (got < 0 && errno == EINTR);
  buffer_.resize(had + static_cast<size_t>(got > 0 ? got : 0));
  if (got < 0) status_ = absl::DataLossError(fmt::format("cannot read {}: {}", name_, strerror(errno)));
  ended_ = got <= 0;
  return got > 0;
}

bool LineReader::Next(std::string_view* line) {
  size_t end = std::string::npos;
  while ((end = buffer_.find('\n', searched_)) == std::string::npos) {
    searched_ = buffer_.size();
    if (Fill()) continue;
    // The last line may go without a line break.
    if (!status_.ok() || begin_ >= buffer_.size()) return false;
    end = buffer_.size();
    break;
  }
  *line = std::string_view(buffer_).substr(begin_, end - begin_);
  taken_ += end - begin_ + 1;
  if (!line->empty() && line->back() == '\r') line->remove_suffix(1);
  begin_ = searched_ = end < buffer_.size() ? end + 1 : end;
  ++line_;
  return true;
}

double LineReader::Share() const {
  return size_ == 0 ? -1 : std::min(1.0, static_cast<double>(taken_) / static_cast<double>(size_));
}

absl::StatusOr<std::unique_ptr<RecordSource>> OpenRecords(const ObserveOptions& options, int wake_fd) {
  if (options.npy.empty()) {
    ENGRAM_ASSIGN_OR_RETURN(std::unique_ptr<LineReader> lines, LineReader::Open(options.file, wake_fd));
    return std::unique_ptr<RecordSource>(std::make_unique<JsonLines>(std::move(lines)));
  }
  ENGRAM_ASSIGN_OR_RETURN(std::unique_ptr<NpyFile> file, NpyFile::Open(options.npy, wake_fd));
  std::unique_ptr<LineReader> texts, records;
  if (!options.text.empty()) {
    ENGRAM_ASSIGN_OR_RETURN(texts, LineReader::Open(options.text, wake_fd));
  }
  if (!options.jsonl.empty()) {
    ENGRAM_ASSIGN_OR_RETURN(records, LineReader::Open(options.jsonl, wake_fd));
  }
  return std::unique_ptr<RecordSource>(
      std::make_unique<MatrixRows>(std::move(file), std::move(texts), std::move(records)));
}

}  // namespace engram

// Where `engram observe` gets its observations: JSON lines, or the rows of a .npy file with their texts beside them.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "clients/cli/options.h"
#include "engram/v1/observation.pb.h"

namespace engram {

// Lines of a file or pipe, without their line breaks. One thread reads.
class LineReader {
 public:
  // Takes the file descriptor over. A readable `wake_fd` ends the reading, also while it waits for a slow producer.
  LineReader(int fd, std::string name, int wake_fd);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  // NOT_FOUND: cannot be opened. "-" is standard input.
  static absl::StatusOr<std::unique_ptr<LineReader>> Open(const std::string& path, int wake_fd);

  // The next line, valid until the next call; false at the end, after a fault, and when woken.
  bool Next(std::string_view* line);
  const absl::Status& status() const { return status_; }
  const std::string& name() const { return name_; }
  // Of the line last given, from 1.
  uint64_t line() const { return line_; }
  // Bytes taken of bytes there are, 0..1; negative where that is not known.
  double Share() const;

 private:
  bool Fill();

  const int fd_;
  const std::string name_;
  const int wake_fd_;
  absl::Status status_;
  std::string buffer_;
  size_t begin_ = 0;
  // No line break lies before this.
  size_t searched_ = 0;
  bool ended_ = false;
  uint64_t line_ = 0;
  uint64_t taken_ = 0;
  uint64_t size_ = 0;
};

struct Record {
  // Where it stands in the input, from 1.
  uint64_t line = 0;
  v1::Observation observation;
  // Why it cannot be sent; empty when it can.
  std::string fault;
  // In the place of one that no message can carry, which `fault` says.
  bool stands_in = false;
};

// Where a message of `most` bytes (0: any) cannot carry the observation, puts one in its place that the daemon refuses for
// good: the line uses its sequence up, so the numbers of a stream are the input's alone and not a setting's.
void StandInWhereTooLarge(uint64_t most, Record* record);

// One thread reads.
class RecordSource {
 public:
  virtual ~RecordSource() = default;
  // False at the end of the input, when woken, and after a fault that ends it; `status` tells.
  virtual bool Next(Record* record) = 0;
  virtual absl::Status status() const = 0;
  // How much of the input has been read, 0..1; negative where that is not known.
  virtual double Share() const = 0;
  // Elements of every embedding, where the input fixes that; else 0.
  virtual uint64_t dimension() const = 0;
};

// By what the options name. NOT_FOUND: a file cannot be opened. INVALID_ARGUMENT: it is not what it should be.
absl::StatusOr<std::unique_ptr<RecordSource>> OpenRecords(const ObserveOptions& options, int wake_fd);

}  // namespace engram

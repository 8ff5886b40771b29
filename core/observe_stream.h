// One client's stream of observations into one space: sequences in, watermarks out.
//
// Threads:  Submit from one thread (the reader); TakeProgress and Reached from one other (the writer); Close from any, also
//           while Submit waits, which then returns. Workers advance the watermarks.
// Ownership: shared by the connection and by what it still has in the queue; a closed stream's accepted work is finished.
// Blocking: Submit waits for room in the queue (at most queue.max_wait) and for the writer to take rejections; nothing
//           else waits.
// Errors:   per observation, as Rejected; the stream itself ends only through Progress::ended.
// Order:    observations of one stream commit in the order of their sequences, whatever their priorities.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/base/types.h"

namespace engram {

// A run of observations that were not taken; see engram.v1.Rejection.
struct Rejected {
  uint64_t sequence = 0;
  uint32_t count = 1;
  absl::Status status;
  Duration retry_after{0};
};

// Told that TakeProgress has something new. Called by workers, with a lock held: it only wakes somebody.
class StreamListener {
 public:
  virtual ~StreamListener() = default;
  virtual void OnProgress() noexcept = 0;
};

struct PressureReading {
  PressureLevel level = PressureLevel::kNormal;
  uint64_t depth = 0;
  uint64_t capacity = 0;
  Duration retry_after{0};
};

struct StreamProgress {
  uint64_t received_through = 0;
  uint64_t durable_through = 0;
  uint64_t indexed_through = 0;
  Token token;
  std::vector<Rejected> rejected;
  // Something worth an Ack at the stream's level happened since the last call.
  bool ack_due = false;
  // The pressure level changed since the last call.
  bool pressure_due = false;
  PressureReading pressure;
  // Not OK: the stream is over, with this status (space deleted, taken over, draining).
  absl::Status ended;
};

class ObserveStream {
 public:
  virtual ~ObserveStream() = default;

  virtual const std::string& id() const = 0;
  // The first sequence not taken when the stream was opened.
  virtual uint64_t first_expected() const = 0;
  // The space's dimension, 0 while it is open.
  virtual uint32_t dimension() const = 0;

  // Takes the observations first_sequence, first_sequence + 1, ...; what is refused shows up in TakeProgress.
  virtual void Submit(uint64_t first_sequence, Priority priority, ObservationBatch batch) = 0;
  // The watermarks, and the rejections since the last call (each is handed out once).
  virtual StreamProgress TakeProgress() = 0;
  // Everything received has reached the stream's ack level.
  virtual bool Reached() const = 0;
  // No more Submit; the listener is not called after it returns.
  virtual void Close() = 0;
};

}  // namespace engram

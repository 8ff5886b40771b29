// Which observations of a stream are under way, and from where to send again. The rules of the wire, without the wire:
// sequences without gaps, observations kept until they are received, and going back after a transient refusal.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "engram/v1/memory_service.pb.h"

namespace engram {

// Not for several threads at once. Times are microseconds of one steady clock, given by the caller.
class SendWindow {
 public:
  struct Refused {
    uint64_t sequence = 0;
    // 0 when it is not known any more, or an earlier run's.
    uint64_t line = 0;
    std::string id;
    std::string reason;
    // As `fault` of Add.
    bool of_input = false;
  };

  // `next_sequence` from StreamStarted. At most `capacity` observations wait for their ack, and fewer where they are
  // large.
  SendWindow(uint64_t next_sequence, v1::AckLevel level, uint64_t capacity);

  // Room for one more observation.
  bool HasRoom() const { return end_ - 1 - acknowledged() < capacity_ && bytes_ < kMaxBytes; }
  // Gives the observation the next sequence. `line` is what a refusal is reported with, and `fault`, where there is one,
  // what it is reported for.
  void Add(uint64_t line, v1::Observation observation, std::string fault = {});

  // Copies the next observations to send into `batch`: at most `most`, and at most `bytes` of them, but at least one.
  // False when there is nothing to send, or not yet.
  bool TakeBatch(size_t most, size_t bytes, v1::ObservationBatch* batch);
  // What fits a batch by what the daemon has refused; TakeBatch keeps to it.
  uint64_t most_in_batch() const { return most_in_batch_; }
  // Observations added and not sent since the stream last went back.
  uint64_t unsent() const { return end_ - cursor_; }

  // Takes in an ack. Returns what has been refused for good; a transient refusal makes the window go back instead.
  std::vector<Refused> OnAck(const v1::Ack& ack, int64_t now_us);
  void OnEnded(const v1::StreamEnded& ended);

  // While going back nothing is sent. The daemon refuses everything behind the first refusal, so first all that is
  // under way has to come back refused: going back earlier would send twice, and have the stale refusals taken for new
  // ones.
  bool going_back() const { return going_back_; }
  // Goes on, when everything has come back and the daemon's retry_after is over. True when it went on.
  bool GoOn(int64_t now_us);

  // The daemon's words for the transient refusal the window last went back for.
  const std::string& transient_reason() const { return transient_reason_; }
  // How long nothing has been received since a transient refusal; 0 without one.
  int64_t StuckFor(int64_t now_us) const { return stuck_since_us_ < 0 ? 0 : now_us - stuck_since_us_; }

  // The watermark of the level asked for.
  uint64_t acknowledged() const;
  uint64_t received() const { return received_; }
  // Everything sent has been received or refused for good.
  bool AllReceived() const { return received_ + 1 >= end_; }
  // Everything sent has been answered one way or the other.
  bool AllAnswered() const { return received_ >= sent_ || (going_back_ && settled_); }
  uint64_t resent() const { return resent_; }

 private:
  static constexpr uint64_t kMaxBytes = 64 * 1024 * 1024;

  struct Entry {
    uint64_t line = 0;
    uint64_t bytes = 0;
    v1::Observation observation;
    std::string fault;
  };

  void Release();

  const v1::AckLevel level_;
  const uint64_t capacity_;
  // Entries of [base_, end_).
  std::deque<Entry> entries_;
  uint64_t bytes_ = 0;
  uint64_t base_;
  uint64_t end_;
  // The next to send, and the last sent since the window last went back.
  uint64_t cursor_;
  uint64_t sent_;
  // The last ever sent.
  uint64_t ever_sent_;
  uint64_t received_;
  uint64_t durable_;
  uint64_t indexed_;
  uint64_t most_in_batch_ = UINT64_MAX;
  bool going_back_ = false;
  bool settled_ = false;
  int64_t go_on_at_us_ = 0;
  int64_t settled_by_us_ = 0;
  std::string transient_reason_;
  // Negative: something was received after the last transient refusal, or there was none.
  int64_t stuck_since_us_ = -1;
  uint64_t resent_ = 0;
};

}  // namespace engram

// A client that streams what a ledger can check, notices that the daemon has gone, and goes on where the next one says.
//
// Threads:   one at a time. Ownership: the ledger outlives it. Blocking: sends and reads; at most a minute.
// Errors:    failed test expectations; that the daemon has gone is none.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include "tests/server/support/ledger.h"
#include "tests/server/support/stream_client.h"

namespace engram::testing {

class LedgerStream {
 public:
  // Told of each frame sent and of each acknowledgement read.
  struct Events {
    std::function<void()> sent;
    std::function<void()> acknowledged;
  };

  static constexpr uint64_t kMostInFrame = 64;
  // A sequence divisible by kReplaceEvery replaces what was sent this much earlier: never in the same frame.
  static constexpr uint64_t kReplaceEvery = 7;
  static constexpr uint64_t kReplaceBack = 71;

  LedgerStream(std::string space, std::string stream, Ledger* ledger)
      : space_(std::move(space)), stream_(std::move(stream)), ledger_(ledger) {}

  // Opens the stream with `resume`: nothing acknowledged may be asked for again, and nothing be known that was never
  // sent.
  void Open(v1::MemoryService::Stub& stub);
  // Sends frames until `least` sequences are durable or the daemon is gone; false when it is gone.
  bool Send(uint64_t least, std::mt19937_64& random, const Events& events);
  // Ends in good order.
  void End();
  // Reads what the daemon said before it went, and lets go of the call.
  void Abandon();

  const std::string& space() const { return space_; }
  uint64_t durable() const { return durable_; }
  uint64_t sent() const { return sent_; }
  // Of the sequence: its own, or that of the one it replaces.
  std::string IdOf(uint64_t sequence) const;

 private:
  void TakeAck();
  // Now and then what is long durable, as a client that lost its notes would: versions that have been replaced since
  // and observations that have been forgotten. None of it may come back.
  bool SendAgain(std::mt19937_64& random);

  const std::string space_;
  const std::string stream_;
  Ledger* const ledger_;
  std::unique_ptr<StreamClient> client_;
  uint64_t durable_ = 0;
  uint64_t sent_ = 0;
};

}  // namespace engram::testing

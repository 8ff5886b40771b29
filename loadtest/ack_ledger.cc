#include "loadtest/ack_ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace engram {

void AckLedger::Contradicts(std::string what) {
  if (contradictions_++ == 0) first_contradiction_ = std::move(what);
}

void AckLedger::Sent(uint64_t through) {
  MutexLock lock(mu_);
  sent_ = std::max(sent_, through);
}

void AckLedger::Resumed(uint64_t next_sequence) {
  MutexLock lock(mu_);
  if (next_sequence <= durable_) {
    Contradicts(fmt::format("{} was acknowledged as durable, and then the stream was to go on at {}", durable_,
                            next_sequence));
  }
  if (next_sequence > sent_ + 1) {
    Contradicts(fmt::format("the stream was to go on at {}, and only {} were ever sent", next_sequence, sent_));
  }
}

void AckLedger::Durable(uint64_t through) {
  MutexLock lock(mu_);
  if (through > sent_) Contradicts(fmt::format("{} is acknowledged, and only {} were ever sent", through, sent_));
  durable_ = std::max(durable_, std::min(through, sent_));
}

bool AckLedger::IsRefused(uint64_t sequence) const {
  auto run = refused_.upper_bound(sequence);
  return run != refused_.begin() && sequence < std::prev(run)->second;
}

void AckLedger::Refused(uint64_t first, uint64_t count, const std::string& why) {
  MutexLock lock(mu_);
  if (first_refusal_.empty()) first_refusal_ = why;
  // A connection that resumes names the latest refusals again.
  for (uint64_t sequence = first; sequence < first + count; ++sequence) {
    if (IsRefused(sequence)) continue;
    const auto run = refused_.emplace(sequence, sequence + 1).first;
    if (run != refused_.begin() && std::prev(run)->second == sequence) {
      std::prev(run)->second = sequence + 1;
      refused_.erase(run);
    }
  }
}

AckLedger::Reading AckLedger::Read() const {
  MutexLock lock(mu_);
  Reading reading{.sent = sent_,
                  .durable = durable_,
                  .contradictions = contradictions_,
                  .first_contradiction = first_contradiction_,
                  .first_refusal = first_refusal_};
  for (const auto& [first, behind] : refused_) reading.refused += behind - first;
  return reading;
}

AckLedger::Promise AckLedger::Of(uint64_t sequence) const {
  MutexLock lock(mu_);
  if (IsRefused(sequence) || sequence > sent_) return Promise::kNotThere;
  return sequence <= durable_ ? Promise::kThere : Promise::kOpen;
}

}  // namespace engram

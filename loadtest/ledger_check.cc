#include "loadtest/ledger_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "loadtest/observe_client.h"

namespace engram {
namespace {

// Of what is read back at a time: as many as a call takes, and no larger than it takes to be quick.
constexpr uint64_t kMostInPage = 500, kPageBytes = 4 << 20;
constexpr std::chrono::seconds kPatience{60};

class Check {
 public:
  Check(v1::MemoryService::Stub& stub, const MadeObservations& made)
      : stub_(stub), made_(made), page_(std::clamp<uint64_t>(kPageBytes / made.BytesEach(), 1, kMostInPage)) {}

  absl::Status Stream(const LedgerStreamRef& stream) {
    const uint64_t sent = stream.ledger->Read().sent;
    for (uint64_t first = 1; first <= sent; first += page_) {
      ENGRAM_RETURN_IF_ERROR(Page(stream, first, std::min(sent, first + page_ - 1)));
    }
    return absl::OkStatus();
  }

  absl::Status Space(const std::string& name) {
    v1::GetSpaceRequest request;
    request.set_name(name);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    context.set_wait_for_ready(true);
    v1::Space space;
    ENGRAM_RETURN_IF_ERROR(FromGrpc(stub_.GetSpace(&context, request, &space), "get space " + name));
    const uint64_t found = there_[name];
    if (space.size() > space.live()) {
      verdict_.twice += space.size() - space.live();
      Note(fmt::format("space {} has {} rows and {} observations", name, space.size(), space.live()));
    }
    if (space.live() > found) {
      verdict_.invented += space.live() - found;
      Note(fmt::format("space {} has {} observations, of which {} were sent", name, space.live(), found));
    }
    return absl::OkStatus();
  }

  const LedgerVerdict& verdict() const { return verdict_; }

 private:
  void Note(const std::string& fault) {
    if (verdict_.first_fault.empty()) verdict_.first_fault = fault;
  }

  absl::Status Page(const LedgerStreamRef& stream, uint64_t first, uint64_t last) {
    v1::GetObservationsRequest request;
    request.set_space(stream.space);
    request.set_include_embedding(true);
    for (uint64_t s = first; s <= last; ++s) request.add_ids(MadeObservations::IdOf(stream.number, s));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    context.set_wait_for_ready(true);
    v1::GetObservationsResponse response;
    ENGRAM_RETURN_IF_ERROR(FromGrpc(stub_.GetObservations(&context, request, &response),
                                    "get observations of " + stream.space));
    std::map<std::string, const v1::Observation*> found;
    for (const v1::Observation& one : response.observations()) found[one.id()] = &one;
    for (uint64_t s = first; s <= last; ++s) {
      const auto at = found.find(request.ids(static_cast<int>(s - first)));
      One(stream, s, at == found.end() ? nullptr : at->second);
    }
    return absl::OkStatus();
  }

  void One(const LedgerStreamRef& stream, uint64_t sequence, const v1::Observation* found) {
    const AckLedger::Promise promise = stream.ledger->Of(sequence);
    const std::string id = MadeObservations::IdOf(stream.number, sequence);
    if (promise == AckLedger::Promise::kThere) ++verdict_.promised;
    if (found == nullptr) {
      if (promise != AckLedger::Promise::kThere) return;
      ++verdict_.lost;
      return Note(fmt::format("observation {} of space {} was acknowledged and is not there", id, stream.space));
    }
    ++there_[stream.space];
    if (promise == AckLedger::Promise::kNotThere) {
      ++verdict_.revived;
      return Note(fmt::format("observation {} of space {} was refused and is there", id, stream.space));
    }
    const std::string difference = made_.Difference(stream.number, sequence, *found);
    if (difference.empty()) {
      ++verdict_.found;
    } else {
      ++verdict_.changed;
      Note(difference);
    }
  }

  v1::MemoryService::Stub& stub_;
  const MadeObservations& made_;
  const uint64_t page_;  // Observations in one.
  std::map<std::string, uint64_t> there_;
  LedgerVerdict verdict_;
};

}  // namespace

absl::StatusOr<LedgerVerdict> CheckLedgers(v1::MemoryService::Stub& stub, const MadeObservations& made,
                                           const std::vector<LedgerStreamRef>& streams) {
  Check check(stub, made);
  std::map<std::string, bool> spaces;
  for (const LedgerStreamRef& stream : streams) {
    ENGRAM_RETURN_IF_ERROR(check.Stream(stream));
    spaces[stream.space] = true;
  }
  for (const auto& [name, unused] : spaces) ENGRAM_RETURN_IF_ERROR(check.Space(name));
  return check.verdict();
}

}  // namespace engram

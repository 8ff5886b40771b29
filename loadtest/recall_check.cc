#include "loadtest/recall_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

namespace engram {

RecallCheck::RecallCheck(const MadeObservations* made, const std::vector<LedgerStreamRef>& streams) : made_(made) {
  for (const LedgerStreamRef& stream : streams) {
    streams_.emplace(stream.number, stream);
    spaces_[stream.space].push_back(stream);
  }
}

uint32_t RecallCheck::LeastHits(const v1::RecallRequest& request, const MadeObservations::Place& like) const {
  if (request.has_filter()) {
    // How many others carry the tag would have to be counted; that the one it was taken from does is known.
    const auto stream = streams_.find(like.stream);
    const bool there =
        stream != streams_.end() && stream->second.ledger->Of(like.sequence) == AckLedger::Promise::kThere;
    return there ? 1 : 0;
  }
  const auto space = spaces_.find(request.space());
  if (space == spaces_.end()) return 0;
  uint64_t there = 0;
  for (const LedgerStreamRef& stream : space->second) {
    const AckLedger::Reading reading = stream.ledger->Read();
    there += reading.durable - std::min(reading.durable, reading.refused);
    if (there > request.k()) break;
  }
  // What it recalls by is no hit itself.
  if (request.cue_case() == v1::RecallRequest::kId && there > 0) --there;
  return static_cast<uint32_t>(std::min<uint64_t>(there, request.k()));
}

std::string RecallCheck::FaultOf(const v1::RecallRequest& request, uint32_t least_hits,
                                 const v1::RecallResponse& response) const {
  const auto hits = static_cast<uint32_t>(response.hits_size());
  if (hits > request.k()) return fmt::format("{} hits in space {}; asked for {}", hits, request.space(), request.k());
  if (hits < least_hits) {
    return fmt::format("{} hits in space {}; {} that match had been acknowledged", hits, request.space(), least_hits);
  }
  std::set<std::string_view> ids;
  for (const v1::Hit& hit : response.hits()) {
    if (!ids.insert(hit.id()).second) return fmt::format("hit {} of space {} twice in one answer", hit.id(), request.space());
    if (std::string fault = FaultOf(request, hit); !fault.empty()) return fault;
  }
  return "";
}

std::string RecallCheck::FaultOf(const v1::RecallRequest& request, const v1::Hit& hit) const {
  const auto fault = [&](const std::string& what) {
    return fmt::format("hit {} of space {} {}", hit.id(), request.space(), what);
  };
  const std::optional<MadeObservations::Place> place = MadeObservations::PlaceOf(hit.id());
  const auto stream = place ? streams_.find(place->stream) : streams_.end();
  if (stream == streams_.end()) return fault("was never sent");
  if (stream->second.space != request.space()) return fault("was sent into space " + stream->second.space);
  if (stream->second.ledger->Of(place->sequence) == AckLedger::Promise::kNotThere) return fault("was refused or never sent");
  if (request.cue_case() == v1::RecallRequest::kId && request.id() == hit.id()) return fault("is what it was recalled by");
  if (request.include_content() && hit.content() != made_->ContentOf(place->stream, place->sequence)) {
    return fault("has another content");
  }
  for (const auto& [key, value] : request.filter().all_tags()) {
    const auto tag = hit.tags().find(key);
    if (tag == hit.tags().end() || tag->second != value || made_->UserOf(place->stream, place->sequence) != value) {
      return fault(fmt::format("has another {} than '{}'", key, value));
    }
  }
  return "";
}

}  // namespace engram

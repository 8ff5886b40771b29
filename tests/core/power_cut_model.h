// What clients know of their spaces: what they were told is there, what they have sent beyond it, and the one call
// whose answer the power took.
//
// A stream's watermark says exactly which of its observations are there, for ids of one stream come in its order and no
// two streams have observations under way for one id. So once a start has told the watermarks there is one right
// content of each space, or a few: the call without an answer may have taken effect.
//
// Threads: one. Ownership: values.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/observations.h"

namespace engram::testing {

// An observation somebody was told is there.
struct KeptObservation {
  TestObservation observation;
  bool buried = false;  // It has expired, and the log says so.

  bool Live(int64_t now_us) const {
    return observation.ttl_us == 0 || observation.observed_at_us + observation.ttl_us > now_us;
  }
};

struct SentObservation {
  uint64_t sequence = 0;
  TestObservation observation;
  bool valid = true;  // Otherwise its sequence is used up and nothing is stored.
};

struct StreamModel {
  uint64_t acknowledged = 0;
  std::vector<SentObservation> ahead;  // Sent and not acknowledged, in order.

  uint64_t sent() const { return ahead.empty() ? acknowledged : ahead.back().sequence; }
};

struct SpaceModel {
  bool there = false;
  uint32_t ef_search = 0;
  std::map<std::string, KeptObservation> kept;  // The last version of each id, expired or not.
  std::map<std::string, StreamModel> streams;
  // Had expired when a start could have shown whether they were there.
  std::multimap<std::string, std::string> perhaps;

  void Keep(const TestObservation& observation) {
    kept[observation.id] = {observation};
    perhaps.erase(observation.id);
  }
  // The client was told, or a start showed, that the stream is there up to `through`.
  void Acknowledge(const std::string& name, uint64_t through) {
    StreamModel& stream = streams[name];
    size_t done = 0;
    while (done < stream.ahead.size() && stream.ahead[done].sequence <= through) {
      SentObservation& sent = stream.ahead[done++];
      if (sent.valid) Keep(sent.observation);
    }
    stream.ahead.erase(stream.ahead.begin(), stream.ahead.begin() + static_cast<ptrdiff_t>(done));
    stream.acknowledged = std::max(stream.acknowledged, through);
  }
};

inline std::string Line(const TestObservation& o) {
  std::string line =
      fmt::format("  {} '{}' of {} bytes ({:x}) at {} ttl {} confidence {} vector", o.id, o.content.substr(0, 12),
                  o.content.size(), std::hash<std::string>()(o.content), o.observed_at_us, o.ttl_us, o.confidence);
  for (const float x : o.embedding) line += fmt::format(" {}", x);
  for (const auto& [key, value] : o.tags) line += fmt::format(" {}={}", key, value);
  return line + "\n";
}

// What a start shows of a space.
struct SeenSpace {
  bool there = false;
  uint32_t ef_search = 0;
  uint64_t live = 0;
  std::map<std::string, TestObservation> found;
  std::map<std::string, uint64_t> streams;  // Their watermarks.

  std::string Text() const {
    if (!there) return "no space\n";
    std::string text = fmt::format("ef {} live {}\n", ef_search, live);
    for (const auto& [id, observation] : found) text += Line(observation);
    for (const auto& [stream, through] : streams) text += fmt::format("  {} through {}\n", stream, through);
    return text;
  }
};

// The model once the watermarks that `seen` shows are applied; nothing: they are not what they may be. `least` is what
// of each stream was committed.
inline std::optional<SpaceModel> Settled(SpaceModel model, const SeenSpace& seen,
                                         const std::map<std::string, uint64_t>& least, std::string* why) {
  if (!model.there || !seen.there) return model;
  for (const auto& [name, through] : seen.streams) {
    const StreamModel& stream = model.streams[name];
    const auto promised = least.find(name);
    const uint64_t from = std::max(stream.acknowledged, promised == least.end() ? 0 : promised->second);
    if (through < from || through > stream.sent()) {
      *why += fmt::format("stream {} is at {}, which is not in {}..{}\n", name, through, from, stream.sent());
      return std::nullopt;
    }
    model.Acknowledge(name, through);
    // Lost, and to be sent again.
    model.streams[name].ahead.clear();
  }
  return model;
}

// What a start must show of a model that is settled.
inline SeenSpace Expected(const SpaceModel& model, const SeenSpace& seen, int64_t now_us) {
  SeenSpace expected;
  expected.there = model.there;
  if (!model.there) return expected;
  expected.ef_search = model.ef_search;
  for (const auto& [id, kept] : model.kept) {
    if (kept.Live(now_us)) expected.found[id] = kept.observation;
  }
  expected.live = expected.found.size();
  for (const auto& [name, through] : seen.streams) expected.streams[name] = model.streams.at(name).acknowledged;
  return expected;
}

}  // namespace engram::testing

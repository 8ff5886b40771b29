#include "loadtest/made_observations.h"

#include <fmt/format.h>

#include <charconv>

#include "loadtest/clustered_matrix.h"

namespace engram {
namespace {

// Turned round by round, they are this many times the dimension different vectors.
constexpr size_t kRows = 4096;

}  // namespace

MadeObservations::MadeObservations(uint64_t seed, uint32_t dimension, uint32_t content_bytes, uint32_t users)
    : seed_(seed),
      content_bytes_(content_bytes),
      users_(users),
      vectors_(ClusteredSource(dimension, seed).Draw(kRows, kRowStream)) {}

uint64_t MadeObservations::NumberOf(uint32_t stream, uint64_t sequence) const {
  return MixNumbers(MixNumbers(seed_, stream), sequence);
}

std::string MadeObservations::IdOf(uint32_t stream, uint64_t sequence) {
  return fmt::format("{}-{:08}", stream, sequence);
}

std::optional<MadeObservations::Place> MadeObservations::PlaceOf(std::string_view id) {
  Place place;
  const char* const end = id.data() + id.size();
  const auto stream = std::from_chars(id.data(), end, place.stream);
  if (stream.ec != std::errc() || stream.ptr == end || *stream.ptr != '-') return std::nullopt;
  const auto sequence = std::from_chars(stream.ptr + 1, end, place.sequence);
  // Written in one way only: "0-5" is nobody's.
  if (sequence.ec != std::errc() || IdOf(place.stream, place.sequence) != id) return std::nullopt;
  return place;
}

std::string MadeObservations::UserOf(uint32_t stream, uint64_t sequence) const {
  return fmt::format("u{}", NumberOf(stream, sequence) % users_);
}

void MadeObservations::MakeVector(uint32_t stream, uint64_t sequence, std::string* bytes) const {
  const uint64_t number = NumberOf(stream, sequence);
  const auto row = vectors_.row(number % kRows);
  const size_t by = number / kRows % vectors_.dimension;
  bytes->assign(reinterpret_cast<const char*>(row.data() + by), (row.size() - by) * sizeof(float));
  bytes->append(reinterpret_cast<const char*>(row.data()), by * sizeof(float));
}

uint64_t MadeObservations::BytesEach() const {
  constexpr uint64_t kIdAndTag = 64;
  return vectors_.dimension * sizeof(float) + content_bytes_ + kIdAndTag;
}

std::string MadeObservations::ContentOf(uint32_t stream, uint64_t sequence) const {
  std::string content = fmt::format("{:016x} of {}-{} ", NumberOf(stream, sequence), stream, sequence);
  content.resize(content_bytes_, static_cast<char>('a' + sequence % 26));
  return content;
}

void MadeObservations::Make(uint32_t stream, uint64_t sequence, v1::Observation* out) const {
  out->set_id(IdOf(stream, sequence));
  MakeVector(stream, sequence, out->mutable_embedding_f32());
  out->set_content(ContentOf(stream, sequence));
  if (users_ > 0) (*out->mutable_tags())["user"] = UserOf(stream, sequence);
}

std::string MadeObservations::Difference(uint32_t stream, uint64_t sequence, const v1::Observation& found) const {
  v1::Observation sent;
  Make(stream, sequence, &sent);
  const auto differs = [&](const char* what) { return fmt::format("observation {} has another {}", sent.id(), what); };
  if (found.content() != sent.content()) return differs("content");
  if (found.embedding_f32() != sent.embedding_f32()) return differs("embedding");
  if (found.tags_size() != sent.tags_size()) return differs("number of tags");
  for (const auto& [key, value] : sent.tags()) {
    const auto at = found.tags().find(key);
    if (at == found.tags().end() || at->second != value) return differs("tag");
  }
  return "";
}

}  // namespace engram

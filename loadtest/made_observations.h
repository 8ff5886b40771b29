// The observations of a load: each follows from the seed, its stream and its sequence, and nothing of it is kept.
//
// Threads: any; const after construction. Errors: what differs, in words.
// Why:     millions that were acknowledged can be compared byte by byte with what the daemon gives back only when they
//          can be made again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engram/v1/memory_service.pb.h"
#include "loadtest/dataset.h"

namespace engram {

// A number that follows from numbers.
inline uint64_t MixNumbers(uint64_t a, uint64_t b) {
  uint64_t z = a + 0x9e3779b97f4a7c15u * (b + 1);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

class MadeObservations {
 public:
  MadeObservations(uint64_t seed, uint32_t dimension, uint32_t content_bytes, uint32_t users);

  struct Place {
    uint32_t stream = 0;
    uint64_t sequence = 0;
  };
  static std::string IdOf(uint32_t stream, uint64_t sequence);
  // And back; nullopt of any text that IdOf does not make.
  static std::optional<Place> PlaceOf(std::string_view id);
  void Make(uint32_t stream, uint64_t sequence, v1::Observation* out) const;
  // Parts of it alone.
  std::string ContentOf(uint32_t stream, uint64_t sequence) const;
  void MakeVector(uint32_t stream, uint64_t sequence, std::string* bytes) const;
  std::string UserOf(uint32_t stream, uint64_t sequence) const;
  // About, of one read back with its vector.
  uint64_t BytesEach() const;
  // What `found` differs in from the one that was sent; empty: nothing.
  std::string Difference(uint32_t stream, uint64_t sequence, const v1::Observation& found) const;

 private:
  uint64_t NumberOf(uint32_t stream, uint64_t sequence) const;

  const uint64_t seed_;
  const uint32_t content_bytes_;
  const uint32_t users_;
  const Matrix vectors_;
};

}  // namespace engram

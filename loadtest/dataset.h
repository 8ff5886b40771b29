// What is streamed: the sample on disk, or seeded random vectors of any dimension.
//
// Threads: any; nothing here is shared. Blocking: reading files.
// Errors:  NOT_FOUND (no such file), INVALID_ARGUMENT (a line or an array that is not what it should be; names file
//          and line).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "engram/v1/memory_service.pb.h"

namespace engram {

// Vectors one after another.
struct Matrix {
  uint32_t dimension = 0;
  std::vector<float> values;

  size_t rows() const { return dimension == 0 ? 0 : values.size() / dimension; }
  std::span<const float> row(size_t i) const { return {values.data() + i * dimension, dimension}; }
};

struct SampleText {
  std::string id;
  std::string content;
  std::map<std::string, std::string> tags;
};

// Row i of a matrix belongs to text i.
struct Sample {
  std::vector<SampleText> observations;
  Matrix embeddings;
  std::vector<std::string> queries;
  Matrix query_embeddings;
};

// observations.jsonl, observations.f16.npy, queries.jsonl and queries.f16.npy of `directory`.
absl::StatusOr<Sample> ReadSample(const std::filesystem::path& directory);

// A NumPy array of two dimensions, little-endian binary16 or binary32, rows first.
absl::StatusOr<Matrix> ReadNpy(const std::filesystem::path& file);

// The value of a binary16; exact.
float WidenHalf(uint16_t half);
// The binary16 nearest to `value`, of two the even one; beyond the largest, infinity.
uint16_t NarrowToHalf(float value);

// Elements uniform in -1..1; the same for the same seed everywhere.
Matrix RandomMatrix(size_t rows, uint32_t dimension, uint64_t seed);

// One of the texts random observations carry: 60 bytes or so, and different for each `i`.
SampleText RandomText(size_t i);

// How an embedding travels.
enum class ElementForm { kF32, kF16 };

// Ready frames of `batch_size` observations (the last may be shorter), numbered from sequence 1.
std::vector<v1::ObserveStreamRequest> MakeFrames(const std::vector<SampleText>& texts, const Matrix& embeddings,
                                                 size_t batch_size, ElementForm form = ElementForm::kF32);

// Bytes of what the frames carry for the caller: ids, embeddings as sent, contents, keys and values of tags.
uint64_t PayloadBytes(const std::vector<v1::ObserveStreamRequest>& frames);

void SetEmbedding(std::span<const float> embedding, std::string* bytes);
void SetHalfEmbedding(std::span<const float> embedding, std::string* bytes);

}  // namespace engram

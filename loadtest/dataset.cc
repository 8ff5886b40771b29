#include "loadtest/dataset.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

namespace engram {
namespace {

static_assert(std::endian::native == std::endian::little, "embeddings travel as little-endian bytes");

absl::StatusOr<std::string> ReadWhole(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return absl::NotFoundError(fmt::format("cannot read {}", file.string()));
  std::ostringstream text;
  text << in.rdbuf();
  return std::move(text).str();
}

// The value after 'key': in the Python dictionary of an .npy header, up to `end`.
std::string HeaderValue(const std::string& header, const std::string& key, char end) {
  const size_t at = header.find("'" + key + "':");
  if (at == std::string::npos) return "";
  const size_t from = header.find_first_not_of(' ', at + key.size() + 3);
  const size_t to = header.find(end, from);
  return from == std::string::npos || to == std::string::npos ? "" : header.substr(from, to - from);
}

// Calls `take` with the object of each line.
template <typename Take>
absl::Status ForEachLine(const std::filesystem::path& file, Take take) {
  std::ifstream in(file);
  if (!in) return absl::NotFoundError(fmt::format("cannot read {}", file.string()));
  size_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    try {
      take(nlohmann::json::parse(line));
    } catch (const nlohmann::json::exception& error) {
      return absl::InvalidArgumentError(fmt::format("{}:{}: {}", file.string(), number, error.what()));
    }
  }
  return absl::OkStatus();
}

uint64_t NextRandom(uint64_t& state) {  // splitmix64
  uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

float WidenHalf(uint16_t half) {
  const int exponent = (half >> 10) & 0x1f;
  const int mantissa = half & 0x3ff;
  float magnitude;
  if (exponent == 0) {
    magnitude = std::ldexp(static_cast<float>(mantissa), -24);
  } else if (exponent == 31) {
    magnitude = mantissa == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  } else {
    magnitude = std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
  }
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

uint16_t NarrowToHalf(float value) {
  const auto sign = static_cast<uint16_t>(std::signbit(value) ? 0x8000 : 0);
  const double magnitude = std::abs(double{value});
  if (std::isnan(value)) return sign | 0x7e00;
  // 65520 lies half-way between the largest binary16 and the next power of two.
  if (magnitude >= 65520) return sign | 0x7c00;
  // Below 2^-14 the step between neighbours stays 2^-24; above, eleven bits of the mantissa count.
  const int exponent = magnitude < 0x1p-14 ? -14 : std::ilogb(magnitude);
  const auto steps = static_cast<uint32_t>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
  // With the implicit bit as a carry into the exponent, a mantissa rounded up to 2048 comes out right.
  const uint32_t bits = magnitude < 0x1p-14 ? steps : (static_cast<uint32_t>(exponent + 14) << 10) + steps;
  return sign | static_cast<uint16_t>(bits);
}

absl::StatusOr<Matrix> ReadNpy(const std::filesystem::path& file) {
  ENGRAM_ASSIGN_OR_RETURN(const std::string bytes, ReadWhole(file));
  const auto bad = [&](const std::string& what) {
    return absl::InvalidArgumentError(fmt::format("{}: {}", file.string(), what));
  };
  if (bytes.size() < 12 || bytes.compare(0, 6, "\x93NUMPY") != 0) return bad("not an .npy file");
  // Version 1 writes the header's length in two bytes, later ones in four.
  const size_t length_bytes = bytes[6] == 1 ? 2 : 4;
  uint32_t header_length = 0;
  std::memcpy(&header_length, bytes.data() + 8, length_bytes);
  const size_t start = 8 + length_bytes + header_length;
  if (start > bytes.size()) return bad("the header is cut off");
  const std::string header = bytes.substr(8 + length_bytes, header_length);

  const std::string type = HeaderValue(header, "descr", ',');
  const bool is_half = type == "'<f2'";
  if (!is_half && type != "'<f4'") return bad(fmt::format("elements of type {}; '<f2' or '<f4' is read", type));
  if (HeaderValue(header, "fortran_order", ',') != "False") return bad("columns first; rows first is read");
  unsigned long long rows = 0, columns = 0;
  const std::string shape = HeaderValue(header, "shape", ')');
  if (std::sscanf(shape.c_str(), "(%llu, %llu", &rows, &columns) != 2) {
    return bad(fmt::format("shape {}); two dimensions are read", shape));
  }
  const size_t element = is_half ? 2 : 4;
  if (columns == 0 || columns > 65536 || rows > bytes.size() || rows * columns * element != bytes.size() - start) {
    return bad(fmt::format("{} bytes of elements do not make {} x {}", bytes.size() - start, rows, columns));
  }

  Matrix matrix;
  matrix.dimension = static_cast<uint32_t>(columns);
  matrix.values.resize(rows * columns);
  if (is_half) {
    for (size_t i = 0; i < matrix.values.size(); ++i) {
      uint16_t half;
      std::memcpy(&half, bytes.data() + start + 2 * i, 2);
      matrix.values[i] = WidenHalf(half);
    }
  } else {
    std::memcpy(matrix.values.data(), bytes.data() + start, matrix.values.size() * 4);
  }
  return matrix;
}

absl::StatusOr<Sample> ReadSample(const std::filesystem::path& directory) {
  Sample sample;
  ENGRAM_RETURN_IF_ERROR(ForEachLine(directory / "observations.jsonl", [&](const nlohmann::json& line) {
    SampleText text;
    text.id = line.at("id").get<std::string>();
    text.content = line.at("content").get<std::string>();
    if (line.contains("tags")) text.tags = line.at("tags").get<std::map<std::string, std::string>>();
    sample.observations.push_back(std::move(text));
  }));
  ENGRAM_RETURN_IF_ERROR(ForEachLine(directory / "queries.jsonl", [&](const nlohmann::json& line) {
    sample.queries.push_back(line.at(line.contains("content") ? "content" : "text").get<std::string>());
  }));
  ENGRAM_ASSIGN_OR_RETURN(sample.embeddings, ReadNpy(directory / "observations.f16.npy"));
  ENGRAM_ASSIGN_OR_RETURN(sample.query_embeddings, ReadNpy(directory / "queries.f16.npy"));
  if (sample.embeddings.rows() != sample.observations.size() ||
      sample.query_embeddings.rows() != sample.queries.size() || sample.observations.empty() ||
      sample.queries.empty() || sample.embeddings.dimension != sample.query_embeddings.dimension) {
    return absl::InvalidArgumentError(
        fmt::format("{}: {} texts with {} embeddings of {}, {} queries with {} of {}", directory.string(),
                    sample.observations.size(), sample.embeddings.rows(), sample.embeddings.dimension,
                    sample.queries.size(), sample.query_embeddings.rows(), sample.query_embeddings.dimension));
  }
  return sample;
}

Matrix RandomMatrix(size_t rows, uint32_t dimension, uint64_t seed) {
  Matrix matrix;
  matrix.dimension = dimension;
  matrix.values.resize(rows * dimension);
  uint64_t state = seed;
  for (float& value : matrix.values) {
    // 24 random bits are exact in a float.
    value = static_cast<float>(NextRandom(state) >> 40) * (2.0f / (1 << 24)) - 1.0f;
  }
  return matrix;
}

SampleText RandomText(size_t i) {
  return {fmt::format("observation-{:08d}", i),
          fmt::format("the {:>9}th thing that this load test saw, heard or noted", i),
          {{"source", fmt::format("s{}", i % 8)}}};
}

void SetEmbedding(std::span<const float> embedding, std::string* bytes) {
  bytes->assign(reinterpret_cast<const char*>(embedding.data()), embedding.size_bytes());
}

void SetHalfEmbedding(std::span<const float> embedding, std::string* bytes) {
  bytes->resize(embedding.size() * sizeof(uint16_t));
  for (size_t i = 0; i < embedding.size(); ++i) {
    const uint16_t half = NarrowToHalf(embedding[i]);
    std::memcpy(bytes->data() + i * sizeof half, &half, sizeof half);
  }
}

std::vector<v1::ObserveStreamRequest> MakeFrames(const std::vector<SampleText>& texts, const Matrix& embeddings,
                                                 size_t batch_size, ElementForm form) {
  std::vector<v1::ObserveStreamRequest> frames((texts.size() + batch_size - 1) / batch_size);
  for (size_t i = 0; i < texts.size(); ++i) {
    v1::ObservationBatch& batch = *frames[i / batch_size].mutable_batch();
    if (i % batch_size == 0) batch.set_first_sequence(i + 1);
    v1::Observation& observation = *batch.add_observations();
    observation.set_id(texts[i].id);
    observation.set_content(texts[i].content);
    if (form == ElementForm::kF16) {
      SetHalfEmbedding(embeddings.row(i), observation.mutable_embedding_f16());
    } else {
      SetEmbedding(embeddings.row(i), observation.mutable_embedding_f32());
    }
    for (const auto& [key, value] : texts[i].tags) (*observation.mutable_tags())[key] = value;
  }
  return frames;
}

uint64_t PayloadBytes(const std::vector<v1::ObserveStreamRequest>& frames) {
  uint64_t bytes = 0;
  for (const v1::ObserveStreamRequest& frame : frames) {
    for (const v1::Observation& observation : frame.batch().observations()) {
      bytes += observation.id().size() + observation.content().size() + observation.embedding_f32().size() +
               observation.embedding_f16().size();
      for (const auto& [key, value] : observation.tags()) bytes += key.size() + value.size();
    }
  }
  return bytes;
}

}  // namespace engram

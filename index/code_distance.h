// How far apart two codes are, for a graph that ranks by them: an estimate, smaller is closer.
//
// Threads:   any; const after construction. REQUIRES: ordinals that came from the slab's size, or from a node's links.
// Ownership: the slab outlives it.
// Errors:    none. What binary32 cannot hold is the farthest there is.
// Why:       the one place where the graph knows the slab; walks by bytes and walks by bits differ in nothing else.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/types.h"
#include "index/code_query.h"
#include "index/code_slab.h"

namespace engram {

// A vector as Coder::Encode leaves it: a row of the slab, or a query. A view; no bits without bits.
struct CodePoint {
  const int8_t* code = nullptr;
  const uint64_t* bits = nullptr;
  float scale = 0;
  uint32_t squares = 0;
};

class CodeDistance {
 public:
  static constexpr float kFarthest = 1e38f;

  explicit CodeDistance(const CodeSlab& slab)
      : slab_(slab),
        kernels_(slab.coder().kernels()),
        metric_(slab.coder().metric()),
        stride_(slab.stride()),
        words_(slab.bits() ? slab.bit_words() : 0) {}

  const CodeSlab& slab() const { return slab_; }
  // Whether walks go by bits.
  bool bits() const { return words_ != 0; }
  uint32_t most_bits() const { return words_ * 64; }

  // A row to be compared with, without its bits.
  CodePoint PointOf(Ordinal ordinal) const { return PointIn(slab_.BlockOf(ordinal), ordinal); }
  // A row that many are compared with.
  CodePoint WholePointOf(Ordinal ordinal) const {
    CodePoint point = PointOf(ordinal);
    point.squares = slab_.BlockOf(ordinal).squares[CodeSlab::Lane(ordinal)];
    if (bits()) point.bits = slab_.Bits(ordinal);
    return point;
  }
  static CodePoint PointOf(const CodeQuery& query) {
    return {query.code(), query.bits(), query.columns().scale, query.columns().squares};
  }

  // --- by bytes ---

  float Between(const CodePoint& a, const CodePoint& b) const {
    return FromDot(kernels_.dot(a.code, b.code, stride_), a, b);
  }
  // out[i] = from `a` to b[i], for four.
  void BetweenFour(const CodePoint& a, const CodePoint* b, float* out) const {
    const int8_t* const rows[4] = {b[0].code, b[1].code, b[2].code, b[3].code};
    int32_t dots[4];
    kernels_.dot_four(a.code, rows, stride_, dots);
    for (int i = 0; i < 4; ++i) out[i] = FromDot(dots[i], a, b[i]);
  }
  // out[i] = from `a` to nodes[i], which Fetch has returned blocks[i] for.
  void BetweenFetched(const CodePoint& a, std::span<const Ordinal> nodes, const CodeSlab::Block* const* blocks,
                      float* out) const {
    size_t i = 0;
    for (; i + 4 <= nodes.size(); i += 4) {
      CodePoint points[4];
      for (size_t j = 0; j < 4; ++j) points[j] = PointIn(*blocks[i + j], nodes[i + j]);
      BetweenFour(a, points, out + i);
    }
    for (; i < nodes.size(); ++i) out[i] = Between(a, PointIn(*blocks[i], nodes[i]));
  }
  // out[i] = from `a` to nodes[i], which are fetched from memory a few ahead.
  void BetweenMany(const CodePoint& a, std::span<const Ordinal> nodes, float* out) const {
    constexpr size_t kAhead = 8;
    const CodeSlab::Block* blocks[kAhead];
    size_t fetched = 0;
    for (size_t i = 0; i < nodes.size(); i += 4) {
      for (; fetched < std::min(i + kAhead, nodes.size()); ++fetched) blocks[fetched % kAhead] = Fetch(nodes[fetched]);
      BetweenFetched(a, nodes.subspan(i, std::min<size_t>(4, nodes.size() - i)), blocks + i % kAhead, out + i);
    }
  }
  // What Engram's metrics say of a distance.
  float SimilarityOf(float distance) const {
    switch (metric_) {
      case Metric::kCosine:
        return std::clamp(1 - distance, -1.0f, 1.0f);
      case Metric::kInnerProduct:
        return -distance;
      case Metric::kL2:
        return -std::sqrt(distance);
    }
    return 0;
  }

  // --- by bits ---

  // out[i] = from `a` to the row that FetchBits has returned rows[i] for.
  void BitsFetched(const CodePoint& a, std::span<const uint64_t* const> rows, uint32_t* out) const {
    size_t i = 0;
    for (; i + 4 <= rows.size(); i += 4) kernels_.hamming_four(a.bits, rows.data() + i, words_, out + i);
    for (; i < rows.size(); ++i) out[i] = kernels_.hamming(a.bits, rows[i], words_);
  }

  // --- the memory behind it ---

  // Asks for what a comparison reads, and says where it is.
  const CodeSlab::Block* Fetch(Ordinal node) const {
    const CodeSlab::Block& block = slab_.BlockOf(node);
    Prefetch(RowIn(block, node), std::min<size_t>(stride_, 1024));
    __builtin_prefetch(&block.scale);
    if (metric_ == Metric::kL2) __builtin_prefetch(&block.squares);
    return &block;
  }
  const uint64_t* FetchBits(Ordinal node) const {
    const uint64_t* const row = slab_.Bits(node);
    Prefetch(row, std::min<size_t>(size_t{words_} * sizeof(uint64_t), 512));
    return row;
  }
  void PrefetchDiedAt(Ordinal node) const { __builtin_prefetch(&slab_.BlockOf(node).died_at); }

 private:
  const int8_t* RowIn(const CodeSlab::Block& block, Ordinal node) const {
    return reinterpret_cast<const int8_t*>(&block + 1) + size_t{CodeSlab::Lane(node)} * stride_;
  }
  CodePoint PointIn(const CodeSlab::Block& block, Ordinal node) const {
    const uint32_t lane = CodeSlab::Lane(node);
    // Another cache line, for the one metric that needs it.
    const uint32_t squares = metric_ == Metric::kL2 ? block.squares[lane] : 0;
    return {RowIn(block, node), nullptr, block.scale[lane], squares};
  }

  static void Prefetch(const void* at, size_t bytes) {
    const auto* const first = static_cast<const std::byte*>(at);
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(first + i);
  }

  float FromDot(int32_t dot, const CodePoint& a, const CodePoint& b) const {
    const float product = static_cast<float>(dot) * a.scale * b.scale;
    float distance = 0;
    switch (metric_) {
      case Metric::kCosine:
        return 1 - product;
      case Metric::kInnerProduct:
        distance = -product;
        break;
      case Metric::kL2:
        distance = static_cast<float>(a.squares) * a.scale * a.scale +
                   static_cast<float>(b.squares) * b.scale * b.scale - 2 * product;
        distance = std::max(distance, 0.0f);
        break;
    }
    // Also what is no number.
    return distance < kFarthest ? std::max(distance, -kFarthest) : kFarthest;
  }

  const CodeSlab& slab_;
  const CodeKernels& kernels_;
  const Metric metric_;
  const uint32_t stride_;
  const uint32_t words_;
};

}  // namespace engram

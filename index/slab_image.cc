#include "index/slab_image.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <new>
#include <numeric>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace engram {
namespace {

constexpr uint64_t kMagic = 0x3173'776f'7267'6e65;  // "engrows1"
constexpr uint32_t kVersion = 2;
constexpr uint32_t kGroupRows = 1024;
// As many as an append prepares together, for the same reason.
constexpr uint32_t kStep = 64;

struct Header {
  uint64_t magic = kMagic;
  uint32_t version = kVersion;
  uint32_t metric = 0;
  uint32_t dimension = 0;
  uint32_t rows = 0;
  uint32_t ids = 0;
  uint32_t zero = 0;
};
static_assert(sizeof(Header) == 32);

constexpr size_t BitmapBytes(size_t rows) { return (rows + 7) / 8; }

absl::Status CheckHeader(const Header& header, Metric metric, uint32_t dimension, uint64_t left) {
  if (header.magic != kMagic) return absl::DataLossError("not an image of the rows of an index");
  if (header.version != kVersion) {
    return absl::FailedPreconditionError(
        fmt::format("the image of the rows has version {}, this program reads {}", header.version, kVersion));
  }
  if (header.dimension != dimension || header.metric != static_cast<uint32_t>(metric)) {
    return absl::FailedPreconditionError(
        fmt::format("the image of the rows has metric {} and dimension {}, the space has {} and {}", header.metric,
                    header.dimension, static_cast<uint32_t>(metric), dimension));
  }
  const uint64_t least = sizeof(uint32_t) + 2 * sizeof(float) + uint64_t{dimension};
  if (header.rows == kNoOrdinal || header.rows > left / least || header.ids > header.rows || header.zero != 0) {
    return absl::DataLossError(
        fmt::format("the image of the rows claims {} rows and {} ids in {} bytes", header.rows, header.ids, left));
  }
  return absl::OkStatus();
}

class RowLoader {
 public:
  RowLoader(ImageSource& source, CodeSlab& slab, IdArena& arena, IdMap& ids)
      : source_(source), slab_(slab), arena_(arena), ids_(ids), codes_(size_t{CodeSlab::kBlockRows} * slab.dimension()) {}

  uint64_t live() const { return live_; }

  absl::Status Load(const Header& header) {
    slab_.Reserve(header.rows);
    ids_.Reserve(header.ids);
    for (uint64_t at = 0; at < header.rows; at += kGroupRows) {
      ENGRAM_RETURN_IF_ERROR(
          LoadGroup(static_cast<Ordinal>(at), static_cast<uint32_t>(std::min<uint64_t>(kGroupRows, header.rows - at))));
    }
    if (source_.left() != 0) {
      return absl::DataLossError(fmt::format("{} bytes behind the rows of the image", source_.left()));
    }
    if (different_ids_ != header.ids) {
      return absl::DataLossError(fmt::format("the image claims {} ids and has {}", header.ids, different_ids_));
    }
    slab_.Publish(header.rows);
    return absl::OkStatus();
  }

 private:
  absl::Status LoadGroup(Ordinal first, uint32_t rows) {
    ENGRAM_RETURN_IF_ERROR(ReadValues(source_, std::span(forgotten_).first(BitmapBytes(rows))));
    ENGRAM_RETURN_IF_ERROR(ReadValues(source_, std::span(lengths_).first(rows)));
    ENGRAM_RETURN_IF_ERROR(ReadValues(source_, std::span(scales_).first(rows)));
    ENGRAM_RETURN_IF_ERROR(ReadValues(source_, std::span(residuals_).first(rows)));
    if (rows % 8 != 0 && forgotten_[rows / 8] >> (rows % 8) != 0) {
      return absl::DataLossError(fmt::format("the image forgets rows behind its last, {}", first + rows - 1));
    }
    const uint64_t id_bytes = std::accumulate(lengths_.begin(), lengths_.begin() + rows, uint64_t{0});
    if (id_bytes > source_.left()) {
      return absl::DataLossError(fmt::format("the image claims {} bytes of ids in {}", id_bytes, source_.left()));
    }
    if (id_bytes > id_bytes_.size()) id_bytes_.resize(id_bytes);
    ENGRAM_RETURN_IF_ERROR(ReadValues(source_, std::span(id_bytes_).first(id_bytes)));
    for (uint32_t at = 0; at < rows; at += CodeSlab::kBlockRows) {
      ENGRAM_RETURN_IF_ERROR(LoadBlock(first, at, std::min(CodeSlab::kBlockRows, rows - at)));
    }
    const char* id = id_bytes_.data();
    for (uint32_t at = 0; at < rows; at += kStep) id = Name(first, at, std::min(kStep, rows - at), id);
    return absl::OkStatus();
  }

  absl::Status LoadBlock(Ordinal group, uint32_t at, uint32_t rows) {
    const size_t dimension = slab_.dimension();
    const std::span<int8_t> codes(codes_.data(), rows * dimension);
    ENGRAM_RETURN_IF_ERROR(ReadValues(source_, codes));
    // The kernels count on it.
    if (std::find(codes.begin(), codes.end(), INT8_MIN) != codes.end()) {
      return absl::DataLossError(fmt::format("a code of rows {} to {} has a byte of {}", group + at, group + at + rows - 1,
                                             INT8_MIN));
    }
    for (uint32_t row = 0; row < rows; ++row) {
      const float scale = scales_[at + row];
      const float residual = residuals_[at + row];
      if (!(scale >= 0 && std::isfinite(scale) && residual >= 0)) {
        return absl::DataLossError(fmt::format("row {} of the image has scale {} and residual {}", group + at + row, scale,
                                               residual));
      }
      slab_.SetCode(group + at + row, codes.data() + row * dimension, scale, residual);
    }
    return absl::OkStatus();
  }

  // Gives `rows` rows at `at` of the group their ids, which begin at `id`, and lets die what they replace.
  const char* Name(Ordinal group, uint32_t at, uint32_t rows, const char* id) {
    const Ordinal first = group + at;
    const size_t bytes = std::accumulate(lengths_.begin() + at, lengths_.begin() + at + rows, size_t{0});
    arena_.Reserve(rows, bytes);
    ids_.Reserve(rows);
    std::array<uint32_t, kStep> hashes;
    for (uint32_t i = 0; i < rows; ++i) {
      const std::string_view name(id, lengths_[at + i]);
      id += name.size();
      hashes[i] = ids_.Hash(name);
      ids_.Prefetch(hashes[i]);
      slab_.BlockOf(first + i).id[CodeSlab::Lane(first + i)] = arena_.Append(name);
    }
    ids_.Assign({hashes.data(), rows}, first);
    for (uint32_t i = 0; i < rows; ++i) {
      const Ordinal ordinal = first + i;
      const Ordinal previous = slab_.Previous(ordinal);
      different_ids_ += previous == kNoOrdinal;
      if (previous != kNoOrdinal && slab_.DiedAt(previous) == CodeSlab::kLive) {
        slab_.SetDiedAt(previous, ordinal);
        --live_;
      }
      const uint32_t row = at + i;
      if ((forgotten_[row / 8] >> (row % 8) & 1) != 0) {
        slab_.SetDiedAt(ordinal, 0);
      } else {
        ++live_;
      }
    }
    return id;
  }

  ImageSource& source_;
  CodeSlab& slab_;
  IdArena& arena_;
  IdMap& ids_;
  uint64_t live_ = 0;
  uint32_t different_ids_ = 0;
  std::array<uint8_t, BitmapBytes(kGroupRows)> forgotten_;
  std::array<uint32_t, kGroupRows> lengths_;
  std::array<float, kGroupRows> scales_;
  std::array<float, kGroupRows> residuals_;
  std::vector<char> id_bytes_;
  std::vector<int8_t> codes_;  // Of a block.
};

absl::Status SaveGroup(const CodeSlab& slab, Ordinal first, uint32_t rows, std::vector<char>& id_bytes,
                       std::vector<int8_t>& codes, ImageSink& sink) {
  std::array<uint8_t, BitmapBytes(kGroupRows)> forgotten{};
  std::array<uint32_t, kGroupRows> lengths;
  std::array<float, kGroupRows> scales;
  std::array<float, kGroupRows> residuals;
  id_bytes.clear();
  codes.clear();
  for (uint32_t row = 0; row < rows; ++row) {
    const Ordinal ordinal = first + row;
    const CodeSlab::Block& block = slab.BlockOf(ordinal);
    const uint32_t lane = CodeSlab::Lane(ordinal);
    forgotten[row / 8] |= static_cast<uint8_t>((slab.DiedAt(ordinal) == 0 ? 1u : 0u) << (row % 8));
    const std::string_view id = IdArena::View(block.id[lane]);
    lengths[row] = static_cast<uint32_t>(id.size());
    id_bytes.insert(id_bytes.end(), id.begin(), id.end());
    scales[row] = block.scale[lane];
    residuals[row] = block.residual[lane];
    codes.insert(codes.end(), slab.Code(ordinal), slab.Code(ordinal) + slab.dimension());
  }
  ENGRAM_RETURN_IF_ERROR(WriteValues(sink, std::span<const uint8_t>(forgotten).first(BitmapBytes(rows))));
  ENGRAM_RETURN_IF_ERROR(WriteValues(sink, std::span<const uint32_t>(lengths).first(rows)));
  ENGRAM_RETURN_IF_ERROR(WriteValues(sink, std::span<const float>(scales).first(rows)));
  ENGRAM_RETURN_IF_ERROR(WriteValues(sink, std::span<const float>(residuals).first(rows)));
  ENGRAM_RETURN_IF_ERROR(WriteValues(sink, std::span<const char>(id_bytes)));
  return WriteValues(sink, std::span<const int8_t>(codes));
}

}  // namespace

absl::Status SaveRows(const CodeSlab& slab, Ordinal end, ImageSink& sink) {
  Header header;
  header.metric = static_cast<uint32_t>(slab.coder().metric());
  header.dimension = slab.dimension();
  header.rows = end;
  for (Ordinal ordinal = 0; ordinal < end; ++ordinal) header.ids += slab.Previous(ordinal) == kNoOrdinal;
  ENGRAM_RETURN_IF_ERROR(WriteValues(sink, std::span<const Header>(&header, 1)));
  try {
    std::vector<char> id_bytes;
    std::vector<int8_t> codes;
    for (uint64_t at = 0; at < end; at += kGroupRows) {
      const auto rows = static_cast<uint32_t>(std::min<uint64_t>(kGroupRows, end - at));
      ENGRAM_RETURN_IF_ERROR(SaveGroup(slab, static_cast<Ordinal>(at), rows, id_bytes, codes, sink));
    }
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("no memory to save the rows of an index");
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> LoadRows(ImageSource& source, CodeSlab& slab, IdArena& arena, IdMap& ids) {
  Header header;
  ENGRAM_RETURN_IF_ERROR(ReadValues(source, std::span(&header, 1)));
  ENGRAM_RETURN_IF_ERROR(CheckHeader(header, slab.coder().metric(), slab.dimension(), source.left()));
  try {
    RowLoader loader(source, slab, arena, ids);
    ENGRAM_RETURN_IF_ERROR(loader.Load(header));
    return loader.live();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(fmt::format("no memory for the {} rows of the image", header.rows));
  }
}

}  // namespace engram

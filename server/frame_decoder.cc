#include "server/frame_decoder.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "server/utf8.h"
#include "server/wire_cursor.h"

namespace engram {
namespace {

// What one pass over the bytes came to. kUnusual: protobuf has to look at it first.
enum class Reading { kDone, kUnusual };

class BatchReader {
 public:
  BatchReader(FramePool::Frame& frame, const DecodeLimits& limits, ObservationBatch& out)
      : frame_(frame), limits_(limits), out_(out) {}

  // The field of the enclosing message that holds observations is `field`; the others go to `other(tag, cursor)`, which
  // answers false for those it does not know.
  template <typename Other>
  Reading Read(std::string_view bytes, uint32_t field, const Other& other) {
    WireCursor fields(bytes);
    while (fields.more()) {
      const uint32_t tag = fields.ReadTag();
      if (tag == Tag(field, kLength)) {
        const std::string_view observation = fields.ReadBytes();
        if (fields.unusual()) break;
        // One beyond the limit is remembered, so that the caller sees that there were more.
        if (++count_ > kMostObservationsInFrame) continue;
        if (count_ > limits_.max_observations) continue;
        if (ReadObservation(observation) == Reading::kUnusual) return Reading::kUnusual;
      } else if (!other(tag, fields)) {
        return Reading::kUnusual;
      }
    }
    if (fields.unusual()) return Reading::kUnusual;
    // The vector of tags has stopped moving.
    size_t next = 0;
    for (size_t i = 0; i < out_.observations.size(); ++i) {
      out_.observations[i].tags = {out_.tags.data() + next, tag_counts_[i]};
      next += tag_counts_[i];
    }
    return Reading::kDone;
  }

  size_t count() const { return count_; }

  // Every observation of the batch is refused for the same reason.
  void RefuseAll(std::string reason) {
    const std::string_view kept = frame_.Keep(std::move(reason));
    ObservationView refused;
    refused.defect = kept;
    out_.tags.clear();
    out_.observations.assign(count_, refused);
  }

  // The batch is not looked at.
  void MarkTooMany() {
    out_.too_many = true;
    out_.tags.clear();
    out_.observations.assign(count_, ObservationView());
  }

 private:
  Reading ReadObservation(std::string_view bytes) {
    WireCursor fields(bytes);
    ObservationView view;
    const size_t first_tag = out_.tags.size();
    size_t tags = 0;
    // The three forms of the vector are one field: two of them, or one twice, is unusual.
    constexpr uint32_t kVector = 2;
    while (fields.more()) {
      switch (fields.ReadTag()) {
        case Tag(1, kLength):
          if (!fields.Once(1)) break;
          view.id = fields.ReadBytes();
          break;
        case Tag(2, kLength):
          if (!fields.Once(kVector)) break;
          ReadFloatVector(fields, view);
          break;
        case Tag(3, kLength):
          if (!fields.Once(kVector)) break;
          SetVector(view, fields.ReadBytes(), Encoding::kF32, "embedding_f32");
          break;
        case Tag(4, kLength):
          if (!fields.Once(kVector)) break;
          SetVector(view, fields.ReadBytes(), Encoding::kF16, "embedding_f16");
          break;
        case Tag(5, kLength):
          if (!fields.Once(5)) break;
          view.content = fields.ReadBytes();
          break;
        case Tag(6, kLength): {
          const std::string_view entry = fields.ReadBytes();
          if (fields.unusual()) break;
          ReadTagEntry(entry, first_tag, ++tags, fields, view);
          break;
        }
        case Tag(7, kVarint):
          if (!fields.Once(7)) break;
          view.observed_at_us = static_cast<int64_t>(fields.ReadVarint());
          break;
        case Tag(8, kFixed32):
          if (!fields.Once(8)) break;
          view.confidence = fields.ReadFloat();
          break;
        case Tag(9, kVarint):
          if (!fields.Once(9)) break;
          view.ttl_us = static_cast<int64_t>(fields.ReadVarint());
          break;
        default:
          fields.MarkUnusual();
      }
    }
    if (fields.unusual()) return Reading::kUnusual;
    if (tags > limits_.max_tags) {
      Defect(view, fmt::format("observation has {} tags, limits.max_tags is {}", tags, limits_.max_tags));
    }
    if (!IsUtf8Text(view.id)) {
      Defect(view, "id is not UTF-8");
      view.id = {};
    }
    if (!IsUtf8Text(view.content)) Defect(view, "content is not UTF-8");
    if (!view.defect.empty()) out_.tags.resize(first_tag);
    tag_counts_.push_back(out_.tags.size() - first_tag);
    out_.observations.push_back(view);
    return Reading::kDone;
  }

  void ReadFloatVector(WireCursor& fields, ObservationView& view) {
    WireCursor vector(fields.ReadBytes());
    if (fields.unusual() || !vector.more()) return;  // Without elements: dimension 0.
    if (vector.ReadTag() != Tag(1, kLength)) return fields.MarkUnusual();
    const std::string_view packed = vector.ReadBytes();
    if (vector.unusual() || vector.more()) return fields.MarkUnusual();
    SetVector(view, packed, Encoding::kF32, "embedding");
  }

  void SetVector(ObservationView& view, std::string_view bytes, Encoding encoding, std::string_view field) {
    const size_t element = encoding == Encoding::kF32 ? 4 : 2;
    if (bytes.size() % element != 0) {
      Defect(view, fmt::format("{} has {} bytes, not a multiple of {}", field, bytes.size(), element));
      return;
    }
    view.embedding.data = reinterpret_cast<const std::byte*>(bytes.data());
    view.embedding.dimension = static_cast<uint32_t>(bytes.size() / element);
    view.embedding.encoding = encoding;
  }

  void ReadTagEntry(std::string_view bytes, size_t first_tag, size_t tags, WireCursor& fields, ObservationView& view) {
    WireCursor entry(bytes);
    TagView tag;
    while (entry.more()) {
      switch (entry.ReadTag()) {
        case Tag(1, kLength):
          if (entry.Once(1)) tag.key = entry.ReadBytes();
          break;
        case Tag(2, kLength):
          if (entry.Once(2)) tag.value = entry.ReadBytes();
          break;
        default:
          entry.MarkUnusual();
      }
    }
    if (entry.unusual()) return fields.MarkUnusual();
    if (tags > limits_.max_tags) return;  // Refused anyway: counted, not kept.
    for (size_t i = first_tag; i < out_.tags.size(); ++i) {
      if (out_.tags[i].key == tag.key) return fields.MarkUnusual();
    }
    if (!IsUtf8Text(tag.key) || !IsUtf8Text(tag.value)) Defect(view, "a tag is not UTF-8");
    out_.tags.push_back(tag);
  }

  void Defect(ObservationView& view, std::string words) {
    if (view.defect.empty()) view.defect = frame_.Keep(std::move(words));
  }

  FramePool::Frame& frame_;
  const DecodeLimits& limits_;
  ObservationBatch& out_;
  std::vector<size_t> tag_counts_;
  size_t count_ = 0;
};

std::optional<Priority> ToPriority(uint64_t value) {
  // An enum is an int32 on the wire, sign-extended.
  switch (static_cast<int32_t>(value)) {
    case v1::PRIORITY_UNSPECIFIED:
    case v1::PRIORITY_NORMAL:
      return Priority::kNormal;
    case v1::PRIORITY_HIGH:
      return Priority::kHigh;
    default:
      return std::nullopt;
  }
}

absl::Status TooMany(size_t count) {
  return absl::InvalidArgumentError(
      fmt::format("frame has {} observations, at most {} are ever taken", count, kMostObservationsInFrame));
}

// The checks that concern a batch as a whole, once it has been read.
absl::Status FinishBatch(BatchReader& reader, const DecodeLimits& limits, uint64_t sent_priority, Priority& priority) {
  if (reader.count() > kMostObservationsInFrame) return TooMany(reader.count());
  if (reader.count() > limits.max_observations) {
    reader.MarkTooMany();
  }
  if (const auto known = ToPriority(sent_priority)) {
    priority = *known;
  } else {
    reader.RefuseAll(fmt::format("priority {} is unknown", static_cast<int32_t>(sent_priority)));
  }
  return absl::OkStatus();
}

// Brings the frame's bytes into the usual form by way of protobuf.
template <typename Message>
absl::Status Parse(std::string_view bytes, Message& message) {
  if (bytes.size() > INT32_MAX || !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::InvalidArgumentError(
        fmt::format("frame of {} bytes is not a valid {}", bytes.size(), message.GetTypeName()));
  }
  message.DiscardUnknownFields();
  return absl::OkStatus();
}

std::unique_ptr<FramePool::Frame> Serialize(FramePool& pool, const google::protobuf::MessageLite& message) {
  auto frame = pool.Take(message.ByteSizeLong());
  message.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(frame->data()));
  return frame;
}

// Reads `frame` as a stream's batch frame; nullopt when it is unusual.
std::optional<absl::StatusOr<BatchFrame>> ReadBatchFrame(std::unique_ptr<FramePool::Frame>& frame,
                                                         const DecodeLimits& limits) {
  WireCursor top(frame->bytes());
  if (!top.more() || top.ReadTag() != Tag(v1::ObserveStreamRequest::kBatchFieldNumber, kLength)) return std::nullopt;
  const std::string_view body = top.ReadBytes();
  if (top.unusual() || top.more()) return std::nullopt;

  BatchFrame out;
  uint64_t priority = 0;
  BatchReader reader(*frame, limits, out.batch);
  const Reading reading =
      reader.Read(body, v1::ObservationBatch::kObservationsFieldNumber, [&](uint32_t tag, WireCursor& fields) {
        switch (tag) {
          case Tag(v1::ObservationBatch::kFirstSequenceFieldNumber, kVarint):
            if (fields.Once(1)) out.first_sequence = fields.ReadVarint();
            return true;
          case Tag(v1::ObservationBatch::kPriorityFieldNumber, kVarint):
            if (fields.Once(2)) priority = fields.ReadVarint();
            return true;
          default:
            return false;
        }
      });
  if (reading == Reading::kUnusual) return std::nullopt;
  if (absl::Status status = FinishBatch(reader, limits, priority, out.priority); !status.ok()) return status;
  out.batch.owner = std::move(frame);
  return out;
}

std::optional<absl::StatusOr<ObserveCall>> ReadObserveRequest(std::unique_ptr<FramePool::Frame>& frame,
                                                              const DecodeLimits& limits) {
  ObserveCall out;
  uint64_t priority = 0;
  std::string_view space;
  BatchReader reader(*frame, limits, out.batch);
  const Reading reading =
      reader.Read(frame->bytes(), v1::ObserveRequest::kObservationsFieldNumber, [&](uint32_t tag, WireCursor& fields) {
        switch (tag) {
          case Tag(v1::ObserveRequest::kSpaceFieldNumber, kLength):
            if (fields.Once(1)) space = fields.ReadBytes();
            return true;
          case Tag(v1::ObserveRequest::kPriorityFieldNumber, kVarint):
            if (fields.Once(3)) priority = fields.ReadVarint();
            return true;
          case Tag(v1::ObserveRequest::kAckLevelFieldNumber, kVarint):
            if (fields.Once(4)) out.ack_level = static_cast<int32_t>(fields.ReadVarint());
            return true;
          default:
            return false;
        }
      });
  if (reading == Reading::kUnusual || !IsUtf8Text(space)) return std::nullopt;
  if (absl::Status status = FinishBatch(reader, limits, priority, out.priority); !status.ok()) return status;
  out.space = space;
  out.batch.owner = std::move(frame);
  return out;
}

}  // namespace

absl::StatusOr<ClientFrame> DecodeStreamFrame(FramePool& pool, std::unique_ptr<FramePool::Frame> frame,
                                              const DecodeLimits& limits) {
  auto usual = ReadBatchFrame(frame, limits);
  if (!usual) {
    v1::ObserveStreamRequest message;
    ENGRAM_RETURN_IF_ERROR(Parse(frame->bytes(), message));
    if (message.frame_case() != v1::ObserveStreamRequest::kBatch) return ClientFrame(std::move(message));
    frame = Serialize(pool, message);
    usual = ReadBatchFrame(frame, limits);
  }
  if (!usual) return absl::InternalError("a batch written by protobuf itself could not be read");
  if (!usual->ok()) return usual->status();
  return ClientFrame(*std::move(*usual));
}

absl::StatusOr<ObserveCall> DecodeObserveRequest(FramePool& pool, std::unique_ptr<FramePool::Frame> frame,
                                                 const DecodeLimits& limits) {
  auto usual = ReadObserveRequest(frame, limits);
  if (!usual) {
    v1::ObserveRequest message;
    ENGRAM_RETURN_IF_ERROR(Parse(frame->bytes(), message));
    frame = Serialize(pool, message);
    usual = ReadObserveRequest(frame, limits);
  }
  if (!usual) return absl::InternalError("a request written by protobuf itself could not be read");
  return *std::move(usual);
}

}  // namespace engram

#include "server/frame_decoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "server/utf8.h"
#include "tests/server/support/decoded.h"

namespace engram::testing {
namespace {

using ::testing::HasSubstr;

class FrameDecoderTest : public ::testing::Test {
 protected:
  std::unique_ptr<FramePool::Frame> FrameOf(const std::string& bytes) {
    auto frame = pool_.Take(bytes.size());
    std::memcpy(frame->data(), bytes.data(), bytes.size());
    return frame;
  }
  absl::StatusOr<ClientFrame> Decode(const std::string& bytes) {
    return DecodeStreamFrame(pool_, FrameOf(bytes), limits_);
  }
  BatchFrame DecodeBatch(const std::string& bytes) {
    auto decoded = Decode(bytes);
    EXPECT_TRUE(decoded.ok()) << decoded.status();
    return std::get<BatchFrame>(*std::move(decoded));
  }

  Series counters_{Series::Owner::kProcess};
  FramePool pool_{1 << 20, &counters_};
  DecodeLimits limits_;
};

// What protobuf writes is read back field by field, whatever it is.
TEST_F(FrameDecoderTest, ReadsWhatProtobufWrites) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 500; ++round) {
    v1::ObserveStreamRequest request;
    *request.mutable_batch() = RandomBatch(random);
    const BatchFrame frame = DecodeBatch(request.SerializeAsString());
    EXPECT_EQ(frame.first_sequence, request.batch().first_sequence());
    EXPECT_EQ(frame.priority, request.batch().priority() == v1::PRIORITY_HIGH ? Priority::kHigh : Priority::kNormal);
    EXPECT_EQ(ExplainDifference(frame.batch, request.batch().observations()), "");
  }
}

TEST_F(FrameDecoderTest, ReadsAUnaryRequestAsWell) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 100; ++round) {
    v1::ObserveRequest request;
    request.set_space("notes");
    request.set_ack_level(v1::ACK_LEVEL_INDEXED);
    *request.mutable_observations() = RandomBatch(random).observations();
    request.set_priority(v1::PRIORITY_HIGH);
    auto decoded = DecodeObserveRequest(pool_, FrameOf(request.SerializeAsString()), limits_);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(decoded->space, "notes");
    EXPECT_EQ(decoded->ack_level, v1::ACK_LEVEL_INDEXED);
    EXPECT_EQ(decoded->priority, Priority::kHigh);
    EXPECT_EQ(ExplainDifference(decoded->batch, request.observations()), "");
  }
}

// Legal forms that no library writes: concatenated messages, unknown fields, unpacked floats, a repeated map key.
TEST_F(FrameDecoderTest, ReadsUnusualFormsAsProtobufDoes) {
  v1::ObserveStreamRequest first, second;
  first.mutable_batch()->set_first_sequence(3);
  first.mutable_batch()->add_observations()->set_id("a");
  second.mutable_batch()->set_first_sequence(7);
  second.mutable_batch()->add_observations()->set_id("b");
  // field 1, twice; then unknown field 15; then an embedding with two unpacked floats; then a tag twice.
  std::string observation = std::string("\x0a\x01x\x0a\x01y\x78\x05", 8);
  observation += std::string("\x12\x0a\x0d\x00\x00\x80\x3f\x0d\x00\x00\x00\x40", 12);
  observation += std::string("\x32\x06\x0a\x01k\x12\x01v\x32\x06\x0a\x01k\x12\x01w", 16);
  std::string batch = std::string("\x1a") + static_cast<char>(observation.size()) + observation;
  const std::string third = std::string("\x12") + static_cast<char>(batch.size()) + batch;
  const std::string bytes = first.SerializeAsString() + second.SerializeAsString() + third;

  v1::ObserveStreamRequest merged;
  ASSERT_TRUE(merged.ParseFromString(bytes));
  ASSERT_EQ(merged.batch().observations_size(), 3);
  const BatchFrame frame = DecodeBatch(bytes);
  EXPECT_EQ(frame.first_sequence, 7u);
  EXPECT_EQ(ExplainDifference(frame.batch, merged.batch().observations()), "");
  EXPECT_EQ(frame.batch.observations[2].id, "y");
  EXPECT_EQ(frame.batch.observations[2].embedding.dimension, 2u);
}

TEST_F(FrameDecoderTest, GivesOtherFramesAsTheyAre) {
  v1::ObserveStreamRequest request;
  request.mutable_start()->set_space("notes");
  auto decoded = Decode(request.SerializeAsString());
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(std::get<v1::ObserveStreamRequest>(*decoded).start().space(), "notes");
  decoded = Decode("");
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(std::get<v1::ObserveStreamRequest>(*decoded).frame_case(), v1::ObserveStreamRequest::FRAME_NOT_SET);
}

TEST_F(FrameDecoderTest, RefusesBytesThatAreNoMessage) {
  for (const std::string& bytes : {std::string("\x12\x7f", 2), std::string("\xff\xff\xff", 3), std::string("hello"),
                                   std::string("\x12\x03\x1a\x05\x0a", 5)}) {
    const auto decoded = Decode(bytes);
    ASSERT_FALSE(decoded.ok());
    EXPECT_EQ(decoded.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(decoded.status().message()), HasSubstr("is not a valid engram.v1.ObserveStreamRequest"));
  }
}

// One bad observation is named and the others are read.
TEST_F(FrameDecoderTest, NamesTheDefectOfOneObservation) {
  v1::ObserveStreamRequest request;
  v1::ObservationBatch& batch = *request.mutable_batch();
  batch.add_observations()->set_embedding_f32("12345");
  batch.add_observations()->set_embedding_f16("123");
  batch.add_observations()->set_embedding_f32("1234");
  auto& many_tags = *batch.add_observations()->mutable_tags();
  for (int i = 0; i < 33; ++i) many_tags[std::to_string(i)] = "x";
  std::string bytes = request.SerializeAsString();
  const BatchFrame frame = DecodeBatch(bytes);
  ASSERT_EQ(frame.batch.observations.size(), 4u);
  EXPECT_EQ(frame.batch.observations[0].defect, "embedding_f32 has 5 bytes, not a multiple of 4");
  EXPECT_EQ(frame.batch.observations[1].defect, "embedding_f16 has 3 bytes, not a multiple of 2");
  EXPECT_EQ(frame.batch.observations[2].defect, "");
  EXPECT_EQ(frame.batch.observations[2].embedding.dimension, 1u);
  EXPECT_EQ(frame.batch.observations[3].defect, "observation has 33 tags, limits.max_tags is 32");
}

TEST_F(FrameDecoderTest, NamesTextThatIsNotUtf8) {
  const auto batch_with = [](const std::string& observation) {
    const std::string batch = std::string("\x1a") + static_cast<char>(observation.size()) + observation;
    return std::string("\x12") + static_cast<char>(batch.size()) + batch;
  };
  EXPECT_EQ(DecodeBatch(batch_with("\x0a\x02\xc0\x80")).batch.observations[0].defect, "id is not UTF-8");
  EXPECT_EQ(DecodeBatch(batch_with("\x2a\x01\xff")).batch.observations[0].defect, "content is not UTF-8");
  EXPECT_EQ(DecodeBatch(batch_with("\x32\x03\x0a\x01\xfe")).batch.observations[0].defect, "a tag is not UTF-8");
}

TEST_F(FrameDecoderTest, MarksABatchTooLongWithoutKeepingIt) {
  limits_.max_observations = 3;
  v1::ObserveStreamRequest request;
  for (int i = 0; i < 4; ++i) request.mutable_batch()->add_observations()->set_embedding_f32("1234");
  const BatchFrame frame = DecodeBatch(request.SerializeAsString());
  ASSERT_EQ(frame.batch.observations.size(), 4u);
  EXPECT_TRUE(frame.batch.too_many);
  for (const ObservationView& observation : frame.batch.observations) EXPECT_EQ(observation.embedding.dimension, 0u);
  limits_.max_observations = 4;
  EXPECT_FALSE(DecodeBatch(request.SerializeAsString()).batch.too_many);
}

TEST_F(FrameDecoderTest, RefusesAFrameThatNoSettingAllows) {
  std::string batch;
  for (size_t i = 0; i <= kMostObservationsInFrame; ++i) batch += std::string("\x1a\x00", 2);
  v1::ObserveStreamRequest empty;
  ASSERT_TRUE(empty.mutable_batch()->ParseFromString(batch));
  const auto decoded = Decode(empty.SerializeAsString());
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.status().message(), "frame has 65537 observations, at most 65536 are ever taken");
}

TEST_F(FrameDecoderTest, RefusesAnUnknownPriorityItemByItem) {
  v1::ObserveStreamRequest request;
  request.mutable_batch()->add_observations()->set_embedding_f32("1234");
  request.mutable_batch()->set_priority(static_cast<v1::Priority>(9));
  EXPECT_EQ(DecodeBatch(request.SerializeAsString()).batch.observations[0].defect, "priority 9 is unknown");
}

TEST(Utf8, AgreesWithProtobufOnEveryTwoAndThreeByteText) {
  // A string field is refused exactly when its bytes are not UTF-8.
  const auto protobuf_takes = [](const std::string& text) {
    const std::string bytes = std::string("\x0a") + static_cast<char>(text.size()) + text;
    v1::Observation observation;
    return observation.ParseFromString(bytes);
  };
  google::protobuf::SetLogHandler(nullptr);
  for (int first = 0x78; first < 256; ++first) {
    for (int second = 0x70; second < 256; ++second) {
      std::string text{static_cast<char>(first), static_cast<char>(second)};
      ASSERT_EQ(IsUtf8Text(text), protobuf_takes(text)) << first << " " << second;
      for (const int third : {0x41, 0x7f, 0x80, 0xbf, 0xc0, 0xff}) {
        const std::string three = text + static_cast<char>(third);
        ASSERT_EQ(IsUtf8Text(three), protobuf_takes(three)) << first << " " << second << " " << third;
        const std::string four = three + '\x80';
        ASSERT_EQ(IsUtf8Text(four), protobuf_takes(four)) << first << " " << second << " " << third;
        ASSERT_EQ(IsUtf8Text("plain and more " + four), protobuf_takes("plain and more " + four));
      }
    }
  }
}

TEST(FramePoolTest, UsesBuffersAgainAndKeepsNoMoreThanItMay) {
  Series counters(Series::Owner::kProcess);
  FramePool pool(8 << 10, &counters);
  const char* buffer;
  {
    auto frame = pool.Take(3000);
    buffer = frame->data();
    EXPECT_EQ(frame->bytes().size(), 3000u);
  }
  EXPECT_EQ(pool.retained(), 4096u);
  EXPECT_EQ(counters.Count(MetricId::kPoolFallbacks), 1u);
  {
    auto again = pool.Take(4096);
    EXPECT_EQ(again->data(), buffer);
    EXPECT_EQ(pool.retained(), 0u);
    EXPECT_EQ(counters.Count(MetricId::kPoolReuses), 1u);
    // Three of 4 KiB at once: only two may stay.
    auto second = pool.Take(4000);
    auto third = pool.Take(4000);
  }
  EXPECT_EQ(pool.retained(), 8192u);
  { auto huge = pool.Take(64 << 20); }
  EXPECT_EQ(pool.retained(), 8192u);
  EXPECT_EQ(counters.Count(MetricId::kPoolFallbacks), 4u);
  EXPECT_EQ(counters.Count(MetricId::kPoolBytes), 3000u + 4096 + 2 * 4000 + (64 << 20));
}

}  // namespace
}  // namespace engram::testing

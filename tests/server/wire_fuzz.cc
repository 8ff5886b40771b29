// Any bytes as a frame and as a unary request: no crash, and no disagreement with protobuf. What protobuf refuses is
// refused too, or has an observation with a defect (a text that is not UTF-8, packed floats of an odd length); what it
// takes is taken, with the same content.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <variant>

#include "server/frame_decoder.h"
#include "tests/server/support/decoded.h"

namespace {

using engram::DecodeLimits;
using engram::FramePool;

void Disagree(const std::string& how) {
  std::fprintf(stderr, "decoder and protobuf disagree: %s\n", how.c_str());
  std::abort();
}

bool AnyDefect(const engram::ObservationBatch& batch) {
  for (const auto& observation : batch.observations) {
    if (!observation.defect.empty()) return true;
  }
  return false;
}

std::unique_ptr<FramePool::Frame> FrameOf(FramePool& pool, const uint8_t* data, size_t size) {
  auto frame = pool.Take(size);
  if (size > 0) std::memcpy(frame->data(), data, size);
  return frame;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static engram::Series counters(engram::Series::Owner::kProcess);
  static FramePool pool(1 << 20, &counters);
  google::protobuf::SetLogHandler(nullptr);
  // Tags as many as there may be, so that no observation is passed over for having too many.
  const DecodeLimits limits{.max_observations = engram::kMostObservationsInFrame, .max_tags = 256};

  engram::v1::ObserveStreamRequest message;
  const bool valid = message.ParseFromArray(data, static_cast<int>(size));
  const auto decoded = DecodeStreamFrame(pool, FrameOf(pool, data, size), limits);
  if (valid && !decoded.ok() && message.batch().observations_size() <= 65536) Disagree("a valid frame is refused");
  if (decoded.ok()) {
    const auto* batch = std::get_if<engram::BatchFrame>(&*decoded);
    if (!valid && (batch == nullptr || !AnyDefect(batch->batch))) Disagree("an invalid frame is taken");
    if (valid && (batch != nullptr) != message.has_batch()) Disagree("which frame it is");
    if (valid && batch != nullptr) {
      if (batch->first_sequence != message.batch().first_sequence()) Disagree("first_sequence");
      const auto how = engram::testing::ExplainDifference(batch->batch, message.batch().observations());
      if (!how.empty()) Disagree(how);
    }
  }

  engram::v1::ObserveRequest request;
  const bool valid_request = request.ParseFromArray(data, static_cast<int>(size));
  const auto call = DecodeObserveRequest(pool, FrameOf(pool, data, size), limits);
  if (valid_request && !call.ok() && request.observations_size() <= 65536) Disagree("a valid request is refused");
  if (call.ok()) {
    if (!valid_request && !AnyDefect(call->batch)) Disagree("an invalid request is taken");
    if (valid_request && (call->space != request.space() || call->ack_level != request.ack_level())) {
      Disagree("space or ack_level");
    }
    if (valid_request) {
      const auto how = engram::testing::ExplainDifference(call->batch, request.observations());
      if (!how.empty()) Disagree(how);
    }
  }
  return 0;
}

// decode: from the bytes of frames, as clients write them, to batches of views.
#include <cstring>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/check.h"
#include "engram/v1/memory_service.pb.h"
#include "server/frame_decoder.h"
#include "tests/perf/made_input.h"
#include "tests/perf/workload.h"

namespace engram::perf {
namespace {

class Decode final : public Workload {
 public:
  Decode() {
    const std::vector<MadeObservation> made = MadeObservations(11, kDimension, kFrames * kInFrame);
    for (size_t frame = 0; frame < kFrames; ++frame) {
      v1::ObserveStreamRequest request;
      request.mutable_batch()->set_first_sequence(frame * kInFrame + 1);
      for (size_t i = 0; i < kInFrame; ++i) {
        const MadeObservation& from = made[frame * kInFrame + i];
        v1::Observation& to = *request.mutable_batch()->add_observations();
        to.set_id(from.id);
        to.set_embedding_f32(from.embedding.data(), from.embedding.size() * sizeof(float));
        to.set_content(from.content);
        (*to.mutable_tags())["language"] = from.language;
        to.set_observed_at_us(1'700'000'000'000'000 + static_cast<int64_t>(i));
      }
      frames_.push_back(request.SerializeAsString());
    }
    // So that the pool has a buffer.
    DecodeOne(frames_[0]);
  }

  void Run() override {
    for (const std::string& bytes : frames_) DecodeOne(bytes);
  }
  uint64_t operations() const override { return kFrames * kInFrame; }

 private:
  static constexpr size_t kFrames = 24;
  static constexpr size_t kInFrame = 256;
  static constexpr uint32_t kDimension = 128;

  void DecodeOne(const std::string& bytes) {
    auto frame = pool_.Take(bytes.size());
    std::memcpy(frame->data(), bytes.data(), bytes.size());
    absl::StatusOr<ClientFrame> decoded = DecodeStreamFrame(pool_, std::move(frame), DecodeLimits{});
    ENGRAM_CHECK(decoded.ok());
    const ObservationBatch& batch = std::get<BatchFrame>(*decoded).batch;
    ENGRAM_CHECK(batch.observations.size() == kInFrame && batch.observations.back().defect.empty());
  }

  Series counters_{Series::Owner::kProcess};
  FramePool pool_{4 << 20, &counters_};
  std::vector<std::string> frames_;
};

}  // namespace

std::unique_ptr<Workload> MakeDecodeWorkload() { return std::make_unique<Decode>(); }

}  // namespace engram::perf

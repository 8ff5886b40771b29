// The way of an observation behind the decoder: check, lane, record of the journal, space.
#include <algorithm>
#include <utility>
#include <vector>

#include "config/settings.h"
#include "core/base/check.h"
#include "core/journal/record_codec.h"
#include "core/observation_check.h"
#include "core/portion_record.h"
#include "core/space.h"
#include "core/stream/batch_size.h"
#include "core/stream/lane.h"
#include "core/stream_state.h"
#include "tests/perf/made_input.h"
#include "tests/perf/workload.h"

namespace engram::perf {
namespace {

constexpr size_t kInFrame = 256;

// Frames of observations that were decoded; the views point into what it owns.
class Frames {
 public:
  Frames(uint64_t seed, uint32_t dimension, size_t frames) : made_(MadeObservations(seed, dimension, frames * kInFrame)) {
    for (size_t frame = 0; frame < frames; ++frame) {
      ObservationBatch& batch = batches_.emplace_back();
      batch.tags.reserve(kInFrame);
      for (size_t i = 0; i < kInFrame; ++i) {
        const MadeObservation& from = made_[frame * kInFrame + i];
        batch.tags.push_back({"language", from.language});
        ObservationView& view = batch.observations.emplace_back();
        view.id = from.id;
        view.embedding = AsEmbedding(from.embedding);
        view.content = from.content;
        view.tags = {&batch.tags.back(), 1};
        view.observed_at_us = 1'700'000'000'000'000 + static_cast<int64_t>(i);
      }
    }
  }

  std::vector<ObservationBatch>& batches() { return batches_; }

 private:
  std::vector<MadeObservation> made_;
  std::vector<ObservationBatch> batches_;
};

std::shared_ptr<Space> MakeSpace(uint32_t dimension) {
  Space::Origin origin;
  origin.name = "notes";
  origin.id = 1;
  origin.config.dimension = dimension;
  origin.config.max_connections = 16;
  origin.config.ef_construction = 56;
  origin.config.ef_search = 64;
  // Not tuned to the machine.
  origin.config.flat_threshold = 1'000'000;
  origin.keeps_contents = false;
  return std::make_shared<Space>(std::move(origin), 0, std::make_shared<Series>(Series::Owner::kSpace));
}

class Admit final : public Workload {
 public:
  void Run() override {
    DuplicateFinder seen;
    for (const ObservationBatch& batch : frames_.batches()) {
      seen.Begin(batch.observations.size());
      for (size_t i = 0; i < batch.observations.size(); ++i) {
        ENGRAM_CHECK(CheckObservation(batch.observations[i], Metric::kCosine, settings_).ok());
        ENGRAM_CHECK(seen.Add(batch.observations, i) < 0);
      }
    }
  }
  uint64_t operations() const override { return kFrames * kInFrame; }

 private:
  static constexpr size_t kFrames = 24;

  const Settings settings_;
  Frames frames_{12, 128, kFrames};
};

class Batcher final : public Workload {
 public:
  Batcher() {
    for (size_t i = 0; i < kSpaces; ++i) spaces_.push_back(std::make_shared<OneSpace>());
    for (size_t i = 0; i < kStreams; ++i) streams_.push_back(std::make_shared<OneStream>());
    Random random(13);
    for (size_t i = 0; i < kSlices; ++i) {
      auto frame = std::make_shared<Frame>();
      const auto size = static_cast<uint32_t>(1 + random.Next() % 64);
      frame->first_sequence = 1 + i * 64;
      frame->stream = streams_[i % kStreams];
      if (random.Next() % 8 == 0) frame->priority = Priority::kHigh;
      Slice slice;
      slice.end = size;
      slice.through_sequence = frame->first_sequence + size - 1;
      slice.frame = std::move(frame);
      slices_.push_back(std::move(slice));
    }
  }

  void Run() override {
    uint64_t in = 0, out = 0;
    for (size_t i = 0; i < kSlices; ++i) {
      in += slices_[i].size();
      lane_.Push(spaces_[i % kSpaces], slices_[i]);
      // Some wait, as they do under load.
      if (i % 32 == 31) out += TakeOne();
    }
    while (lane_.Ready()) out += TakeOne();
    ENGRAM_CHECK(in == out);
  }
  uint64_t operations() const override { return kSlices; }

 private:
  struct OneSpace final : SpaceQueue {};
  struct OneStream final : StreamOrder {};
  static constexpr size_t kSpaces = 6;
  static constexpr size_t kStreams = 18;
  static constexpr size_t kSlices = 12'000;

  uint64_t TakeOne() {
    const std::optional<Batch> batch = lane_.Take(BatchSize(lane_.depth(), 100'000, 32, 1024));
    if (!batch) return 0;
    lane_.Done(*batch);
    return batch->observations;
  }

  std::vector<std::shared_ptr<OneSpace>> spaces_;
  std::vector<std::shared_ptr<OneStream>> streams_;
  std::vector<Slice> slices_;
  Lane lane_;
};

class Encode final : public Workload {
 public:
  Encode() {
    uint64_t sequence = 1;
    for (ObservationBatch& batch : frames_.batches()) {
      auto frame = std::make_shared<Frame>();
      frame->batch = std::move(batch);
      // Every other one is named by the daemon.
      for (size_t i = 0; i < kInFrame; i += 2) frame->batch.observations[i].id = {};
      frame->first_sequence = sequence;
      frame->stream = stream_;
      sequence += kInFrame;
      Slice slice;
      slice.end = kInFrame;
      slice.through_sequence = sequence - 1;
      slice.frame = std::move(frame);
      portions_.push_back({space_, {slice}});
    }
    EncodeOne(portions_[0], 1);
  }

  void Run() override {
    uint64_t position = 2;
    for (const Portion& portion : portions_) EncodeOne(portion, position++);
  }
  uint64_t operations() const override { return kFrames * kInFrame; }

 private:
  static constexpr size_t kFrames = 24;

  void EncodeOne(const Portion& portion, uint64_t position) {
    record_.Fill(portion);
    const JournalRecord record = record_.Record();
    const absl::StatusOr<uint64_t> size = EncodedSize(record);
    ENGRAM_CHECK(size.ok() && *size <= bytes_.size());
    engram::Encode(record, position, position - 1, 14, std::span(bytes_).first(*size));
    record_.Clear();
  }

  std::shared_ptr<Space> space_ = MakeSpace(128);
  std::shared_ptr<StreamState> stream_ = std::make_shared<StreamState>("sensor", true, space_.get());
  Frames frames_{14, 128, kFrames};
  std::vector<Portion> portions_;
  PortionRecord record_{false};
  std::vector<std::byte> bytes_ = std::vector<std::byte>(1 << 20);
};

class Apply final : public Workload {
 public:
  void Run() override {
    uint64_t position = 2;
    for (const ObservationBatch& batch : frames_.batches()) space_->Apply(batch.observations, position++, {});
    ENGRAM_CHECK(space_->index()->live() == operations());
  }
  uint64_t operations() const override { return kFrames * kInFrame; }

 private:
  static constexpr size_t kFrames = 24;

  Frames frames_{15, 128, kFrames};
  std::shared_ptr<Space> space_ = MakeSpace(128);
};

template <typename T>
std::unique_ptr<Workload> Make() {
  return std::make_unique<T>();
}

constexpr NamedWorkload kWorkloads[] = {
    {"decode", "observation", MakeDecodeWorkload}, {"admit", "observation", Make<Admit>},
    {"batcher", "slice", Make<Batcher>},           {"encode", "observation", Make<Encode>},
    {"apply", "observation", Make<Apply>},
};

}  // namespace

std::span<const NamedWorkload> IngestWorkloads() { return kWorkloads; }

}  // namespace engram::perf

// One connection of a stream.
//
// Threads:  as ObserveStream says. Ownership: engine and ingest outlive it; it shares the space and the stream's state.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "core/engine.h"
#include "core/ingest.h"
#include "core/stream_state.h"

namespace engram {

class StreamConnection final : public ObserveStream {
 public:
  StreamConnection(Engine* engine, Ingest* ingest, std::shared_ptr<Space> space, std::shared_ptr<StreamState> state,
                   AckLevel level, StreamListener* listener);
  ~StreamConnection() override { Close(); }

  const std::string& id() const override { return state_->id(); }
  uint64_t first_expected() const override { return first_expected_; }
  uint32_t dimension() const override {
    const SpaceIndex* index = space_->index();
    return index == nullptr ? 0 : index->options().dimension;
  }
  void Submit(uint64_t first_sequence, Priority priority, ObservationBatch batch) override;
  StreamProgress TakeProgress() override;
  bool Reached() const override { return state_->Reached(generation_); }
  void Close() override;

 private:
  // Constant after construction.
  Engine* const engine_;
  Ingest* const ingest_;
  const std::shared_ptr<Space> space_;
  const std::shared_ptr<StreamState> state_;
  const uint64_t generation_;
  const uint64_t first_expected_;
  // Atomic: Close may come from both of the connection's threads.
  std::atomic<bool> closed_{false};
};

}  // namespace engram

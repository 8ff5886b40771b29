#include "core/stream_connection.h"

#include <utility>

namespace engram {

StreamConnection::StreamConnection(Engine* engine, Ingest* ingest, std::shared_ptr<Space> space,
                                   std::shared_ptr<StreamState> state, AckLevel level, StreamListener* listener)
    : engine_(engine),
      ingest_(ingest),
      space_(std::move(space)),
      state_(std::move(state)),
      generation_(state_->Attach(level, listener)),
      first_expected_(state_->received_through() + 1) {
  ingest_->Connect(space_.get(), state_.get());
}

void StreamConnection::Submit(uint64_t first_sequence, Priority priority, ObservationBatch batch) {
  if (!state_->Current(generation_)) return;
  ingest_->Submit(space_, state_, generation_, first_sequence, priority, std::move(batch), *engine_->settings());
}

StreamProgress StreamConnection::TakeProgress() {
  StreamProgress progress = state_->Take(generation_);
  // While the level is not normal, each look is a fresh one.
  if (progress.pressure_due) progress.pressure = ingest_->ReadPressure(*space_);
  if (progress.pressure_due) {
    space_->series().Add(MetricId::kBackpressureActivations, 1,
                         static_cast<size_t>(progress.pressure.level) - static_cast<size_t>(PressureLevel::kNormal));
  }
  return progress;
}

void StreamConnection::Close() {
  if (closed_.exchange(true)) return;
  state_->Detach(generation_);
  ingest_->Disconnect(state_.get());
}

}  // namespace engram

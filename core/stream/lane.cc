#include "core/stream/lane.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace engram {

void Lane::List(const std::shared_ptr<SpaceQueue>& space, size_t place) {
  if (space->listed_[place] || space->slices_[place].empty()) return;
  space->listed_[place] = true;
  round_[place].push_back(space);
  listed_.fetch_add(1, std::memory_order_relaxed);
}

// Moves the stream's normal slices to the end of the high ones.
void Lane::Promote(SpaceQueue& space, StreamOrder& stream) {
  SlimQueue<Slice> stay;
  stay.Reserve(space.slices_[0].size());
  space.slices_[1].Reserve(space.slices_[0].size());
  for (Slice& slice : space.slices_[0]) {
    if (slice.frame->stream.get() != &stream) {
      stay.push_back(std::move(slice));
      continue;
    }
    waiting_[0] -= slice.size();
    waiting_[1] += slice.size();
    space.slices_[1].push_back(std::move(slice));
  }
  space.slices_[0] = std::move(stay);
  stream.queued_[1] += stream.queued_[0];
  stream.queued_[0] = 0;
}

void Lane::Push(const std::shared_ptr<SpaceQueue>& space, Slice slice) {
  size_t place = Place(slice.frame->priority);
  StreamOrder* stream = slice.frame->stream.get();
  MutexLock lock(mu_);
  if (stream != nullptr) {
    if (place == 1 && stream->queued_[0] > 0) Promote(*space, *stream);
    if (place == 0 && stream->queued_[1] > 0) place = 1;
    ++stream->queued_[place];
  }
  waiting_[place] += slice.size();
  depth_.store(waiting_[0] + waiting_[1], std::memory_order_relaxed);
  space->slices_[place].push_back(std::move(slice));
  if (!space->busy_) List(space, place);
}

bool Lane::TakeFrom(size_t place, uint64_t most, Batch& batch) {
  auto& round = round_[place];
  while (!round.empty() && batch.observations < most) {
    std::shared_ptr<SpaceQueue> space = std::move(round.front());
    round.pop_front();
    listed_.fetch_sub(1, std::memory_order_relaxed);
    space->listed_[place] = false;
    if (space->busy_ || space->slices_[place].empty()) continue;  // Listed again by Done, or promoted away.
    space->busy_ = true;
    Portion portion;
    auto& slices = space->slices_[place];
    while (!slices.empty() && (batch.observations < most || slices.front().size() == 0)) {
      Slice& front = slices.front();
      const uint64_t room = most - std::min(most, batch.observations);
      Slice taken;
      if (front.size() > room) {
        taken = front;
        taken.end = front.begin + static_cast<uint32_t>(room);
        taken.through_sequence = front.frame->SequenceOf(taken.end) - 1;
        taken.last = false;
        front.begin = taken.end;
      } else {
        if (StreamOrder* stream = front.frame->stream.get()) --stream->queued_[place];
        taken = std::move(front);
        slices.pop_front();
      }
      batch.observations += taken.size();
      waiting_[place] -= taken.size();
      portion.slices.push_back(std::move(taken));
    }
    portion.space = std::move(space);
    batch.portions.push_back(std::move(portion));
  }
  batch.priority = place == 1 ? Priority::kHigh : Priority::kNormal;
  depth_.store(waiting_[0] + waiting_[1], std::memory_order_relaxed);
  return !batch.portions.empty();
}

std::optional<Batch> Lane::Take(uint64_t most) {
  ENGRAM_CHECK(most > 0);
  Batch batch;
  MutexLock lock(mu_);
  const bool normal_turn = high_streak_ >= kHighStreak;
  const size_t first = normal_turn || round_[1].empty() ? 0 : 1;
  if (!TakeFrom(first, most, batch) && !TakeFrom(1 - first, most, batch)) return std::nullopt;
  high_streak_ = batch.priority == Priority::kHigh ? high_streak_ + 1 : 0;
  return batch;
}

bool Lane::Done(const Batch& batch) {
  MutexLock lock(mu_);
  for (const Portion& portion : batch.portions) {
    ENGRAM_CHECK(portion.space->busy_);
    portion.space->busy_ = false;
    List(portion.space, 0);
    List(portion.space, 1);
  }
  return !round_[0].empty() || !round_[1].empty();
}

bool Lane::Ready() const {
  if (listed_.load(std::memory_order_relaxed) == 0) return false;
  MutexLock lock(mu_);
  for (size_t place = 0; place < round_.size(); ++place) {
    for (const auto& space : round_[place]) {
      if (!space->busy_ && !space->slices_[place].empty()) return true;
    }
  }
  return false;
}

uint64_t Lane::DepthOf(Priority priority) const {
  MutexLock lock(mu_);
  return waiting_[Place(priority)];
}

}  // namespace engram

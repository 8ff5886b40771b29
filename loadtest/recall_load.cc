#include "loadtest/recall_load.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "loadtest/observe_client.h"
#include "loadtest/pacing.h"

namespace engram {
namespace {

constexpr std::chrono::seconds kPatience{5};
constexpr int64_t kLookUp = 20'000'000;

}  // namespace

RecallLoad::RecallLoad(const std::string& address, const Scenario::Recalls& plan, uint64_t seed, int64_t began,
                       double seconds, const std::vector<std::unique_ptr<LoadStream>>* streams,
                       const MadeObservations* made, bool users)
    : plan_(plan),
      seed_(seed),
      began_(began),
      count_(static_cast<uint64_t>(plan.per_second * seconds)),
      streams_(streams),
      made_(made),
      users_(users),
      stub_(v1::MemoryService::NewStub(ConnectTo(address))) {}

void RecallLoad::Start() {
  if (count_ == 0) return;
  for (uint32_t i = 0; i < plan_.callers; ++i) {
    callers_.push_back(std::make_unique<Caller>());
    Caller& caller = *callers_.back();
    caller.thread = std::jthread([this, &caller](const std::stop_token& stop) { Run(caller, stop); });
  }
}

int64_t RecallLoad::DueAt(uint64_t number) const {
  return began_ + static_cast<int64_t>(static_cast<double>(number + 1) / plan_.per_second * kNanosPerSecond);
}

void RecallLoad::Finish() {
  if (std::exchange(finished_, true)) return;
  const int64_t now = NowNanos();
  while (due_ < count_ && DueAt(due_) <= now) ++due_;
  for (const auto& caller : callers_) caller->thread.request_stop();
  for (const auto& caller : callers_) {
    caller->thread.join();
    latency_.Merge(caller->latency);
    for (const auto& [code, count] : caller->ended) ended_[code] += count;
    answered_ += caller->answered;
    not_found_ += caller->not_found;
    if (caller->unsent && *caller->unsent < due_) latency_.Record(now - DueAt(*caller->unsent));
  }
  callers_.clear();
  // Taken by nobody: all callers were still waiting for earlier ones.
  for (uint64_t number = next_.load(); number < due_; ++number) latency_.Record(now - DueAt(number));
}

v1::RecallRequest RecallLoad::Request(uint64_t number) const {
  const uint64_t draw = MixNumbers(seed_, number);
  // The streams' shares are the spaces': a busy space is also recalled from more often.
  double left = static_cast<double>(draw >> 11) / static_cast<double>(uint64_t{1} << 53);
  size_t at = 0;
  while (at + 1 < streams_->size() && left >= (*streams_)[at]->plan().share) left -= (*streams_)[at++]->plan().share;
  const LoadStream& stream = *(*streams_)[at];
  const uint32_t of = stream.plan().number;
  const uint64_t durable = stream.durable();
  const uint64_t sequence = 1 + MixNumbers(draw, 1) % std::max<uint64_t>(durable, 1);

  v1::RecallRequest request;
  request.set_space(stream.plan().space);
  request.set_k(plan_.k);
  request.set_include_content(true);
  uint64_t kind = MixNumbers(draw, 2) %
                  std::max<uint64_t>(1, plan_.by_vector + plan_.by_id + plan_.exact + plan_.by_user);
  if (kind < plan_.by_id && durable > 0) {
    request.set_id(MadeObservations::IdOf(of, sequence));
    return request;
  }
  made_->MakeVector(of, sequence, request.mutable_embedding_f32());
  if (kind < plan_.by_id) return request;
  kind -= plan_.by_id;
  if (kind < plan_.exact) {
    request.set_exact(true);
  } else if (kind - plan_.exact < plan_.by_user && users_) {
    (*request.mutable_filter()->mutable_all_tags())["user"] = made_->UserOf(of, sequence);
  }
  return request;
}

void RecallLoad::Run(Caller& caller, const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const uint64_t number = next_.fetch_add(1, std::memory_order_relaxed);
    if (number >= count_) return;
    const int64_t due = DueAt(number);
    for (int64_t now = NowNanos(); now < due && !stop.stop_requested(); now = NowNanos()) {
      SleepUntilNanos(std::min(due, now + kLookUp));
    }
    if (stop.stop_requested()) {
      caller.unsent = number;
      return;
    }
    const v1::RecallRequest request = Request(number);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    context.set_wait_for_ready(true);
    v1::RecallResponse response;
    const int code = stub_->Recall(&context, request, &response).error_code();
    const bool not_found = code == grpc::StatusCode::NOT_FOUND && request.cue_case() == v1::RecallRequest::kId;
    const bool answered = code == grpc::StatusCode::OK || not_found;
    if (not_found) ++caller.not_found;
    if (answered) {
      ++caller.answered;
    } else {
      ++caller.ended[code];
    }
    if (answered || code == grpc::StatusCode::DEADLINE_EXCEEDED) caller.latency.Record(NowNanos() - due);
  }
}

}  // namespace engram

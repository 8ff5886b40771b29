#include "loadtest/recall_load.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "loadtest/observe_client.h"
#include "loadtest/pacing.h"

namespace engram {
namespace {

constexpr int64_t kLookUp = 20'000'000;

std::vector<LedgerStreamRef> LedgersOf(const std::vector<std::unique_ptr<LoadStream>>& streams) {
  std::vector<LedgerStreamRef> ledgers;
  for (const auto& stream : streams) {
    ledgers.push_back({.space = stream->plan().space, .number = stream->plan().number, .ledger = &stream->ledger()});
  }
  return ledgers;
}

}  // namespace

RecallLoad::RecallLoad(Plan plan, const std::vector<std::unique_ptr<LoadStream>>* streams, const MadeObservations* made)
    : plan_(std::move(plan)),
      count_(static_cast<uint64_t>(plan_.recalls.per_second * plan_.seconds)),
      streams_(streams),
      made_(made),
      check_(made, LedgersOf(*streams)),
      stub_(v1::MemoryService::NewStub(ConnectTo(plan_.address))),
      end_(count_) {}

void RecallLoad::Start() {
  if (count_ == 0) return;
  for (uint32_t i = 0; i < plan_.recalls.callers; ++i) {
    callers_.push_back(std::make_unique<Caller>());
    Caller& caller = *callers_.back();
    caller.thread = std::jthread([this, &caller](const std::stop_token& stop) { Run(caller, stop); });
  }
}

int64_t RecallLoad::DueAt(uint64_t number) const {
  return plan_.began + static_cast<int64_t>(static_cast<double>(number + 1) / plan_.recalls.per_second * kNanosPerSecond);
}

void RecallLoad::Finish() {
  if (std::exchange(finished_, true)) return;
  const int64_t now = NowNanos();
  while (due_ < count_ && DueAt(due_) <= now) ++due_;
  end_.store(due_);
  give_up_.store(now + std::chrono::nanoseconds(plan_.patience).count());
  for (const auto& caller : callers_) caller->thread.request_stop();
  for (const auto& caller : callers_) {
    caller->thread.join();
    latency_.Merge(caller->latency);
    for (const auto& [code, count] : caller->ended) ended_[code] += count;
    answered_ += caller->answered;
    not_found_ += caller->not_found;
    wrong_ += caller->wrong;
    if (first_wrong_.empty()) first_wrong_ = caller->first_wrong;
    if (caller->unsent) latency_.Record(now - DueAt(*caller->unsent));
  }
  callers_.clear();
  // Taken by nobody: all callers waited for earlier ones until patience was over.
  for (uint64_t number = next_.load(); number < due_; ++number) latency_.Record(now - DueAt(number));
}

RecallLoad::Asked RecallLoad::Ask(uint64_t number) const {
  const Scenario::Recalls& recalls = plan_.recalls;
  const uint64_t draw = MixNumbers(plan_.seed, number);
  // The streams' shares are the spaces': a busy space is also recalled from more often.
  double left = static_cast<double>(draw >> 11) / static_cast<double>(uint64_t{1} << 53);
  size_t at = 0;
  while (at + 1 < streams_->size() && left >= (*streams_)[at]->plan().share) left -= (*streams_)[at++]->plan().share;
  const LoadStream& stream = *(*streams_)[at];
  const uint64_t durable = stream.durable();
  Asked asked{.like = {stream.plan().number, 1 + MixNumbers(draw, 1) % std::max<uint64_t>(durable, 1)}};
  const auto& [of, sequence] = asked.like;

  v1::RecallRequest& request = asked.request;
  request.set_space(stream.plan().space);
  request.set_k(recalls.k);
  request.set_include_content(true);
  uint64_t kind = MixNumbers(draw, 2) %
                  std::max<uint64_t>(1, recalls.by_vector + recalls.by_id + recalls.exact + recalls.by_user);
  if (kind < recalls.by_id && durable > 0) {
    request.set_id(MadeObservations::IdOf(of, sequence));
    return asked;
  }
  made_->MakeVector(of, sequence, request.mutable_embedding_f32());
  if (kind < recalls.by_id) return asked;
  kind -= recalls.by_id;
  if (kind < recalls.exact) {
    request.set_exact(true);
  } else if (kind - recalls.exact < recalls.by_user && plan_.users) {
    (*request.mutable_filter()->mutable_all_tags())["user"] = made_->UserOf(of, sequence);
    request.set_include_tags(true);
  }
  return asked;
}

void RecallLoad::Run(Caller& caller, const std::stop_token& stop) {
  while (NowNanos() < give_up_.load()) {
    const uint64_t number = next_.fetch_add(1, std::memory_order_relaxed);
    const int64_t due = DueAt(number);
    for (int64_t now = NowNanos(); number < end_.load() && now < due && !stop.stop_requested(); now = NowNanos()) {
      SleepUntilNanos(std::min(due, now + kLookUp));
    }
    // Once it is told to stop, those before the end are due.
    if (number >= end_.load()) return;
    const int64_t left = std::min(give_up_.load() - NowNanos(), std::chrono::nanoseconds(plan_.patience).count());
    if (left <= 0) {
      caller.unsent = number;
      return;
    }
    const auto [request, like] = Ask(number);
    const uint32_t least_hits = check_.LeastHits(request, like);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::nanoseconds(left));
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
    // Behind the reading of the time: how long the check takes is no latency.
    if (code != grpc::StatusCode::OK) continue;
    std::string fault = check_.FaultOf(request, least_hits, response);
    if (!fault.empty() && caller.wrong++ == 0) caller.first_wrong = std::move(fault);
  }
}

}  // namespace engram

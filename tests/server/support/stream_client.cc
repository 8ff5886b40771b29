#include "tests/server/support/stream_client.h"

#include <chrono>

namespace engram::testing {

StreamClient::StreamClient(v1::MemoryService::Stub& stub) {
  context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  io_ = stub.ObserveStream(&context_);
}

StreamClient::~StreamClient() {
  if (finished_) return;
  context_.TryCancel();
  io_->Finish();
}

bool StreamClient::SendStart(const std::string& space, const std::string& stream_id, bool resume, v1::AckLevel level) {
  v1::ObserveStreamRequest request;
  request.mutable_start()->set_space(space);
  request.mutable_start()->set_stream_id(stream_id);
  request.mutable_start()->set_resume(resume);
  request.mutable_start()->set_ack_level(level);
  return Send(request);
}

bool StreamClient::SendBatch(uint64_t first_sequence, const std::vector<v1::Observation>& observations,
                             v1::Priority priority) {
  v1::ObserveStreamRequest request;
  request.mutable_batch()->set_first_sequence(first_sequence);
  request.mutable_batch()->set_priority(priority);
  for (const v1::Observation& observation : observations) *request.mutable_batch()->add_observations() = observation;
  return Send(request);
}

bool StreamClient::SendFlow(v1::FlowControl::Action action) {
  v1::ObserveStreamRequest request;
  request.mutable_flow()->set_action(action);
  return Send(request);
}

bool StreamClient::SendEnd(bool drain) {
  v1::ObserveStreamRequest request;
  request.mutable_end()->set_drain(drain);
  return Send(request);
}

v1::StreamStarted StreamClient::ReadStarted() {
  v1::ObserveStreamResponse response;
  while (Read(&response)) {
    if (response.has_started()) return response.started();
  }
  return {};
}

bool StreamClient::ReadUntil(const std::function<bool()>& enough) {
  v1::ObserveStreamResponse response;
  while (!enough()) {
    if (!Read(&response)) return false;
    if (response.has_ack()) {
      last_ack = response.ack();
      rejected.insert(rejected.end(), response.ack().rejected().begin(), response.ack().rejected().end());
    } else if (response.has_pressure()) {
      pressure.push_back(response.pressure());
    } else if (response.has_ended()) {
      ended = response.ended();
    }
  }
  return true;
}

bool StreamClient::ReadUntilDurable(uint64_t sequence) {
  return ReadUntil([&] { return last_ack.durable_through() >= sequence; });
}

bool StreamClient::ReadUntilRejected(size_t count) {
  return ReadUntil([&] {
    size_t sum = 0;
    for (const v1::Rejection& rejection : rejected) sum += rejection.count();
    return sum >= count;
  });
}

bool StreamClient::ReadUntilEnded() {
  return ReadUntil([&] { return ended.has_value(); });
}

grpc::Status StreamClient::Finish() {
  io_->WritesDone();
  ReadUntil([] { return false; });
  finished_ = true;
  return io_->Finish();
}

}  // namespace engram::testing

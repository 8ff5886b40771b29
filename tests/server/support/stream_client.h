// The client's end of one ObserveStream, one step at a time.
//
// Every wait is bounded by the call's deadline, which only a hang reaches.
#pragma once

#include <grpcpp/client_context.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engram/v1/memory_service.grpc.pb.h"

namespace engram::testing {

class StreamClient {
 public:
  explicit StreamClient(v1::MemoryService::Stub& stub);
  ~StreamClient();

  // False when the call is over.
  bool Send(const v1::ObserveStreamRequest& request) { return io_->Write(request); }
  bool SendStart(const std::string& space, const std::string& stream_id = "", bool resume = false,
                 v1::AckLevel level = v1::ACK_LEVEL_DURABLE);
  bool SendBatch(uint64_t first_sequence, const std::vector<v1::Observation>& observations,
                 v1::Priority priority = v1::PRIORITY_NORMAL);
  bool SendFlow(v1::FlowControl::Action action);
  bool SendEnd(bool drain);

  // The next frame; false when the call is over.
  bool Read(v1::ObserveStreamResponse* response) { return io_->Read(response); }
  // Reads until StreamStarted.
  v1::StreamStarted ReadStarted();
  // Reads until `enough` says so or the stream is over, gathering what comes by into the fields below.
  bool ReadUntil(const std::function<bool()>& enough);
  bool ReadUntilDurable(uint64_t sequence);
  bool ReadUntilRejected(size_t count);
  bool ReadUntilEnded();

  // What has come so far.
  v1::Ack last_ack;
  std::vector<v1::Rejection> rejected;
  std::vector<v1::Pressure> pressure;
  std::optional<v1::StreamEnded> ended;

  // Closes the sending side, reads what is left and answers the status.
  grpc::Status Finish();
  // Goes away without a word.
  void Vanish() { context_.TryCancel(); }
  grpc::ClientContext& context() { return context_; }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::ObserveStreamRequest, v1::ObserveStreamResponse>> io_;
  bool finished_ = false;
};

}  // namespace engram::testing

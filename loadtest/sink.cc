#include "loadtest/sink.h"

#include <fmt/format.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <pthread.h>
#include <signal.h>

#include <cstdio>
#include <memory>

#include "engram/v1/memory_service.grpc.pb.h"

namespace engram {
namespace {

// Frames covered by one acknowledgement. One for each would make the yardstick shorter: a tenth to a fifth slower.
constexpr uint64_t kFramesPerAck = 8;

class Sink final : public v1::MemoryService::Service {
 public:
  grpc::Status ObserveStream(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::ObserveStreamResponse, v1::ObserveStreamRequest>* stream) override {
    v1::ObserveStreamRequest request;
    v1::ObserveStreamResponse response;
    uint64_t through = 0;
    uint64_t frames = 0;
    while (stream->Read(&request)) {
      response.Clear();
      if (request.has_start()) {
        response.mutable_started()->set_next_sequence(1);
      } else if (request.has_batch()) {
        through = request.batch().first_sequence() + request.batch().observations_size() - 1;
        if (++frames % kFramesPerAck != 0) continue;
        response.mutable_ack()->set_received_through(through);
        response.mutable_ack()->set_durable_through(through);
        response.mutable_ack()->set_indexed_through(through);
        response.mutable_ack()->set_next_sequence(through + 1);
      } else if (request.has_end()) {
        response.mutable_ended()->set_received_through(through);
        response.mutable_ended()->set_durable_through(through);
        response.mutable_ended()->set_indexed_through(through);
        response.mutable_ended()->set_drained(true);
      } else {
        continue;
      }
      if (!stream->Write(response)) break;
    }
    return grpc::Status::OK;
  }

  grpc::Status Observe(grpc::ServerContext*, const v1::ObserveRequest* request, v1::ObserveResponse* response) override {
    response->set_accepted(static_cast<uint32_t>(request->observations_size()));
    for (const v1::Observation& observation : request->observations()) response->add_ids(observation.id());
    response->set_level(request->ack_level());
    return grpc::Status::OK;
  }
};

}  // namespace

int RunSink() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  Sink sink;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  // The daemon's own limit; the other arguments are gRPC's defaults on both sides.
  builder.SetMaxReceiveMessageSize(16 << 20);
  builder.RegisterService(&sink);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    fmt::print(stderr, "the sink found no port to listen on\n");
    return 1;
  }
  fmt::print("engram-sink ready grpc=127.0.0.1:{}\n", port);
  std::fflush(stdout);

  int received = 0;
  while (sigwait(&signals, &received) != 0) {
  }
  server->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
  return 0;
}

}  // namespace engram

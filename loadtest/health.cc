#include "loadtest/health.h"

#include <fmt/format.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>

#include <string>
#include <vector>

#include "loadtest/pacing.h"

namespace engram {
namespace {

constexpr int64_t kBetween = 2'000'000;
// HealthCheckResponse {ServingStatus status = 1} with SERVING = 1.
constexpr char kServing[] = "\x08\x01";

// What the health service answered to an empty HealthCheckRequest, as bytes.
std::string Ask(grpc::GenericStub& stub, int64_t deadline, grpc::Status& status) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::nanoseconds(deadline - NowNanos()));
  grpc::CompletionQueue queue;
  const grpc::ByteBuffer request(nullptr, 0);
  const auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", request, &queue);
  grpc::ByteBuffer response;
  call->StartCall();
  call->Finish(&response, &status, nullptr);
  void* tag;
  bool ok;
  queue.Next(&tag, &ok);
  std::string bytes;
  std::vector<grpc::Slice> slices;
  if (!status.ok() || !response.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

}  // namespace

absl::StatusOr<int64_t> AwaitServing(const std::shared_ptr<grpc::Channel>& channel, std::chrono::milliseconds patience) {
  const int64_t deadline = NowNanos() + std::chrono::nanoseconds(patience).count();
  grpc::GenericStub stub(channel);
  while (true) {
    grpc::Status status;
    const bool serving = Ask(stub, deadline, status) == kServing;
    const int64_t now = NowNanos();
    if (serving) return now;
    if (now > deadline) {
      return absl::DeadlineExceededError(
          fmt::format("the daemon was not serving within {} ms: {}", patience.count(),
                      status.ok() ? "its health service says NOT_SERVING" : status.error_message()));
    }
    SleepUntilNanos(now + kBetween);
  }
}

}  // namespace engram

// The standard services beside ours, health and reflection, called with messages written by hand: Debian ships neither
// their protos nor their headers.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/sync_stream.h>

#include <memory>
#include <string>
#include <vector>

namespace engram::testing {

enum class Health { kUnknown, kServing, kNotServing, kFailed };

// kUnknown: NOT_FOUND.
Health CheckHealth(const std::shared_ptr<grpc::Channel>& channel, const std::string& service);

class HealthWatch {
 public:
  explicit HealthWatch(std::shared_ptr<grpc::Channel> channel);
  ~HealthWatch();
  // Waits for the next change; kFailed when the call is over.
  Health Next() const;

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<grpc::ByteBuffer>> reader_;
};

// By server reflection.
std::vector<std::string> ListServices(const std::shared_ptr<grpc::Channel>& channel);

}  // namespace engram::testing

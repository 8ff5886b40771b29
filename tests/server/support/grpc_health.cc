#include "tests/server/support/grpc_health.h"

#include <grpcpp/impl/client_unary_call.h>
#include <grpcpp/impl/rpc_method.h>

#include <chrono>
#include <utility>

namespace engram::testing {
namespace {

using grpc::internal::RpcMethod;

grpc::ByteBuffer BufferOf(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string BytesOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

// HealthCheckRequest {string service = 1}
std::string Request(const std::string& service) {
  return service.empty() ? std::string() : std::string("\x0a") + static_cast<char>(service.size()) + service;
}

// HealthCheckResponse {ServingStatus status = 1}: 1 is SERVING, 2 NOT_SERVING.
Health StatusIn(const std::string& bytes) {
  if (bytes.size() != 2 || bytes[0] != '\x08') return Health::kUnknown;
  return bytes[1] == 1 ? Health::kServing : bytes[1] == 2 ? Health::kNotServing : Health::kUnknown;
}

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
}

}  // namespace

Health CheckHealth(const std::shared_ptr<grpc::Channel>& channel, const std::string& service) {
  const RpcMethod method("/grpc.health.v1.Health/Check", RpcMethod::NORMAL_RPC, channel);
  grpc::ClientContext context;
  SetDeadline(context);
  grpc::ByteBuffer response;
  const grpc::Status status = grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(
      channel.get(), method, &context, BufferOf(Request(service)), &response);
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) return Health::kUnknown;
  return status.ok() ? StatusIn(BytesOf(response)) : Health::kFailed;
}

HealthWatch::HealthWatch(std::shared_ptr<grpc::Channel> channel) : channel_(std::move(channel)) {
  const RpcMethod method("/grpc.health.v1.Health/Watch", RpcMethod::SERVER_STREAMING, channel_);
  SetDeadline(context_);
  reader_.reset(grpc::internal::ClientReaderFactory<grpc::ByteBuffer>::Create(channel_.get(), method, &context_,
                                                                              BufferOf(Request(""))));
}

HealthWatch::~HealthWatch() {
  context_.TryCancel();
  reader_->Finish();
}

Health HealthWatch::Next() const {
  grpc::ByteBuffer response;
  return reader_->Read(&response) ? StatusIn(BytesOf(response)) : Health::kFailed;
}

std::vector<std::string> ListServices(const std::shared_ptr<grpc::Channel>& channel) {
  const RpcMethod method("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", RpcMethod::BIDI_STREAMING,
                         channel);
  grpc::ClientContext context;
  SetDeadline(context);
  const std::unique_ptr<grpc::ClientReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>> io(
      grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer, grpc::ByteBuffer>::Create(channel.get(), method,
                                                                                            &context));
  // ServerReflectionRequest {string list_services = 7}
  io->Write(BufferOf(std::string("\x3a\x01*", 3)));
  grpc::ByteBuffer response;
  const bool answered = io->Read(&response);
  io->WritesDone();
  io->Finish();
  std::vector<std::string> names;
  if (!answered) return names;
  // ... {ListServiceResponse list_services_response = 6}, of {repeated ServiceResponse {string name = 1} service = 1}:
  // the names are the innermost fields, each after its tag and length.
  const std::string bytes = BytesOf(response);
  for (size_t at = 0; at + 2 < bytes.size(); ++at) {
    const auto size = static_cast<size_t>(static_cast<unsigned char>(bytes[at + 3 < bytes.size() ? at + 3 : at]));
    if (bytes[at] == '\x0a' && bytes[at + 2] == '\x0a' && static_cast<size_t>(bytes[at + 1]) == size + 2 &&
        at + 4 + size <= bytes.size()) {
      names.push_back(bytes.substr(at + 4, size));
    }
  }
  return names;
}

}  // namespace engram::testing

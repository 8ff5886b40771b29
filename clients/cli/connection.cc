#include "clients/cli/connection.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "clients/cli/interrupt.h"
#include "clients/cli/time_text.h"
#include "core/base/status.h"
#include "engram/v1/admin_service.grpc.pb.h"
#include "engram/v1/memory_service.grpc.pb.h"

namespace engram {
namespace {

// How long a daemon that was started a moment ago may take until it listens.
constexpr std::chrono::microseconds kStartPatience{2'000'000};
constexpr int kReconnectMillis = 100;

absl::Status FromGrpc(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

// The system's word for why a connection failed, out of gRPC's chain of reasons.
std::string ConnectFault(const std::string& message) {
  for (std::string_view known :
       {"Connection refused", "No such file or directory", "Permission denied", "No route to host",
        "Network is unreachable", "Connection timed out", "Connection reset", "Name or service not known",
        "DNS resolution failed", "Socket closed"}) {
    if (message.find(known) == std::string::npos) continue;
    std::string reason(known);
    if (reason.compare(0, 3, "DNS") != 0) reason[0] = static_cast<char>(reason[0] - 'A' + 'a');
    return reason;
  }
  return message;
}

class GrpcObserveCall final : public ObserveCall {
 public:
  GrpcObserveCall(v1::MemoryService::Stub* stub, std::function<absl::Status(const grpc::Status&)> explain)
      : stream_(stub->ObserveStream(&context_)), explain_(std::move(explain)) {}

  bool Write(const v1::ObserveStreamRequest& request) override { return stream_->Write(request); }
  void WritesDone() override { stream_->WritesDone(); }
  bool Read(v1::ObserveStreamResponse* response) override { return stream_->Read(response); }
  absl::Status Finish() override { return explain_(stream_->Finish()); }
  void Cancel() override { context_.TryCancel(); }

 private:
  grpc::ClientContext context_;
  const std::unique_ptr<grpc::ClientReaderWriter<v1::ObserveStreamRequest, v1::ObserveStreamResponse>> stream_;
  const std::function<absl::Status(const grpc::Status&)> explain_;
};

// How long an interrupted recall may take to notice.
constexpr int64_t kInterruptMicros = 100'000;

class GrpcConnection final : public Connection {
 public:
  GrpcConnection(std::string address, const std::string& target, int64_t timeout_us)
      : address_(std::move(address)), timeout_us_(timeout_us) {
    grpc::ChannelArguments arguments;
    // A vector of 16384 elements and a text, a thousand times, is far over the default of 4 MiB.
    arguments.SetMaxReceiveMessageSize(-1);
    // The daemon is a local service; a proxy meant for the web would only get in the way.
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    // gRPC's own second between attempts is most of kStartPatience.
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectMillis);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2 * kReconnectMillis);
    channel_ = grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
    memory_ = v1::MemoryService::NewStub(channel_);
    admin_ = v1::AdminService::NewStub(channel_);
  }

  absl::StatusOr<v1::RecallResponse> Recall(const v1::RecallRequest& request) override {
    return Call<v1::RecallResponse>(*memory_, &v1::MemoryService::Stub::Recall, request);
  }
  absl::Status FollowRecall(const v1::RecallStreamRequest& request, const Interrupt& interrupt,
                            const std::function<bool()>& over,
                            const std::function<void(const v1::RecallStreamResponse&)>& each) override {
    grpc::ClientContext context;
    AwaitDaemon();
    const auto reader = memory_->RecallStream(&context, request);
    // Read does not hear of an interruption: somebody else does.
    std::jthread watches([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        if (interrupt.WaitFor(kInterruptMicros) || over()) return context.TryCancel();
      }
    });
    v1::RecallStreamResponse response;
    while (!over() && reader->Read(&response)) each(response);
    if (over()) context.TryCancel();
    const grpc::Status status = reader->Finish();
    if (interrupt.count() != 0 || over()) return absl::OkStatus();
    return status.ok() ? absl::UnavailableError("the daemon ended the recall") : Explain(status);
  }
  absl::StatusOr<v1::GetObservationsResponse> GetObservations(const v1::GetObservationsRequest& request) override {
    return Call<v1::GetObservationsResponse>(*memory_, &v1::MemoryService::Stub::GetObservations, request);
  }
  absl::StatusOr<v1::ForgetResponse> Forget(const v1::ForgetRequest& request) override {
    return Call<v1::ForgetResponse>(*memory_, &v1::MemoryService::Stub::Forget, request);
  }
  absl::StatusOr<v1::Space> CreateSpace(const v1::CreateSpaceRequest& request) override {
    return Call<v1::Space>(*memory_, &v1::MemoryService::Stub::CreateSpace, request);
  }
  absl::StatusOr<v1::Space> GetSpace(const std::string& name) override {
    v1::GetSpaceRequest request;
    request.set_name(name);
    return Call<v1::Space>(*memory_, &v1::MemoryService::Stub::GetSpace, request);
  }
  absl::StatusOr<std::vector<v1::Space>> ListSpaces(const std::string& prefix) override {
    std::vector<v1::Space> out;
    v1::ListSpacesRequest request;
    request.set_prefix(prefix);
    request.set_page_size(1000);
    do {
      ENGRAM_ASSIGN_OR_RETURN(v1::ListSpacesResponse page,
                              Call<v1::ListSpacesResponse>(*memory_, &v1::MemoryService::Stub::ListSpaces, request));
      for (v1::Space& space : *page.mutable_spaces()) out.push_back(std::move(space));
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return out;
  }
  absl::StatusOr<v1::Space> UpdateSpace(const v1::UpdateSpaceRequest& request) override {
    return Call<v1::Space>(*memory_, &v1::MemoryService::Stub::UpdateSpace, request);
  }
  absl::StatusOr<v1::DeleteSpaceResponse> DeleteSpace(const std::string& name) override {
    v1::DeleteSpaceRequest request;
    request.set_name(name);
    return Call<v1::DeleteSpaceResponse>(*memory_, &v1::MemoryService::Stub::DeleteSpace, request);
  }
  absl::StatusOr<v1::GetStatusResponse> GetStatus() override {
    return Call<v1::GetStatusResponse>(*admin_, &v1::AdminService::Stub::GetStatus, v1::GetStatusRequest());
  }
  absl::StatusOr<v1::CheckpointResponse> Checkpoint() override {
    return Call<v1::CheckpointResponse>(*admin_, &v1::AdminService::Stub::Checkpoint, v1::CheckpointRequest());
  }
  absl::StatusOr<v1::SnapshotResponse> Snapshot(const std::string& directory) override {
    v1::SnapshotRequest request;
    request.set_directory(directory);
    return Call<v1::SnapshotResponse>(*admin_, &v1::AdminService::Stub::Snapshot, request);
  }
  absl::StatusOr<std::vector<v1::TraceObservationsResponse>> TraceObservations(
      const v1::TraceObservationsRequest& request) override {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::microseconds(timeout_us_));
    AwaitDaemon();
    const auto reader = admin_->TraceObservations(&context, request);
    std::vector<v1::TraceObservationsResponse> out;
    for (v1::TraceObservationsResponse response; reader->Read(&response);) out.push_back(std::move(response));
    if (const grpc::Status status = reader->Finish(); !status.ok()) return Explain(status);
    return out;
  }
  absl::Status InjectFault(const v1::InjectFaultRequest& request) override {
    return Call<v1::InjectFaultResponse>(*admin_, &v1::AdminService::Stub::InjectFault, request).status();
  }
  std::unique_ptr<ObserveCall> Observe() override {
    AwaitDaemon();
    return std::make_unique<GrpcObserveCall>(memory_.get(),
                                             [this](const grpc::Status& status) { return Explain(status); });
  }

 private:
  // Before the first call: waits until there is a connection, also over refused attempts, and no longer than a daemon
  // needs to start. Without one the call itself says why.
  void AwaitDaemon() {
    std::call_once(awaited_, [this] {
      const auto until =
          std::chrono::system_clock::now() + std::min(kStartPatience, std::chrono::microseconds(timeout_us_));
      for (grpc_connectivity_state state = channel_->GetState(true); state != GRPC_CHANNEL_READY;
           state = channel_->GetState(true)) {
        if (!channel_->WaitForStateChange(state, until)) return;
      }
    });
  }

  template <typename Response, typename Stub, typename Request>
  absl::StatusOr<Response> Call(Stub& stub,
                                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                const Request& request) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::microseconds(timeout_us_));
    AwaitDaemon();
    Response response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    if (!status.ok()) return Explain(status);
    return response;
  }

  absl::Status Explain(const grpc::Status& status) {
    if (status.ok()) return absl::OkStatus();
    const bool connected = channel_->GetState(false) == GRPC_CHANNEL_READY;
    const std::string next = "Start it with `engramd` or name another with --address.";
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE && !connected) {
      // A connection that broke midway is idle, not failing: its reason is in the message all the same.
      return absl::UnavailableError(
          fmt::format("cannot reach engramd at {}: {}. {}", address_, ConnectFault(status.error_message()), next));
    }
    if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
      if (!connected) {
        return absl::UnavailableError(fmt::format("cannot reach engramd at {}: no connection within {}. {}", address_,
                                                  FormatDuration(timeout_us_), next));
      }
      // What the daemon itself says about a deadline is better than ours; gRPC's own text is this one.
      if (status.error_message().empty() || status.error_message() == "Deadline Exceeded") {
        return absl::DeadlineExceededError(
            fmt::format("engramd at {} did not answer within {}; give it longer with --timeout", address_,
                        FormatDuration(timeout_us_)));
      }
    }
    if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
      return absl::UnimplementedError(fmt::format(
          "what answers at {} has no such call: it is an engramd older than this program, or no engramd", address_));
    }
    return FromGrpc(status);
  }

  const std::string address_;
  const int64_t timeout_us_;
  std::once_flag awaited_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::MemoryService::Stub> memory_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
};

}  // namespace

absl::StatusOr<std::string> TargetOf(const std::string& address) {
  const auto bad = [&](std::string_view why) {
    return absl::InvalidArgumentError(
        fmt::format("\"{}\" is not an address: {}; write host:port, [v6]:port or unix:path", address, why));
  };
  if (address.compare(0, 5, "unix:") == 0) {
    return address.size() > 5 ? absl::StatusOr<std::string>(address) : bad("the path is missing");
  }
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) return bad(colon == 0 ? "the host is missing" : "the port is missing");
  const std::string host = address.substr(0, colon), port = address.substr(colon + 1);
  if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != std::string::npos ||
      std::stoi(port) < 1 || std::stoi(port) > 65535) {
    return bad("the port goes from 1 to 65535");
  }
  if (host.front() == '[') {
    if (host.back() != ']' || host.find(':') == std::string::npos) return bad("an IPv6 address stands in brackets");
    return "ipv6:" + address;
  }
  if (host.find(':') != std::string::npos) return bad("an IPv6 address stands in brackets");
  return "dns:///" + address;
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::To(const std::string& address, int64_t timeout_us) {
  ENGRAM_ASSIGN_OR_RETURN(const std::string target, TargetOf(address));
  return std::unique_ptr<Connection>(std::make_unique<GrpcConnection>(address, target, timeout_us));
}

}  // namespace engram

// The line to the daemon: every RPC `engram` makes, as plain functions. The only file that knows gRPC is connection.cc.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engram/v1/admin_service.pb.h"
#include "engram/v1/memory_service.pb.h"

namespace engram {

class Interrupt;

// "host:port", "[v6]:port" or "unix:path" in the form gRPC resolves. INVALID_ARGUMENT says what is missing.
absl::StatusOr<std::string> TargetOf(const std::string& address);

// One ObserveStream. One thread writes, one reads; Cancel from any. It outlives neither of them nor its Connection.
class ObserveCall {
 public:
  virtual ~ObserveCall() = default;
  // Blocks while the daemon takes nothing. False: the call has ended; Finish says why.
  virtual bool Write(const v1::ObserveStreamRequest& request) = 0;
  virtual void WritesDone() = 0;
  // Blocks until a frame arrives. False: the call has ended.
  virtual bool Read(v1::ObserveStreamResponse* response) = 0;
  // Once, after Read returned false.
  virtual absl::Status Finish() = 0;
  virtual void Cancel() = 0;
};

// Connects with the first call, which tries for up to 2 s where nothing listens yet: the daemon may have been started a
// moment ago. Calls block up to the timeout and may come from several threads.
// Errors are the daemon's own but for these: UNAVAILABLE "cannot reach engramd at ..." when nothing answers there, and
// DEADLINE_EXCEEDED that names the timeout.
class Connection {
 public:
  static absl::StatusOr<std::unique_ptr<Connection>> To(const std::string& address, int64_t timeout_us);
  virtual ~Connection() = default;

  virtual absl::StatusOr<v1::RecallResponse> Recall(const v1::RecallRequest& request) = 0;
  // Gives each response to `each` as it comes. Without a deadline; OK once `interrupt` has been or `over`, asked now and
  // then by another thread, is true, and not otherwise.
  virtual absl::Status FollowRecall(const v1::RecallStreamRequest& request, const Interrupt& interrupt,
                                    const std::function<bool()>& over,
                                    const std::function<void(const v1::RecallStreamResponse&)>& each) = 0;
  virtual absl::StatusOr<v1::GetObservationsResponse> GetObservations(const v1::GetObservationsRequest& request) = 0;
  virtual absl::StatusOr<v1::ForgetResponse> Forget(const v1::ForgetRequest& request) = 0;
  virtual absl::StatusOr<v1::Space> CreateSpace(const v1::CreateSpaceRequest& request) = 0;
  virtual absl::StatusOr<v1::Space> GetSpace(const std::string& name) = 0;
  // All pages.
  virtual absl::StatusOr<std::vector<v1::Space>> ListSpaces(const std::string& prefix) = 0;
  virtual absl::StatusOr<v1::Space> UpdateSpace(const v1::UpdateSpaceRequest& request) = 0;
  virtual absl::StatusOr<v1::DeleteSpaceResponse> DeleteSpace(const std::string& name) = 0;
  virtual absl::StatusOr<v1::GetStatusResponse> GetStatus() = 0;
  virtual absl::StatusOr<v1::CheckpointResponse> Checkpoint() = 0;
  virtual absl::StatusOr<v1::SnapshotResponse> Snapshot(const std::string& directory) = 0;
  // All of the answer: traces, then the state.
  virtual absl::StatusOr<std::vector<v1::TraceObservationsResponse>> TraceObservations(
      const v1::TraceObservationsRequest& request) = 0;
  virtual absl::Status InjectFault(const v1::InjectFaultRequest& request) = 0;

  // Without a deadline: a stream lasts as long as its input.
  virtual std::unique_ptr<ObserveCall> Observe() = 0;
};

}  // namespace engram

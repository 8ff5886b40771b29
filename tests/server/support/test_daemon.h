// A whole daemon inside the test's process, on free ports, and the stubs to talk to it.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engram/v1/admin_service.grpc.pb.h"
#include "engram/v1/memory_service.grpc.pb.h"
#include "server/daemon.h"
#include "tests/support/temp_directory.h"

namespace engram::testing {

// Small and quick: two workers, everything on loopback at port 0.
Settings TestSettings();

class TestDaemon {
 public:
  explicit TestDaemon(Settings settings = TestSettings(), std::function<LoadResult()> load = nullptr);

  Daemon& daemon() { return *daemon_; }
  v1::MemoryService::Stub& memory() { return *memory_; }
  v1::AdminService::Stub& admin() { return *admin_; }
  const std::string& address() const { return daemon_->addresses().front(); }
  // A channel with a connection of its own.
  std::shared_ptr<grpc::Channel> Connect() const { return Connect(address()); }
  static std::shared_ptr<grpc::Channel> Connect(const std::string& address);
  // Ends the daemon; the stubs then fail.
  void Destroy() { daemon_.reset(); }

 private:
  TempDirectory storage_;
  std::unique_ptr<Daemon> daemon_;
  std::unique_ptr<v1::MemoryService::Stub> memory_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
};

// An observation with `values` as its embedding_f32.
v1::Observation MakeObservation(const std::string& id, const std::vector<float>& values);
std::string F32(const std::vector<float>& values);

// One unary call with a deadline that only a hang reaches.
template <typename Stub, typename Request, typename Response>
grpc::Status Call(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                  const Request& request, Response* response) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  return (stub.*method)(&context, request, response);
}

}  // namespace engram::testing

// What a call says of a server that is none of ours.
#include "clients/cli/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "clients/cli/exit_codes.h"
#include "engram/v1/memory_service.grpc.pb.h"

namespace engram {
namespace {

TEST(Connection, AServerWithoutTheCallIsToldFromABrokenDaemon) {
  // Its calls are all unimplemented, and AdminService is not there at all.
  v1::MemoryService::Service none;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&none);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  ASSERT_NE(server, nullptr);
  const std::string address = "127.0.0.1:" + std::to_string(port);
  const auto connection = Connection::To(address, 60'000'000);
  ASSERT_TRUE(connection.ok()) << connection.status();
  for (const absl::Status& status : {(*connection)->GetStatus().status(), (*connection)->ListSpaces("").status()}) {
    EXPECT_EQ(status.message(), "what answers at " + address +
                                    " has no such call: it is an engramd older than this program, or no engramd");
    EXPECT_EQ(ExitCodeOf(status), kProtocol);
  }
}

}  // namespace
}  // namespace engram

#include "tests/server/support/test_daemon.h"

#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>

#include "core/base/check.h"

namespace engram::testing {

Settings TestSettings() {
  Settings settings;
  settings.num_workers = 2;
  settings.server_address = "127.0.0.1:0";
  settings.metrics_address = "";
  settings.storage_segment_bytes = 16 << 20;
  settings.storage_spare_segments = 1;
  settings.storage_soft_free_bytes = settings.storage_hard_free_bytes = 1 << 20;
  settings.server_drain_timeout = std::chrono::seconds(20);
  return settings;
}

TestDaemon::TestDaemon(Settings settings, std::function<LoadResult()> load) {
  // Durable as a daemon is by default, in a directory of its own.
  if (settings.storage_directory == Settings{}.storage_directory) settings.storage_directory = storage_ / "data";
  auto started = Daemon::Start({.settings = std::move(settings), .load = std::move(load)});
  if (!started.ok()) ADD_FAILURE() << started.status();
  ENGRAM_CHECK(started.ok());
  daemon_ = *std::move(started);
  const auto channel = Connect();
  memory_ = v1::MemoryService::NewStub(channel);
  admin_ = v1::AdminService::NewStub(channel);
}

std::shared_ptr<grpc::Channel> TestDaemon::Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxSendMessageSize(-1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

v1::Observation MakeObservation(const std::string& id, const std::vector<float>& values) {
  v1::Observation observation;
  observation.set_id(id);
  observation.set_embedding_f32(F32(values));
  return observation;
}

std::string F32(const std::vector<float>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
}

}  // namespace engram::testing

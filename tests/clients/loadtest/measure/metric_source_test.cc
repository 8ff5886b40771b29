#include "loadtest/measure/metric_source.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace engram {
namespace {

// Says each of its answers to one connection, one after the other, and is then gone.
class Exporter {
 public:
  explicit Exporter(std::vector<std::string> answers)
      : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), answers_(std::move(answers)) {
    sockaddr_in here{};
    here.sin_family = AF_INET;
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof here;
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&here), sizeof here), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&here), &size), 0);
    address_ = fmt::format("127.0.0.1:{}", ntohs(here.sin_port));
    thread_ = std::jthread([this] { Serve(); });
  }

  const std::string& address() const { return address_; }
  // Until it is gone.
  void Join() { thread_.join(); }

 private:
  void Serve() {
    for (const std::string& answer : answers_) {
      const int connection = accept(listener_, nullptr, nullptr);
      char request[1024];
      EXPECT_GT(recv(connection, request, sizeof request, 0), 0);
      EXPECT_EQ(send(connection, answer.data(), answer.size(), MSG_NOSIGNAL), static_cast<ssize_t>(answer.size()));
      close(connection);
    }
    close(listener_);
  }

  const int listener_;
  const std::vector<std::string> answers_;
  std::string address_;
  std::jthread thread_;
};

std::string Page(int count) { return fmt::format("HTTP/1.0 200 OK\r\n\r\nengram_a_total {}\n", count); }

TEST(MetricSourceTest, APageThatCannotBeReadMidwayIsAnErrorAndNotEmpty) {
  Exporter exporter({Page(1), Page(7), "HTTP/1.0 503 Busy\r\n\r\n"});
  absl::StatusOr<MetricSource> source = MetricSource::Open(exporter.address(), true);
  ASSERT_TRUE(source.ok()) << source.status();
  const absl::StatusOr<MetricPage> page = source->Read();
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->Sum("engram_a_total"), 7);
  EXPECT_EQ(source->Read().status().code(), absl::StatusCode::kInternal);
  exporter.Join();
  EXPECT_EQ(source->Read().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(source->last().Sum("engram_a_total"), 7);
}

TEST(MetricSourceTest, WhatNobodyPromisedMayBeMissing) {
  // Nobody listens there.
  EXPECT_EQ(MetricSource::Open("127.0.0.1:1", true).status().code(), absl::StatusCode::kUnavailable);
  for (const char* address : {"127.0.0.1:1", ""}) {
    absl::StatusOr<MetricSource> source = MetricSource::Open(address, false);
    ASSERT_TRUE(source.ok()) << source.status();
    const absl::StatusOr<MetricPage> page = source->Read();
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_TRUE(page->empty());
  }
}

}  // namespace
}  // namespace engram

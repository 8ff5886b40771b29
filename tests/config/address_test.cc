#include "config/address.h"

#include <gtest/gtest.h>

#include <string>

#include "config/fault.h"

namespace engram {
namespace {

TEST(Address, TakesWhatCanBeListenedOn) {
  for (const char* text : {"127.0.0.1:50051", "0.0.0.0:0", "[::1]:50051", "[::]:65535", "[fe80::1%eth0]:1",
                           "localhost:50051", "engram-0.engram.svc.cluster.local:50051", "my_host:1"}) {
    EXPECT_TRUE(CheckAddress(text).ok()) << CheckAddress(text);
    EXPECT_TRUE(CheckAddresses(text).ok()) << CheckAddresses(text);
  }
  for (const char* text : {"unix:/run/engram.sock", "unix:engram.sock", "unix:///run/engram.sock",
                           "127.0.0.1:50051,[::1]:50051,unix:/run/e.sock", "127.0.0.1:0,127.0.0.1:0"}) {
    EXPECT_TRUE(CheckAddresses(text).ok()) << CheckAddresses(text);
  }
}

TEST(Address, SaysWhatIsWrong) {
  const std::pair<std::string, std::string> cases[] = {
      {"", R"("" is empty)"},
      {"localhost", R"("localhost" has no port)"},
      {"[::1]", R"("[::1]" has no port)"},
      {"127.0.0.1:", R"("127.0.0.1:" has no port: "" is empty)"},
      {"127.0.0.1:65536", R"("127.0.0.1:65536" has port 65536; ports end at 65535)"},
      {"127.0.0.1:080", R"("127.0.0.1:080" has no port: "080" has a leading zero, which some read as octal)"},
      {"127.0.0.1:-1", R"("127.0.0.1:-1" has no port: "-1" has a sign)"},
      {"127.0.0.1:http", R"("127.0.0.1:http" has no port: "http" is not a whole number)"},
      {":50051", R"(":50051" has no host; write 0.0.0.0 or [::] for every interface)"},
      {"256.0.0.1:1", R"("256.0.0.1:1" has no IPv4 address of four numbers up to 255)"},
      {"127.1:1", R"("127.1:1" has no IPv4 address of four numbers up to 255)"},
      {"::1:50051", R"("::1:50051" has several colons; IPv6 goes in brackets, as [::1]:50051)"},
      {"::1:5005", R"("::1:5005" is IPv6 without brackets or without a port)"},
      {"::", R"("::" is IPv6 without brackets or without a port)"},
      {"fe80::1%eth0:50051", R"("fe80::1%eth0:50051" has several colons; IPv6 goes in brackets, as [::1]:50051)"},
      {"[::zz]:1", R"("[::zz]:1" has no IPv6 address in its brackets)"},
      {"[]:1", R"("[]:1" has no IPv6 address in its brackets)"},
      {"[127.0.0.1]:1", R"("[127.0.0.1]:1" has no IPv6 address in its brackets)"},
      {"http://localhost:1", R"("http://localhost:1" is a URL, not an address)"},
      {"local host:1", R"("local host:1" has a space)"},
      {"-host:1", R"("-host:1" has no host name)"},
      {"a..b:1", R"("a..b:1" has no host name)"},
      {"h\xC3\xB6st:1", "\"h\xC3\xB6st:1\" has no host name"},
      {std::string(64, 'a') + ":1", '"' + std::string(64, 'a') + ":1\" has no host name"},
  };
  for (const auto& [text, message] : cases) {
    const absl::Status status = CheckAddress(text);
    ASSERT_FALSE(status.ok()) << text;
    EXPECT_EQ(MessageOf(status), message);
  }
}

TEST(Addresses, SaysWhichIsWrong) {
  const std::pair<std::string, std::string> cases[] = {
      {"", R"("" is empty)"},
      {"a:1,,b:2", R"("a:1,,b:2" has nothing between two commas or at an end)"},
      {"a:1,", R"("a:1," has nothing between two commas or at an end)"},
      {"a:1, b:2", R"("a:1, b:2" has a space beside a comma)"},
      {"a:1,b", R"("b" has no port)"},
      {"a:1,b:2,a:1", R"("a:1,b:2,a:1" names a:1 twice)"},
      {"unix:", R"("unix:" has no path after unix:)"},
      {"unix://tmp/x", R"("unix://tmp/x" needs an absolute path after unix://)"},
      {"unix:/a\x01", R"("unix:/a\x01" has bytes that are not text)"},
  };
  for (const auto& [text, message] : cases) {
    const absl::Status status = CheckAddresses(text);
    ASSERT_FALSE(status.ok()) << text;
    EXPECT_EQ(MessageOf(status), message);
  }
  EXPECT_TRUE(CheckAddresses("unix:/" + std::string(106, 'a')).ok());
  EXPECT_FALSE(CheckAddresses("unix:/" + std::string(107, 'a')).ok());
  // Sockets are for gRPC; the metrics page is served over TCP.
  EXPECT_FALSE(CheckAddress("unix:/run/metrics.sock").ok());
}

}  // namespace
}  // namespace engram

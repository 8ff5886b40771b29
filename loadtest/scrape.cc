#include "loadtest/scrape.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace engram {
namespace {

class Socket {
 public:
  Socket() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{5, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  }
  ~Socket() { close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int fd() const { return fd_; }

 private:
  const int fd_;
};

}  // namespace

absl::StatusOr<std::string> Scrape(const std::string& address, const std::string& path) {
  const size_t colon = address.rfind(':');
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  if (colon == std::string::npos || inet_pton(AF_INET, address.substr(0, colon).c_str(), &peer.sin_addr) != 1) {
    return absl::InvalidArgumentError(fmt::format("{} is not IPV4:PORT", address));
  }
  peer.sin_port = htons(static_cast<uint16_t>(std::atoi(address.c_str() + colon + 1)));
  const auto unavailable = [&] {
    return absl::UnavailableError(fmt::format("http://{}{}: {}", address, path, std::strerror(errno)));
  };

  Socket connection;
  if (connect(connection.fd(), reinterpret_cast<const sockaddr*>(&peer), sizeof peer) != 0) return unavailable();
  // HTTP/1.0: the server closes when it has said all, and does not answer in chunks.
  const std::string request = fmt::format("GET {} HTTP/1.0\r\nHost: {}\r\n\r\n", path, address);
  if (send(connection.fd(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
    return unavailable();
  }
  std::string answer;
  char buffer[16384];
  while (true) {
    const ssize_t got = recv(connection.fd(), buffer, sizeof buffer, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return unavailable();
    if (got == 0) break;
    answer.append(buffer, static_cast<size_t>(got));
  }
  const size_t body = answer.find("\r\n\r\n");
  const std::string first_line = answer.substr(0, answer.find('\r'));
  if (body == std::string::npos || first_line.find(" 200") == std::string::npos) {
    return absl::InternalError(fmt::format("http://{}{}: {}", address, path, first_line));
  }
  return answer.substr(body + 4);
}

std::vector<std::string> SampleLines(std::string_view page, const std::vector<std::string>& names) {
  std::vector<std::string> lines;
  while (!page.empty()) {
    const size_t end = std::min(page.find('\n'), page.size());
    const std::string_view line = page.substr(0, end);
    page.remove_prefix(std::min(end + 1, page.size()));
    const std::string_view name = line.substr(0, line.find_first_of("{ "));
    const bool is_zero = line.size() >= 2 && line.substr(line.size() - 2) == " 0";
    if (!is_zero && std::find(names.begin(), names.end(), name) != names.end()) lines.emplace_back(line);
  }
  return lines;
}

std::optional<double> MetricValue(std::string_view page, std::string_view name) {
  std::optional<double> sum;
  while (!page.empty()) {
    const size_t end = std::min(page.find('\n'), page.size());
    const std::string_view line = page.substr(0, end);
    page.remove_prefix(std::min(end + 1, page.size()));
    if (line.substr(0, line.find_first_of("{ ")) != name) continue;
    // A label's value may hold blanks, so the number is looked for behind the last brace.
    const size_t labels = line.rfind('}');
    const size_t value = line.find(' ', labels == std::string_view::npos ? 0 : labels);
    if (value == std::string_view::npos) continue;
    sum = sum.value_or(0) + std::strtod(std::string(line.substr(value + 1)).c_str(), nullptr);
  }
  return sum;
}

}  // namespace engram

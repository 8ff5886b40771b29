#include "server/listen_address.h"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace engram {
namespace {

constexpr std::string_view kUnix = "unix:";

class Socket {
 public:
  explicit Socket(int family) : fd_(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

absl::Status Refusal(const std::string& address, int error) {
  std::string what = fmt::format("cannot listen on {}: {}", address, std::strerror(error));
  switch (error) {
    case EADDRINUSE:
      what += "; stop what listens there, or choose another address with --set server.address=..., port 0 takes any";
      break;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
      what += "; this machine has no such address, see `ip address`";
      break;
    case EACCES:
      what += "; ports below 1024 and foreign directories need privileges";
      break;
    case ENOENT:
    case ENOTDIR:
      what += "; the socket's directory has to exist";
      break;
    default:
      break;
  }
  return absl::UnavailableError(what);
}

absl::Status CheckUnix(const std::string& address) {
  const std::string path = address.substr(kUnix.size());
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.size() >= sizeof(name.sun_path)) {
    return absl::UnavailableError(fmt::format("cannot listen on {}: the path has {} bytes, a socket's has at most {}",
                                              address, path.size(), sizeof(name.sun_path) - 1));
  }
  std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
  const std::string directory = path.find('/') == std::string::npos ? "." : path.substr(0, path.rfind('/') + 1);
  if (access(directory.c_str(), W_OK) != 0) return Refusal(address, errno);
  struct stat file {};
  if (lstat(path.c_str(), &file) != 0) return absl::OkStatus();
  if (!S_ISSOCK(file.st_mode)) {
    return absl::UnavailableError(fmt::format("cannot listen on {}: a file that is no socket lies there", address));
  }
  const Socket probe(AF_UNIX);
  if (connect(probe.fd(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0) {
    return Refusal(address, EADDRINUSE);
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<std::string> SplitAddresses(std::string_view addresses) {
  std::vector<std::string> out;
  while (!addresses.empty()) {
    const size_t comma = addresses.find(',');
    std::string_view one = addresses.substr(0, comma);
    while (!one.empty() && one.front() == ' ') one.remove_prefix(1);
    while (!one.empty() && one.back() == ' ') one.remove_suffix(1);
    if (!one.empty()) out.emplace_back(one);
    addresses = comma == std::string_view::npos ? std::string_view() : addresses.substr(comma + 1);
  }
  return out;
}

absl::Status CheckFree(const std::string& address) {
  if (address.starts_with(kUnix)) return CheckUnix(address);
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) return absl::UnavailableError(fmt::format("{} has no port", address));
  std::string host = address.substr(0, colon);
  const std::string port = address.substr(colon + 1);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);

  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0) {
    return absl::UnavailableError(fmt::format("cannot listen on {}: {}", address, gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  int last = EADDRNOTAVAIL;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    const Socket probe(one->ai_family);
    if (probe.fd() < 0) {
      last = errno;
      continue;
    }
    // As gRPC binds: a port in TIME_WAIT is free.
    const int on = 1;
    setsockopt(probe.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(probe.fd(), one->ai_addr, one->ai_addrlen) == 0 && listen(probe.fd(), 1) == 0) return absl::OkStatus();
    last = errno;
  }
  return Refusal(address, last);
}

std::string WithPort(const std::string& address, int port) {
  if (address.starts_with(kUnix)) return address;
  return fmt::format("{}:{}", address.substr(0, address.rfind(':')), port);
}

}  // namespace engram

#include "config/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <string>
#include <vector>

#include "config/fault.h"
#include "config/parse_value.h"
#include "core/base/status.h"

namespace engram {
namespace {

absl::Status Wrong(std::string_view text, std::string_view problem) {
  return absl::InvalidArgumentError(fmt::format("{} {}", Quoted(text), problem));
}

bool IsLetterOrDigit(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool Resembles(int family, std::string_view text) {
  in6_addr parsed;
  return inet_pton(family, std::string(text).c_str(), &parsed) == 1;
}

bool IsIpv6(std::string_view host) {
  const size_t zone = host.find('%');
  if (zone != std::string_view::npos) {
    const std::string_view name = host.substr(zone + 1);
    const auto fits = [](char c) { return IsLetterOrDigit(c) || c == '.' || c == '_' || c == '-'; };
    if (name.empty() || !std::all_of(name.begin(), name.end(), fits)) return false;
    host = host.substr(0, zone);
  }
  return Resembles(AF_INET6, host);
}

bool IsHostName(std::string_view host) {
  if (host.empty() || host.size() > 253) return false;
  while (!host.empty()) {
    const std::string_view label = host.substr(0, host.find('.'));
    const auto fits = [](char c) { return IsLetterOrDigit(c) || c == '-' || c == '_'; };
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') return false;
    if (!std::all_of(label.begin(), label.end(), fits)) return false;
    if (label.size() == host.size()) return true;
    host.remove_prefix(label.size() + 1);
  }
  return false;
}

absl::Status CheckUnix(std::string_view text, std::string_view path) {
  if (path.starts_with("//")) {
    path.remove_prefix(2);
    if (!path.starts_with('/')) return Wrong(text, "needs an absolute path after unix://");
  }
  constexpr size_t kLongest = sizeof(sockaddr_un::sun_path) - 1;
  if (path.empty()) return Wrong(text, "has no path after unix:");
  if (path.size() > kLongest) {
    return Wrong(text, fmt::format("has a path of {} bytes; a socket's takes {}", path.size(), kLongest));
  }
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  if (!IsUtf8(path) || std::any_of(path.begin(), path.end(), control))
    return Wrong(text, "has bytes that are not text");
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckAddress(std::string_view text) {
  if (text.empty()) return Wrong(text, "is empty");
  if (text.find(' ') != std::string_view::npos) return Wrong(text, "has a space");
  if (text.find("://") != std::string_view::npos) return Wrong(text, "is a URL, not an address");
  const size_t colon = text.rfind(':');
  if (Resembles(AF_INET6, text)) return Wrong(text, "is IPv6 without brackets or without a port");
  if (colon == std::string_view::npos || text.ends_with(']')) return Wrong(text, "has no port");
  const std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const absl::StatusOr<uint64_t> number = ParseCount(port);
  if (!number.ok()) return Wrong(text, fmt::format("has no port: {}", MessageOf(number.status())));
  if (*number > 65535) return Wrong(text, fmt::format("has port {}; ports end at 65535", *number));
  if (host.empty()) return Wrong(text, "has no host; write 0.0.0.0 or [::] for every interface");
  if (host.front() == '[' || host.back() == ']') {
    const bool bracketed = host.front() == '[' && host.back() == ']' && host.size() > 2;
    if (!bracketed || !IsIpv6(host.substr(1, host.size() - 2)))
      return Wrong(text, "has no IPv6 address in its brackets");
    return absl::OkStatus();
  }
  if (host.find(':') != std::string_view::npos)
    return Wrong(text, "has several colons; IPv6 goes in brackets, as [::1]:50051");
  if (host.find_first_not_of("0123456789.") == std::string_view::npos) {
    return Resembles(AF_INET, host) ? absl::OkStatus() : Wrong(text, "has no IPv4 address of four numbers up to 255");
  }
  return IsHostName(host) ? absl::OkStatus() : Wrong(text, "has no host name");
}

absl::Status CheckAddresses(std::string_view text) {
  std::vector<std::string_view> seen;
  std::string_view rest = text;
  while (true) {
    const size_t comma = rest.find(',');
    const std::string_view one = rest.substr(0, comma);
    if (one.empty()) return Wrong(text, text.empty() ? "is empty" : "has nothing between two commas or at an end");
    if (one.front() == ' ' || one.back() == ' ') return Wrong(text, "has a space beside a comma");
    if (one.starts_with("unix:")) {
      ENGRAM_RETURN_IF_ERROR(CheckUnix(one, one.substr(5)));
    } else {
      ENGRAM_RETURN_IF_ERROR(CheckAddress(one));
    }
    if (std::find(seen.begin(), seen.end(), one) != seen.end() && !one.ends_with(":0")) {
      return Wrong(text, fmt::format("names {} twice", one));
    }
    seen.push_back(one);
    if (comma == std::string_view::npos) return absl::OkStatus();
    rest.remove_prefix(comma + 1);
  }
}

}  // namespace engram

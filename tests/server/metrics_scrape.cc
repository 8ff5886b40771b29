#include "tests/server/metrics_scrape.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>
#include <sstream>

namespace engram::testing {
namespace {

int Connect(const std::string& address) {
  const size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  const auto port = static_cast<uint16_t>(std::stoi(address.substr(colon + 1)));
  if (host.front() == '[') {
    host = host.substr(1, host.size() - 2);
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(port);
    if (inet_pton(AF_INET6, host.c_str(), &to.sin6_addr) != 1) return -1;
    const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0) return fd;
    close(fd);
    return -1;
  }
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &to.sin_addr) != 1) return -1;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0) return fd;
  close(fd);
  return -1;
}

std::optional<double> Number(const std::string& text) {
  if (text == "+Inf") return std::numeric_limits<double>::infinity();
  if (text == "-Inf") return -std::numeric_limits<double>::infinity();
  if (text == "Nan" || text == "NaN") return std::nan("");
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool IsName(const std::string& name) {
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) != 0) return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

// NAME{label="value",...} NUMBER, the braces optional.
std::optional<ExpositionSample> ParseSample(const std::string& line) {
  ExpositionSample sample;
  size_t at = line.find_first_of("{ ");
  if (at == std::string::npos) return std::nullopt;
  sample.name = line.substr(0, at);
  if (!IsName(sample.name)) return std::nullopt;
  if (line[at] == '{') {
    ++at;
    while (at < line.size() && line[at] != '}') {
      const size_t equals = line.find('=', at);
      if (equals == std::string::npos || equals + 1 >= line.size() || line[equals + 1] != '"') return std::nullopt;
      const std::string name = line.substr(at, equals - at);
      if (!IsName(name)) return std::nullopt;
      std::string value;
      at = equals + 2;
      for (; at < line.size() && line[at] != '"'; ++at) {
        if (line[at] != '\\') {
          value += line[at];
          continue;
        }
        if (++at >= line.size()) return std::nullopt;
        if (line[at] != 'n' && line[at] != '\\' && line[at] != '"') return std::nullopt;
        value += line[at] == 'n' ? '\n' : line[at];
      }
      if (at >= line.size()) return std::nullopt;
      ++at;
      sample.labels.emplace_back(name, value);
      if (at < line.size() && line[at] == ',') ++at;
    }
    if (at + 1 >= line.size() || line[at + 1] != ' ') return std::nullopt;
    ++at;
  }
  const std::optional<double> value = Number(line.substr(at + 1));
  if (!value) return std::nullopt;
  sample.value = *value;
  std::sort(sample.labels.begin(), sample.labels.end());
  return sample;
}

LabelList Without(LabelList labels, const std::string& name) {
  std::erase_if(labels, [&](const auto& label) { return label.first == name; });
  return labels;
}

void CheckHistogram(const ExpositionFamily& family) {
  struct Seen {
    double bound = -std::numeric_limits<double>::infinity();
    double below = 0;
    std::optional<double> count;
    std::optional<double> sum;
  };
  std::map<LabelList, Seen> all;
  for (const ExpositionSample& sample : family.samples) {
    Seen& seen = all[Without(sample.labels, "le")];
    if (sample.name == family.name + "_count") seen.count = sample.value;
    if (sample.name == family.name + "_sum") seen.sum = sample.value;
    if (sample.name != family.name + "_bucket") continue;
    const auto le = std::find_if(sample.labels.begin(), sample.labels.end(), [](const auto& l) { return l.first == "le"; });
    ASSERT_NE(le, sample.labels.end()) << family.name;
    const std::optional<double> bound = Number(le->second);
    ASSERT_TRUE(bound.has_value()) << family.name << " le=" << le->second;
    EXPECT_GT(*bound, seen.bound) << family.name;
    EXPECT_GE(sample.value, seen.below) << family.name << " is not cumulative at " << le->second;
    seen.bound = *bound;
    seen.below = sample.value;
  }
  for (const auto& [labels, seen] : all) {
    EXPECT_TRUE(std::isinf(seen.bound)) << family.name << " has no +Inf bucket";
    ASSERT_TRUE(seen.count.has_value() && seen.sum.has_value()) << family.name;
    EXPECT_EQ(seen.below, *seen.count) << family.name;
  }
}

}  // namespace

HttpAnswer HttpGet(const std::string& address, const std::string& path) {
  HttpAnswer answer;
  const int fd = Connect(address);
  EXPECT_GE(fd, 0) << "cannot connect to " << address;
  if (fd < 0) return answer;
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: " + address + "\r\nConnection: close\r\n\r\n";
  EXPECT_EQ(send(fd, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
  std::string all;
  char buffer[65536];
  for (ssize_t n = 0; (n = recv(fd, buffer, sizeof buffer, 0)) > 0;) all.append(buffer, static_cast<size_t>(n));
  close(fd);
  const size_t end = all.find("\r\n\r\n");
  EXPECT_NE(end, std::string::npos) << all;
  if (end == std::string::npos) return answer;
  answer.head = all.substr(0, end);
  answer.body = all.substr(end + 4);
  if (answer.head.starts_with("HTTP/1.1 ")) answer.status = std::stoi(answer.head.substr(9));
  return answer;
}

Exposition Exposition::Parse(const std::string& text) {
  Exposition page;
  std::set<std::string> names;
  EXPECT_TRUE(text.empty() || text.back() == '\n');
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# HELP ")) {
      const size_t space = line.find(' ', 7);
      const std::string name = line.substr(7, space - 7);
      EXPECT_TRUE(names.insert(name).second) << "HELP of " << name << " is there twice";
      page.families_.push_back({name, "", space == std::string::npos ? "" : line.substr(space + 1), {}});
      continue;
    }
    if (page.families_.empty()) {
      ADD_FAILURE() << "no HELP before: " << line;
      break;
    }
    ExpositionFamily& family = page.families_.back();
    if (line.starts_with("# TYPE ")) {
      EXPECT_TRUE(family.type.empty() && family.samples.empty()) << line;
      const size_t space = line.find(' ', 7);
      EXPECT_EQ(line.substr(7, space - 7), family.name);
      family.type = line.substr(space + 1);
      continue;
    }
    EXPECT_FALSE(family.type.empty()) << "no TYPE before: " << line;
    std::optional<ExpositionSample> sample = ParseSample(line);
    if (!sample) {
      ADD_FAILURE() << "not a sample: " << line;
      continue;
    }
    bool fits = sample->name == family.name && family.type != "histogram";
    if (family.type == "histogram" || family.type == "summary") {
      for (const char* end : {"_bucket", "_sum", "_count"}) fits = fits || sample->name == family.name + end;
    }
    EXPECT_TRUE(fits) << line << " is under " << family.name;
    EXPECT_TRUE(page.values_.emplace(std::pair(sample->name, sample->labels), sample->value).second)
        << "twice: " << line;
    family.samples.push_back(*std::move(sample));
  }
  for (const ExpositionFamily& family : page.families_) {
    EXPECT_FALSE(family.samples.empty()) << family.name;
    if (family.type == "histogram") CheckHistogram(family);
  }
  return page;
}

Exposition Exposition::Scrape(const std::string& address) {
  const HttpAnswer answer = HttpGet(address, "/metrics");
  EXPECT_EQ(answer.status, 200) << answer.head;
  return Parse(answer.body);
}

const ExpositionFamily* Exposition::Find(const std::string& name) const {
  for (const ExpositionFamily& family : families_) {
    if (family.name == name) return &family;
  }
  return nullptr;
}

std::optional<double> Exposition::Value(const std::string& sample, LabelList labels) const {
  std::sort(labels.begin(), labels.end());
  const auto it = values_.find({sample, labels});
  if (it == values_.end()) return std::nullopt;
  return it->second;
}

double Exposition::Sum(const std::string& sample, const LabelList& labels) const {
  double sum = 0;
  for (const auto& [key, value] : values_) {
    if (key.first != sample) continue;
    const bool carries = std::all_of(labels.begin(), labels.end(), [&](const auto& label) {
      return std::find(key.second.begin(), key.second.end(), label) != key.second.end();
    });
    if (carries) sum += value;
  }
  return sum;
}

}  // namespace engram::testing

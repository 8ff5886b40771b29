#include "clients/cli/session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <numeric>
#include <utility>

namespace engram {
namespace {

// Insertions, deletions, replacements and swaps of neighbours that turn one name into the other.
size_t TypingErrors(const std::string& a, const std::string& b) {
  std::vector<std::vector<size_t>> errors(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        errors[i][j] = i + j;
        continue;
      }
      errors[i][j] =
          std::min({errors[i - 1][j] + 1, errors[i][j - 1] + 1, errors[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        errors[i][j] = std::min(errors[i][j], errors[i - 2][j - 2] + 1);
      }
    }
  }
  return errors[a.size()][b.size()];
}

}  // namespace

Session::Session(const GlobalOptions& global, std::unique_ptr<Connection> daemon)
    : global_(global),
      daemon_(std::move(daemon)),
      out_(Terminal::Of(STDOUT_FILENO, global.no_color)),
      err_(Terminal::Of(STDERR_FILENO, global.no_color)) {}

void Session::Print(const std::string& text) const {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void Session::Warn(const std::string& text) const {
  const std::string line = Styled(err_, Style::kRed, "engram:") + " " + Printable(text) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

ExitCode Session::Fail(const absl::Status& status) const {
  Warn(std::string(status.message()));
  return ExitCodeOf(status);
}

ExitCode Session::FailIn(const std::string& space, const absl::Status& status, uint64_t dimension) {
  std::string more;
  if (status.code() == absl::StatusCode::kNotFound) {
    const absl::StatusOr<std::vector<v1::Space>> spaces = daemon_->ListSpaces("");
    std::vector<std::string> names;
    for (const v1::Space& one : spaces.ok() ? *spaces : std::vector<v1::Space>()) names.push_back(one.name());
    const bool known = std::find(names.begin(), names.end(), space) != names.end();
    const std::vector<std::string> near = NearNames(space, names);
    if (!known && spaces.ok()) {
      if (!near.empty()) {
        more = fmt::format(". Did you mean {}?", fmt::join(near, " or "));
      } else if (names.empty()) {
        more = ". There are no spaces yet: make one with `engram spaces create` or `engram observe`.";
      } else {
        more = ". List the spaces with `engram spaces`.";
      }
    }
  }
  if (status.code() == absl::StatusCode::kInvalidArgument && dimension != 0) {
    const absl::StatusOr<v1::Space> found = daemon_->GetSpace(space);
    if (found.ok() && found->config().dimension() != 0 && found->config().dimension() != dimension) {
      Warn(fmt::format("space \"{}\" holds embeddings of {} elements; this one has {}", space,
                       found->config().dimension(), dimension));
      return kBadData;
    }
  }
  Warn(std::string(status.message()) + more);
  return ExitCodeOf(status);
}

ExitCode Session::FailInput(const absl::Status& status) const {
  Warn(std::string(status.message()));
  return status.code() == absl::StatusCode::kNotFound ? kNoInput : ExitCodeOf(status);
}

bool Session::Confirm(const std::string& question) const {
  if (isatty(STDIN_FILENO) != 1 || !err_.is_terminal) return false;
  const std::string prompt = Printable(question) + " [y/N] ";
  std::fwrite(prompt.data(), 1, prompt.size(), stderr);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

std::vector<std::string> NearNames(const std::string& name, const std::vector<std::string>& names) {
  std::vector<std::pair<size_t, std::string>> near;
  const size_t most = std::max<size_t>(1, name.size() / 3);
  for (const std::string& candidate : names) {
    const size_t errors = TypingErrors(name, candidate);
    const bool beginning = name.size() >= 2 && candidate.compare(0, name.size(), name) == 0;
    if (errors > 0 && (errors <= most || beginning)) near.emplace_back(errors, candidate);
  }
  std::sort(near.begin(), near.end());
  std::vector<std::string> out;
  for (size_t i = 0; i < near.size() && i < 3; ++i) out.push_back(near[i].second);
  return out;
}

absl::StatusOr<std::string> ReadWhole(const std::string& path) {
  if (path == "-") return std::string(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(fmt::format("cannot open {}: {}", path, strerror(errno)));
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

}  // namespace engram

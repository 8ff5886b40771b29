#include "clients/cli/session.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <utility>

#include "clients/cli/near_names.h"

namespace engram {

Session::Session(const GlobalOptions& global, std::unique_ptr<Connection> daemon)
    : global_(global),
      daemon_(std::move(daemon)),
      out_(Terminal::Of(STDOUT_FILENO, global.no_color)),
      err_(Terminal::Of(STDERR_FILENO, global.no_color)) {}

bool Session::Print(const std::string& text) const {
  const bool whole = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  return std::fflush(stdout) == 0 && whole;
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

bool ReaderGone() {
  pollfd out = {STDOUT_FILENO, 0, 0};
  return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

absl::StatusOr<std::string> ReadWhole(const std::string& path) {
  if (path == "-") return std::string(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(fmt::format("cannot open {}: {}", path, strerror(errno)));
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

}  // namespace engram

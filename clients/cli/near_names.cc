#include "clients/cli/near_names.h"

#include <algorithm>
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

}  // namespace engram

#include "config/suggest.h"

#include <algorithm>
#include <vector>

namespace engram {
namespace {

// Words longer than this are no misspelling of a setting; it also bounds the work on hostile input.
constexpr size_t kLongestWord = 64;
// A part shorter than this is found in too many words to mean anything.
constexpr size_t kShortestPart = 4;

std::string Folded(std::string_view word) {
  std::string out(word);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c == '-') c = '_';
  }
  return out;
}

std::string_view LastPart(std::string_view path) {
  const size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? path : path.substr(dot + 1);
}

// The one candidate whose folded form fits; empty when none or several do.
template <typename Fits>
std::string_view Only(std::span<const std::string_view> candidates, Fits fits) {
  std::string_view only;
  for (const std::string_view candidate : candidates) {
    if (!fits(Folded(candidate))) continue;
    if (!only.empty()) return {};
    only = candidate;
  }
  return only;
}

}  // namespace

size_t EditDistance(std::string_view a, std::string_view b) {
  // Three rows of the usual table: a swap of neighbours looks two rows back.
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

std::string_view Closest(std::string_view word, std::span<const std::string_view> candidates) {
  if (word.empty() || word.size() > kLongestWord) return {};
  const std::string folded = Folded(word);
  std::string_view best;
  size_t best_distance = std::max<size_t>(1, word.size() / 3) + 1;
  for (const std::string_view candidate : candidates) {
    const size_t distance = EditDistance(folded, Folded(candidate));
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  if (!best.empty()) return best;
  const std::string_view same_end =
      Only(candidates, [&](const std::string& candidate) { return LastPart(folded) == LastPart(candidate); });
  if (!same_end.empty() || word.size() < kShortestPart) return same_end;
  return Only(candidates, [&](const std::string& candidate) {
    return candidate.size() >= kShortestPart &&
           (candidate.find(folded) != std::string::npos || folded.find(candidate) != std::string::npos);
  });
}

std::string DidYouMean(std::string_view word, std::span<const std::string_view> candidates) {
  const std::string_view closest = Closest(word, candidates);
  return closest.empty() ? std::string() : "; did you mean " + std::string(closest) + "?";
}

std::string OneOf(std::span<const std::string_view> words) {
  std::string out;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? " or " : ", ";
    out += words[i];
  }
  return out;
}

}  // namespace engram

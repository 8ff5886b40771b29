// What a mistyped word may have been meant to be.
//
// Threads: pure functions. Errors: none.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace engram {

// Letters to change, add, drop or swap with their neighbour to get from one to the other.
size_t EditDistance(std::string_view a, std::string_view b);

// The closest candidate, if it is close enough to be meant; else the only one with the same last part after a dot, or
// the only one that holds the word or is held by it; else empty. Case and '-' for '_' count for nothing.
std::string_view Closest(std::string_view word, std::span<const std::string_view> candidates);

// "; did you mean X" or nothing.
std::string DidYouMean(std::string_view word, std::span<const std::string_view> candidates);

// "a, b or c".
std::string OneOf(std::span<const std::string_view> words);

}  // namespace engram

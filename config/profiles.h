// The shipped profiles, embedded in the binary from config/profiles/*.yaml so that the daemon needs no file.
//
// Threads: any. Ownership: static. Errors: none; a test loads every one.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace engram {

struct Profile {
  std::string_view name;
  std::string_view yaml;
};

inline constexpr std::string_view kDefaultProfile = "balanced";

std::span<const Profile> ShippedProfiles();

// Null when there is none of that name.
const Profile* FindProfile(std::string_view name);

std::vector<std::string_view> ProfileNames();

}  // namespace engram

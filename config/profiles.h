// The shipped profiles, embedded in the binary from config/profiles/*.yaml so that the daemon needs no file.
//
// Threads: any. Ownership: static. Errors: none; a test loads every one.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace engram {

struct Profile {
  std::string_view name;
  std::string_view yaml;
};

inline constexpr std::string_view kDefaultProfile = "balanced";

std::span<const Profile> ShippedProfiles();

// Null when there is none of that name.
const Profile* FindProfile(std::string_view name);

// The message of the fault that `name` is none of them.
std::string UnknownProfile(std::string_view name);

}  // namespace engram

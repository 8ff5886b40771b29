// Files of text, for tests of files. REQUIRES of those that return no status: the calls succeed.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/journal/files.h"

namespace engram::testing {

inline std::span<const std::byte> BytesOf(std::string_view text) { return std::as_bytes(std::span(text)); }

inline std::string TextOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline std::unique_ptr<File> Opened(Directory& directory, std::string_view name, Directory::Mode mode) {
  auto file = directory.Open(name, mode);
  EXPECT_TRUE(file.ok()) << file.status();
  return file.ok() ? *std::move(file) : nullptr;
}

// Not synced.
inline std::unique_ptr<File> Made(Directory& directory, std::string_view name, std::string_view text = "") {
  auto file = Opened(directory, name, Directory::Mode::kCreate);
  EXPECT_EQ(file->WriteAt(0, BytesOf(text)), absl::OkStatus());
  return file;
}

// Its bytes and its name are safe.
inline std::unique_ptr<File> MadeSafe(Directory& directory, std::string_view name, std::string_view text = "") {
  auto file = Made(directory, name, text);
  EXPECT_EQ(file->Sync(), absl::OkStatus());
  EXPECT_EQ(directory.Sync(), absl::OkStatus());
  return file;
}

inline std::string Text(Directory& directory, std::string_view name) {
  auto bytes = ReadWhole(directory, name, uint64_t{1} << 30);
  return bytes.ok() ? TextOf(*bytes) : bytes.status().ToString();
}

inline std::vector<std::string> Listed(Directory& directory) {
  auto names = directory.List();
  EXPECT_TRUE(names.ok()) << names.status();
  return names.value_or(std::vector<std::string>{});
}

}  // namespace engram::testing

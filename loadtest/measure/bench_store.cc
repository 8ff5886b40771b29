#include "loadtest/measure/bench_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace engram {
namespace fs = std::filesystem;

std::string NameOf(const BenchDocument& document) {
  std::string name = document.Text("environment.measured_at");
  std::replace(name.begin(), name.end(), ':', '-');
  return name;
}

absl::StatusOr<fs::path> StorageDirectory(const std::string& given) {
  std::error_code error;
  fs::path directory = fs::absolute(given.empty() ? kBenchDirectory : given, error);
  if (!error) fs::create_directories(directory, error);
  if (error) return absl::InternalError(fmt::format("cannot make {}: {}", directory.string(), error.message()));
  return directory;
}

absl::Status CheckReportName(const std::string& name) {
  if (name.empty() || name.front() == '.' || name.find('/') != std::string::npos) {
    return absl::InvalidArgumentError(fmt::format("\"{}\" cannot name a report: it has to be a file's name", name));
  }
  constexpr size_t kMostBytes = 200;
  if (name.size() <= kMostBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("a report's name of {} bytes is too long; allowed: {}", name.size(), kMostBytes));
}

absl::Status CheckWritable(const fs::path& file) {
  const fs::path aside = file.string() + ".new";
  std::error_code ignored;
  if (fs::is_directory(file, ignored)) {
    return absl::InternalError(fmt::format("cannot write {}: it is a directory", file.string()));
  }
  const bool was_there = fs::exists(aside, ignored);
  const bool opened = std::ofstream(aside, std::ios::binary | std::ios::app).is_open();
  if (!opened) return absl::InternalError(fmt::format("cannot write {}: {}", aside.string(), std::strerror(errno)));
  if (!was_there) fs::remove(aside, ignored);
  return absl::OkStatus();
}

absl::Status WriteWhole(const fs::path& file, const std::string& text) {
  const fs::path aside = file.string() + ".new";
  std::error_code error;
  {
    std::ofstream out(aside, std::ios::binary);
    out << text;
    out.flush();
    if (!out) return absl::InternalError(fmt::format("cannot write {}: {}", aside.string(), std::strerror(errno)));
  }
  fs::rename(aside, file, error);
  if (error) return absl::InternalError(fmt::format("cannot write {}: {}", file.string(), error.message()));
  return absl::OkStatus();
}

absl::StatusOr<fs::path> StoreReport(const fs::path& directory, const std::string& name,
                                     const BenchDocument& document) {
  ENGRAM_RETURN_IF_ERROR(CheckReportName(name));
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return absl::InternalError(fmt::format("cannot make {}: {}", directory.string(), error.message()));
  const fs::path file = directory / (name + ".json");
  ENGRAM_RETURN_IF_ERROR(WriteWhole(file, document.json().dump(1) + "\n"));
  return file;
}

absl::StatusOr<BenchDocument> ReadReport(const fs::path& directory, const std::string& name_or_file) {
  std::error_code ignored;
  const fs::path named = directory / (name_or_file + ".json");
  const fs::path file = fs::is_regular_file(name_or_file, ignored) ? fs::path(name_or_file) : named;
  std::ifstream in(file, std::ios::binary);
  if (!in) {
    return absl::NotFoundError(fmt::format("no report {}: neither that file nor {}", name_or_file, named.string()));
  }
  std::ostringstream text;
  text << in.rdbuf();
  return BenchDocument::Parse(text.str(), file.string());
}

}  // namespace engram

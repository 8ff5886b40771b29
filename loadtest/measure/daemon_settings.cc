#include "loadtest/measure/daemon_settings.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace engram {
namespace {

// One word for the shell, whatever it holds.
std::string Quoted(const std::string& word) {
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace

absl::StatusOr<Json> SettingsInForce(const std::filesystem::path& program, const std::string& profile,
                                     const std::vector<std::string>& settings) {
  std::string command = Quoted(program.string()) + " --profile " + Quoted(profile);
  for (const std::string& setting : settings) command += " --set " + Quoted(setting);
  // Warnings go where they always go; a refusal is shown there, too.
  command += " --print-config --output json";
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) {
    return absl::InternalError(fmt::format("cannot run {}: {}", program.string(), std::strerror(errno)));
  }
  std::string text;
  char block[4096];
  for (size_t got = 0; (got = fread(block, 1, sizeof block, pipe)) > 0;) text.append(block, got);
  const int status = pclose(pipe);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return absl::InvalidArgumentError(fmt::format("{} does not start with these settings", program.string()));
  }
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("settings")) {
    return absl::InternalError(fmt::format("{} printed no settings: {}", program.string(), text));
  }
  return json["settings"];
}

std::string SettingText(const Json& in_force, const std::string& key) {
  const BenchDocument holder(in_force);
  const Json* found = holder.Find(key);
  if (found == nullptr) return "";
  if (!found->is_string()) return found->dump();
  std::string text = found->get<std::string>();
  const bool millis = key.size() > 3 && key.compare(key.size() - 3, 3, "_ms") == 0;
  if (millis && text.size() > 2 && text.compare(text.size() - 2, 2, "ms") == 0) text.resize(text.size() - 2);
  return text;
}

}  // namespace engram

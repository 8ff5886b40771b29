#include "server/log.h"

#include <fmt/format.h>
#include <grpc/support/log.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <string>

namespace engram {
namespace {

// Set once at start, read by every line: relaxed.
std::atomic<bool> as_json{false};

spdlog::logger& Logger() {
  static spdlog::logger* const logger = [] {
    auto* made = new spdlog::logger("engramd", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
    made->flush_on(spdlog::level::debug);
    return made;
  }();
  return *logger;
}

spdlog::level::level_enum LevelOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

// What JSON wants escaped, and newlines out of text lines: one event is one line.
std::string OneLine(std::string_view message, bool json) {
  std::string out;
  out.reserve(message.size());
  for (const char c : message) {
    if (json && (c == '"' || c == '\\')) {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      if (json) {
        out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
      } else {
        out += c == '\n' ? std::string("\n  ") : std::string(" ");
      }
    } else {
      out += c;
    }
  }
  return out;
}

void FromGrpc(gpr_log_func_args* args) {
  const LogLevel level = args->severity == GPR_LOG_SEVERITY_ERROR  ? LogLevel::kWarning
                         : args->severity == GPR_LOG_SEVERITY_INFO ? LogLevel::kInfo
                                                                   : LogLevel::kDebug;
  Log(level, fmt::format("grpc: {}", args->message));
}

}  // namespace

void StartLog(std::string_view level, std::string_view format) {
  as_json.store(format == "json", std::memory_order_relaxed);
  if (format == "json") {
    Logger().set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":"%v"})",
                         spdlog::pattern_time_type::utc);
  }
  SetLogLevel(level);
}

void SetLogLevel(std::string_view level) {
  Logger().set_level(level == "debug"     ? spdlog::level::debug
                     : level == "warning" ? spdlog::level::warn
                     : level == "error"   ? spdlog::level::err
                                          : spdlog::level::info);
}

void Log(LogLevel level, std::string_view message) {
  spdlog::logger& logger = Logger();
  if (!logger.should_log(LevelOf(level))) return;
  const std::string line = OneLine(message, as_json.load(std::memory_order_relaxed));
  logger.log(LevelOf(level), spdlog::string_view_t(line.data(), line.size()));
}

void CatchGrpcLog() { gpr_set_log_function(FromGrpc); }

}  // namespace engram

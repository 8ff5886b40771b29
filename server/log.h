// The daemon's log: lines on stderr, as text or as JSON.
//
// Threads: any. Blocking: on stderr. Errors: none; what cannot be written is lost.
// Why:     one file includes the logging library, so no other knows which it is.
#pragma once

#include <string_view>

namespace engram {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// `level` and `format` as log.level and log.format have them. Until called: info, text.
void StartLog(std::string_view level, std::string_view format);
// Puts another log.level in force.
void SetLogLevel(std::string_view level);

void Log(LogLevel level, std::string_view message);

inline void LogDebug(std::string_view message) { Log(LogLevel::kDebug, message); }
inline void LogInfo(std::string_view message) { Log(LogLevel::kInfo, message); }
inline void LogWarning(std::string_view message) { Log(LogLevel::kWarning, message); }
inline void LogError(std::string_view message) { Log(LogLevel::kError, message); }

// What gRPC has to say goes the same way.
void CatchGrpcLog();

}  // namespace engram

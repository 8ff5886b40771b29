// engram fault: breaks a daemon that lets itself be broken.
#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <map>
#include <string>

#include "clients/cli/session.h"
#include "loadtest/fault_names.h"

namespace engram {
namespace {

absl::StatusOr<uint64_t> BytesOf(const std::string& text) {
  if (text.empty()) return 0;
  static const std::map<std::string, uint64_t> kUnits = {{"", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto unit = kUnits.find(std::string(end, text.data() + text.size()));
  if (error != std::errc() || unit == kUnits.end()) {
    return absl::InvalidArgumentError(fmt::format("'{}' is no size: a whole number, with KiB, MiB or GiB", text));
  }
  if (number > UINT64_MAX / unit->second) {
    return absl::InvalidArgumentError(fmt::format("'{}' is more than {} bytes", text, UINT64_MAX));
  }
  return number * unit->second;
}

}  // namespace

ExitCode RunFault(Session& session, const FaultOptions& options) {
  const absl::StatusOr<v1::FaultKind> kind = FaultKindOf(options.kind);
  if (!kind.ok()) return session.Fail(kind.status());
  const absl::StatusOr<uint64_t> bytes = BytesOf(options.bytes);
  if (!bytes.ok()) return session.Fail(bytes.status());
  v1::InjectFaultRequest request;
  request.set_kind(*kind);
  request.set_count(options.count);
  request.set_bytes(*bytes);
  request.set_delay_us(options.delay_us);
  request.set_shift_us(options.shift_us);
  request.set_duration_us(options.duration_us);
  const absl::Status injected = session.daemon().InjectFault(request);
  return injected.ok() ? kOk : session.Fail(injected);
}

}  // namespace engram

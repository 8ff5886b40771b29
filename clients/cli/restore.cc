// engram restore: a data directory out of a snapshot.
#include "core/journal/restore.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <system_error>
#include <utility>

#include "clients/cli/journal_json.h"
#include "clients/cli/progress.h"
#include "clients/cli/session.h"

namespace engram {
namespace {

constexpr size_t kDefectsShown = 10;

uint64_t RandomId() {
  std::random_device device;
  return (uint64_t{device()} << 32 | device()) | 1;
}

// Not there, or there and empty; `there` says which.
absl::Status CheckTarget(const std::string& path, bool* there) {
  std::error_code error;
  const std::filesystem::file_status about = std::filesystem::status(path, error);
  *there = std::filesystem::exists(about);
  if (!*there) return absl::OkStatus();
  if (!std::filesystem::is_directory(about)) {
    return absl::FailedPreconditionError(fmt::format("{} is no directory", path));
  }
  const bool empty = std::filesystem::is_empty(path, error);
  if (error) return absl::PermissionDeniedError(fmt::format("list {}: {}", path, error.message()));
  if (!empty) {
    return absl::FailedPreconditionError(fmt::format("{} is not empty; restore into a new directory", path));
  }
  return absl::OkStatus();
}

std::string View(const RestoreOutcome& outcome, const RestoreOptions& options, const VerifyReport& report) {
  // Who has lost its manifest does not know its own name any more.
  const std::string original =
      report.manifest.has_value() ? fmt::format(", {:016x},", report.manifest->journal_id) : "";
  return fmt::format(
      "restored {} from {}: positions 1 to {} with {} observations of {} spaces\n"
      "{} in {} files, {} of them shared with the snapshot by hard links and {} copied\n"
      "the journal is {:016x} now: tokens of the original{} are refused by it\n",
      Printable(options.directory), Printable(options.snapshot), Grouped(report.last_position),
      Grouped(report.observations), Grouped(report.spaces.size()), FormatBytes(outcome.bytes),
      outcome.linked + outcome.copied, outcome.linked, outcome.copied, outcome.manifest.journal_id, original);
}

}  // namespace

ExitCode RunRestore(Session& session, const RestoreOptions& options) {
  bool there = false;
  if (const absl::Status target = CheckTarget(options.directory, &there); !target.ok()) return session.Fail(target);
  const absl::StatusOr<std::unique_ptr<Directory>> snapshot = OpenPosixDirectory(options.snapshot, /*create=*/false);
  if (!snapshot.ok()) {
    session.Warn(std::string(MessageOf(snapshot.status())));
    return kNoInput;
  }
  absl::StatusOr<VerifyReport> report;
  {
    ByteProgress progress(session.err(), "verified");
    report = VerifyDirectory(**snapshot, [&](uint64_t done, uint64_t total) { progress.Done(done, total); });
  }
  if (!report.ok()) return session.Fail(report.status());
  if (!report->in_use_by.empty()) {
    return session.Fail(absl::FailedPreconditionError(
        fmt::format("{} is in use by {}: make a snapshot of it first, with `engram snapshot`", options.snapshot,
                    report->in_use_by)));
  }
  for (size_t i = 0; i < std::min(report->defects.size(), kDefectsShown); ++i) {
    session.Warn(report->defects[i].Describe());
  }
  if (!report->sound() && !options.accept_damage) {
    session.Warn(fmt::format("{} has {} defects and nothing was restored; say --accept-damage to restore the rest",
                             options.snapshot, report->defects.size()));
    return kBadData;
  }

  const absl::StatusOr<std::unique_ptr<Directory>> target = OpenPosixDirectory(options.directory, /*create=*/true);
  if (!target.ok()) return session.Fail(target.status());
  ByteProgress progress(session.err(), "restored");
  RestorePlan plan;
  plan.journal_id = RandomId();
  plan.link = !options.copy;
  plan.accept_damage = options.accept_damage;
  plan.progress = [&](uint64_t done, uint64_t total) { progress.Done(done, total); };
  const absl::StatusOr<RestoreOutcome> outcome = Restore(**snapshot, **target, plan);
  if (!outcome.ok()) {
    std::error_code ignored;
    if (!there) std::filesystem::remove(options.directory, ignored);
    return session.Fail(outcome.status());
  }
  session.Print(session.global().json ? ToJson(*outcome, options, *report) + "\n" : View(*outcome, options, *report));
  return kOk;
}

}  // namespace engram

// engram verify: reads a data directory from end to end, without its daemon.
#include "core/journal/verify.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "clients/cli/journal_json.h"
#include "clients/cli/progress.h"
#include "clients/cli/session.h"
#include "clients/cli/time_text.h"

namespace engram {
namespace {

constexpr size_t kDefectsShown = 100;

// All segments are open at once, and a terabyte has thousands.
void RaiseFileLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  [[maybe_unused]] const int ignored = setrlimit(RLIMIT_NOFILE, &limit);
}

std::string Counted(uint64_t count, const char* what) {
  return fmt::format("{} {}{}", Grouped(count), what, count == 1 ? "" : "s");
}

std::string View(const VerifyReport& report, double seconds, const Terminal& terminal) {
  std::string out =
      Styled(terminal, Style::kBold, Printable(report.directory)) + "  " +
      (report.sound() ? Styled(terminal, Style::kGreen, "sound") : Styled(terminal, Style::kRed, "damaged")) + "\n";
  const auto line = [&](const char* name, const std::string& text) {
    out += Styled(terminal, Style::kDim, fmt::format("{:<13}", name)) + text + "\n";
  };
  for (size_t i = 0; i < std::min(report.defects.size(), kDefectsShown); ++i) {
    line("defect", Printable(report.defects[i].Describe()));
  }
  if (report.defects.size() > kDefectsShown) {
    line("", fmt::format("and {} more; --output json has all", Grouped(report.defects.size() - kDefectsShown)));
  }
  for (const std::string& remark : report.remarks) line("remark", Printable(remark));
  if (!report.in_use_by.empty()) line("in use by", report.in_use_by);
  if (report.manifest.has_value()) {
    line("journal", fmt::format("{:016x}, lineage {:016x}", report.manifest->journal_id, report.manifest->lineage));
  }
  line("positions",
       report.last_position < report.first_position
           ? "none"
           : fmt::format("{} to {}, sealed through {}", Grouped(report.first_position), Grouped(report.last_position),
                         report.manifest.has_value() ? Grouped(report.manifest->sealed_through) : "?"));
  line("segments", fmt::format("{}, {}", Counted(report.segments.size(), "file"), FormatBytes(report.bytes)));
  line("records", fmt::format("{} with {} of {}", Grouped(report.records), Counted(report.observations, "observation"),
                              Counted(report.spaces.size(), "space")));
  for (const VerifyReport::OtherFile& one : report.checkpoints) {
    line("checkpoint", fmt::format("{}, {}, {}", Printable(one.file), FormatBytes(one.bytes), one.what));
  }
  for (const VerifyReport::OtherFile& one : report.leftovers) {
    line("left over", fmt::format("{}, {}, {}", Printable(one.file), FormatBytes(one.bytes), one.what));
  }
  const double rate = seconds > 0 ? static_cast<double>(report.bytes) / seconds : 0;
  line("took", fmt::format("{}, {}/s", FormatDurationRough(seconds * 1e6), FormatBytes(static_cast<uint64_t>(rate))));
  line("defects", report.sound() ? "none" : Styled(terminal, Style::kRed, Grouped(report.defects.size())));
  return out;
}

}  // namespace

ExitCode RunVerify(Session& session, const VerifyOptions& options) {
  const absl::StatusOr<std::unique_ptr<Directory>> directory = OpenPosixDirectory(options.directory, /*create=*/false);
  if (!directory.ok()) {
    session.Warn(std::string(MessageOf(directory.status())));
    return kNoInput;
  }
  RaiseFileLimit();
  double seconds = 0;
  absl::StatusOr<VerifyReport> report;
  {
    ByteProgress progress(session.err(), "verified");
    report = VerifyDirectory(**directory, [&](uint64_t done, uint64_t total) {
      if (!options.quiet) progress.Done(done, total);
    });
    seconds = progress.seconds();
  }
  if (!report.ok()) {
    session.Warn(std::string(MessageOf(report.status())));
    return absl::IsPermissionDenied(report.status()) ? kNoInput : kInputOutput;
  }
  if (!options.quiet) {
    session.Print(session.global().json ? ToJson(*report, seconds) + "\n" : View(*report, seconds, session.out()));
  }
  return report->sound() ? kOk : kBadData;
}

}  // namespace engram

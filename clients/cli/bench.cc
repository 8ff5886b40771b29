// engram bench: measures a daemon, compares it, says what bounds it, and keeps the report.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>

#include "clients/cli/bench_load.h"
#include "clients/cli/bench_request.h"
#include "clients/cli/session.h"
#include "loadtest/measure/bench_html.h"
#include "loadtest/measure/bench_run.h"
#include "loadtest/measure/bench_store.h"
#include "loadtest/measure/bench_text.h"
#include "loadtest/measure/compare.h"
#include "loadtest/measure/daemon_settings.h"
#include "loadtest/measure/diagnosis.h"
#include "loadtest/spawn.h"

namespace engram {
namespace {

namespace fs = std::filesystem;

std::string Painted(const Terminal& terminal, const std::string& role, const std::string& text) {
  const Style style = role == "heading" ? Style::kBold
                      : role == "good"  ? Style::kGreen
                      : role == "bad"   ? Style::kRed
                                        : Style::kDim;
  return Styled(terminal, style, text);
}

std::string Render(const BenchDocument& document, const std::string& format, const Terminal& terminal) {
  if (format == "json") return document.json().dump(1) + "\n";
  if (format == "csv") return RenderCsv(document);
  if (format == "markdown") return RenderMarkdown(document);
  if (format == "html") return RenderHtml(document);
  return RenderPretty(document,
                      [&](const std::string& role, const std::string& text) { return Painted(terminal, role, text); });
}

// Prints the report and says how the comparison, if there was one, came out.
ExitCode Conclude(Session& session, const BenchOptions& options, const BenchDocument& document) {
  // A file is no terminal.
  const std::string text = Render(document, options.format, options.report.empty() ? session.out() : Terminal());
  if (options.report.empty()) {
    session.Print(text);
  } else if (const absl::Status written = WriteWhole(options.report, text); !written.ok()) {
    session.Warn(std::string(written.message()));
    return kCannotCreate;
  }
  const auto found = [&](const char* path) {
    const Json* flag = document.Find(path);
    return flag != nullptr && flag->get<bool>();
  };
  if (found("comparison.regressed")) return kRegressed;
  if (!found("comparison.incomparable")) return kOk;
  session.Warn("the machines differ too much to compare all figures: see comparison.machine, or use --against");
  return kIncomparable;
}

absl::StatusOr<BenchRequest> RequestOf(Session& session, const BenchOptions& options) {
  absl::StatusOr<BenchRequest> request = BenchRequestOf(session, options.measured);
  if (!request.ok()) return request.status();
  request->plan.seconds = static_cast<double>(options.duration_us) / 1e6;
  request->plan.warmup_seconds = static_cast<double>(options.warmup_us) / 1e6;
  request->plan.rate = options.rate;
  request->plan.recalls_per_second = options.recalls_per_second;
  request->plan.limits = options.limits;
  if (!options.against.empty()) {
    request->base = request->target;
    request->base->program = options.against;
    request->settle_between = true;
  }
  return request;
}

}  // namespace

ExitCode RunBenchCommand(Session& session, const BenchOptions& given) {
  BenchOptions options = given;
  std::optional<BenchDocument> base;
  if (!options.compare.empty()) {
    absl::StatusOr<BenchDocument> stored = ReadReport(kBenchDirectory, options.compare);
    if (!stored.ok()) return session.FailInput(stored.status());
    base = *std::move(stored);
    const absl::Status taken = TakeLoadOf(*base, options.compare, options);
    if (!taken.ok()) return session.FailInput(taken);
  }
  // Minutes later would be too late to say so.
  const absl::Status writable = options.report.empty() ? absl::OkStatus() : CheckWritable(options.report);
  if (!writable.ok()) {
    session.Warn(std::string(writable.message()));
    return kCannotCreate;
  }
  const auto compare = [&](BenchDocument& document) {
    if (!base.has_value()) return;
    for (const std::string& difference : DifferencesOf(*base, document)) {
      session.Warn("not the same as in " + options.compare + ": " + difference);
    }
    PutComparison(CompareStored(*base, document, options.threshold), options.compare, document);
  };
  if (!options.stored.empty()) {
    absl::StatusOr<BenchDocument> stored = ReadReport(kBenchDirectory, options.stored);
    if (!stored.ok()) return session.FailInput(stored.status());
    compare(*stored);
    return Conclude(session, options, *stored);
  }

  CleanUpOnInterrupt();
  absl::StatusOr<BenchRequest> request = RequestOf(session, options);
  if (!request.ok()) return session.FailInput(request.status());
  Json in_force;
  if (!options.measured.running) {
    absl::StatusOr<Json> settings =
        SettingsInForce(request->target.program, request->target.profile, request->target.settings);
    if (!settings.ok()) return session.Fail(settings.status());
    in_force = *std::move(settings);
  }
  absl::StatusOr<BenchResult> result = RunBench(*request);
  if (!result.ok()) return session.Fail(result.status());
  BenchDocument& document = result->document;
  if (!in_force.is_null()) document.Put("config.in_force", std::move(in_force));
  PutDiagnosis(Diagnose(document), document);
  compare(document);
  if (result->base.has_value()) {
    PutComparison(CompareAlternating(*result->base, document, options.threshold), options.against, document);
  }
  const std::string name = options.baseline.empty() ? NameOf(document) : options.baseline;
  document.Put("name", name);
  absl::StatusOr<fs::path> file = StoreReport(kBenchDirectory, name, document);
  if (!file.ok()) return session.Fail(file.status());
  if (session.err().is_terminal) session.Warn("kept in " + file->string());
  return Conclude(session, options, document);
}

}  // namespace engram

#include "clients/cli/trace_options.h"

namespace engram {

void TraceCommands::AddTraceCommand(CLI::App* app) {
  constexpr uint32_t kMostTraces = 100'000;
  trace_app_ = Command(app, "trace", "Where the time of observations and recalls went",
                       R"(  engram trace --limit 10
  engram trace --slow 10ms --show-buffers
  engram trace --space notes --kind both --format chrome > trace.json
The daemon samples them (trace.sample_rate) and keeps slow ones apart (trace.slow). trace.json opens in Perfetto and
chrome://tracing.
)");
  trace_app_->add_option("--limit", trace_.limit, "The newest so many")
      ->check(CLI::Range(1u, kMostTraces).description(""))
      ->type_name("N")
      ->capture_default_str();
  Duration(trace_app_, "--slow", &trace_.slow_us, "Only what took at least so long");
  trace_app_->add_option("--space", trace_.space, "Only of this space")->type_name("SPACE");
  Words(trace_app_->add_option("--kind", kind_, "Of what (observations)"), {"observations", "recalls", "both"});
  trace_app_->add_flag("--show-buffers", trace_.buffers, "With the buffers each went through");
  Words(trace_app_->add_option("--format", trace_.format, "pretty for people, json: one a line, chrome: trace events"),
        {"pretty", "json", "chrome"});
}

std::optional<CommandOptions> TraceCommands::TakeTraceCommand(const GlobalOptions& global) {
  if (!trace_app_->parsed()) return std::nullopt;
  if (global.json && (*trace_app_)["--format"]->count() == 0) trace_.format = "json";
  trace_.selection = kind_ == "recalls" ? v1::TRACE_SELECTION_RECALLS
                     : kind_ == "both"  ? v1::TRACE_SELECTION_BOTH
                                        : v1::TRACE_SELECTION_OBSERVATIONS;
  return trace_;
}

}  // namespace engram

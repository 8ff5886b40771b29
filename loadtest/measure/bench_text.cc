#include "loadtest/measure/bench_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "loadtest/report.h"

namespace engram {
namespace {

constexpr const char* kMissing = "-";

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

std::string Bytes(double bytes) {
  const char* units[] = {"B", "KB", "MB", "GB", "TB"};
  size_t unit = 0;
  for (; bytes >= 1000 && unit + 1 < std::size(units); ++unit) bytes /= 1000;
  return fmt::format("{:.{}f} {}", bytes, bytes < 10 && unit > 0 ? 2 : bytes < 100 && unit > 0 ? 1 : 0, units[unit]);
}

std::string CellOf(const BenchDocument& document, const std::string& path) {
  const auto value = document.Number(path);
  return value ? FigureText(path, *value) : kMissing;
}

void AddIfThere(const BenchDocument& document, const std::string& title, const std::string& path, BenchSection& to) {
  if (document.Number(path)) to.rows.push_back({title, CellOf(document, path)});
}

BenchSection Percentiles(const BenchDocument& document) {
  BenchSection section{"Latency, from the instant each thing was due",
                       {{"", "p50", "p90", "p95", "p99", "p99.9", "max"}}};
  const std::pair<const char*, const char*> kinds[] = {{"observe", "single Observe call, durable"},
                                                       {"durable", "streamed, durable"},
                                                       {"indexed", "streamed, indexed"},
                                                       {"recall", "recall"}};
  for (const auto& [key, title] : kinds) {
    if (document.Find(std::string("latency.") + key) == nullptr) continue;
    std::vector<std::string> row = {title};
    for (const char* quantile : {"p50", "p90", "p95", "p99", "p999", "max"}) {
      row.push_back(CellOf(document, fmt::format("latency.{}.{}_seconds", key, quantile)));
    }
    section.rows.push_back(std::move(row));
  }
  return section;
}

BenchSection Stages(const BenchDocument& document) {
  BenchSection section{"Stages of the steady load, as the daemon times them", {{"", "p50", "p99"}}};
  const Json* stages = document.Find("stages");
  if (stages == nullptr) return section;
  for (const auto& [name, unused] : stages->items()) {
    section.rows.push_back({name, CellOf(document, "stages." + name + ".p50_seconds"),
                            CellOf(document, "stages." + name + ".p99_seconds")});
  }
  return section;
}

BenchSection Limits(const BenchDocument& document) {
  BenchSection section{"The machine's own limits, in the same run", {{"", "observations/s", "reached"}}};
  const std::pair<const char*, const char*> limits[] = {{"grpc_sink", "bare gRPC sink"},
                                                        {"disk_sync", "synced writes of 1 MiB"},
                                                        {"memory_scan", "reading memory once"}};
  for (const auto& [key, title] : limits) {
    const std::string path = std::string("limits.") + key;
    if (document.Find(path) == nullptr) continue;
    section.rows.push_back({title, CellOf(document, path + ".observations_per_second"), CellOf(document, path + ".share")});
  }
  return section;
}

// As a column of the table: figures that are only told, and those that the machine leaves open.
std::string VerdictText(const std::string& verdict) {
  return verdict == "told" ? "" : verdict == "machine" ? "not comparable" : verdict;
}

BenchSection Compared(const BenchDocument& document) {
  const bool alternating = document.Find("comparison.alternating") != nullptr &&
                           document.Find("comparison.alternating")->get<bool>();
  BenchSection section{fmt::format("Beside {}", document.Text("comparison.base")), {{"", "before", "now", "ratio"}}};
  if (alternating) section.rows[0].push_back("round by round");
  section.rows[0].insert(section.rows[0].end(), {"chance", ""});
  const Json* figures = document.Find("comparison.figures");
  for (const Json& figure : figures == nullptr ? Json::array() : *figures) {
    const std::string path = figure.value("figure", "");
    std::vector<std::string> row = {path, FigureText(path, figure.value("base", 0.0)),
                                    FigureText(path, figure.value("now", 0.0)),
                                    fmt::format("{:.3f}", figure.value("ratio", 1.0))};
    if (alternating) {
      row.push_back(fmt::format("{:.2f} to {:.2f}", figure.value("ratio_least", 1.0), figure.value("ratio_most", 1.0)));
    }
    const double noise = figure.value("noise", 0.0);
    row.push_back(noise > 0 ? fmt::format("× {:.2f}", 1 + noise) : "");
    row.push_back(VerdictText(figure.value("verdict", "")));
    section.rows.push_back(std::move(row));
  }
  const Json* drifts = document.Find("comparison.machine");
  for (const Json& drift : drifts == nullptr ? Json::array() : *drifts) {
    const std::string path = "limits." + drift.value("limit", "") + ".observations_per_second";
    std::vector<std::string> row = {path, FigureText(path, drift.value("base", 0.0)),
                                    FigureText(path, drift.value("now", 0.0)),
                                    fmt::format("{:.3f}", drift.value("ratio", 1.0)), "",
                                    drift.value("comparable", true) ? "the machine" : "the machines differ too much"};
    section.rows.push_back(std::move(row));
  }
  return section;
}

BenchSection Where(const BenchDocument& document) {
  BenchSection section{"Where", {{"", ""}}};
  const std::pair<const char*, const char*> texts[] = {
      {"daemon", "environment.daemon.version"},
      {"its commit", "environment.daemon.commit"},
      {"its build", "environment.daemon.build"},
      {"its machine", "environment.daemon.machine"},
      {"its processor", "environment.daemon.cpu"},
      {"its system", "environment.daemon.system"},
      {"profile", "config.profile"},
      {"durability", "config.durability"},
      {"client's commit", "environment.client.commit"},
      {"client's build", "environment.client.build"},
      {"client's machine", "environment.client.machine"},
      {"client's processor", "environment.client.cpu"},
      {"measured", "environment.measured_at"}};
  for (const auto& [title, path] : texts) {
    if (!document.Text(path).empty()) section.rows.push_back({title, document.Text(path)});
  }
  const auto list = [&](const char* title, const char* path, const auto& word) {
    const Json* found = document.Find(path);
    if (found == nullptr || found->empty()) return;
    std::string text;
    for (const auto& [key, value] : found->items()) text += (text.empty() ? "" : ", ") + word(key, value);
    section.rows.push_back({title, text});
  };
  list("settings", "config.settings", [](const std::string&, const Json& value) { return value.get<std::string>(); });
  list("load", "config.arguments", [](std::string key, const Json& value) {
    std::replace(key.begin(), key.end(), '_', ' ');
    return fmt::format("{} {:g}", key, value.get<double>());
  });
  return section;
}

// Terminal columns: every character but the rest of a UTF-8 sequence takes one.
size_t Width(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string CsvCell(const Json& json) {
  if (!json.is_string()) return json.dump();
  std::string text = json.get<std::string>();
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  for (size_t at = text.find('"'); at != std::string::npos; at = text.find('"', at + 2)) text.insert(at, 1, '"');
  return '"' + text + '"';
}

void AddNumbers(const Json& json, const std::string& path, std::string& out) {
  if (json.is_number()) out += fmt::format("{},{}\n", path, json.dump());
  if (!json.is_object()) return;
  for (const auto& [key, value] : json.items()) {
    if (path.empty() && (key == "series" || key == "histogram" || key == "rounds" || key == "comparison")) continue;
    AddNumbers(value, path.empty() ? key : path + "." + key, out);
  }
}

// What a comparison comes to is in words, too, and its figures are a list: each goes by its name.
void AddComparison(const Json& json, const std::string& path, std::string& out) {
  if (json.is_number() || json.is_boolean() || json.is_string()) out += fmt::format("{},{}\n", path, CsvCell(json));
  if (!json.is_structured()) return;
  for (const auto& [key, value] : json.items()) {
    if (key == "figure" || key == "limit") continue;
    const bool is_named = json.is_array() && value.is_object();
    const std::string name = is_named ? value.value("figure", value.value("limit", key)) : key;
    AddComparison(value, path + "." + name, out);
  }
}

}  // namespace

std::string FigureText(const std::string& path, double value) {
  if (EndsWith(path, "cpu_seconds_per_million")) return fmt::format("{:.2f} s", value);
  if (EndsWith(path, "_seconds")) {
    if (value < 1e-3) return fmt::format("{:.0f} µs", value * 1e6);
    if (value < 1) return fmt::format("{:.{}f} ms", value * 1e3, value < 0.01 ? 2 : value < 0.1 ? 1 : 0);
    return fmt::format("{:.2f} s", value);
  }
  if (path.find("bytes") != std::string::npos) {
    return Bytes(value) + (EndsWith(path, "bytes_per_second") ? "/s" : "");
  }
  if (EndsWith(path, "share") || EndsWith(path, "rate")) return fmt::format("{:.1f} %", value * 100);
  if (path.rfind("recall.", 0) == 0 && EndsWith(path, "at_10")) return fmt::format("{:.4f}", value);
  if (value == std::floor(value) || value >= 1000) return Grouped(value);
  return fmt::format("{:.{}f}", value, value < 10 ? 2 : 1);
}

std::vector<BenchSection> SectionsOf(const BenchDocument& document) {
  std::vector<BenchSection> sections;
  const auto add = [&](BenchSection section) {
    if (section.rows.size() > 1) sections.push_back(std::move(section));
  };
  BenchSection throughput{"Throughput", {{"", ""}}};
  AddIfThere(document, "observations/s", "throughput.observations_per_second", throughput);
  AddIfThere(document, "bytes/s", "throughput.bytes_per_second", throughput);
  AddIfThere(document, "offered in the steady part, observations/s", "throughput.offered_per_second", throughput);
  AddIfThere(document, "acknowledged of them, observations/s", "throughput.kept_per_second", throughput);
  add(std::move(throughput));
  add(Percentiles(document));
  add(Stages(document));
  BenchSection recall{"Recall, against the exact answer", {{"", ""}}};
  AddIfThere(document, "recall@10", "recall.at_10", recall);
  AddIfThere(document, "least recall@10 of a cue", "recall.min_at_10", recall);
  add(std::move(recall));
  add(Limits(document));
  BenchSection resources{"Resources", {{"", ""}}};
  AddIfThere(document, "daemon, cores in the burst", "resources.daemon_cpu_cores", resources);
  AddIfThere(document, "client, cores in the burst", "resources.client_cpu_cores", resources);
  AddIfThere(document, "daemon, cores in the steady part", "resources.steady_cpu_cores", resources);
  AddIfThere(document, "daemon, processor time a million", "resources.daemon_cpu_seconds_per_million", resources);
  AddIfThere(document, "buffers allocated", "resources.allocations", resources);
  AddIfThere(document, "buffers from a pool", "resources.pool_reuse_rate", resources);
  AddIfThere(document, "copies of an observation", "resources.copies_per_observation", resources);
  AddIfThere(document, "bytes written for each byte sent", "resources.written_per_byte", resources);
  AddIfThere(document, "a sync carries", "resources.bytes_per_sync", resources);
  AddIfThere(document, "journal busy in the burst", "resources.journal_busy_share", resources);
  AddIfThere(document, "peak memory", "resources.peak_memory_bytes", resources);
  add(std::move(resources));
  BenchSection scheduling{"Scheduling", {{"", ""}}};
  AddIfThere(document, "wakeups", "scheduling.wakeups", scheduling);
  AddIfThere(document, "batches", "scheduling.batches", scheduling);
  AddIfThere(document, "batch size, p50", "scheduling.batch_size_p50", scheduling);
  AddIfThere(document, "batches stolen", "scheduling.stolen_share", scheduling);
  AddIfThere(document, "pressure events", "scheduling.pressure_events", scheduling);
  if (document.Number("scheduling.queue_peak")) {
    scheduling.rows.push_back({"queue peak / capacity", CellOf(document, "scheduling.queue_peak") + " / " +
                                                            CellOf(document, "scheduling.queue_capacity")});
  }
  AddIfThere(document, "link backlog, peak", "scheduling.link_backlog_peak", scheduling);
  AddIfThere(document, "observations sent again", "scheduling.sent_again", scheduling);
  add(std::move(scheduling));
  if (document.Find("comparison") != nullptr) add(Compared(document));
  add(Where(document));
  return sections;
}

std::string RenderPretty(const BenchDocument& document, const Paint& paint) {
  std::string out;
  for (const BenchSection& section : SectionsOf(document)) {
    out += paint("heading", section.title) + "\n";
    std::vector<size_t> widths(section.rows.front().size(), 0);
    for (const auto& row : section.rows) {
      for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
    }
    const bool has_head = section.rows.front().size() > 2;
    for (size_t r = has_head ? 0 : 1; r < section.rows.size(); ++r) {
      std::string line = "  ";
      for (size_t i = 0; i < section.rows[r].size(); ++i) {
        const std::string& cell = section.rows[r][i];
        const std::string space(widths[i] - Width(cell), ' ');
        const std::string shown = r == 0 ? paint("dim", cell)
                                  : cell == "worse" ? paint("bad", cell)
                                  : cell == "better" ? paint("good", cell)
                                                     : cell;
        // Names to the left, figures to the right; a last column of texts stays where it begins.
        const bool left = i == 0 || section.title == "Where";
        line += left ? shown + space : "  " + space + shown;
        if (left && i == 0) line += section.title == "Where" ? "  " : "";
      }
      out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    out += "\n";
  }
  if (!document.Text("diagnosis.bottleneck").empty()) {
    out += paint("heading", "Diagnosis: " + document.Text("diagnosis.bottleneck")) + "\n";
    for (const Json& evidence : *document.Find("diagnosis.evidence")) out += "  " + evidence.get<std::string>() + "\n";
    out += fmt::format("  try {}: {}\n", paint("good", document.Text("diagnosis.knob")),
                       document.Text("diagnosis.advice"));
  }
  return out;
}

std::string RenderMarkdown(const BenchDocument& document) {
  std::string out = "# Benchmark of " + document.Text("environment.measured_at") + "\n";
  for (const BenchSection& section : SectionsOf(document)) {
    out += "\n## " + section.title + "\n\n";
    for (size_t r = 0; r < section.rows.size(); ++r) {
      out += "|";
      for (const std::string& cell : section.rows[r]) out += " " + cell + " |";
      out += "\n";
      if (r > 0) continue;
      out += "|---|";
      for (size_t i = 1; i < section.rows[0].size(); ++i) out += "---:|";
      out += "\n";
    }
  }
  if (!document.Text("diagnosis.bottleneck").empty()) {
    out += "\n## Diagnosis: " + document.Text("diagnosis.bottleneck") + "\n\n";
    for (const Json& evidence : *document.Find("diagnosis.evidence")) out += "- " + evidence.get<std::string>() + "\n";
    out += fmt::format("\nTry `{}`: {}.\n", document.Text("diagnosis.knob"), document.Text("diagnosis.advice"));
  }
  return out;
}

std::string RenderCsv(const BenchDocument& document) {
  std::string out = "figure,value\n";
  AddNumbers(document.json(), "", out);
  if (const Json* comparison = document.Find("comparison"); comparison != nullptr) {
    AddComparison(*comparison, "comparison", out);
  }
  return out;
}

}  // namespace engram

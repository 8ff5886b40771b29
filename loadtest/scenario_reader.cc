#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <charconv>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <map>
#include <sstream>

#include "loadtest/fault_names.h"
#include "loadtest/scenario.h"

namespace engram {
namespace {

absl::Status Bad(const std::string& what) { return absl::InvalidArgumentError(what); }

// A number with a unit: 1.5 of "1.5MiB". Negative ones only of durations.
absl::StatusOr<double> NumberWithUnit(const std::string& text, const std::map<std::string, double>& units) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto unit = units.find(std::string(end, text.data() + text.size()));
  if (error != std::errc() || unit == units.end()) {
    std::string names;
    for (const auto& [name, factor] : units) names += fmt::format("{}'{}'", names.empty() ? "" : ", ", name);
    return Bad(fmt::format("'{}' is no number with a unit of {}", text, names));
  }
  return number * unit->second;
}
const std::map<std::string, double> kTimes = {{"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}};
const std::map<std::string, double> kSizes = {{"", 1}, {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}};
const std::map<std::string, double> kPlain = {{"", 1}};

// A map of which every key must be known. Collects the first fault.
class Section {
 public:
  Section(const YAML::Node& node, std::string where) : node_(node), where_(std::move(where)) {
    if (node && !node.IsMap()) Fail("is no map");
  }

  void Seconds(const char* key, double* out) { Number(key, kTimes, 0, 1e6, [out](double v) { *out = v; }); }
  void Seconds(const char* key, std::optional<double>* out) { Number(key, kTimes, 0, 1e6, [out](double v) { *out = v; }); }
  void Micros(const char* key, const std::function<void(int64_t)>& set, double least = 0) {
    Number(key, kTimes, least, 1e6, [&set](double v) { set(static_cast<int64_t>(v * 1e6)); });
  }
  void Bytes(const char* key, std::optional<uint64_t>* out) {
    Number(key, kSizes, 1, 1e15, [out](double v) { *out = static_cast<uint64_t>(v); });
  }
  void Count(const char* key, uint32_t* out, double least, double most) {
    Number(key, kPlain, least, most, [out](double v) { *out = static_cast<uint32_t>(v); });
  }
  struct Whole {
    const char* key;
    uint32_t* out;
    double least, most;
  };
  void Counts(std::initializer_list<Whole> keys) {
    for (const Whole& whole : keys) Count(whole.key, whole.out, whole.least, whole.most);
  }
  void Plain(const char* key, double* out, double most) { Number(key, kPlain, 0, most, [out](double v) { *out = v; }); }
  void Plain(const char* key, std::optional<double>* out) { Number(key, kPlain, 0, 1e9, [out](double v) { *out = v; }); }
  void Text(const char* key, std::string* out) {
    Scalar(key, [out](const std::string& text) {
      *out = text;
      return absl::OkStatus();
    });
  }
  void Flag(const char* key, bool* out) {
    Scalar(key, [out](const std::string& text) {
      if (text != "true" && text != "false") return Bad(fmt::format("'{}'; allowed: true, false", text));
      *out = text == "true";
      return absl::OkStatus();
    });
  }
  // Each entry of a list.
  void Each(const char* key, const std::function<absl::Status(const YAML::Node&, const std::string&)>& take) {
    known_.insert({key, true});
    const YAML::Node list = Get(key);
    if (!list) return;
    if (!list.IsSequence()) return Fail(fmt::format("{} is no list", key));
    size_t number = 0;
    for (const auto& entry : list) Keep(take(entry, fmt::format("{}: {} {}", where_, key, ++number)));
  }
  bool Has(const char* key) { return known_[key] = true, static_cast<bool>(Get(key)); }

  absl::Status Done() {
    if (node_ && node_.IsMap()) {
      for (const auto& entry : node_) {
        if (!known_.contains(entry.first.Scalar())) Fail(fmt::format("{} is not known", entry.first.Scalar()));
      }
    }
    return status_;
  }

 private:
  YAML::Node Get(const char* key) const { return node_ && node_.IsMap() ? node_[key] : YAML::Node(YAML::NodeType::Undefined); }
  void Fail(const std::string& what) { Keep(Bad(fmt::format("{}: {}", where_, what))); }
  void Keep(const absl::Status& status) {
    if (status_.ok()) status_ = status;
  }
  void Scalar(const char* key, const std::function<absl::Status(const std::string&)>& take) {
    known_.insert({key, true});
    const YAML::Node value = Get(key);
    if (!value) return;
    const absl::Status taken = value.IsScalar() ? take(value.Scalar()) : Bad("no single value");
    if (!taken.ok()) Fail(fmt::format("{}: {}", key, std::string(taken.message())));
  }
  void Number(const char* key, const std::map<std::string, double>& units, double least, double most,
              const std::function<void(double)>& set) {
    Scalar(key, [&](const std::string& text) -> absl::Status {
      ENGRAM_ASSIGN_OR_RETURN(const double number, NumberWithUnit(text, units));
      if (number < least || number > most) return Bad(fmt::format("{}; allowed: {} to {}", text, least, most));
      set(number);
      return absl::OkStatus();
    });
  }

  const YAML::Node node_;
  const std::string where_;
  std::map<std::string, bool> known_;
  absl::Status status_;
};

absl::Status ReadPhase(const YAML::Node& node, const std::string& where, std::vector<LoadPhase>* out) {
  Section section(node, where);
  LoadPhase phase;
  section.Seconds("for", &phase.seconds);
  section.Plain("rate", &phase.from, 1e7);
  phase.to = phase.from;
  section.Plain("to", &phase.to, 1e7);
  ENGRAM_RETURN_IF_ERROR(section.Done());
  if (phase.seconds <= 0 || phase.from + phase.to <= 0) return Bad(where + ": needs `for` and `rate`");
  out->push_back(phase);
  return absl::OkStatus();
}

absl::Status ReadEvent(const YAML::Node& node, const std::string& where, std::vector<LoadEvent>* out) {
  Section section(node, where);
  LoadEvent event;
  section.Seconds("at", &event.at_seconds);
  section.Seconds("for", &event.for_seconds);
  std::string fault;
  section.Text("fault", &fault);
  uint32_t count = 0;
  section.Count("count", &count, 1, 1e6);
  event.fault.set_count(count);
  std::optional<uint64_t> bytes;
  section.Bytes("bytes", &bytes);
  event.fault.set_bytes(bytes.value_or(0));
  section.Micros("delay", [&](int64_t v) { event.fault.set_delay_us(v); });
  section.Micros("shift", [&](int64_t v) { event.fault.set_shift_us(v); }, -1e6);
  const bool kill = section.Has("kill"), freeze = section.Has("freeze");
  if (kill) section.Seconds("kill", &event.for_seconds);
  if (freeze) section.Seconds("freeze", &event.for_seconds);
  ENGRAM_RETURN_IF_ERROR(section.Done());
  if (int{kill} + int{freeze} + int{!fault.empty()} != 1) return Bad(where + ": needs one of fault, kill, freeze");
  event.kind = kill ? LoadEvent::Kind::kKill : freeze ? LoadEvent::Kind::kFreeze : LoadEvent::Kind::kFault;
  if (event.kind == LoadEvent::Kind::kFault) {
    ENGRAM_ASSIGN_OR_RETURN(const v1::FaultKind kind, FaultKindOf(fault));
    event.fault.set_kind(kind);
    event.fault.set_duration_us(static_cast<int64_t>(event.for_seconds * 1e6));
  }
  out->push_back(event);
  return absl::OkStatus();
}

// Single keys of `short` in the place of those outside; a map's keys one by one.
YAML::Node Merged(const YAML::Node& root) {
  YAML::Node merged = YAML::Clone(root);
  for (const auto& entry : root["short"]) {
    const std::string key = entry.first.Scalar();
    if (!entry.second.IsMap() || !merged[key]) {
      merged[key] = entry.second;
    } else {
      for (const auto& inner : entry.second) merged[key][inner.first.Scalar()] = inner.second;
    }
  }
  return merged;
}

absl::StatusOr<Scenario> FromTree(const YAML::Node& file, bool brief) {
  if (!file.IsMap()) return Bad("not a scenario: no map");
  const YAML::Node root = brief && file["short"] ? Merged(file) : file;
  Scenario scenario;
  Section top(root, "scenario");
  top.Text("name", &scenario.name);
  top.Text("about", &scenario.about);
  for (const char* section : {"daemon", "load", "recalls", "pass", "short"}) top.Has(section);

  Section daemon(root["daemon"], "daemon");
  daemon.Text("profile", &scenario.daemon.profile);
  daemon.Each("set", [&](const YAML::Node& entry, const std::string& where) {
    if (!entry.IsScalar()) return Bad(where + " is no KEY=VALUE");
    scenario.daemon.set.push_back(entry.Scalar());
    return absl::OkStatus();
  });
  ENGRAM_RETURN_IF_ERROR(daemon.Done());

  Section load(root["load"], "load");
  load.Each("shape", [&](const YAML::Node& entry, const std::string& where) {
    return ReadPhase(entry, where, &scenario.load.shape);
  });
  load.Counts({{"spaces", &scenario.load.spaces, 1, 1000},
               {"streams_per_space", &scenario.load.streams_per_space, 1, 64},
               {"dimension", &scenario.load.dimension, 1, 4096},
               {"content_bytes", &scenario.load.content_bytes, 0, 65536},
               {"batch", &scenario.load.batch, 1, 4096},
               {"users", &scenario.load.users, 0, 1e9},
               {"slow_readers", &scenario.load.slow_readers, 0, 1000}});
  load.Plain("zipf", &scenario.load.zipf, 5);
  load.Seconds("slow_every", &scenario.load.slow_every_seconds);
  load.Seconds("reconnect_every", &scenario.load.reconnect_every_seconds);
  ENGRAM_RETURN_IF_ERROR(load.Done());
  if (scenario.load.shape.empty()) return Bad("load: needs a shape");

  Section recalls(root["recalls"], "recalls");
  recalls.Plain("rate", &scenario.recalls.per_second, 1e6);
  recalls.Counts({{"callers", &scenario.recalls.callers, 1, 256},
                  {"k", &scenario.recalls.k, 1, 1000},
                  {"by_vector", &scenario.recalls.by_vector, 0, 1000},
                  {"by_id", &scenario.recalls.by_id, 0, 1000},
                  {"exact", &scenario.recalls.exact, 0, 1000},
                  {"by_user", &scenario.recalls.by_user, 0, 1000}});
  ENGRAM_RETURN_IF_ERROR(recalls.Done());

  top.Each("events", [&](const YAML::Node& entry, const std::string& where) {
    return ReadEvent(entry, where, &scenario.events);
  });

  Section pass(root["pass"], "pass");
  pass.Seconds("recovered_within", &scenario.pass.recovered_within_seconds);
  pass.Seconds("recall_p99", &scenario.pass.recall_p99_seconds);
  pass.Seconds("observe_p99", &scenario.pass.observe_p99_seconds);
  pass.Seconds("observe_p99_at_least", &scenario.pass.observe_p99_at_least_seconds);
  pass.Plain("recalls_answered", &scenario.pass.recalls_answered_share, 1);
  pass.Bytes("memory", &scenario.pass.memory_bytes);
  pass.Plain("rate", &scenario.pass.observations_per_second);
  pass.Flag("may_fall_behind", &scenario.pass.may_fall_behind);
  pass.Flag("must_be_pushed_back", &scenario.pass.must_be_pushed_back);
  pass.Flag("verify_after_kill", &scenario.pass.verify_after_kill);
  ENGRAM_RETURN_IF_ERROR(pass.Done());
  ENGRAM_RETURN_IF_ERROR(top.Done());
  return scenario;
}

}  // namespace

absl::StatusOr<Scenario> ParseScenario(const std::string& text, bool brief) {
  try {
    return FromTree(YAML::Load(text), brief);
  } catch (const YAML::Exception& error) {
    return Bad(fmt::format("not YAML: {}", error.what()));
  }
}

absl::StatusOr<Scenario> ReadScenario(const std::filesystem::path& file, bool brief) {
  std::ifstream in(file);
  if (!in) return absl::NotFoundError(fmt::format("cannot read {}", file.string()));
  std::ostringstream text;
  text << in.rdbuf();
  absl::StatusOr<Scenario> scenario = ParseScenario(text.str(), brief);
  if (!scenario.ok()) {
    return absl::Status(scenario.status().code(),
                        fmt::format("{}: {}", file.string(), std::string(scenario.status().message())));
  }
  return scenario;
}

}  // namespace engram

#include "config/reference.h"

#include <fmt/format.h>

#include <string_view>
#include <vector>

#include "config/loader.h"
#include "config/profiles.h"
#include "config/relations.h"
#include "config/setting_table.h"

namespace engram {
namespace {

constexpr std::string_view kIntroduction = R"(# Configuration

Made from the table of settings by `engramd --print-config-reference > docs/configuration.md`; a test fails when this
page differs from what that prints.

## Where a value comes from

The strongest that names a setting decides it:

1. a flag: `--set queue.capacity=20000`, any number of times; of two for one setting the later
2. the environment: `ENGRAM_QUEUE_CAPACITY=20000`
3. the file named by `--config FILE`, else by `ENGRAM_CONFIG`
4. the profile named by `--profile NAME`, else by `ENGRAM_PROFILE`, else by `profile:` in the file, else `balanced`
5. the default

`engramd --print-config` shows every value with where it came from, as YAML that loads back; `engramd --check-config`
only says whether all is well.

## The file

YAML, at most 1 MiB of UTF-8, one document. Groups are written nested or with dots, and mean the same:

```yaml
profile: low_latency
num_workers: 2
queue:
  capacity: 20000
limits.max_content_bytes: 128KiB
```

An empty file is all defaults. A setting given twice, in whichever form, is a fault. Anchors have no effect; aliases,
merge keys (`<<`) and tags are refused: each value is written where it is read. An address that starts with `[` goes in
quotes, or YAML takes it for a list.

## Values

| kind | written as | examples |
|---|---|---|
| whole number | digits, no leading zero | `500` |
| ratio | digits, with or without a fraction | `0.1` |
| size | whole bytes, or a whole number of `B`, `KiB`, `MiB`, `GiB`, `TiB` (powers of 1024) | `65536`, `64KiB` |
| duration | a whole number of `us`, `ms`, `s`, `m`; 0 needs no unit | `250us`, `10s` |
| milliseconds | as a duration; a number without a unit is milliseconds, which the key's `_ms` says | `5`, `5ms` |
| flag | `true` or `false` | `true` |
| address | `IPV4:PORT`, `[IPV6]:PORT` or `HOST:PORT`; port 0 is any free one | `127.0.0.1:9464` |
| addresses | the same or `unix:PATH`, several separated by commas | `127.0.0.1:50051,unix:/run/engram.sock` |

`KB`, `MB` and `GB` are refused, since half of their readers take them for 1000s; so are signs, fractions of a unit,
hexadecimal, leading zeros, exponents and digit separators. In the environment an empty value sets an address to empty
and is a fault for everything else.

## Faults

Every fault is reported in one run, each on a line: where it is, which setting, what is wrong, what is allowed, and
what may have been meant. engramd then exits with status 78 and has started nothing. This file
)";

constexpr std::string_view kFaultyFile = R"(num_wrokers: 4
min_batch_size: 100
max_batch_size: 50
queue:
  capacity: 10_000
  max_wait: 250
limits:
  max_content_bytes: 64KB
)";

constexpr std::string_view kAfterFaults = R"(
A fault of the environment starts with `environment ENGRAM_NAME:`, one of a flag with `--set:`. A variable that starts
with `ENGRAM_` and names no setting is a warning, because Kubernetes sets `ENGRAM_PORT` and its like for a service named
engram. More workers than the cores the process may use, counting its container's quota, is a warning too.

Between settings these hold. To change both, change first the one that makes room for the other, or both in one file:

)";

constexpr std::string_view kAfterRelations = R"(
## Reload

A reload reads everything again. Settings marked *live* are put in force at once; those marked *restart* are named in
the reply and keep their value until the daemon starts anew. A reload with a fault changes nothing.

## Settings
)";

std::string RelationList() {
  std::string out;
  for (const BrokenRelation& relation : AllRelations()) {
    out += fmt::format("- `{}`: {}{}\n", relation.first, relation.first_allowed,
                       relation.only_warning ? " (a warning)" : "");
  }
  return out;
}

std::string Cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string Code(std::string_view text) { return text.empty() ? "empty" : fmt::format("`{}`", text); }

std::string_view Group(std::string_view path) {
  const size_t dot = path.find('.');
  return dot == std::string_view::npos ? "" : path.substr(0, dot);
}

std::string SettingTables() {
  std::string out;
  // Not the name of any group, so that the first row starts a table.
  std::string_view group = "-";
  for (const SettingRow& row : SettingTable()) {
    if (Group(row.path) != group) {
      group = Group(row.path);
      out += fmt::format("\n### {}\n\n", group.empty() ? "Workers and batches" : Code(group));
      out += "| setting | kind | default | range | change | what it does |\n|---|---|---|---|---|---|\n";
    }
    out += fmt::format("| `{}`<br>`{}` | {} | {} | {} | {} | {} |\n", row.path, row.environment, row.unit,
                       Code(row.default_text), Cell(row.range_text),
                       row.apply == SettingApply::kLive ? "live" : "restart", Cell(row.help));
  }
  return out;
}

// The comment a profile's file starts with, as one line.
std::string Introduction(std::string_view yaml) {
  std::string out;
  while (yaml.starts_with("# ")) {
    const size_t end = yaml.find('\n');
    out += (out.empty() ? "" : " ") + std::string(yaml.substr(2, end - 2));
    yaml.remove_prefix(end + 1);
  }
  return out;
}

std::string ProfileTable() {
  std::string out = "\n## Profiles\n\n";
  std::vector<Settings> loaded;
  std::string head = "\n| setting |";
  std::string rule = "\n|---|";
  for (const Profile& profile : ShippedProfiles()) {
    LoadRequest request;
    request.profile = std::string(profile.name);
    loaded.push_back(LoadConfig(request).settings);
    out += fmt::format("- `{}`: {}\n", profile.name, Introduction(profile.yaml));
    head += fmt::format(" `{}` |", profile.name);
    rule += "---|";
  }
  out += head + rule + "\n";
  for (const SettingRow& row : SettingTable()) {
    std::string cells;
    bool differs = false;
    for (const Settings& settings : loaded) {
      const std::string value = row.format(settings);
      differs = differs || value != row.default_text;
      cells += fmt::format(" {} |", value);
    }
    if (differs) out += fmt::format("| `{}` |{}\n", row.path, cells);
  }
  return out + "\nEvery other setting has its default in all of them.\n";
}

}  // namespace

std::string RenderReference() {
  LoadRequest request;
  request.cores = 64;
  const LoadResult faulty = LoadConfigText("engram.yaml", kFaultyFile, request);
  return fmt::format("{}\n```yaml\n{}```\n\ngives\n\n```text\n{}```\n{}{}{}{}{}", kIntroduction, kFaultyFile,
                     RenderFaults(faulty.faults), kAfterFaults, RelationList(), kAfterRelations, SettingTables(),
                     ProfileTable());
}

}  // namespace engram

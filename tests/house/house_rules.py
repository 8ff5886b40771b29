"""The rules of the house that a regular expression can hold.

A rule takes (path, text) of one file and yields (line, what is wrong and what to use instead). house_test.py runs each
of them over the repository, and over bad examples, so that a rule which no longer sees anything is noticed.
"""

import re

# --- Layers: which folders a file may include from -------------------------------------------------------------------
# Longest prefix first. `engram/v1` is what protoc makes from proto/.
MAY_INCLUDE = [
    ("core/base/", ["core/base/"]),
    ("config/", ["config/", "core/base/"]),
    ("index/", ["index/", "config/", "core/base/"]),
    ("core/", ["core/", "index/", "config/"]),
    ("server/", ["server/", "core/", "index/", "config/", "engram/v1/"]),
    # `engram` carries the load tools' commands (load, fault, bench, tune), which know the wire only, as it does. Those that work
    # without a daemon read its data: docs/decisions/0009-offline-tools-read-the-format.md.
    ("clients/cli/", ["clients/", "core/base/", "core/journal/", "engram/v1/", "loadtest/"]),
    ("clients/", ["clients/", "core/base/", "engram/v1/"]),
    # The index's own figures need no daemon.
    ("loadtest/index_", ["loadtest/", "index/", "core/base/", "tests/index/stock_hnswlib.h"]),
    ("loadtest/", ["loadtest/", "core/base/", "engram/v1/"]),
]

# --- One library, one file -------------------------------------------------------------------------------------------
# Includes that only these files may have; a prefix ending in "/" stands for a folder.
LIBRARY_FILES = {
    r"grpc|grpcpp|google/protobuf|engram/v1": ["server/", "clients/", "loadtest/", "tests/server/", "tests/clients/",
                                               "tests/perf/decode_workload.cc"],
    r"hnswlib": ["index/walk_room.h", "tests/index/stock_hnswlib.cc"],
    r"yaml-cpp": ["config/yaml_reader.cc", "loadtest/runbook_reader.cc", "loadtest/scenario_reader.cc"],
    r"tbb|oneapi": ["core/stream/tbb_executor.cc"],
    r"prometheus": ["server/metrics_exporter.cc"],
    r"roaring": ["core/ordinal_bitmap.cc"],
    r"spdlog": ["server/log.cc"],
    r"CLI": ["server/main.cc", "clients/cli/", "loadtest/"],
    r"nlohmann": ["clients/cli/", "loadtest/", "tests/server/", "tests/clients/"],
}

# --- Banned tokens: (what, where it is allowed, what to use instead) -------------------------------------------------
BANNED = [
    (r"\bstd::thread\b(?!::)", [], "std::jthread, which joins"),
    (r"\babsl::(Mutex|MutexLock|CondVar|Notification)\b", [],
     "engram::Mutex of core/base/mutex.h, which ThreadSanitizer sees"),
    (r"\babsl::(flat|node)_hash_(map|set)\b", [],
     "std::unordered_map; a debug build of ours and Debian's library disagree"),
    (r"\bstd::(recursive_|timed_|shared_)*mutex\b|\bstd::condition_variable(_any)?\b", ["core/base/mutex.h"],
     "engram::Mutex, MutexLock and CondVar of core/base/mutex.h, which carry annotations"),
    (r"\bsleep_(for|until)\b|\bu?sleep\s*\(|\bnanosleep\b", ["core/base/clock.h", "loadtest/pacing.h"],
     "wait for the event, or a Clock"),
    (r"\bstd::regex\b", [], "a hand-written match; std::regex is slow and overflows the stack"),
    (r"\busing namespace\b(?! std::(chrono_)?literals| std::string_view_literals)", [], "the names themselves"),
    (r"\bstd::(ranges::)?views\b", [], "an algorithm or a loop; clang 14 cannot compile views"),
    (r"\bstd::(format|expected|source_location)\b", [], "fmt::format, absl::StatusOr; the compilers here lack it"),
    (r"\bdelete this\b", [], "an owner"),
    (r"\bstd::endl\b", [], "'\\n'"),
]

LONGEST_FILE = 400
# Files that may be longer, each with its own bound.
LONGER_FILES = {
    "tests/clients/cli_end_to_end_test.py": 470,
    "tests/core/metrics/engine_metrics_test.cc": 460,
}
GENERATED = re.compile(r"_pb2(_grpc)?\.pyi?$")

# Mutexes that let one action at a time happen, or order the writers of an atomic, and so guard no member.
ORDERING_MUTEXES = {("core/stream/pressure.h", "mu_"), ("server/daemon.h", "reload_mu_"),
                    ("index/code_graph_nodes.h", "top_"), ("index/link_table.h", "growth_"),
                    ("core/space_shaper.h", "mu_"), ("core/engine.cc", "housekeeping_mu_")}

LARGEST_BLOB = 512 * 1024
LARGE_FOLDERS = ["loadtest/sample/"]

CPP = (".cc", ".h", ".cc.in")
TEXT = CPP + (".py", ".proto", ".def", ".cmake", ".sh", ".yaml", ".yml", ".service", "CMakeLists.txt", "Makefile")


def within(path, places):
    return any(path == place or (place.endswith("/") and path.startswith(place)) for place in places)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def without_comments_and_strings(text):
    """The same lines with comments and the insides of literals blanked out."""
    def blank(match):
        found = match.group()
        if found[0] == '"' or found[0] == "'":
            return found[0] + " " * (len(found) - 2) + found[-1]
        return re.sub(r"[^\n]", " ", found)
    raw, comment = r'R"(\w*)\([\s\S]*?\)\1"', r"//[^\n]*|/\*[\s\S]*?\*/"
    text_literal, letter = r'"(?:\\.|[^"\\\n])*"', r"(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'"
    pattern = f"{raw}|{comment}|{text_literal}|{letter}"
    return re.sub(pattern, blank, text)


def includes(text):
    for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', text, re.M):
        yield line_of(text, match.start()), match.group(2), match.group(1) == '"'


def layer_rule(path, text):
    if not path.endswith(CPP):
        return
    allowed = next((to for folder, to in MAY_INCLUDE if path.startswith(folder)), None)
    if allowed is None:
        return
    for line, name, rooted in includes(text):
        if rooted and not within(name, allowed) and not name.startswith("gtest/"):
            yield line, f'includes "{name}"; a file here may include only from {", ".join(allowed)}: ' \
                        "declare here the interface it needs and let the room above implement it"


def library_rule(path, text):
    if not path.endswith(CPP):
        return
    for line, name, _ in includes(text):
        for library, places in LIBRARY_FILES.items():
            if re.match(rf"({library})(/|\.h)", name) and not within(path, places):
                yield line, f"includes <{name}>; only {', '.join(places)} may. Use what is declared there"


def banned_rule(path, text):
    if not path.endswith(CPP):
        return
    code = without_comments_and_strings(text)
    for pattern, places, instead in BANNED:
        if within(path, places):
            continue
        for match in re.finditer(pattern, code):
            yield line_of(code, match.start()), f"`{match.group().strip()}`: use {instead}"


def unfinished_rule(path, text):
    if not path.endswith(TEXT) or path.startswith("tests/house/house_"):
        return
    for match in re.finditer(r"\b(TODO|FIXME|XXX|HACK)\b", text):
        yield line_of(text, match.start()), f"{match.group()}: finish it, or file an issue and leave no mark"


def length_rule(path, text):
    bound = LONGER_FILES.get(path, LONGEST_FILE)
    lines = text.count("\n")
    if path.endswith(TEXT) and lines > bound and not GENERATED.search(path):
        yield bound, f"{lines} lines, more than {bound}: give each subject a file of its own"


def header_comment_rule(path, text):
    if path.endswith(".h") and not text.startswith("// "):
        yield 1, "no comment at the top: say what it is, who calls it from which thread, who owns it, what blocks"


def pragma_once_rule(path, text):
    if path.endswith(".h") and "#pragma once" not in text:
        yield 1, "no include guard: use #pragma once"


def guarded_rule(path, text):
    if not path.endswith(CPP) or path == "core/base/mutex.h":
        return
    code = without_comments_and_strings(text)
    if re.search(r"\bABSL_(PT_)?GUARDED_BY\b", code):
        return
    annotations = r"(?:[ \t]+ABSL_\w+\([^)]*\))*"
    for member in re.finditer(rf"^[ \t]+(?:mutable[ \t]+)?(?:engram::)?Mutex[ \t]+(\w+_){annotations};", code, re.M):
        if (path, member.group(1)) not in ORDERING_MUTEXES:
            yield line_of(code, member.start()), \
                f"Mutex {member.group(1)} guards nothing: put ABSL_GUARDED_BY on what it guards"


RULES = {
    "layers": layer_rule,
    "one library, one file": library_rule,
    "banned words": banned_rule,
    "nothing unfinished": unfinished_rule,
    "file length": length_rule,
    "header comment": header_comment_rule,
    "include guard": pragma_once_rule,
    "mutex guards something": guarded_rule,
}

# For each rule: files it must object to, and files it must let pass.
EXAMPLES = {
    "layers": ([
        ("index/code_slab.cc", '#include "core/engine.h"\n'),
        ("config/loader.h", '#include "index/code_slab.h"\n'),
        ("core/base/clock.h", '#include "config/settings.h"\n'),
        ("core/engine.cc", '#include "server/daemon.h"\n'),
        ("loadtest/demo.cc", '#include "core/engine.h"\n'),
        ("clients/cli/main.cc", '  #  include "config/settings.h"\n'),
        ("clients/cli/status.cc", '#include "core/engine.h"\n'),
        ("loadtest/demo.cc", '#include "core/journal/verify.h"\n'),
    ], [
        ("index/code_slab.cc", '#include "core/base/types.h"\n#include <vector>\n'),
        ("server/daemon.cc", '#include "core/engine.h"\n'),
        ("clients/cli/verify.cc", '#include "core/journal/verify.h"\n'),
        ("tests/core/engine_test.cc", '#include "server/daemon.h"\n'),
    ]),
    "one library, one file": ([
        ("core/engine.cc", "#include <grpcpp/grpcpp.h>\n"),
        ("index/code_slab.cc", "#include <hnswlib/hnswlib.h>\n"),
        ("core/engine.h", '#include "engram/v1/observation.pb.h"\n'),
        ("server/daemon.cc", "#include <yaml-cpp/yaml.h>\n"),
        ("core/stream/lane.cc", "#include <oneapi/tbb/task_arena.h>\n"),
    ], [
        ("tests/index/stock_hnswlib.cc", "#include <hnswlib/hnswlib.h>\n"),
        ("server/wire.h", '#include "engram/v1/observation.pb.h"\n'),
    ]),
    "banned words": ([
        ("core/a.cc", "std::thread t;\n"),
        ("core/a.h", "absl::Mutex mu;\n"),
        ("core/a.cc", "std::mutex mu;\n"),
        ("core/a.cc", "std::shared_timed_mutex mu;\n"),
        ("tests/core/a.cc", "std::this_thread::sleep_for(1ms);\n"),
        ("core/a.cc", "std::regex r;\n"),
        ("core/a.cc", "using namespace std;\n"),
        ("core/a.cc", "auto s = 1'000'000; std::thread t; auto u = 1'0;\n"),
    ], [
        ("core/a.cc", "// std::mutex would not do.\n"),
        ("core/a.cc", 'Say("using namespace std");\n'),
        ("core/a.cc", "std::thread::hardware_concurrency();\n"),
        ("core/base/mutex.h", "std::mutex mu_;\n"),
    ]),
    "nothing unfinished": ([
        ("core/a.cc", "// FIXME later\n"),
        ("deploy/a.yml", "# TODO\n"),
    ], [
        ("core/a.cc", "// Done.\n"),
    ]),
    "file length": ([
        ("core/a.cc", "\n" * 401),
        ("tests/a.py", "\n" * 401),
    ], [
        ("core/a.cc", "\n" * 400),
        ("docs/a.md", "\n" * 900),
    ]),
    "header comment": ([
        ("core/a.h", "#pragma once\n"),
    ], [
        ("core/a.h", "// What it is.\n#pragma once\n"),
        ("core/a.cc", "int a;\n"),
    ]),
    "include guard": ([
        ("core/a.h", "// What it is.\n#ifndef A\n"),
    ], [
        ("core/a.h", "// What it is.\n#pragma once\n"),
    ]),
    "mutex guards something": ([
        ("core/a.h", "class A {\n  mutable Mutex mu_;\n  int n_;\n};\n"),
    ], [
        ("core/a.h", "class A {\n  mutable Mutex mu_;\n  int n_ ABSL_GUARDED_BY(mu_);\n};\n"),
        ("core/a.cc", "  MutexLock lock(mu_);\n"),
    ]),
}

"""Instructions per operation and function, from callgrind's output; and how two sets of them compare.

A function of ours is charged for itself and for the functions of libraries that it calls, so a needless copy is named by
who makes it and not as memcpy. What a library calls back is charged to both.
"""

import collections
import dataclasses
import re

# The change of a workload that is let pass, either way, as a share.
THRESHOLD = 0.05
# What is less of its workload is not kept by name, and named by no failure.
NAMED_SHARE = 0.01
# Counts of another compiler, libc or set of kernels are not comparable.
ABOUT = ["compiler", "libc", "kernels", "code_kernels"]


@dataclasses.dataclass
class Count:
    operation: str  # What is counted per.
    instructions: float
    functions: dict  # Name -> instructions.


def short_name(function):
    """The name without parameters, clones and recursion: overloads and lambdas count as the function they stand in."""
    name = re.sub(r"'\d+$|\s*\[clone [^\]]*\]|\s*\(\.[\w.]+\)|@@?[\w.]+$", "", function)
    name = name.replace("(anonymous namespace)::", "")
    depth, at = 0, 0
    while at < len(name):
        if operator := re.compile(r"operator(\(\)|<<=?|>>=?|<=>|<=?|>=?|->\*?)").match(name, at):
            at = operator.end()
            continue
        letter = name[at]
        if letter == "(" and depth == 0 and at > 0:
            return name[:at]
        depth += (letter in "<{") - (letter in ">}")
        at += 1
    return name


def bare_name(function):
    """The short name without arguments of templates and without what those return."""
    kept, depth = "", 0
    for letter in re.sub(r"operator(<<=?|>>=?|<=>|<=?|>=?|->\*?)", "operator", short_name(function)):
        depth += letter == "<"
        kept += letter if depth == 0 else ""
        depth -= letter == ">"
    return kept.split()[-1] if kept.split() else function


def ours(function):
    return bare_name(function).startswith(("engram::", "Engram"))


def parse_callgrind(text):
    """(all instructions, name -> instructions) of callgrind's output without compression; ValueError when it is not that."""
    total = re.search(r"^(?:totals|summary): (\d+)", text, re.M)
    if total is None or not re.search(r"^events: Ir$", text, re.M):
        raise ValueError("no output of callgrind that counts instructions alone")
    charged = collections.Counter()
    function = callee = None
    itself = 0
    called = False
    for line in text.splitlines():
        if line.startswith("fn="):
            function = line[3:]
        elif line.startswith("cfn="):
            callee = line[4:]
        elif line.startswith("calls="):
            called = True
        elif cost := re.match(r"[+\-*\d]\S* (\d+)$", line):
            instructions = int(cost.group(1))
            if not called:
                itself += instructions
                charged[short_name(function)] += instructions
            elif ours(function) and not ours(callee):
                charged[short_name(function)] += instructions
            called = False
    if itself != int(total.group(1)):
        raise ValueError(f"the functions of callgrind's output have {itself} instructions, their total is {total.group(1)}")
    return itself, {name: count for name, count in charged.items() if ours(name)}


def count_of(text, operation, operations):
    total, functions = parse_callgrind(text)
    named = {name: round(count / operations, 3) for name, count in functions.items() if count >= NAMED_SHARE * total}
    return Count(operation, round(total / operations, 3), dict(sorted(named.items(), key=lambda f: -f[1])))


def change(before, after):
    return after / before - 1


def grown_functions(before, after):
    """(name, before, after) of the functions that account for the growth, the most of it first."""
    grown = [(name, before.functions.get(name, 0), count) for name, count in after.functions.items()]
    least = NAMED_SHARE * before.instructions
    return sorted((f for f in grown if f[2] - f[1] >= least), key=lambda f: f[1] - f[2])[:3]


def compare(before, after):
    """(failures, hints) of two sets of counts, by workload; `after` may be a part of them."""
    failures, hints = [], []
    for workload, now in after.items():
        then = before.get(workload)
        if then is None:
            failures.append(f"{workload}: nothing is recorded of it")
            continue
        grew = change(then.instructions, now.instructions)
        if grew > THRESHOLD:
            said = "".join(f"\n    {name}: {was:.1f} -> {is_now:.1f}" for name, was, is_now in grown_functions(then, now))
            failures.append(f"{workload}: {then.instructions:.1f} -> {now.instructions:.1f} instructions per {now.operation}, "
                            f"{grew:+.1%}; of these" + (said or "\n    no function grew much"))
        elif grew < -THRESHOLD:
            hints.append(f"{workload}: {then.instructions:.1f} -> {now.instructions:.1f} instructions per {now.operation}, "
                         f"{grew:+.1%}: record it: tests/perf/perf_test.py --record")
    return failures, hints


def table(before, after):
    """Lines of Markdown: the instructions of each workload, and how they changed."""
    lines = ["| workload | instructions per | before | now | change | most of it |", "|---|---|---|---|---|---|"]
    for workload, now in after.items():
        then = before.get(workload)
        was = f"{then.instructions:.1f}" if then else "–"
        moved = f"{change(then.instructions, now.instructions):+.2%}" if then else "–"
        most = ", ".join(f"`{bare_name(name).removeprefix('engram::')}` {count / now.instructions:.0%}"
                         for name, count in list(now.functions.items())[:2])
        lines.append(f"| {workload} | {now.operation} | {was} | {now.instructions:.1f} | {moved} | {most} |")
    return lines


def to_json(about, counts):
    return {"about": {key: about[key] for key in ABOUT}, "workloads": {name: dataclasses.asdict(count) for name, count in
                                                                      counts.items()}}


def from_json(document):
    return document["about"], {name: Count(**count) for name, count in document["workloads"].items()}

#!/usr/bin/env -S python3 -B
"""Counts the instructions of perf_workloads' pieces of work and holds them to those of tests/perf/instructions.json.

More than 5 % more of them fails and names the functions that grew; that much less passes, and asks to be recorded. Ends
with 77 where counts mean nothing: without valgrind, or with another compiler, libc or other kernels than were recorded.
"""

import argparse
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import instruction_counts as counting

ROOT = Path(__file__).resolve().parents[2]
STORE = Path(__file__).resolve().parent / "instructions.json"
PROGRAM = ROOT / "build" / "release" / "tests" / "perf" / "perf_workloads"
SKIPPED = 77
MOST_SECONDS = 120  # For one workload.


class CannotCount(Exception):
    """Why there are no counts to compare here."""


class CountingFailed(Exception):
    """What went wrong where there should be counts."""


def said_by(text):
    """The words that perf_workloads printed, by their first."""
    return dict(line.split(" ", 1) for line in text.splitlines() if " " in line)


# Not the caller's environment, which lies on the stack: what is counted is to be the same everywhere. Without ERMS long
# copies are loops: of `rep movsb` each byte would count as an instruction.
ENVIRONMENT = {"LC_ALL": "C", "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-ERMS"}


def run(command, folder):
    said = " ".join(map(str, command))
    try:
        done = subprocess.run(list(map(str, command)), cwd=folder, env={"PATH": os.environ["PATH"], **ENVIRONMENT},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=MOST_SECONDS)
    except subprocess.TimeoutExpired:
        raise CountingFailed(f"{said}: not within {MOST_SECONDS} s") from None
    if done.returncode != 0:
        raise CountingFailed(f"{said} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    return done.stdout


def count_one(program, workload):
    """(what it ran by, its Count)"""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        said = said_by(run(["valgrind", "--tool=callgrind", "--toggle-collect=EngramMeasuredPart", "--dump-line=no",
                            "--compress-strings=no", "--compress-pos=no", f"--callgrind-out-file={out}", program, workload],
                           folder))
        return said, counting.count_of(out.read_text(), said["operation"], int(said["operations"]))


def workloads_of(program):
    return run([program, "--list"], "/").split()


def about(program):
    return said_by(run([program, "--about"], "/"))


def count_all(program, workloads, jobs):
    """(what they ran by, workload -> Count)"""
    try:
        run(["valgrind", "--version"], "/")
    except OSError:
        raise CannotCount("there is no valgrind here: apt-get install valgrind") from None
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(lambda workload: count_one(program, workload), workloads))
    return results[0][0], {name: count for name, (_, count) in zip(workloads, results)}


def require_same(recorded, here, keys=tuple(counting.ABOUT)):
    for key in keys:
        if recorded[key] != here[key]:
            raise CannotCount(f"the counts were recorded with {key} {recorded[key]}, here it is {here[key]}")


def check(arguments):
    recorded, before = counting.from_json(json.loads(arguments.store.read_text()))
    known = workloads_of(arguments.program)
    wanted = arguments.workload or known
    # Before a minute is spent on it. Valgrind's processor has other kernels than this one may have.
    require_same(recorded, about(arguments.program), ["compiler", "libc"])
    here, after = count_all(arguments.program, wanted, arguments.jobs)
    require_same(recorded, here)
    print("\n".join(counting.table(before, after)))
    failures, hints = counting.compare(before, after)
    failures += [f"{name}: it is recorded, and perf_workloads does not know it: --record" for name in before
                 if name not in known]
    for hint in hints:
        print(f"\nfewer: {hint}")
    for failure in failures:
        print(f"\nFAILED {failure}")
    if failures:
        print("\nWhere it has to be so: tests/perf/perf_test.py --record, and say why in the commit.")
    return 1 if failures else 0


def record(arguments):
    before = {}
    if arguments.store.exists():
        _, before = counting.from_json(json.loads(arguments.store.read_text()))
    here, after = count_all(arguments.program, workloads_of(arguments.program), arguments.jobs)
    arguments.store.write_text(json.dumps(counting.to_json(here, after), indent=1) + "\n")
    print("\n".join(counting.table(before, after)))
    print(f"\nrecorded in {arguments.store}")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="keep the counts as those to compare with")
    parser.add_argument("--workload", action="append", help="only this one; repeatable")
    parser.add_argument("--program", type=Path, default=PROGRAM, help="%(default)s")
    parser.add_argument("--store", type=Path, default=STORE, help="%(default)s")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    arguments.program = arguments.program.resolve()
    if arguments.record and arguments.workload:
        parser.error("--record records all workloads")
    try:
        return record(arguments) if arguments.record else check(arguments)
    except CannotCount as why:
        print(f"skipped: {why}")
        return SKIPPED
    except CountingFailed as why:
        print(f"FAILED {why}")
        return 1


if __name__ == "__main__":
    sys.exit(main())

"""The parts of `engram-loadtest` that prove recall, small, against the real daemon: each runs, and says every figure.

Usage: recall_end_to_end_test.py ENGRAM_LOADTEST ENGRAMD PART [RUNBOOK...]
"""

import json
import subprocess
import sys

SMALL = {
    "recall": ["--recall-points", "600", "--recall-dimensions", "32", "--recall-cues", "20",
               "--recall-observations", "300"],
    "load": ["--load-points", "600", "--load-seconds", "1", "--load-ingest-seconds", "1", "--tail-points", "600",
             "--sustain-seconds", "3"],
    "memory": ["--memory-points", "2000", "--memory-spaces", "20", "--growth-points", "2000",
               "--memory-settle-seconds", "1"],
    "runbook": ["--runbook-dimension", "32", "--runbook-cues", "20"],
}
# What a run this small can be held to, whatever the machine is busy with.
HOLDS = {"recall": ["recall@10", "not found"], "load": ["recall@10"], "memory": [], "runbook": ["recall@10"]}
FEWEST_BARS = {"recall": 5, "load": 7, "memory": 5, "runbook": 1}


def main():
    loadtest, daemon, part, *runbooks = sys.argv[1:]
    for what in [["--runbook", runbook] for runbook in runbooks] if part == "runbook" else [["--only", part]]:
        measure(loadtest, daemon, part, what)


def measure(loadtest, daemon, part, what):
    run = subprocess.run(
        [loadtest, "--engramd", daemon, *what, *SMALL[part], "--output", "json",
         "--set", "storage.segment_bytes=4MiB", "--set", "storage.spare_segments=1"],
        stdout=subprocess.PIPE, text=True, check=False, timeout=170)
    assert run.returncode == 0, f"exit code {run.returncode}"
    figures = json.loads(run.stdout)
    print(json.dumps(figures["bars"], indent=1))
    assert part in figures, figures.keys()
    assert len(figures["bars"]) >= FEWEST_BARS[part], figures["bars"]
    held = [bar for bar in figures["bars"] if any(word in bar["name"] for word in HOLDS[part])]
    assert held or not HOLDS[part], figures["bars"]
    assert all(bar["passed"] for bar in held), held
    if part == "load":
        beside = figures["load"]["beside_ingest"]
        for load, share in {"space_beside": 0.5, "same_space": 0.5, "space_beside_twice": 2, "same_space_twice": 2}.items():
            assert abs(beside[load]["offered"] - share * beside["largest_ingest"]) < 1, beside
    if part == "runbook":
        operations = [step["operation"] for step in figures["runbook"]["steps"]]
        assert {"insert", "delete", "replace", "search"} == set(operations), operations


if __name__ == "__main__":
    main()

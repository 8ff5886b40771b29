"""`engram-loadtest --only durable`, small, against the real daemon: it runs, checks what it sent, and says every figure.

Usage: durable_end_to_end_test.py ENGRAM_LOADTEST ENGRAMD PARTS
"""

import json
import subprocess
import sys

BARS = {"disk": 1, "ingest": 4, "callers": 2, "recovery": 2, "modes": 0}


def main():
    loadtest, daemon, parts = sys.argv[1:]
    run = subprocess.run(
        [loadtest, "--engramd", daemon, "--only", "durable", "--durable", parts, "--output", "json",
         "--durable-rounds", "1", "--durable-observations", "2000", "--batch", "64", "--callers", "16",
         "--caller-seconds", "1", "--recovery-observations", "3000", "--recovery-rounds", "1",
         "--mode-rounds", "1", "--mode-seconds", "1",
         "--set", "storage.segment_bytes=4MiB", "--set", "storage.spare_segments=1"],
        stdout=subprocess.PIPE, text=True, check=False, timeout=170)
    assert run.returncode == 0, f"exit code {run.returncode}"
    figures = json.loads(run.stdout)
    wanted = parts.split(",")
    assert sorted(figures["durable"]) == sorted(wanted), figures["durable"].keys()
    assert len(figures["bars"]) == sum(BARS[part] for part in wanted), figures["bars"]
    print(json.dumps(figures["bars"], indent=1))


if __name__ == "__main__":
    main()

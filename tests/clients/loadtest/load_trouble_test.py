"""`engram load` where something goes wrong: the daemon ends by itself, or is not the load's own.

Usage: load_trouble_test.py ENGRAM ENGRAMD
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ENGRAM, ENGRAMD = sys.argv[1:3]
LOAD = "name: small\nabout: a test\nload: {shape: [{for: %s, rate: 500}], spaces: 2, dimension: 16}\nrecalls: {rate: 20}\n"


def children_of(pid):
    """The processes that `pid` has started, each in the file of the thread that did."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += [int(word) for word in (task / "children").read_text().split()]
        except OSError:
            pass
    return found


def serving_child_of(pid):
    """The one that is told where to listen, and where; before it one is asked for its settings, and ends."""
    for child in children_of(pid):
        try:
            found = re.search(r"server\.address=(\S+?)\0", Path(f"/proc/{child}/cmdline").read_text())
        except OSError:
            continue
        if found:
            return child, found.group(1)
    return None


def bars_of(report):
    return {bar["name"]: bar["passed"] for bar in report["bars"]}


class Load(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.TemporaryDirectory()
        self.addCleanup(self.place.cleanup)

    def scenario(self, seconds="2s", more=""):
        path = Path(self.place.name) / "scenario.yaml"
        path.write_text(LOAD % seconds + more)
        return str(path)

    def daemon(self, *settings):
        words = [ENGRAMD, "--set", "server.address=127.0.0.1:0", "--set", "metrics.address=",
                 "--set", f"storage.directory={self.place.name}/data", "--set", "storage.segment_bytes=4MiB"]
        for setting in settings:
            words += ["--set", setting]
        daemon = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(daemon.stdout.close)
        self.addCleanup(daemon.wait, 20)
        self.addCleanup(daemon.terminate)
        return daemon, re.search(r"grpc=(\S+)", daemon.stdout.readline()).group(1)

    def engram(self, address, *words, **more):
        return subprocess.run([ENGRAM, "--address", address, *words], capture_output=True, text=True, timeout=60,
                              check=False, **more)

    def end(self, process):
        """At once, whatever has become of it."""
        process.kill()
        process.wait(20)
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()

    def eventually(self, found):
        until = time.monotonic() + 30
        while time.monotonic() < until:
            if value := found():
                return value
        return self.fail("waited for 30 s")

    def taken(self, address):
        status = self.engram(address, "status", "--output", "json")
        return json.loads(status.stdout)["observations_total"] if status.returncode == 0 else 0

    def spaces(self, address):
        return self.engram(address, "spaces", "--output", "json").stdout

    def test_a_daemon_that_ends_by_itself_is_a_missed_bar_and_what_it_had_is_still_asked_for(self):
        load = subprocess.Popen([ENGRAM, "load", "--scenario", self.scenario("20s"), "--engramd", ENGRAMD, "--output",
                                 "json"], cwd=self.place.name, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end, load)
        # It listens where its command line says, and has taken something.
        daemon, address = self.eventually(lambda: serving_child_of(load.pid))
        self.eventually(lambda: self.taken(address) > 0)
        os.kill(daemon, signal.SIGABRT)
        out, err = load.communicate(timeout=60)
        self.assertEqual(load.returncode, 1, err)
        report = json.loads(out)
        bars = bars_of(report)
        self.assertFalse(bars["daemon stayed up"])
        self.assertIn("ended by signal 6", report["daemon"]["death"])
        self.assertTrue(bars["asked what it has"])
        self.assertTrue(bars["acknowledged and lost"])

    def report_of(self, scenario, *words):
        done = subprocess.run([ENGRAM, "load", "--scenario", scenario, "--engramd", ENGRAMD, "--output", "json", *words],
                              capture_output=True, text=True, timeout=90, check=False, cwd=self.place.name)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return json.loads(done.stdout)

    def test_a_fault_that_comes_late_disturbs_until_it_is_over(self):
        # The daemon is away until 2.3 s, so what was to begin at 0.5 s and to end at 3 s ends at 4.8 s.
        report = self.report_of(self.scenario("5s", "daemon: {set: [num_workers=2]}\nevents:\n"
                                                    "  - {at: 300ms, kill: 2s}\n"
                                                    "  - {at: 500ms, fault: stall-workers, count: 2, for: 2500ms}\n"))
        self.assertLess(report["recovered_seconds"], 1.2)

    def test_the_report_says_where_its_figures_come_from(self):
        storage = Path(self.place.name) / "here"
        report = self.report_of(self.scenario("500ms"), "--storage-dir", str(storage), "--seed", "7", "--set",
                                "num_workers=3")
        self.assertEqual(report["config"]["storage"]["directory"], str(storage))
        self.assertEqual(list(storage.iterdir()), [], "the data goes with the daemon")
        self.assertEqual(report["config"]["arguments"], {"seed": 7, "short": False})
        self.assertEqual(report["config"]["settings"], ["num_workers=3"])
        self.assertEqual(report["config"]["workers"], 3)
        self.assertIn("storage", report["config"]["in_force"])
        for side in ("client", "daemon"):
            for key in ("machine", "cpu", "commit"):
                self.assertTrue(report["environment"][side][key])

    def test_data_that_lies_in_memory_is_named(self):
        if not os.access("/dev/shm", os.W_OK):
            self.skipTest("no file system in memory")
        with tempfile.TemporaryDirectory(dir="/dev/shm") as storage:
            self.assertTrue(self.report_of(self.scenario("300ms"), "--storage-dir", storage)["config"]["storage"]["in_memory"])
            done = subprocess.run([ENGRAM, "load", "--scenario", self.scenario("300ms"), "--engramd", ENGRAMD, "--storage-dir",
                                   storage], capture_output=True, text=True, timeout=60, check=False)
            self.assertIn("its data in " + storage, done.stdout)
            self.assertIn("kept in memory: these are not figures of a disk", done.stdout)

    def test_a_daemon_that_runs_is_given_back_as_it_was(self):
        unused, address = self.daemon("admin.fault_injection=true")
        scenario = self.scenario("1s", "daemon: {profile: low_latency, set: [num_workers=3]}\n"
                                       "events: [{at: 300ms, fault: shift-clock, shift: 24h}]\n"
                                       "pass: {verify_after_kill: true}\n")
        done = self.engram(address, "load", "--running", "--scenario", scenario, "--output", "json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stderr, "not applied: num_workers=3, profile low_latency")
        self.assertIn("not killed before it is asked", done.stderr)
        self.assertEqual(self.spaces(address), "")
        self.assertEqual(self.engram(address, "observe", "s", input='{"id": "a", "embedding": [1, 2]}').returncode, 0)
        shown = self.engram(address, "get", "s", "a", "--output", "json")
        self.assertEqual(shown.returncode, 0, shown.stderr)
        observed = json.loads(shown.stdout)["observed_at"]
        self.assertEqual(observed[:10], time.strftime("%Y-%m-%d", time.gmtime()), "the clock is still off")

    def test_an_interrupted_load_takes_its_spaces_along(self):
        unused, address = self.daemon()
        load = subprocess.Popen([ENGRAM, "--address", address, "load", "--running", "--scenario", self.scenario("60s")],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.end, load)
        self.eventually(lambda: self.taken(address) > 0)
        load.send_signal(signal.SIGINT)
        self.assertEqual(load.wait(30), 130)
        self.assertEqual(self.spaces(address), "")

    def test_what_cannot_be_done_to_a_daemon_that_runs_is_refused_beforehand(self):
        unused, address = self.daemon()
        killed = self.engram(address, "load", "--running", "--scenario", self.scenario(more="events: [{at: 1s, kill: 1s}]"))
        self.assertEqual(killed.returncode, 65)
        self.assertIn("kill at 1 s", killed.stderr)
        self.assertEqual(self.engram(address, "load", "--running", "--set", "num_workers=2", "--scenario",
                                     self.scenario()).returncode, 2)
        # It does not let itself be broken.
        fault = self.engram(address, "load", "--running", "--scenario",
                            self.scenario(more="events: [{at: 1s, fault: full-disk}]"))
        self.assertEqual(fault.returncode, 77, fault.stderr)
        self.assertEqual(self.spaces(address), "")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])

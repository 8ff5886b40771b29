"""`engram recall` against a real engramd: cli_recall_test.py ENGRAMD ENGRAM [unittest arguments]."""

import json
import os
import signal
import subprocess
import sys
import time
import unittest

from daemon_process import Daemon

ENGRAMD = ENGRAM = ""


def lines(*records):
    return "".join(json.dumps(one) + "\n" for one in records)


class CliRecallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(ENGRAMD)
        cls.addClassCleanup(cls.daemon.close)

    def setUp(self):
        self.space = self.id().rsplit(".", 1)[1].lower()

    def run_engram(self, *arguments, stdin=""):
        done = subprocess.run([ENGRAM, *arguments], input=stdin, capture_output=True, text=True, timeout=60,
                              env={**os.environ, "ENGRAM_ADDRESS": self.daemon.address})
        self.assertEqual(done.returncode, 0, f"engram {' '.join(arguments)}\n{done.stdout}\n{done.stderr}")
        return done

    def json(self, *arguments):
        return [json.loads(line) for line in self.run_engram(*arguments, "--output", "json").stdout.splitlines()]

    def test_hits_are_filtered_and_weighted_by_age(self):
        day = 24 * 3600
        now = time.time()
        self.run_engram("observe", self.space, stdin=lines(
            {"id": "old", "embedding": [1, 0], "observed_at": int((now - day) * 1e6), "tags": {"k": "a"}},
            {"id": "new", "embedding": [1, 0.2], "observed_at": int(now * 1e6), "tags": {"k": "a"}},
            {"id": "other", "embedding": [1, 0.1], "observed_at": int(now * 1e6), "tags": {"k": "b"}}))
        ids = lambda *how: [hit["id"] for hit in self.json("recall", self.space, "--vector", "[1, 0]", *how)[0]["hits"]]
        self.assertEqual(ids(), ["old", "other", "new"])
        self.assertEqual(ids("--half-life", "1h"), ["other", "new", "old"])
        self.assertEqual(ids("--half-life", "1h", "--tag", "k=a"), ["new", "old"])
        self.assertEqual(ids("--from", "-2h"), ["other", "new"])

    def test_what_is_damaged_is_told_and_left_out(self):
        self.run_engram("observe", self.space, "--batch", "1", stdin=lines(
            {"id": "whole", "embedding": [1, 0], "content": "a whole text"},
            {"id": "broken", "embedding": [1, 0.1], "content": "a text to be damaged"}))
        self.daemon.damage("a text to be damaged")
        how = ["recall", self.space, "--vector", "[1, 0]", "--content"]
        answer = self.json(*how)[0]
        self.assertEqual([hit["id"] for hit in answer["hits"]], ["whole"])
        self.assertEqual(answer["coverage"]["unreadable"], 1)
        self.assertIn("1 damaged and left out", self.run_engram(*how).stdout)
        got = subprocess.run([ENGRAM, "--address", self.daemon.address, "get", self.space, "whole", "broken"],
                             capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(got.returncode, 1, got.stderr)
        self.assertIn("whole", got.stdout)
        self.assertIn('"broken" is damaged in the journal', got.stderr)

    def test_a_recall_follows_over_a_restart_of_the_daemon(self):
        daemon = Daemon(ENGRAMD)
        self.addCleanup(daemon.close)
        environment = {**os.environ, "ENGRAM_ADDRESS": daemon.address}
        observe = lambda at, name: subprocess.run([ENGRAM, "--address", at, "observe", self.space], text=True, check=True,
                                                  input=lines({"id": name, "embedding": [1, 0]}), capture_output=True)
        observe(daemon.address, "old")
        follower = subprocess.Popen([ENGRAM, "recall", self.space, "--vector", "[1, 0]", "--follow", "--output", "json"],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        self.addCleanup(follower.kill)
        read = lambda: json.loads(follower.stdout.readline())["id"]
        self.assertEqual(read(), "old")
        observe(daemon.address, "new")
        self.assertEqual(read(), "new")
        daemon.kill()
        daemon.restart()
        observe(daemon.address, "later")
        self.assertEqual(read(), "later")
        follower.send_signal(signal.SIGINT)
        rest, warnings = follower.communicate(timeout=30)
        self.assertEqual((rest, warnings, follower.returncode), ("", "", 130))

    def test_a_follower_by_id_outlives_daemon_and_observation(self):
        daemon = Daemon(ENGRAMD)
        self.addCleanup(daemon.close)
        engram = lambda *arguments, **how: subprocess.run([ENGRAM, "--address", daemon.address, *arguments], text=True,
                                                          check=True, capture_output=True, **how)
        observe = lambda name, vector: engram("observe", self.space, input=lines({"id": name, "embedding": vector}))
        observe("cue", [1, 0])
        observe("old", [1, 0.1])
        follower = subprocess.Popen([ENGRAM, "--address", daemon.address, "recall", self.space, "--id", "cue", "--follow",
                                     "--min-similarity", "0.9", "--output", "json"],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(follower.kill)
        read = lambda: json.loads(follower.stdout.readline() or '{"id": null}')["id"]
        self.assertEqual(read(), "old")
        observe("cue", [0, 1])  # Not a hit, and not another cue.
        observe("new", [1, 0.2])
        self.assertEqual(read(), "new")
        engram("forget", self.space, "cue", "--yes")
        daemon.kill()
        daemon.restart()
        observe("far", [0, 1])
        observe("later", [1, 0.1])
        self.assertEqual(read(), "later")
        follower.send_signal(signal.SIGINT)
        rest, warnings = follower.communicate(timeout=30)
        self.assertEqual((rest, warnings, follower.returncode), ("", "", 130))

    def test_what_nobody_reads_any_more_ends(self):
        self.run_engram("observe", self.space, stdin=lines({"id": "old", "embedding": [1, 0]}))
        follow = ["recall", self.space, "--vector", "[1, 0]", "--follow"]
        environment = {**os.environ, "ENGRAM_ADDRESS": self.daemon.address}
        for command in (follow, ["status", "--watch", "--interval", "50ms"]):
            running = subprocess.Popen([ENGRAM, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                       env=environment)
            self.addCleanup(running.kill)
            self.assertTrue(running.stdout.readline())
            running.stdout.close()
            # No other hit is needed for it.
            self.assertEqual(running.wait(20), 0)
            with running.stderr as told:
                self.assertEqual(told.read(), "")
            with open("/dev/full", "w") as full:
                done = subprocess.run([ENGRAM, *command], stdout=full, stderr=subprocess.PIPE, text=True, timeout=20,
                                      env=environment, check=False)
            self.assertEqual(done.returncode, 74, done.stderr)
            self.assertIn("cannot write to standard output", done.stderr)


if __name__ == "__main__":
    ENGRAMD, ENGRAM = sys.argv.pop(1), os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)

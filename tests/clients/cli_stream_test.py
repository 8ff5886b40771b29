"""Streams of `engram observe` that something comes between: cli_stream_test.py ENGRAMD ENGRAM [unittest arguments]."""

import json
import os
import subprocess
import sys
import unittest

from daemon_process import Daemon

ENGRAMD = ENGRAM = ""


def lines(*records):
    return "".join(json.dumps(one) + "\n" for one in records)


def notes(first, end):
    return lines(*({"id": f"n{i}", "embedding": [float(i), 1.0]} for i in range(first, end)))


class CliStreamTest(unittest.TestCase):
    def daemon(self, *settings, **configuration):
        daemon = Daemon(ENGRAMD, *settings, **configuration)
        self.addCleanup(daemon.close)
        return daemon

    def engram(self, daemon, *arguments, code=0, stdin=""):
        done = subprocess.run([ENGRAM, *arguments, "--address", daemon.address], input=stdin, capture_output=True, text=True,
                              timeout=60)
        self.assertEqual(done.returncode, code, f"engram {' '.join(arguments)}\n{done.stdout}\n{done.stderr}")
        return done

    def test_a_lower_limit_on_batches_makes_them_smaller(self):
        daemon = self.daemon()
        observe = subprocess.Popen([ENGRAM, "observe", "notes", "--address", daemon.address, "--give-up-after", "5s"],
                                   text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with observe:
            observe.stdin.write(notes(0, 1))
            observe.stdin.flush()
            while subprocess.run([ENGRAM, "get", "notes", "n0", "--address", daemon.address],
                                 capture_output=True).returncode != 0:
                pass
            daemon.reconfigure("limits:\n  max_batch_observations: 10\n")
            observe.stdin.write(notes(1, 3000))
            observe.stdin.close()
            shown, told = observe.stdout.read(), observe.stderr.read()
        self.assertEqual(observe.returncode, 0, told)
        self.assertRegex(shown, r"^3,000 accepted, 0 refused ")
        self.assertEqual(len(told.splitlines()), 1, told)
        self.assertIn("waiting to send again: batch has ", told)

    # --- Resuming ---

    def resume(self, daemon, stdin, code=0):
        """The summary, and what was told on standard error."""
        done = self.engram(daemon, "observe", "notes", "--stream-id", "load", "--resume", "--output", "json", stdin=stdin,
                           code=code)
        return json.loads(done.stdout), done.stderr

    def test_sequences_are_the_inputs_whatever_a_message_may_hold(self):
        small, large = "server:\n  max_message_bytes: 64KiB\n", ""
        big = lines({"id": "big", "embedding": [1, 1], "content": "x" * 70000})
        text = notes(0, 1) + big + notes(1, 3)
        for before, after in ((small, large), (large, small)):
            daemon = self.daemon("limits.max_content_bytes=32KiB", "limits.max_dimension=16", configuration=before)
            summary, told = self.resume(daemon, text, code=65 if before == small else 1)
            self.assertEqual((summary["accepted"], summary["refused"], summary["next_sequence"]), (3, 1, 5))
            self.assertIn('line 2 ("big"): ' + ("the observation has 70" if before == small else "content has 70000"), told)
            daemon.kill()
            daemon.restart(after)
            summary, told = self.resume(daemon, text + notes(3, 5))
            self.assertEqual((summary["skipped"], summary["accepted"], summary["next_sequence"]), (4, 2, 7))
            self.engram(daemon, "get", "notes", *(f"n{i}" for i in range(5)))

    def test_a_line_too_large_stops_a_strict_run(self):
        daemon = self.daemon("server.max_message_bytes=64KiB", "limits.max_content_bytes=32KiB", "limits.max_dimension=16")
        text = notes(0, 1) + lines({"id": "big", "embedding": [1, 1], "content": "x" * 70000}) + notes(1, 2)
        done = self.engram(daemon, "observe", "notes", "--strict", stdin=text, code=65)
        self.assertIn("stopped at line 2: --strict", done.stderr)
        self.assertRegex(done.stdout, "^1 accepted, 1 refused .* next sequence 2\n")

    def test_refusals_of_an_earlier_run_are_told_apart(self):
        daemon = self.daemon()
        wrong = [{"id": f"w{i}", "embedding": [1, 2, 3]} for i in range(22)]
        first, second = notes(0, 1) + lines(*wrong), notes(1, 3)
        self.assertEqual(self.resume(daemon, first, code=1)[0]["refused"], 22)
        summary, told = self.resume(daemon, first + second)
        self.assertEqual((summary["accepted"], summary["refused"], summary["refusals"]), (2, 0, []))
        self.assertEqual((summary["refused_earlier"], len(summary["refusals_earlier"])), (22, 20))
        self.assertEqual(summary["refusals_earlier"][0]["sequence"], 2)
        self.assertRegex(told, r"(?m)^sequence 2, in an earlier run: .*3.*2")
        self.assertIn("2 more refused in an earlier run", told)
        self.assertNotIn("line 0", told)
        done = self.engram(daemon, "observe", "notes", "--stream-id", "load", "--resume", stdin=first + second + lines(wrong[0]),
                           code=1)
        self.assertRegex(done.stdout, "^0 accepted, 1 refused in .*\n25 skipped: taken before\n22 refused in an earlier run\n$")

    def test_the_rest_of_an_input_alone_is_not_resumed_in_silence(self):
        daemon = self.daemon()
        self.resume(daemon, notes(0, 10))
        summary, told = self.resume(daemon, notes(10, 15), code=65)
        self.assertEqual((summary["skipped"], summary["accepted"]), (5, 0))
        self.assertIn("the input ended within what was taken before: 5 good lines, and sequence 11 is next", told)
        self.assertEqual(self.resume(daemon, notes(0, 15))[0]["accepted"], 5)
        self.assertEqual(self.resume(daemon, notes(0, 15))[0]["skipped"], 15)


if __name__ == "__main__":
    ENGRAMD, ENGRAM = sys.argv.pop(1), os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)

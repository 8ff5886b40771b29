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
    def daemon(self, *settings):
        daemon = Daemon(ENGRAMD, *settings)
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


if __name__ == "__main__":
    ENGRAMD, ENGRAM = sys.argv.pop(1), os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)

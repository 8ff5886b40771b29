"""The real `engram` against a real engramd: cli_end_to_end_test.py ENGRAMD ENGRAM [unittest arguments]."""

import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

from daemon_process import Daemon

ENGRAMD = ENGRAM = ""


def npy(rows, descr="<f4"):
    """The bytes of a .npy file."""
    letter = {"<f4": "f", "<f2": "e"}[descr]
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({len(rows)}, {len(rows[0])}), }}\n".encode()
    data = b"".join(struct.pack(f"<{len(row)}{letter}", *row) for row in rows)
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def lines(*records):
    return "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in records)


def notes(count, dimension=2):
    return lines(*({"id": f"n{i}", "embedding": [float(i)] + [1.0] * (dimension - 1), "content": f"text {i}",
                    "tags": {"even": str(i % 2 == 0).lower()}} for i in range(count)))


class CliEndToEndTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(ENGRAMD)
        cls.addClassCleanup(cls.daemon.close)

    def setUp(self):
        self.space = self.id().rsplit(".", 1)[1].lower()
        self.folder = tempfile.mkdtemp(prefix="engram-cli-")
        self.addCleanup(shutil.rmtree, self.folder)

    def file(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as out:
            out.write(content.encode() if isinstance(content, str) else content)
        return path

    def environment(self):
        return {**os.environ, "ENGRAM_ADDRESS": self.daemon.address, "TERM": "xterm", "NO_COLOR": ""}

    def run_engram(self, *arguments, code=0, stdin=""):
        done = subprocess.run([ENGRAM, *arguments], input=stdin, capture_output=True, text=True, timeout=60,
                              env=self.environment())
        self.assertEqual(done.returncode, code, f"engram {' '.join(arguments)}\n{done.stdout}\n{done.stderr}")
        self.assertNotIn("\x1b", done.stdout + done.stderr, "no control sequences where no terminal is")
        return done

    def json(self, *arguments, **more):
        return [json.loads(line) for line in self.run_engram(*arguments, "--output", "json", **more).stdout.splitlines()]

    def run_on_terminal(self, *arguments, keys=None, until=None, columns=60):
        """Runs on a pseudo-terminal; sends `keys` when `until` has been seen. Gives the exit code and what was shown."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(ENGRAM, [ENGRAM, *arguments], self.environment())
        import fcntl
        import termios
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        shown, sent, deadline = b"", keys is None, time.monotonic() + 30
        while True:
            ready, _, _ = select.select([terminal], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                self.fail(f"engram {arguments} did not end: {shown!r}")
            try:
                some = os.read(terminal, 65536)
            except OSError:  # the terminal has no other end any more
                some = b""
            if not some:
                break
            shown += some
            if not sent and until in shown:
                sent = True
                os.write(terminal, keys)
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status), shown.decode(errors="replace")

    # --- In, out, gone ---

    def test_observed_recalled_got_forgotten(self):
        summary, = self.json("observe", self.space, self.file("notes.jsonl", notes(1000)))
        self.assertEqual((summary["accepted"], summary["refused"], summary["next_sequence"]), (1000, 0, 1001))
        self.assertEqual(summary["durability"], "fsync")

        answer, = self.json("recall", self.space, "--vector", "[7, 1]", "-k", "3", "--content")
        self.assertEqual(answer["hits"][0]["id"], "n7")
        self.assertEqual(answer["hits"][0]["content"], "text 7")
        self.assertNotIn("tags", answer["hits"][0])
        self.assertEqual(answer["coverage"]["live"], 1000)
        self.assertEqual(answer["cue"], {"row": 1})
        even, = self.json("recall", self.space, "--id", "n8", "--tags", "--not-tag", "even=false", "-k", "4")
        self.assertEqual({hit["tags"]["even"] for hit in even["hits"]}, {"true"})
        self.assertEqual(even["cue"], {"id": "n8"})
        many = self.json("recall", self.space, "-", "-k", "1", stdin="[3, 1]\n[5, 1]\n")
        self.assertEqual([one["hits"][0]["id"] for one in many], ["n3", "n5"])
        table = self.run_engram("recall", self.space, "--vector", "[7, 1]", "-k", "2").stdout.splitlines()
        self.assertRegex(table[0], r"^#\s+score\s+id\s+tags\s+text$")
        self.assertRegex(table[1], r"^1\s+1\.0000\s+n7\s+even=false\s+text 7$")
        self.assertRegex(table[3], r"^2 of 1,000 observations, exact, .*seen through")

        got, = self.json("get", self.space, "n7", "--embedding")
        self.assertEqual((got["embedding"], got["content"], got["tags"]), ([7, 1], "text 7", {"even": "false"}))
        missing = self.run_engram("get", self.space, "n7", "zz", code=1)
        self.assertIn("n7\n", missing.stdout)
        self.assertIn(f'"zz" is not in space "{self.space}"', missing.stderr)

        self.assertEqual(self.json("forget", self.space, "n7", "n8"), [{"forgotten": 2, "missing": []}])
        self.assertEqual(self.json("forget", self.space, "n7", code=1), [{"forgotten": 0, "missing": ["n7"]}])
        self.assertEqual(self.json("forget", self.space, "--tag", "even=true", "--dry-run"), [{"would_forget": 499, "missing": []}])
        refused = self.run_engram("forget", self.space, "--tag", "even=true", code=2)
        self.assertIn("nothing forgotten; 499 would be. Say so with --yes.", refused.stderr)
        self.assertEqual(self.json("forget", self.space, "--tag", "even=true", "--yes")[0]["forgotten"], 499)
        self.assertEqual(self.json("spaces", "show", self.space)[0]["live"], 499)

    def test_what_get_prints_observe_reads(self):
        self.run_engram("observe", self.space, stdin=lines(
            {"id": "a", "embedding": [0.1, -2.5], "content": "gr\u00fc\u00df \"x\"\n", "tags": {"k": "v"},
             "observed_at": "2026-03-01T12:00:00.000001Z", "confidence": 0.25, "ttl": "36500d"}))
        printed = self.run_engram("get", self.space, "a", "--embedding", "--output", "json").stdout
        self.run_engram("observe", self.space + ".copy", stdin=printed)
        self.assertEqual(self.run_engram("get", self.space + ".copy", "a", "--embedding", "--output", "json").stdout, printed)

    def test_matrices(self):
        rows = [[float(i), 1.0, 2.0] for i in range(300)]
        vectors = self.file("vectors.npy", npy(rows))
        texts = self.file("texts.txt", "".join(f"text {i}\n" for i in range(300)))
        self.assertEqual(self.json("observe", self.space, "--npy", vectors, "--text", texts)[0]["accepted"], 300)
        answers = self.json("recall", self.space, "--npy", vectors, "--row", "17", "-k", "1", "--content")
        self.assertEqual([answer["hits"][0]["content"] for answer in answers], ["text 17"])

        halves = self.file("halves.npy", npy(rows[:20], "<f2"))
        records = self.file("records.jsonl", lines(*({"id": f"h{i}", "tags": {"half": "yes"}} for i in range(20))))
        self.run_engram("observe", self.space + ".half", "--npy", halves, "--jsonl", records)
        self.assertEqual(self.json("get", self.space + ".half", "h9", "--embedding")[0]["embedding"], [9, 1, 2])

        short = self.file("short.txt", "one\ntwo\n")
        done = self.run_engram("observe", self.space, "--npy", vectors, "--text", short, code=65)
        self.assertIn("ends after 2 lines; ", done.stderr)
        self.assertIn("2 accepted", done.stdout)
        broken = self.file("broken.npy", npy(rows)[:-1])
        self.assertIn("needs 3600 bytes after the header; there are 3599",
                      self.run_engram("observe", self.space, "--npy", broken, code=65).stderr)
        self.run_engram("observe", self.space, "--npy", os.path.join(self.folder, "absent.npy"), code=66)
        self.run_engram("observe", self.space, os.path.join(self.folder, "absent.jsonl"), code=66)

    def test_matrices_from_standard_input(self):
        matrix = npy([[float(i), 1.0, 2.0] for i in range(200)])
        vectors = self.file("vectors.npy", matrix)

        def run(*arguments, **stdin):
            return subprocess.run([ENGRAM, *arguments], capture_output=True, timeout=60, env=self.environment(), **stdin)

        done = run("observe", self.space, "--npy", "-", input=matrix)
        self.assertRegex(done.stdout, b"^200 accepted, 0 refused ", done.stderr)
        with open(vectors, "rb") as redirected:
            done = run("observe", self.space, "--npy", "-", stdin=redirected)
        self.assertRegex(done.stdout, b"^200 accepted, 0 refused ", done.stderr)
        done = run("recall", self.space, "--npy", "-", "--row", "7", "-k", "1", "--output", "json", input=matrix)
        self.assertEqual(json.loads(done.stdout)["cue"], {"row": 8}, done.stderr)
        for broken, told in ((matrix[:-1], b"standard input: the shape"), (b"", b"standard input is empty")):
            done = run("observe", self.space, "--npy", "-", input=broken)
            self.assertEqual(done.returncode, 65)
            self.assertIn(told, done.stderr)
        self.run_engram("observe", self.space, "--npy", "-", "--text", "-", code=2)

    def test_spaces_are_made_listed_changed_and_deleted(self):
        made, = self.json("spaces", "create", self.space, "--dimension", "3", "--metric", "l2", "--max-rate", "9")
        self.assertEqual((made["dimension"], made["metric"], made["max_rate"]), (3, "l2", 9))
        self.run_engram("spaces", "create", self.space, "--dimension", "4", code=1)
        self.assertEqual(self.json("spaces", "update", self.space, "--ef-search", "77")[0]["ef_search"], 77)
        self.assertIn(self.space, self.run_engram("spaces").stdout)
        self.assertEqual(self.run_engram("spaces", "list", "--names", "--prefix", self.space).stdout, self.space + "\n")
        self.assertIn("Say so with --yes", self.run_engram("spaces", "delete", self.space, code=2).stderr)
        self.assertEqual(self.json("spaces", "delete", self.space, "--yes"), [{"deleted": self.space, "forgotten": 0}])
        self.assertEqual(self.json("spaces", "list", "--prefix", self.space), [])

    def test_status(self):
        status, = self.json("status")
        self.assertEqual(status["grpc_address"], self.daemon.address)
        self.assertGreater(status["queue"]["capacity"], 0)
        self.assertTrue(status["lanes"])
        text = self.run_engram("status").stdout
        self.assertRegex(text, r"(?m)^queue +\[\.*\] 0 of [\d,]+, pressure normal$")
        self.assertRegex(text, r"(?m)^build +[0-9a-f]{7,}.*, \w+ \d")
        self.assertRegex(text, rf"(?m)^machine +{re.escape(socket.gethostname())}, .*\d cores?, ")

    def test_without_data_on_disk_there_is_no_snapshot_and_no_checkpoint(self):
        with Daemon(ENGRAMD, "durability.mode=memory") as daemon:
            at = ["--address", daemon.address]
            refused = self.run_engram("snapshot", os.path.join(self.folder, "copy"), *at, code=1)
            self.assertIn("there is nothing to make a snapshot of: the durability is MEMORY", refused.stderr)
            self.assertIn("nothing to checkpoint", self.run_engram("checkpoint", *at, code=1).stderr)

    def test_a_snapshot_is_verified_restored_and_served(self):
        self.run_engram("observe", self.space, stdin=notes(30))
        self.run_engram("checkpoint")
        copy, restored = os.path.join(self.folder, "copy"), os.path.join(self.folder, "restored")
        self.run_engram("snapshot", copy)
        self.run_engram("observe", self.space, stdin=lines({"id": "later", "embedding": [1, 1]}))
        self.run_engram("verify", copy)
        self.run_engram("restore", copy, restored)
        dumped = self.run_engram("journal", "dump", restored, "--space", self.space)
        self.assertIn(self.space, dumped.stdout)
        with Daemon(ENGRAMD, "storage.directory=" + restored) as daemon:
            at = ["--address", daemon.address]
            self.assertIn("text 7", self.run_engram("get", self.space, "n7", *at).stdout)
            self.assertIn("later", self.run_engram("get", self.space, "later", *at, code=1).stderr)
            self.run_engram("observe", self.space, *at, stdin=lines({"id": "own", "embedding": [1, 1]}))
        self.run_engram("verify", restored)
        self.run_engram("verify", copy)

    def test_watching_status_ends_on_ctrl_c(self):
        watch = subprocess.Popen([ENGRAM, "status", "--watch", "--interval", "50ms"], stdout=subprocess.PIPE, text=True,
                                 env=self.environment())
        with watch:
            seen = 0
            for line in watch.stdout:
                seen += line.startswith("engramd ")
                if line.startswith("rates "):
                    break
            watch.send_signal(signal.SIGINT)
            watch.stdout.read()
        self.assertEqual(watch.returncode, 0)
        self.assertGreaterEqual(seen, 2, "blocks are repeated where no terminal is")
        code, shown = self.run_on_terminal("status", "--watch", "--interval", "50ms", keys=b"\x03", until=b"rates")
        self.assertEqual(code, 0)
        self.assertIn("\x1b[H", shown, "redrawn in place on a terminal")

    # --- What goes wrong ---

    def test_bad_lines_are_named_and_the_rest_goes_on(self):
        stream = lines({"id": "a", "embedding": [1, 2]}, '{"id": "b", "embedding": [1,', {"id": "c", "embedding": [1, 2, 3]}, "",
                       {"id": "d", "embedding": [2, 1]}, {"id": "e", "embeding": [2, 1]})
        done = self.run_engram("observe", self.space, code=65, stdin=stream)
        self.assertRegex(done.stderr, r'(?m)^line 2 \("b"\): column 28: ')
        self.assertRegex(done.stderr, r'(?m)^line 3 \("c"\): .*3.*2')
        self.assertRegex(done.stderr, r'(?m)^line 6 \("e"\): column \d+: "embeding" is not a field')
        self.assertRegex(done.stdout, r"^2 accepted, 3 refused in .*, next sequence 4\n$")
        strict = self.run_engram("observe", self.space, "--strict", code=65, stdin=stream)
        self.assertIn("stopped at line 2: --strict", strict.stderr)

    def test_only_the_first_refusals_are_listed(self):
        done = self.run_engram("observe", self.space, code=65, stdin="x\n" * 50)
        self.assertEqual(len(re.findall(r"(?m)^line ", done.stderr)), 20)
        self.assertIn("30 more refused", done.stderr)

    def test_what_only_the_daemon_refuses_is_no_malformed_input(self):
        stream = lines({"id": "a", "embedding": [1, 2]}, {"id": "b", "embedding": [1, 2, 3]})
        done = self.run_engram("observe", self.space, code=1, stdin=stream)
        self.assertRegex(done.stdout, "^1 accepted, 1 refused ")

    def test_output_that_cannot_be_written_is_a_failure(self):
        self.run_engram("observe", self.space, stdin=notes(1))
        for arguments in (["recall", self.space, "--id", "n0", "--output", "json"], ["completion", "bash"], ["--help"]):
            with open("/dev/full", "w") as full:
                done = subprocess.run([ENGRAM, *arguments], stdout=full, stderr=subprocess.PIPE, text=True,
                                      env=self.environment())
            self.assertEqual(done.returncode, 74, done.stderr)
            self.assertIn("cannot write to standard output", done.stderr)
        gone, end = os.pipe()
        os.close(gone)
        done = subprocess.run([ENGRAM, "completion", "bash"], stdout=end, stderr=subprocess.PIPE, text=True)
        os.close(end)
        self.assertEqual((done.returncode, done.stderr), (0, ""), "a reader that went away is no failure")

    def test_a_wrong_dimension_names_both_and_the_space(self):
        self.run_engram("observe", self.space, stdin=lines({"embedding": [1, 2]}))
        done = self.run_engram("recall", self.space, "--vector", "[1,2,3]", code=65)
        self.assertIn(f'space "{self.space}" holds embeddings of 2 elements; this one has 3', done.stderr)
        vectors = self.file("vectors.npy", npy([[1.0, 2.0, 3.0]]))
        done = self.run_engram("observe", self.space, "--npy", vectors, code=65)
        self.assertIn(f'space "{self.space}" holds embeddings of 2 elements; those of {vectors} have 3', done.stderr)

    def test_an_unknown_space_is_met_with_names_like_it(self):
        self.run_engram("spaces", "create", self.space)
        done = self.run_engram("recall", self.space[:-2] + self.space[-1] + self.space[-2], "--id", "a", code=1)
        self.assertIn(f"Did you mean {self.space}?", done.stderr)
        self.run_engram("recall", self.space, "--id", "absent", code=1)

    def test_no_daemon(self):
        for arguments in (["status"], ["observe", "notes"], ["spaces", "--output", "json"]):
            done = self.run_engram(*arguments, "--address", "127.0.0.1:1", code=69)
            self.assertEqual(done.stderr, "engram: cannot reach engramd at 127.0.0.1:1: connection refused. Start it with "
                                          "`engramd` or name another with --address.\n")
        done = self.run_engram("status", "--address", "unix:" + os.path.join(self.folder, "absent.sock"), code=69)
        self.assertIn("no such file or directory", done.stderr)
        self.assertIn("is not an address", self.run_engram("status", "--address", "localhost", code=2).stderr)

    def test_a_daemon_that_listens_a_moment_later_is_found(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            address = "127.0.0.1:%d" % taken.getsockname()[1]
        status = subprocess.Popen([ENGRAM, "status", "--address", address], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        with status, Daemon(ENGRAMD, "server.address=" + address):
            self.assertIn("engramd", status.stdout.read(), status.stderr.read())
        self.assertEqual(status.returncode, 0)

    def test_usage_errors(self):
        for arguments in ([], ["recall"], ["recall", "a"], ["obsreve"], ["status", "--interval", "soon"], ["get", "a"]):
            self.assertTrue(self.run_engram(*arguments, code=2).stderr)
        self.assertIn("--vector: line 1, column 2", self.run_engram("recall", self.space, "--vector", "[x]", code=65).stderr)

    # --- Streams ---

    def test_what_finds_no_room_is_sent_again(self):
        self.run_engram("spaces", "create", self.space, "--max-rate", "2000")
        summary, = self.json("observe", self.space, "--batch", "64", stdin=notes(4000))
        self.assertEqual((summary["accepted"], summary["refused"]), (4000, 0))
        self.assertGreater(summary["resent"], 0)
        self.assertEqual(self.json("spaces", "show", self.space)[0]["live"], 4000)

    def test_a_full_quota_is_told_once_and_given_up_on(self):
        self.run_engram("spaces", "create", self.space, "--quota-observations", "10")
        done = self.run_engram("observe", self.space, "--give-up-after", "500ms", "--stream-id", "load", "--batch", "5",
                               stdin=notes(30), code=75)
        self.assertEqual(len(re.findall(r"(?m)^engram: waiting to send again: .*quota", done.stderr)), 1, done.stderr)
        self.assertRegex(done.stderr, r"(?m)^engram: gave up: the daemon took nothing for 500ms: .*quota")
        self.assertIn("stopped before sequence 11; go on with the same input and --stream-id load --resume", done.stderr)
        self.assertRegex(done.stdout, "^10 accepted, 0 refused ")

    def test_a_named_stream_is_resumed(self):
        first = self.file("first.jsonl", notes(10))
        both = self.file("both.jsonl", notes(25))
        self.run_engram("observe", self.space, first, "--stream-id", "load")
        again = self.run_engram("observe", self.space, both, "--stream-id", "load", code=1)
        self.assertIn("--resume goes on where it stopped", again.stderr)
        summary, = self.json("observe", self.space, both, "--stream-id", "load", "--resume")
        self.assertEqual((summary["skipped"], summary["accepted"], summary["next_sequence"]), (10, 15, 26))
        self.assertEqual(self.json("spaces", "show", self.space)[0]["live"], 25)

    def test_ctrl_c_ends_a_stream_cleanly_and_says_how_to_go_on(self):
        observe = subprocess.Popen([ENGRAM, "observe", self.space, "--stream-id", "load", "--output", "json"], text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=self.environment())
        with observe:
            observe.stdin.write(notes(100))
            observe.stdin.flush()
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                shown = subprocess.run([ENGRAM, "spaces", "show", self.space, "--output", "json"], capture_output=True,
                                       text=True, env=self.environment()).stdout
                if shown and json.loads(shown)["live"] == 100:
                    break
            observe.send_signal(signal.SIGINT)
            summary, told = json.loads(observe.stdout.read()), observe.stderr.read()
        self.assertEqual(observe.returncode, 130)
        self.assertEqual((summary["accepted"], summary["next_sequence"], summary["interrupted"]), (100, 101, True))
        self.assertIn("--stream-id load --resume", told)

    def test_a_daemon_that_dies_is_told_and_how_to_go_on(self):
        with Daemon(ENGRAMD) as daemon:
            observe = subprocess.Popen([ENGRAM, "observe", self.space, "--address", daemon.address], text=True,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            with observe:
                observe.stdin.write(notes(1))
                observe.stdin.flush()
                while not subprocess.run([ENGRAM, "get", self.space, "n0", "--address", daemon.address],
                                         capture_output=True).returncode == 0:
                    pass
                daemon.kill()
                told = observe.stderr.read()
            self.assertEqual(observe.returncode, 69)
            self.assertIn("cannot reach engramd at", told)
            # Recallable, and its acknowledgement may still have been on the way.
            self.assertRegex(told, "stopped before sequence [12]")

    # --- Terminals ---

    def test_progress_is_drawn_on_a_terminal_only(self):
        path = self.file("notes.jsonl", notes(3000, dimension=64))
        quiet = self.run_engram("observe", self.space, path)
        self.assertEqual(quiet.stderr, "")
        self.run_engram("spaces", "create", self.space + ".slow", "--max-rate", "1000")
        code, shown = self.run_on_terminal("observe", self.space + ".slow", path)
        self.assertEqual(code, 0, shown)
        drawn = [line for line in re.split(r"[\r\n]", shown) if "observed" in line]
        self.assertTrue(drawn, shown)
        self.assertRegex(drawn[-1], r"^\[#*\.*\] +\d+ %  [\d,]+ observed")
        for line in drawn:
            self.assertLess(len(line.replace("\x1b[K", "")), 60, "never wider than the terminal")

    def test_colour_is_for_terminals_that_want_it(self):
        self.run_engram("spaces", "create", self.space)
        self.assertIn("\x1b[1m", self.run_on_terminal("spaces")[1])
        self.assertNotIn("\x1b[1m", self.run_on_terminal("spaces", "--no-color")[1])

    def test_stored_text_cannot_steer_the_terminal(self):
        self.run_engram("observe", self.space, stdin=lines({"id": "a", "embedding": [1], "content": "\x1b]0;owned\x07\x1b[2J"}))
        for command in (["recall", self.space, "--vector", "[1]"], ["get", self.space, "a"]):
            code, shown = self.run_on_terminal(*command, "--no-color")
            self.assertEqual(code, 0)
            self.assertIn("owned", shown)
            self.assertNotIn("\x1b", shown)

    def test_a_terminal_is_asked_before_much_is_forgotten(self):
        self.run_engram("observe", self.space, stdin=notes(4))
        code, shown = self.run_on_terminal("forget", self.space, "--tag", "even=true", keys=b"n\n", until=b"[y/N]")
        self.assertEqual(code, 2, shown)
        code, shown = self.run_on_terminal("forget", self.space, "--tag", "even=true", keys=b"y\n", until=b"[y/N]")
        self.assertEqual(code, 0, shown)
        self.assertEqual(self.json("spaces", "show", self.space)[0]["live"], 2)

    # --- Completion ---

    def test_completion_scripts_are_sound(self):
        for shell in ("bash", "zsh", "fish"):
            script = self.file(f"engram.{shell}", self.run_engram("completion", shell).stdout)
            if shutil.which(shell):
                checked = subprocess.run([shell, "-n", script], capture_output=True, text=True)
                self.assertEqual((checked.returncode, checked.stderr), (0, ""), shell)
        self.run_engram("completion", "tcsh", code=2)

    def complete(self, *words):
        """What bash offers for the last word."""
        script = self.file("engram.bash", self.run_engram("completion", "bash").stdout)
        ask = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _engram; printf "%s\\n" "${COMPREPLY[@]}"'
        environment = self.environment()
        environment["PATH"] = os.path.dirname(ENGRAM) + os.pathsep + environment["PATH"]
        done = subprocess.run(["bash", "-c", ask, "bash", script, "engram", *words], capture_output=True, text=True,
                              env=environment)
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_bash_completes_commands_options_words_and_spaces(self):
        self.run_engram("spaces", "create", self.space)
        self.assertEqual(self.complete("st"), ["status"])
        self.assertEqual(self.complete("--output", "json", "rec"), ["recall"])
        self.assertIn("--stream-id", self.complete("observe", "notes", "--s"))
        self.assertEqual(self.complete("observe", "notes", "--ack", "ind"), ["indexed"])
        self.assertEqual(self.complete("status", "--output", "j"), ["json"])
        self.assertEqual(self.complete("spaces", "cr"), ["create"])
        self.assertIn("--metric", self.complete("spaces", "create", "--m"))
        self.assertEqual(self.complete("recall", self.space[:-1]), [self.space])
        self.assertEqual(self.complete("spaces", "delete", self.space[:-1]), [self.space])
        self.assertEqual(self.complete("completion", "f"), ["fish"])
        self.assertEqual(self.complete("journal", ""), ["dump"])
        path = self.file("input.jsonl", "")
        self.assertEqual(self.complete("verify", path[:-2]), [path])
        self.assertEqual(self.complete("observe", self.space, path[:-2]), [path])


if __name__ == "__main__":
    ENGRAMD, ENGRAM = sys.argv.pop(1), os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)

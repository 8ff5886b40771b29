#!/usr/bin/env python3
"""tests/perf/compare from two commits of a small repository to its exit status. Their workload takes so many instructions
as a file of the commit says; what stands in for valgrind tells these, and what stands in for engram how the bench ended."""

import contextlib
import importlib.machinery
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

COMPARE = Path(__file__).resolve().parent / "compare"
PRESETS = """{"version": 6,
 "configurePresets": [{"name": "release", "generator": "Ninja", "binaryDir": "${sourceDir}/build/release"}],
 "buildPresets": [{"name": "release", "configurePreset": "release"}]}"""
LISTS = """cmake_minimum_required(VERSION 3.25)
project(small LANGUAGES NONE)
add_custom_target(engramd COMMAND cmake -E copy ${CMAKE_SOURCE_DIR}/engramd server/engramd)
add_custom_target(engram COMMAND cmake -E copy ${CMAKE_SOURCE_DIR}/engram clients/cli/engram)
add_subdirectory(tests)
"""
WORKLOADS = """add_custom_target(perf_workloads COMMAND cmake -E copy ${CMAKE_CURRENT_SOURCE_DIR}/program perf_workloads
                  COMMAND cmake -E copy ${CMAKE_SOURCE_DIR}/weight weight)
"""
PROGRAM = """#!/bin/sh
case $1 in --list) echo decode;; *) echo operation observation; echo operations 1000; echo nanoseconds 5.5;; esac
"""
VALGRIND = """#!{python}
import os, sys
sys.path.insert(0, {folder!r})
import instruction_counts_test as made
out = [a.split("=", 1)[1] for a in sys.argv if a.startswith("--callgrind-out-file=")]
if out:
    weight = open(os.path.join(os.path.dirname(sys.argv[-2]), "weight")).read()
    open(out[0], "w").write(made.callgrind(check=int(weight)))
    print("operation observation\\noperations 1000")
"""


class Compare(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = Path(self.folder.name) / "repository"
        self.tools = Path(self.folder.name) / "tools"
        for name, text in {"CMakePresets.json": PRESETS, "CMakeLists.txt": LISTS, ".gitignore": "/build/\n", "weight": "300",
                           "tests/CMakeLists.txt": "", "engramd": "#!/bin/sh\n", "engram": self.engram(0)}.items():
            self.write(name, text)
        self.write("valgrind", VALGRIND.format(python=sys.executable, folder=str(COMPARE.parent)), self.tools)
        self.git("init", "--quiet", "--initial-branch", "trunk")
        self.commit("the base, without workloads")
        self.base = self.git("rev-parse", "HEAD")
        self.git("switch", "--quiet", "--create", "topic")
        self.write("tests/perf/CMakeLists.txt", WORKLOADS)
        self.write("tests/perf/program", PROGRAM)
        self.write("tests/CMakeLists.txt", "add_subdirectory(perf)\n")
        self.commit("this one")

    @staticmethod
    def engram(status):
        """Says what it was asked for, and ends so."""
        return f'#!/bin/sh\necho "$@" >"$(dirname "$0")/asked"\nexit {status}\n'

    def write(self, name, text, under=None):
        path = (under or self.root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def git(self, *arguments):
        clean = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        return subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e@example.org", *arguments], cwd=self.root,
                              check=True, capture_output=True, text=True, env=clean).stdout.strip()

    def commit(self, subject):
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", subject)

    def compare(self, *arguments, base="trunk"):
        """(exit status, what it said)"""
        sys.path.insert(0, str(COMPARE.parent))
        loader = importlib.machinery.SourceFileLoader("compare", str(COMPARE))
        compare = importlib.util.module_from_spec(importlib.util.spec_from_loader("compare", loader))
        loader.exec_module(compare)
        compare.ROOT, compare.BASE = self.root, self.root / "build" / "perf-base"
        told = io.StringIO()
        against = ["--base", base] if base else []
        with mock.patch.object(sys, "argv", ["compare", *against, "--pairs", "3", *arguments]), \
                mock.patch.dict(os.environ, PATH=f"{self.tools}:{os.environ['PATH']}"), contextlib.redirect_stdout(told):
            return compare.main(), told.getvalue()

    def test_the_same_passes_and_daemons_are_compared_too(self):
        status, said = self.compare("--seconds", "7")
        self.assertEqual(status, 0, said)
        self.assertIn("base: " + self.base[:7], said)
        self.assertIn("| decode | observation | 1000.0 | 1000.0 | +0.00% |", said)
        self.assertIn("| decode | 5.5 | 5.5 | 1.000 | 1.00..1.00 |", said)
        asked = (self.root / "build/release/clients/cli/asked").read_text()
        self.assertIn(f"--engramd {self.root}/build/release/server/engramd", asked)
        self.assertIn(f"--against {self.root}/build/perf-base/build/release/server/engramd --duration 7s", asked)

    def test_more_instructions_than_the_base_are_worse(self):
        self.write("weight", "360")  # Not committed: it is the tree that is compared.
        status, said = self.compare("--seconds", "0")
        self.assertEqual(status, 3)
        self.assertIn("WORSE decode: 1000.0 -> 1060.0", said)
        self.assertIn("engram::Check: 300.0 -> 360.0", said)

    def test_the_next_time_goes_on_from_the_worktree_there_is(self):
        self.assertEqual(self.compare("--seconds", "0")[0], 0)
        self.write("weight", "360")
        self.commit("slower")
        self.git("branch", "--force", "trunk", "HEAD")
        self.write("weight", "500")
        self.commit("slower still")
        status, said = self.compare("--seconds", "0")
        self.assertEqual(status, 3)
        self.assertIn("decode: 1060.0 -> 1200.0", said)

    def test_where_this_trees_workloads_do_not_build_the_bases_own_are_compared(self):
        self.write("tests/perf/of_the_base", "")
        self.commit("the base, with workloads")
        self.git("branch", "--force", "trunk", "HEAD")
        self.git("rm", "--quiet", "tests/perf/of_the_base")
        self.write("front_door", "")
        self.write("tests/perf/CMakeLists.txt", WORKLOADS.replace("COMMAND", "COMMAND cmake -E compare_files "
                                                                  "${CMAKE_SOURCE_DIR}/front_door /dev/null COMMAND", 1))
        self.write("weight", "360")
        self.commit("another front door")
        status, said = self.compare("--seconds", "0")
        self.assertEqual(status, 3, said)
        self.assertIn("the workloads of this tree do not build on the base", said)
        self.assertIn("decode: 1000.0 -> 1060.0", said)
        self.assertTrue((self.root / "build/perf-base/tests/perf/of_the_base").exists())

    def test_what_is_part_of_the_base_is_held_to_the_commit_before(self):
        status, said = self.compare("--seconds", "0", base="topic")
        self.assertEqual(status, 0, said)
        self.assertIn("base: " + self.base[:7], said)

    def test_a_daemon_that_got_worse_is_worse_and_one_not_measured_is_not_passed(self):
        for ended in (3, 75):
            self.write("engram", self.engram(ended))
            self.assertEqual(self.compare()[0], ended)

    def test_in_short_what_is_worse_must_be_so_twice(self):
        self.write("server/other", "")
        self.git("add", "--all")
        self.write("engram", """#!/bin/sh
cd "$(dirname "$0")"; echo "$@" >>asked; exit $(head -n "$(wc -l <asked)" ends | tail -n 1)
""")
        self.write("build/release/clients/cli/ends", "3\n0\n")
        status, said = self.compare("--short")
        self.assertEqual(status, 0, said)
        self.assertIn("once more", said)
        self.assertNotIn("ns before", said)
        asked = self.root / "build/release/clients/cli/asked"
        self.assertEqual(asked.read_text().count("--duration 18s --warmup 2s --threshold 10% --no-limits"), 2)
        asked.unlink()
        self.write("build/release/clients/cli/ends", "3\n3\n")
        self.assertEqual(self.compare("--short")[0], 3)

    def test_in_short_the_base_is_the_last_one_with_other_sources(self):
        self.write("weight", "360")
        self.write("tests/perf/heavier", "")
        self.commit("more work")
        self.write("docs/tuning.md", "Less is more.")
        self.commit("docs: say it")
        self.git("branch", "--force", "main", "HEAD")
        status, said = self.compare("--short", base=None)
        self.assertEqual(status, 3, said)
        self.assertIn(" this one\n", said)
        self.assertIn("decode: 1000.0 -> 1060.0", said)
        # The daemon is the same.
        self.assertFalse((self.root / "build/release/clients").exists())

    def test_a_folder_that_is_no_worktree_does_not_make_this_tree_the_base(self):
        self.write("build/perf-base/left", "")
        self.write("weight", "360")
        self.assertEqual(self.compare("--seconds", "0")[0], 3)
        self.assertEqual((self.root / "weight").read_text(), "360")
        self.assertEqual(self.git("branch", "--show-current"), "topic")

    def test_in_short_what_cannot_be_measured_is_skipped(self):
        self.write("server/other", "")
        self.git("add", "--all")
        self.write("engram", self.engram(75))
        status, said = self.compare("--short")
        self.assertEqual(status, 77, said)
        self.assertIn("skipped: engram bench could not measure: it ended with 75", said)

    def test_the_first_commit_has_no_base(self):
        self.git("checkout", "--quiet", "trunk")
        status, said = self.compare()
        self.assertEqual(status, 77)
        self.assertIn("the first one, or a shallow clone", said.splitlines()[-1])

    def test_a_worktree_that_was_left_half_made_is_made_anew(self):
        self.assertEqual(self.compare("--seconds", "0")[0], 0)
        (self.root / ".git/worktrees/perf-base/index.lock").write_text("")
        self.assertEqual(self.compare("--seconds", "0")[0], 0)
        (self.root / ".git/worktrees/perf-base/locked").write_text("initializing")
        shutil.rmtree(self.root / "build")
        self.assertEqual(self.compare("--seconds", "0")[0], 0)
        shutil.rmtree(self.root / ".git/worktrees/perf-base")
        self.assertEqual(self.compare("--seconds", "0")[0], 0)

    def test_without_a_base_it_is_skipped(self):
        status, said = self.compare(base="nowhere")
        self.assertEqual(status, 77)
        self.assertIn("skipped: git merge-base nowhere HEAD", said)

    def test_without_git_it_is_skipped(self):
        with mock.patch.dict(os.environ, PATH=str(self.tools)), mock.patch("shutil.which", return_value=None):
            self.assertEqual(self.compare("--short"), (77, "skipped: there is no git\n"))

    def test_a_base_that_does_not_build_is_skipped(self):
        (self.root / "engramd").unlink()
        self.commit("no daemon")
        self.git("branch", "--force", "trunk", "HEAD")
        self.write("engramd", "#!/bin/sh\n")
        self.commit("one again")
        status, said = self.compare()
        self.assertEqual(status, 77, said)
        self.assertIn("skipped: the base's engramd does not build", said)
        self.write("weight", "360")
        self.assertEqual(self.compare()[0], 3)  # What was compared counts nevertheless.

    def test_a_base_that_is_not_built_in_time_is_skipped(self):
        self.write("CMakeLists.txt", LISTS.replace("COMMAND cmake -E copy ${CMAKE_SOURCE_DIR}/engramd server/engramd",
                                                   "COMMAND tail -f /dev/null"))
        self.commit("never done")
        self.git("branch", "--force", "trunk", "HEAD")
        self.write("CMakeLists.txt", LISTS)
        self.commit("done")
        status, said = self.compare("--build-seconds", "5")
        self.assertEqual(status, 77)
        self.assertIn("is not built within 5 s", said)
        self.write("weight", "360")
        self.assertEqual(self.compare("--build-seconds", "5")[0], 3)  # What was compared counts nevertheless.


if __name__ == "__main__":
    unittest.main()

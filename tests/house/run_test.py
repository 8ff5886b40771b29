#!/usr/bin/env python3
"""tests/run counts what happened, in small projects whose tests pass, fail, crash, hang or cannot be built."""

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

RUN = Path(__file__).resolve().parents[1] / "run"

# Writes what GoogleTest would: two cases passed, one failed, one skipped.
CASES = """
import os, sys
where = os.environ["GTEST_OUTPUT"].removeprefix("xml:")
os.makedirs(where, exist_ok=True)
bad = "<failure message='expected 1, got 2'/>" if sys.argv[2] == "1" else ""
open(where + sys.argv[1] + ".xml", "w").write(
    "<testsuites><testsuite><testcase name='A' classname='T' status='run' result='completed'/>"
    "<testcase name='B' classname='T' status='run' result='completed'/>"
    f"<testcase name='C' classname='T' status='run' result='completed'>{bad}</testcase>"
    "<testcase name='D' classname='T' status='run' result='skipped'/></testsuite></testsuites>")
sys.exit(int(sys.argv[2]))
"""
PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(small LANGUAGES NONE)
enable_testing()
"""
PRESETS = {
    "version": 6,
    "configurePresets": [{"name": "release", "generator": "Ninja", "binaryDir": "${sourceDir}/build/release"},
                         {"name": "clang", "generator": "Ninja", "binaryDir": "${sourceDir}/build/clang"}],
    "buildPresets": [{"name": "release", "configurePreset": "release"}, {"name": "clang", "configurePreset": "clang"}],
    "testPresets": [{"name": "release", "configurePreset": "release"}],
}


class Run(unittest.TestCase):
    def run_in(self, project, *arguments, compare="", base=""):
        """(exit status, lines printed) of tests/run over a project of these CMake lines, with this tests/perf/compare and
        this ENGRAM_PERF_BASE; None: without one."""
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / "CMakeLists.txt").write_text(PROJECT + project)
            (root / "CMakePresets.json").write_text(json.dumps(PRESETS))
            (root / "cases.py").write_text(CASES)
            if compare:
                (root / "tests" / "perf").mkdir(parents=True)
                (root / "tests" / "perf" / "compare").write_text(compare)
                (root / "tests" / "perf" / "compare").chmod(0o755)
            loader = importlib.machinery.SourceFileLoader("run", str(RUN))
            run = importlib.util.module_from_spec(importlib.util.spec_from_loader("run", loader))
            sys.modules["run"] = run
            loader.exec_module(run)
            run.ROOT, run.LOGS = root, root / "build" / "test-logs"
            told, before = io.StringIO(), sys.argv
            try:
                sys.argv = ["run", "--lane", "release", *arguments]
                with mock.patch.dict(os.environ, ENGRAM_PERF_BASE=base or ""), contextlib.redirect_stdout(told):
                    if base is None:
                        del os.environ["ENGRAM_PERF_BASE"]
                    status = run.main()
            finally:
                sys.argv = before
            return status, told.getvalue().splitlines()

    def test_passing(self):
        status, lines = self.run_in(f"""
            add_test(NAME cases COMMAND {sys.executable} ${{CMAKE_SOURCE_DIR}}/cases.py cases 0)
            add_test(NAME plain COMMAND true)
            add_test(NAME long COMMAND false)
            set_tests_properties(long PROPERTIES LABELS "unit;soak")
            add_test(NAME cannot COMMAND sh -c "echo looking; echo skipped: not here; exit 77")
            set_tests_properties(cannot PROPERTIES SKIP_RETURN_CODE 77)
            add_test(NAME partly COMMAND sh -c "seq 1000; echo ..skipped: no such thing; echo \\"OK (skipped=1)\\"")
        """, "--lane", "clang")
        self.assertEqual((status, lines[-1]), (0, "6 passed, 0 failed, 3 skipped"), lines)
        self.assertIn("SKIPPED release: cannot: skipped: not here", lines)
        self.assertIn("SKIPPED release: partly: skipped: no such thing", lines)

    def test_failing(self):
        status, lines = self.run_in(f"""
            add_test(NAME cases COMMAND {sys.executable} ${{CMAKE_SOURCE_DIR}}/cases.py cases 1)
            add_test(NAME says_no COMMAND false)
            add_test(NAME crashes COMMAND sh -c "kill -SEGV $$")
            add_test(NAME hangs COMMAND sh -c "exec tail -f /dev/null")
            set_tests_properties(hangs PROPERTIES TIMEOUT 1)
            add_test(NAME missing COMMAND ${{CMAKE_BINARY_DIR}}/never-built)
        """)
        self.assertEqual((status, lines[-1]), (1, "2 passed, 5 failed, 1 skipped"), lines)
        text = "\n".join(lines)
        self.assertIn("FAILED release: cases: T.C", text)
        self.assertIn("expected 1, got 2", text)
        self.assertIn("FAILED release: hangs (Timeout)", text)
        self.assertIn("FAILED release: missing (Not Run)", text)

    def test_build_that_breaks_hides_nothing(self):
        status, lines = self.run_in("""
            add_custom_target(broken ALL COMMAND sh -c "echo it: error: broke; exit 1")
            add_custom_target(whole ALL COMMAND touch whole)
            add_test(NAME made COMMAND cat whole)
        """)
        self.assertEqual((status, lines[-1]), (1, "1 passed, 1 failed"), lines)
        self.assertIn("    it: error: broke", lines)

    def test_is_held_to_a_base_where_one_is_given(self):
        project, compare = "add_test(NAME plain COMMAND true)\n", "#!/bin/sh\necho $2 it is; echo last words; exit "
        status, lines = self.run_in(project, compare=compare + "0", base="trunk")
        self.assertEqual((status, lines[-1]), (0, "2 passed, 0 failed"), lines)
        status, lines = self.run_in(project, compare=compare + "77", base="trunk")
        self.assertEqual((status, lines[-1]), (0, "1 passed, 0 failed, 1 skipped"), lines)
        self.assertIn("SKIPPED perf-base: last words", lines)
        status, lines = self.run_in(project, compare=compare + "3", base="trunk")
        self.assertEqual((status, lines[-1]), (1, "1 passed, 1 failed"), lines)
        self.assertIn("    trunk it is", lines)
        self.assertEqual(self.run_in(project, "--match", "plain", compare=compare + "3", base="trunk")[0], 0)
        self.assertEqual(self.run_in(project, compare=compare + "3")[0], 0)
        short = "#!/bin/sh\necho $1 $#; exit 77"
        status, lines = self.run_in(project, compare=short, base=None)
        self.assertEqual((status, lines[-1]), (0, "1 passed, 0 failed, 1 skipped"), lines)
        self.assertIn("SKIPPED perf-base: --short 3", lines)

    def test_nothing_to_run_is_no_success(self):
        self.assertEqual(self.run_in("")[0], 1)
        status, lines = self.run_in("message(FATAL_ERROR \"no\")\n")
        self.assertEqual((status, lines[-1]), (1, "0 passed, 1 failed"), lines)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""What is grown is named, what is not passes, and output that is not understood is no count: on made output of callgrind,
and on programs that stand in for valgrind and perf_workloads."""

import contextlib
import io
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import instruction_counts as counting
import perf_test

ABOUT = {"compiler": "GCC 12", "libc": "2.36", "kernels": "avx2", "code_kernels": "avx2"}


def callgrind(decode=600, check=300, copied=100, total=None):
    """Output of a thousand operations: Decode calls Check and, in libc, memcpy, which is in two files."""
    decode, check, copied = decode * 1000, check * 1000, copied * 1000
    return f"""# callgrind format
version: 1
creator: callgrind-3.19.0
cmd: perf_workloads decode
positions: line
events: Ir
summary: {total or decode + check + copied}

ob=/build/perf_workloads
fl=/server/frame_decoder.cc
fn=engram::(anonymous namespace)::Decode(std::span<char const, 18446744073709551615ul>)
0 {decode - 1000}
fi=/usr/include/c++/12/bits/stl_vector.h
0 1000
fe=/server/frame_decoder.cc
cfi=/core/check.cc
cfn=engram::Check(int)::{{lambda(int)#1}}::operator()(int) const
calls=1000 0
0 {check}
cob=/lib/libc.so.6
cfi=???
cfn=__memcpy_avx_unaligned_erms
calls=1000 0
0 {copied}

fl=/core/check.cc
fn=engram::Check(int)::{{lambda(int)#1}}::operator()(int) const
0 {check}

ob=/lib/libc.so.6
fl=???
fn=__memcpy_avx_unaligned_erms
0 {copied - 500}
fn=__memcpy_avx_unaligned_erms'2
0 500

totals: {total or decode + check + copied}
"""


def count(**instructions):
    return counting.count_of(callgrind(**instructions), "observation", 1000)


class Parsing(unittest.TestCase):
    def test_functions_are_charged_for_themselves_and_their_library_calls(self):
        total, functions = counting.parse_callgrind(callgrind())
        self.assertEqual(total, 1_000_000)
        self.assertEqual(functions, {"engram::Decode": 700_000, "engram::Check": 300_000})

    def test_what_does_not_add_up_is_no_count(self):
        with self.assertRaisesRegex(ValueError, "have 1000000 instructions, their total is 1000001"):
            counting.parse_callgrind(callgrind(total=1_000_001))
        with self.assertRaisesRegex(ValueError, "no output of callgrind"):
            counting.parse_callgrind("")
        with self.assertRaisesRegex(ValueError, "no output of callgrind"):
            counting.parse_callgrind(callgrind().replace("events: Ir", "events: Ir Dr"))

    def test_names_are_short(self):
        for long, short in {
            "engram::Lane::Push(std::shared_ptr<engram::SpaceQueue> const&, engram::Slice)": "engram::Lane::Push",
            "engram::(anonymous namespace)::Scan::Run()": "engram::Scan::Run",
            "engram::Lane::Take(unsigned long) [clone .part.0]": "engram::Lane::Take",
            "engram::code_kernels::Dot(signed char const*) (.cold)": "engram::code_kernels::Dot",
            "engram::Walk(unsigned int)'2": "engram::Walk",
            "engram::A::operator()(int) const": "engram::A::operator()",
            "engram::B::operator<(engram::B const&) const": "engram::B::operator<",
            "void engram::Each<std::function<bool (int)> >(int)": "void engram::Each<std::function<bool (int)> >",
            "(below main)": "(below main)",
            "malloc": "malloc",
        }.items():
            self.assertEqual(counting.short_name(long), short)
        self.assertTrue(counting.ours("void engram::Each<int>(int)"))
        self.assertTrue(counting.ours("engram::B::operator<(engram::B const&) const"))
        self.assertFalse(counting.ours("std::vector<engram::Slice, std::allocator<engram::Slice> >::push_back"))
        self.assertFalse(counting.ours("engram::Slice& std::deque<engram::Slice>::emplace_back<int>(int&&)"))
        self.assertFalse(counting.ours("malloc"))


class Comparing(unittest.TestCase):
    def compared(self, **instructions):
        return counting.compare({"decode": count()}, {"decode": count(**instructions)})

    def test_the_same_passes(self):
        self.assertEqual(self.compared(), ([], []))

    def test_four_percent_more_passes(self):
        self.assertEqual(self.compared(check=340), ([], []))

    def test_six_percent_more_fails_and_names_the_function(self):
        failures, hints = self.compared(check=360)
        self.assertEqual(hints, [])
        self.assertEqual(failures, ["decode: 1000.0 -> 1060.0 instructions per observation, +6.0%; of these\n"
                                    "    engram::Check: 300.0 -> 360.0"])

    def test_a_copy_is_named_by_who_makes_it(self):
        failures, _ = self.compared(copied=200)
        self.assertEqual(len(failures), 1)
        self.assertIn("\n    engram::Decode: 700.0 -> 800.0", failures[0])
        self.assertNotIn("memcpy", failures[0])

    def test_the_one_that_grew_most_comes_first_and_one_that_shrank_not_at_all(self):
        failures, _ = self.compared(decode=500, check=500)
        self.assertRegex(failures[0], r"\+10\.0%; of these\n    engram::Check: 300\.0 -> 500\.0$")
        failures, _ = self.compared(decode=640, check=400)
        self.assertRegex(failures[0], r"of these\n    engram::Check: .*\n    engram::Decode: .*$")

    def test_six_percent_less_passes_and_asks_to_be_recorded(self):
        failures, hints = self.compared(check=240)
        self.assertEqual(failures, [])
        self.assertEqual(len(hints), 1)
        self.assertIn("-6.0%: record it", hints[0])

    def test_a_workload_that_is_not_recorded_fails(self):
        failures, _ = counting.compare({}, {"decode": count()})
        self.assertEqual(failures, ["decode: nothing is recorded of it"])


VALGRIND = """#!{python}
import sys
out = [a.split("=", 1)[1] for a in sys.argv if a.startswith("--callgrind-out-file=")]
if sys.argv[-1] == "unknown":
    sys.stderr.write("no such workload")
    sys.exit(64)
if out:
    open(out[0], "w").write({output!r})
    print({words!r})
"""
WORKLOADS = """#!{python}
import sys
print("decode" if sys.argv[1] == "--list" else {words!r})
"""


class Running(unittest.TestCase):
    """perf_test.py from its arguments to its exit status."""

    def run_it(self, *arguments, recorded=ABOUT, store={"decode": count()}, valgrind=True, **instructions):
        words = "\n".join(f"{key} {value}" for key, value in ABOUT.items()) + "\noperation observation\noperations 1000"
        with tempfile.TemporaryDirectory() as folder:
            def script(name, text, **values):
                path = Path(folder) / name
                path.write_text(text.format(python=sys.executable, words=words, **values))
                path.chmod(0o755)
                return path
            program = script("perf_workloads", WORKLOADS)
            if valgrind:
                script("valgrind", VALGRIND, output=callgrind(**instructions))
            file = Path(folder) / "instructions.json"
            file.write_text(json.dumps(counting.to_json(recorded, store)))
            told = io.StringIO()
            given = ["perf_test.py", "--program", str(program), "--store", str(file), *arguments]
            with mock.patch.object(sys, "argv", given), mock.patch.dict(os.environ, PATH=folder), \
                    contextlib.redirect_stdout(told):
                status = perf_test.main()
            return status, told.getvalue(), json.loads(file.read_text())

    def test_passes(self):
        status, told, _ = self.run_it()
        self.assertEqual(status, 0)
        self.assertIn("| decode | observation | 1000.0 | 1000.0 | +0.00% | `Decode` 70%, `Check` 30% |", told)

    def test_fails_with_the_function(self):
        status, told, _ = self.run_it(check=360)
        self.assertEqual(status, 1)
        self.assertIn("FAILED decode: 1000.0 -> 1060.0", told)
        self.assertIn("engram::Check: 300.0 -> 360.0", told)

    def test_fails_where_nothing_is_recorded_or_the_workload_is_gone(self):
        self.assertEqual(self.run_it(store={})[0], 1)
        status, told, _ = self.run_it(store={"decode": count(), "gone": count()})
        self.assertEqual(status, 1)
        self.assertIn("gone: it is recorded, and perf_workloads does not know it", told)

    def test_skips_with_the_reason(self):
        for key in ABOUT:
            status, told, _ = self.run_it(recorded=dict(ABOUT, **{key: "another"}), check=900)
            self.assertEqual(status, 77)
            self.assertIn(f"skipped: the counts were recorded with {key} another, here it is {ABOUT[key]}", told)
        status, told, _ = self.run_it(valgrind=False)
        self.assertEqual(status, 77)
        self.assertIn("skipped: there is no valgrind here", told)

    def test_fails_where_a_workload_ends_badly(self):
        status, told, _ = self.run_it("--workload", "unknown")
        self.assertEqual(status, 1)
        self.assertRegex(told, r"FAILED valgrind .* unknown ended with 64:\nno such workload")

    def test_records(self):
        status, _, kept = self.run_it("--record", recorded=dict(ABOUT, compiler="another"), check=360)
        self.assertEqual(status, 0)
        self.assertEqual(kept["about"], ABOUT)
        self.assertEqual(kept["workloads"]["decode"]["instructions"], 1060)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""Checks loadtest/sample: its checksums, shapes, lengths of vectors, texts and size. The standard library is enough."""

import ast
import hashlib
import json
import math
import struct
import unittest
from pathlib import Path

SAMPLE = Path(__file__).resolve().parents[2] / "loadtest" / "sample"
DIMENSION = 384
LARGEST = 4 * 1024 * 1024


def read_npy(path):
    """(shape, rows of floats) of a NumPy file of two dimensions, little-endian f16."""
    data = path.read_bytes()
    assert data[:8] == b"\x93NUMPY\x01\x00", f"{path.name}: no NumPy file of version 1.0"
    start = 10 + struct.unpack_from("<H", data, 8)[0]
    header = ast.literal_eval(data[10:start].decode("latin-1"))
    assert header["descr"] == "<f2" and not header["fortran_order"], f"{path.name}: {header}"
    rows, columns = header["shape"]
    assert len(data) - start == 2 * rows * columns, f"{path.name}: {len(data)} bytes do not hold {header['shape']}"
    row = struct.Struct(f"<{columns}e")
    return header["shape"], [row.unpack_from(data, start + r * row.size) for r in range(rows)]


def read_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class Sample(unittest.TestCase):
    def test_checksums(self):
        sums = dict(reversed(line.split("  ")) for line in (SAMPLE / "SHA256SUMS").read_text().splitlines())
        wanted = {"observations.f16.npy", "observations.jsonl", "queries.f16.npy", "queries.jsonl"}
        self.assertEqual(set(sums), wanted)
        for name, digest in sums.items():
            self.assertEqual(hashlib.sha256((SAMPLE / name).read_bytes()).hexdigest(), digest, name)

    def test_embeddings(self):
        for name, least, most in (("observations", 2900, 3100), ("queries", 50, 50)):
            with self.subTest(name):
                shape, rows = read_npy(SAMPLE / f"{name}.f16.npy")
                self.assertEqual(shape, (len(read_lines(SAMPLE / f"{name}.jsonl")), DIMENSION))
                self.assertTrue(least <= shape[0] <= most, shape)
                for n, row in enumerate(rows):
                    self.assertAlmostEqual(math.hypot(*row), 1, delta=0.002, msg=f"{name} row {n}")
                self.assertEqual(len(set(rows)), len(rows), "two rows are the same")

    def test_texts(self):
        observations = read_lines(SAMPLE / "observations.jsonl")
        for o in observations:
            self.assertRegex(o["id"], r"^wn-[nv]-[0-9]{8}$")
            self.assertTrue(40 <= len(o["content"]) <= 120, o)
            self.assertEqual(set(o["tags"]), {"pos", "lemma", "topic"})
            self.assertEqual(o["tags"]["pos"][0], o["id"][3])
        self.assertEqual(len({o["id"] for o in observations}), len(observations))
        self.assertEqual(len({o["content"] for o in observations}), len(observations))
        queries = read_lines(SAMPLE / "queries.jsonl")
        self.assertEqual(len({q["content"] for q in queries}), len(queries))

    def test_size_and_licences(self):
        self.assertLessEqual(sum(f.stat().st_size for f in SAMPLE.iterdir() if f.is_file()), LARGEST)
        self.assertIn("Princeton University", (SAMPLE / "LICENSE.wordnet").read_text())
        self.assertIn("Apache License 2.0", (SAMPLE / "LICENSE.model").read_text())


if __name__ == "__main__":
    unittest.main()

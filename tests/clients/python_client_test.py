"""engram_client against a real engramd: python_client_test.py ENGRAMD [unittest arguments]."""

import array
import datetime
import pathlib
import shutil
import subprocess
import sys
import threading
import unittest

from daemon_process import Daemon
from engram_client import Client, EngramError, Filter, Observation, Token
from engram_client.types import embedding_bytes
from python_stream_test import PythonStreamTest  # noqa: F401: runs with these

ENGRAMD = ""
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


class PythonClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(ENGRAMD)
        cls.addClassCleanup(cls.daemon.close)
        cls.engram = Client(cls.daemon.address)
        cls.addClassCleanup(cls.engram.close)

    def setUp(self):
        self.space = self.id().rsplit(".", 1)[1].lower()

    def test_what_is_streamed_is_recalled(self):
        with self.engram.stream(self.space) as stream:
            for i in range(1000):
                sequence = stream.observe([float(i), 1.0], id=f"n{i}", content=f"text {i}", tags={"even": str(i % 2 == 0)})
                self.assertEqual(sequence, i + 1)
            stream.flush()
            self.assertEqual(stream.acknowledged, 1000)
            self.assertEqual(stream.durability, "fsync")
            self.assertIsInstance(stream.token, Token)
        answer = self.engram.recall(self.space, [7.0, 1.0], k=3, content=True, tags=True, at_least=stream.token)
        self.assertEqual(answer[0].id, "n7")
        self.assertEqual(answer[0].content, "text 7")
        self.assertAlmostEqual(answer[0].similarity, 1.0, places=5)
        self.assertEqual(len(answer), 3)
        self.assertEqual(answer.coverage.live, 1000)
        self.assertTrue(answer.coverage.exact)
        even = self.engram.recall(self.space, [7.0, 1.0], k=5, tags=True, where=Filter(tags={"even": "True"}))
        self.assertEqual({hit.tags["even"] for hit in even}, {"True"})
        self.assertNotIn("n7", [hit.id for hit in self.engram.recall(self.space, id="n7", k=5)])

    def test_a_bad_observation_is_named_and_the_stream_goes_on(self):
        with self.engram.stream(self.space) as stream:
            stream.observe([1.0, 2.0], id="good")
            bad = stream.observe([1.0, 2.0, 3.0], id="bad")
            stream.observe([2.0, 1.0], id="good too")
        self.assertEqual(stream.rejected_count, 1)
        self.assertEqual([(one.sequence, one.id, one.code) for one in stream.rejected], [(bad, "bad", "INVALID_ARGUMENT")])
        self.assertEqual(set(self.engram.get(self.space, ["good", "bad", "good too"])), {"good", "good too"})

    def test_what_is_missing_or_damaged_is_named(self):
        for name, at in (("whole", 0.0), ("broken", 0.1)):
            self.engram.observe(self.space, [{"id": name, "embedding": [1.0, at], "content": f"this text is {name}"}])
        self.daemon.damage("this text is broken")
        got = self.engram.get(self.space, ["whole", "broken", "never"])
        self.assertEqual(list(got), ["whole"])
        self.assertEqual((got.missing, got.unreadable), (["never"], ["broken"]))
        answer = self.engram.recall(self.space, [1.0, 0.0], content=True)
        self.assertEqual([hit.id for hit in answer], ["whole"])
        self.assertEqual(answer.coverage.unreadable, 1)

    def test_what_is_refused_for_now_is_sent_again_in_order(self):
        self.engram.create_space(self.space, max_rate=2000)
        with self.engram.stream(self.space, batch=64) as stream:
            for i in range(4000):
                stream.observe([1.0, float(i)], id=f"n{i}")
        self.assertEqual(stream.rejected_count, 0)
        self.assertEqual(self.engram.space(self.space).live, 4000)

    def test_large_texts_go_in_frames_the_daemon_takes(self):
        with Daemon(ENGRAMD, "server.max_message_bytes=65536", "limits.max_content_bytes=32KiB", "limits.max_dimension=16") as daemon, \
                Client(daemon.address) as engram, engram.stream(self.space) as stream:
            for i in range(100):
                stream.observe([1.0, float(i)], content="x" * 2000)
            with self.assertRaises(EngramError) as caught:
                stream.observe([1.0, 2.0], content="x" * 65536)
            self.assertEqual(caught.exception.code, "INVALID_ARGUMENT")
            self.assertEqual(stream.observe([1.0, 0.0], content="last"), 101)
            stream.flush()
            self.assertEqual((stream.rejected_count, engram.space(self.space).live), (0, 101))

    def test_a_lower_limit_on_batches_makes_them_smaller(self):
        with Daemon(ENGRAMD) as daemon, Client(daemon.address) as engram, engram.stream(self.space) as stream:
            stream.observe([1.0, 0.0])
            stream.flush()
            daemon.reconfigure("limits:\n  max_batch_observations: 10\n")
            for i in range(1000):
                stream.observe([1.0, float(i)])
            stream.flush(timeout=30)
            self.assertEqual((stream.rejected_count, engram.space(self.space).live), (0, 1001))

    def test_a_named_stream_goes_on_where_it_stopped(self):
        with self.engram.stream(self.space, stream_id="load") as stream:
            for i in range(10):
                stream.observe([1.0, float(i)], id=f"n{i}")
        with self.assertRaises(EngramError) as caught:
            self.engram.stream(self.space, stream_id="load").close()
        self.assertEqual(caught.exception.code, "ALREADY_EXISTS")
        with self.engram.stream(self.space, stream_id="load", resume=True) as stream:
            self.assertEqual(stream.next_sequence, 11)
            self.assertEqual(stream.dimension, 2)
            stream.flush(timeout=30)
            self.assertEqual(stream.acknowledged, 10)
            self.assertEqual(stream.observe([1.0, 10.0], id="n10"), 11)
        self.assertEqual(self.engram.space(self.space).live, 11)

    def test_an_exception_in_the_block_gives_the_stream_up(self):
        before = threading.active_count()
        with self.assertRaises(KeyError):
            with self.engram.stream(self.space) as stream:
                stream.observe([1.0], id="a")
                raise KeyError("the caller's own")
        with self.assertRaises(ValueError):
            stream.observe([1.0], id="b")
        self.assertLessEqual(threading.active_count(), before + 2, "the stream's threads have ended")

    def test_a_stream_whose_space_is_deleted_raises(self):
        with self.assertRaises(EngramError) as caught:
            with self.engram.stream(self.space) as stream:
                stream.observe([1.0], id="a")
                stream.flush()
                self.engram.delete_space(self.space)
                for _ in range(1000):
                    stream.observe([1.0], id="b")
                    stream.flush()
        self.assertEqual(caught.exception.code, "NOT_FOUND")

    def test_one_batch(self):
        when = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.timezone.utc)
        result = self.engram.observe(
            self.space,
            [
                Observation([1.0, 0.0], id="a", content="text", tags={"k": "v"}, observed_at=when, confidence=0.5,
                            ttl=datetime.timedelta(days=36500)),
                {"embedding": [0.0, 1.0]},
                {"embedding": [0.0, 0.0], "id": "zero"},
            ],
        )
        self.assertEqual(result.accepted, 2)
        self.assertEqual(result.ids[0], "a")
        self.assertTrue(result.ids[1])
        self.assertEqual(result.ids[2], "")
        self.assertEqual([(one.sequence, one.id, one.code) for one in result.rejected], [(3, "zero", "INVALID_ARGUMENT")])
        stored = self.engram.get(self.space, ["a", "absent"], embedding=True)
        self.assertEqual(list(stored), ["a"])
        self.assertEqual(stored["a"], Observation([1.0, 0.0], "a", "text", {"k": "v"}, when, 0.5, datetime.timedelta(days=36500)))

    def test_age_and_confidence_count_when_asked_to(self):
        now = datetime.datetime.now(datetime.timezone.utc)
        old = now - datetime.timedelta(hours=10)
        self.engram.observe(self.space, [
            Observation([1.0, 0.0], id="old", observed_at=old),
            Observation([1.0, 0.1], id="new", observed_at=now),
            Observation([1.0, 0.05], id="doubted", observed_at=now, confidence=0.1),
        ])
        ids = lambda **how: [hit.id for hit in self.engram.recall(self.space, [1.0, 0.0], **how)]
        self.assertEqual(ids(), ["old", "doubted", "new"])
        self.assertEqual(ids(half_life=3600), ["doubted", "new", "old"])
        self.assertEqual(ids(confidence_weight=1.0), ["old", "new", "doubted"])
        self.assertEqual(ids(k=1, half_life=3600, oversample=3), ["doubted"])
        hit = self.engram.recall(self.space, [1.0, 0.0], confidence_weight=1.0)[2]
        self.assertAlmostEqual(hit.score, hit.similarity * 0.1, places=5)
        with self.assertRaises(EngramError) as caught:
            ids(confidence_weight=2.0)
        self.assertEqual(caught.exception.code, "INVALID_ARGUMENT")

    def test_a_recall_goes_on_with_what_is_new(self):
        self.engram.observe(self.space, [{"embedding": [1.0, 0.0], "id": "old"}])
        follow = lambda **more: self.engram.recall_stream(
            self.space, [1.0, 0.0], min_similarity=0.9, content=True, follow=True, **more)
        first = follow()
        part = next(first)
        self.assertEqual(([hit.id for hit in part.hits], part.last), (["old"], True))
        self.engram.observe(self.space, [{"embedding": [0.0, 1.0], "id": "far"},
                                         {"embedding": [1.0, 0.1], "id": "new", "content": "text"}])
        hits = next(part.hits for part in first if part.hits)
        self.assertEqual([(hit.id, hit.content) for hit in hits], [("new", "text")])
        first.close()
        again = follow(after=part.point)
        self.assertEqual([hit.id for hit in next(part.hits for part in again if part.hits)], ["new"])
        self.engram.delete_space(self.space)
        with self.assertRaises(EngramError) as caught:
            for _ in again:
                pass
        self.assertEqual(caught.exception.code, "NOT_FOUND")

    def test_forgetting(self):
        self.engram.observe(self.space, [{"embedding": [1.0, i], "id": str(i), "tags": {"t": str(i % 2)}} for i in range(10)])
        self.assertEqual(self.engram.forget(self.space, where=Filter(tags={"t": "1"}), dry_run=True).forgotten, 5)
        self.assertEqual(self.engram.space(self.space).live, 10)
        self.assertEqual(self.engram.forget(self.space, where=Filter(tags={"t": "1"})).forgotten, 5)
        result = self.engram.forget(self.space, ["0", "1"])
        self.assertEqual((result.forgotten, result.missing), (1, ["1"]))
        self.assertEqual({hit.id for hit in self.engram.recall(self.space, [1.0, 1.0])}, {"2", "4", "6", "8"})
        with self.assertRaises(ValueError):
            self.engram.forget(self.space)

    def test_spaces(self):
        made = self.engram.create_space(self.space, dimension=3, metric="l2", max_rate=7)
        self.assertEqual((made.dimension, made.metric, made.max_rate), (3, "l2", 7))
        self.assertEqual(self.engram.update_space(self.space, ef_search=99).ef_search, 99)
        self.assertEqual([space.name for space in self.engram.spaces(prefix=self.space)], [self.space])
        self.assertEqual(self.engram.delete_space(self.space), 0)
        self.assertEqual(self.engram.spaces(prefix=self.space), [])
        with self.assertRaisesRegex(ValueError, "cosine, inner_product, l2"):
            self.engram.create_space(self.space, metric="manhattan")

    def test_errors_have_codes_and_say_what_to_do(self):
        with self.assertRaises(EngramError) as caught:
            self.engram.recall("no-such-space", [1.0])
        self.assertEqual(caught.exception.code, "NOT_FOUND")
        self.assertIn("no-such-space", caught.exception.message)
        with Client("127.0.0.1:1", timeout=5) as nowhere, self.assertRaises(EngramError) as caught:
            nowhere.stream("notes")
        self.assertEqual(caught.exception.code, "UNAVAILABLE")
        self.assertIn("cannot reach engramd at 127.0.0.1:1", caught.exception.message)
        self.assertTrue(caught.exception.is_transient)

    def test_a_crash_ends_the_stream_with_an_error(self):
        daemon = Daemon(ENGRAMD)
        with daemon, Client(daemon.address) as engram, self.assertRaises(EngramError) as caught:
            with engram.stream(self.space) as stream:
                stream.observe([1.0], id="a")
                stream.flush()
                daemon.kill()
                stream.observe([1.0], id="b")
                stream.flush()
        self.assertEqual(caught.exception.code, "UNAVAILABLE")

    def test_status(self):
        status = self.engram.status()
        self.assertEqual(status.grpc_address, self.daemon.address)
        self.assertGreater(status.queue_capacity, 0)

    def test_embeddings_in_their_forms(self):
        expected = ("embedding_f32", b"\x00\x00\x80?\x00\x00\x00\xc0")
        self.assertEqual(embedding_bytes([1, -2.0]), expected)
        self.assertEqual(embedding_bytes(array.array("f", [1, -2])), expected)
        for wrong in ("text", b"bytes"):
            with self.assertRaises(TypeError):
                embedding_bytes(wrong)
        try:
            import numpy
        except ImportError:
            return
        self.assertEqual(embedding_bytes(numpy.array([1, -2], dtype=numpy.float64)), expected)
        self.assertEqual(embedding_bytes(numpy.array([1, -2], dtype=numpy.float16)), ("embedding_f16", b"\x00<\x00\xc0"))
        with self.assertRaises(ValueError):
            embedding_bytes(numpy.zeros((2, 2)))

    @unittest.skipUnless(shutil.which("grpc_python_plugin"), "needs Debian's protobuf-compiler-grpc")
    def test_the_generated_modules_are_current(self):
        checked = subprocess.run([REPOSITORY / "clients/python/generate", "--check"], capture_output=True, text=True)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)


if __name__ == "__main__":
    ENGRAMD = sys.argv.pop(1)
    unittest.main(verbosity=2)

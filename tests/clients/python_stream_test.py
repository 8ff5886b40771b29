"""What a stream of engram_client does with what a daemon tells it. The daemon is scripted; python_client_test.py runs these."""

import queue
import threading
import unittest

from engram_client import EngramError
from engram_client.stream import Stream
from engram_client.v1 import memory_service_pb2


class ScriptedDaemon:
    """Stands where the gRPC stub does: one ObserveStream call, whose frames `answer(frame)` answers with responses."""

    def __init__(self, answer=lambda frame: (), next_sequence=1, **limits):
        self._answer = answer
        self._responses = queue.Queue()
        self._started = memory_service_pb2.StreamStarted(stream_id="load", next_sequence=next_sequence, limits=limits)
        #: Batches as they came.
        self.batches = []

    def ObserveStream(self, frames):
        threading.Thread(target=self._read, args=(frames,), daemon=True).start()
        return self

    def _read(self, frames):
        for frame in frames:
            kind = frame.WhichOneof("frame")
            if kind == "start":
                self.tell(started=self._started)
            elif kind == "batch":
                self.batches.append(frame.batch)
                for ack in self._answer(frame.batch):
                    self.tell(ack=ack)
            else:
                self.cancel()

    def tell(self, **frame):
        self._responses.put(memory_service_pb2.ObserveStreamResponse(**frame))

    def cancel(self):
        self._responses.put(None)

    def __iter__(self):
        return iter(self._responses.get, None)


def ack(received, durable=None):
    durable = received if durable is None else durable
    return memory_service_pb2.Ack(received_through=received, durable_through=durable, indexed_through=durable)


def take_all(batch):
    return [ack(batch.first_sequence + len(batch.observations) - 1)]


class PythonStreamTest(unittest.TestCase):
    def stream(self, daemon, **options):
        options = {"stream_id": "load", "resume": True, "ack": "durable", "priority": "normal", "batch": 256,
                   "max_in_flight": 16384, "timeout": 20, **options}
        stream = Stream(daemon, "nowhere", "notes", **options)
        self.addCleanup(stream.cancel)
        return stream

    def test_after_a_resume_what_was_only_received_is_not_acknowledged(self):
        daemon = ScriptedDaemon(next_sequence=11)
        stream = self.stream(daemon)
        self.assertEqual((stream.next_sequence, stream.acknowledged), (11, 0))
        daemon.tell(ack=ack(10, durable=4))
        with self.assertRaises(EngramError) as caught:
            stream.flush(timeout=0.2)
        self.assertEqual(caught.exception.code, "DEADLINE_EXCEEDED")
        self.assertEqual(stream.acknowledged, 4)
        daemon.tell(ack=ack(10))
        stream.flush(timeout=20)
        self.assertEqual(stream.acknowledged, 10)

    def test_the_first_acknowledgement_of_a_long_stream_takes_no_time(self):
        daemon = ScriptedDaemon(next_sequence=1 << 60)
        stream = self.stream(daemon)
        daemon.tell(ack=ack((1 << 60) - 1))
        stream.flush(timeout=5)

    def test_a_batch_fits_a_message_and_what_never_fits_uses_no_sequence(self):
        most = 64 * 1024
        daemon = ScriptedDaemon(take_all, max_message_bytes=most, max_batch_observations=4096)
        stream = self.stream(daemon)
        for i in range(100):
            stream.observe([1.0], content="x" * (i * 100))
        stream.observe([1.0], content="x" * (most - 200))
        with self.assertRaises(EngramError) as caught:
            stream.observe([1.0], content="x" * most)
        self.assertEqual(caught.exception.code, "INVALID_ARGUMENT")
        self.assertFalse(caught.exception.is_transient)
        self.assertIn(f"at most {most}", caught.exception.message)
        self.assertEqual(stream.observe([1.0]), 102)
        stream.flush(timeout=20)
        frames = [memory_service_pb2.ObserveStreamRequest(batch=batch) for batch in daemon.batches]
        self.assertLessEqual(max(frame.ByteSize() for frame in frames), most)
        self.assertLess(len(frames), 20, "as full as they may be")
        self.assertEqual(sum(len(batch.observations) for batch in daemon.batches), 102)

    def test_batches_are_halved_once_a_refusal_and_not_for_a_gap(self):
        expected = 1

        def answer(batch):
            nonlocal expected
            first, count = batch.first_sequence, len(batch.observations)
            told = ack(expected - 1)
            if count > 50 or first > expected:
                told.rejected.add(sequence=first, count=count, code=11, message="too many, or a gap")
            else:
                expected = max(expected, first + count)
                told = ack(expected - 1)
            return [told]

        daemon = ScriptedDaemon(answer)
        stream = self.stream(daemon)
        for _ in range(1000):
            stream.observe([1.0])
        stream.flush(timeout=20)
        self.assertEqual(expected, 1001)
        # 256, 128 and 64 are too many; whatever is sent behind them is refused with them and halves nothing more.
        self.assertEqual(max(len(batch.observations) for batch in daemon.batches[-10:]), 32)
        # A gap: goes back and leaves the size as it is.
        lost = []

        def lose_one(batch):
            if not lost:
                lost.append(batch)
                told = ack(batch.first_sequence - 2)
                told.rejected.add(sequence=batch.first_sequence, count=len(batch.observations), code=11, message="a gap")
                return [told]
            return take_all(batch)

        gap = ScriptedDaemon(lose_one, next_sequence=2)
        stream = self.stream(gap, batch=8)
        for _ in range(64):
            stream.observe([1.0])
        stream.flush(timeout=20)
        self.assertTrue(lost)
        self.assertEqual(max(len(batch.observations) for batch in gap.batches[1:]), 8)

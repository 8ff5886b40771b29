"""One ObserveStream: batches out, acknowledgements in, and going back where the daemon had no room."""

from __future__ import annotations

import collections
import threading
import time
from typing import Any, Deque, Dict, Iterator, Mapping, Optional, Tuple

import grpc

from engram_client.errors import EngramError, from_rpc
from engram_client.types import Duration, Embedding, Instant, Observation, Rejection, Token, rejections
from engram_client.v1 import memory_service_pb2, observation_pb2

ACK_LEVELS = {
    "received": observation_pb2.ACK_LEVEL_RECEIVED,
    "durable": observation_pb2.ACK_LEVEL_DURABLE,
    "indexed": observation_pb2.ACK_LEVEL_INDEXED,
}
PRIORITIES = {"normal": observation_pb2.PRIORITY_NORMAL, "high": observation_pb2.PRIORITY_HIGH}

_OUT_OF_RANGE = grpc.StatusCode.OUT_OF_RANGE.value[0]
_TRANSIENT = ("RESOURCE_EXHAUSTED", "OUT_OF_RANGE", "UNAVAILABLE")
#: A batch that is not full waits so long for more, in seconds.
_LINGER = 0.005
#: How long refusals that are under way may take to come back, in seconds; then the stream goes on without them.
_SETTLE = 1.0
_REMEMBERED_REJECTIONS = 1000
#: What a message has around an observation at most, and around a batch with room for one that is counted differently.
_AROUND_ONE = 64
_AROUND_BATCH = 4096


def choose(what: str, word: str, words: Mapping[str, int]) -> int:
    """The enumerator for a word; ValueError names the words there are."""
    if word not in words:
        raise ValueError(f"{what} is {word!r}; it can be {', '.join(words)}")
    return words[word]


class Stream:
    """Streams observations into one space. Made by ``Client.stream``; best used with ``with``.

    ``observe`` hands an observation over and returns at once, or waits while ``max_in_flight`` are not acknowledged.
    ``flush`` waits until all of them have reached the ack level. Leaving the ``with`` block flushes and ends the stream;
    leaving it by an exception gives up what is under way.

    What the daemon refuses for now, for want of room, is sent again by itself, and in smaller batches where
    ``limits.max_batch_observations`` has been lowered. What it refuses for good is counted in
    ``rejected_count``, and the first thousand are in ``rejected``.

    With a ``stream_id`` the daemon remembers how far the stream got: open it again with ``resume=True`` and go on with the
    observation number ``next_sequence`` (the first is 1). What is sent twice is stored once. What came before it has been
    received; ``flush`` waits until that, too, has reached the ack level.

    One thread at a time may call ``observe``.
    """

    def __init__(
        self,
        stub: Any,
        address: str,
        space: str,
        *,
        stream_id: str,
        resume: bool,
        ack: str,
        priority: str,
        batch: int,
        max_in_flight: int,
        timeout: float,
    ) -> None:
        self._address = address
        self._timeout = timeout
        self._level = ack
        self._priority = choose("priority", priority, PRIORITIES)
        self._start = memory_service_pb2.StreamStart(
            space=space, stream_id=stream_id, resume=resume, ack_level=choose("ack", ack, ACK_LEVELS)
        )
        self._batch = max(1, batch)
        self._max_in_flight = max(self._batch, max_in_flight)

        self._changed = threading.Condition()
        # What follows is read and written with _changed held.
        self._entries: Dict[int, Tuple[observation_pb2.Observation, int]] = {}  # with their bytes
        self._ids: Dict[int, str] = {}
        self._first = 1  # the sequence of the first observation handed over here
        self._next = 1  # the sequence of the next observation
        self._cursor = 1  # the next to send
        self._sent = 0  # the last sent since the stream last went back
        self._marks = {"received": 0, "durable": 0, "indexed": 0}
        self._flush_through = 0
        self._oldest_unsent = 0.0
        self._max_message_bytes = 0  # 0: the daemon has not said
        self._going_back = False
        self._settled = False
        self._go_on_at = 0.0
        self._settled_by = 0.0
        self._started = False
        self._ending = False
        self._ended = False
        self._error: Optional[EngramError] = None

        #: Refused for good.
        self.rejected: Deque[Rejection] = collections.deque(maxlen=_REMEMBERED_REJECTIONS)
        self.rejected_count = 0
        #: "normal", "warning", "critical" or "overloaded".
        self.pressure = "normal"
        #: The journal position of what is durable.
        self.token: Optional[Token] = None
        #: What durable survives: "memory", "interval" or "fsync".
        self.durability = ""
        #: The stream's name: the one given, or the daemon's.
        self.stream_id = stream_id
        #: Elements of the space's embeddings; 0 before its first observation.
        self.dimension = 0

        self._call = stub.ObserveStream(self._frames())
        self._receiver = threading.Thread(target=self._receive, name="engram-acks", daemon=True)
        self._receiver.start()
        with self._changed:
            self._wait_until(lambda: self._started, timeout, f"no answer from engramd at {address}")

    # --- For callers ---

    def observe(
        self,
        embedding: Embedding,
        *,
        id: str = "",
        content: str = "",
        tags: Optional[Mapping[str, str]] = None,
        observed_at: Optional[Instant] = None,
        confidence: Optional[float] = None,
        ttl: Optional[Duration] = None,
    ) -> int:
        """Hands one observation over. Returns its sequence, which ``rejected`` names it by.

        One that no message can carry raises EngramError INVALID_ARGUMENT and gets no sequence.
        """
        return self.put(Observation(embedding, id, content, tags or {}, observed_at, confidence, ttl))

    def put(self, observation: Observation) -> int:
        """As ``observe``, with an ``Observation``."""
        message = observation.to_message()
        size = message.ByteSize()
        with self._changed:
            if self._ending:
                raise ValueError("the stream has been closed")
            if 0 < self._max_message_bytes < size + _AROUND_ONE:
                raise EngramError(
                    "INVALID_ARGUMENT",
                    f"the observation has {size} bytes; the daemon takes messages of at most {self._max_message_bytes}",
                )
            self._wait_until(lambda: self._next - 1 - self._marks[self._level] < self._max_in_flight, None, "")
            sequence = self._next
            self._entries[sequence] = message, size
            self._ids[sequence] = message.id
            self._next += 1
            if self._next - self._cursor == 1:
                self._oldest_unsent = time.monotonic()
                self._changed.notify_all()
            elif self._next - self._cursor >= self._batch:
                self._changed.notify_all()
        return sequence

    def flush(self, timeout: Optional[float] = None) -> None:
        """Waits until everything handed over has reached the ack level or is in ``rejected``.

        Raises EngramError when the stream has failed, or DEADLINE_EXCEEDED after ``timeout`` seconds.
        """
        with self._changed:
            last = self._next - 1
            self._flush_through = max(self._flush_through, last)
            self._changed.notify_all()
            self._wait_until(lambda: self._marks[self._level] >= last, timeout, f"not all {self._level}")

    def close(self, timeout: Optional[float] = None) -> None:
        """Flushes and ends the stream. Again is harmless."""
        with self._changed:
            if self._ended:
                if self._error is not None:
                    raise self._error
                return
        self.flush(timeout)
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        self._receiver.join(self._timeout)
        if self._receiver.is_alive():
            self.cancel()
            raise EngramError("DEADLINE_EXCEEDED", f"engramd did not end the stream within {self._timeout} s")
        if self._error is not None:
            raise self._error

    def cancel(self) -> None:
        """Ends the stream at once. What is under way may or may not be stored.

        After a resume ``next_sequence`` tells what was received of it, and ``acknowledged`` what has reached the ack level.
        """
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        self._call.cancel()
        self._receiver.join()

    @property
    def next_sequence(self) -> int:
        """The sequence the next observation gets. After opening with ``resume``: where to go on."""
        with self._changed:
            return self._next

    @property
    def acknowledged(self) -> int:
        """Every sequence up to here has reached the ack level or was refused for good."""
        with self._changed:
            return self._marks[self._level]

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, kind: Any, *unused: object) -> None:
        if kind is None:
            self.close()
        else:
            self.cancel()

    # --- With _changed held ---

    def _wait_until(self, condition: Any, timeout: Optional[float], what: str) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        while not condition():
            if self._error is not None:
                raise self._error
            if self._ended:
                raise EngramError("UNAVAILABLE", "the stream has ended")
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise EngramError("DEADLINE_EXCEEDED", f"{what} within {timeout} s")
            self._changed.wait(left)

    def _go_on(self, now: float) -> None:
        """Sends again from the first sequence not taken, when all that was under way has come back refused.

        Earlier, stale refusals would be taken for new ones, and everything be sent twice.
        """
        settled = self._settled or self._marks["received"] >= self._sent or now >= self._settled_by
        if self._going_back and settled and now >= self._go_on_at:
            self._going_back = False
            self._cursor = self._marks["received"] + 1
            self._sent = self._cursor - 1

    def _pause(self, now: float) -> Optional[float]:
        """How long nothing can be sent, in seconds; None: until something changes; 0: a batch is ready."""
        waiting = self._next - self._cursor
        if self._going_back:
            return max(0.001, min(self._settled_by, max(self._go_on_at, now + 0.01)) - now)
        if waiting == 0:
            return None
        if waiting >= self._batch or self._flush_through >= self._cursor:
            return 0
        return max(0.0, self._oldest_unsent + _LINGER - now)

    def _end_of_batch(self) -> int:
        """The sequence behind the next batch: full, at the end of what there is, or as large as a message may be."""
        end = min(self._next, self._cursor + self._batch)
        if not self._max_message_bytes:
            return end
        left = max(self._max_message_bytes - _AROUND_BATCH, _AROUND_BATCH)
        for sequence in range(self._cursor, end):
            left -= self._entries[sequence][1] + 8
            if left < 0 and sequence > self._cursor:
                return sequence
        return end

    # --- The thread of gRPC that sends ---

    def _frames(self) -> Iterator[memory_service_pb2.ObserveStreamRequest]:
        yield memory_service_pb2.ObserveStreamRequest(start=self._start)
        while True:
            # Never yielded with the lock held: gRPC may leave the generator there for long.
            with self._changed:
                batch = self._next_batch()
            if batch is None:
                break
            yield memory_service_pb2.ObserveStreamRequest(batch=batch)
        if not self._ended:
            yield memory_service_pb2.ObserveStreamRequest(end=memory_service_pb2.StreamEnd(drain=True))

    def _next_batch(self) -> Optional[memory_service_pb2.ObservationBatch]:
        """Waits for the next batch, with _changed held; None when there will be none."""
        while not self._ended:
            now = time.monotonic()
            pause: Optional[float] = None
            if self._started:
                self._go_on(now)
                pause = self._pause(now)
                if pause == 0:
                    first, end = self._cursor, self._end_of_batch()
                    self._cursor, self._sent, self._oldest_unsent = end, end - 1, now
                    return memory_service_pb2.ObservationBatch(
                        first_sequence=first,
                        priority=self._priority,
                        observations=[self._entries[sequence][0] for sequence in range(first, end)],
                    )
                if pause is None and self._ending:
                    return None
            self._changed.wait(pause)
        return None

    # --- The thread that reads ---

    def _receive(self) -> None:
        error: Optional[EngramError] = None
        try:
            for response in self._call:
                with self._changed:
                    self._take(response)
                    self._changed.notify_all()
        except grpc.RpcError as failure:
            if not (failure.code() == grpc.StatusCode.CANCELLED and self._ending):
                error = from_rpc(failure, self._address)
        with self._changed:
            self._error = error
            self._ended = True
            self._changed.notify_all()

    def _take(self, response: memory_service_pb2.ObserveStreamResponse) -> None:
        frame = response.WhichOneof("frame")
        if frame == "started":
            started = response.started
            self.stream_id = started.stream_id
            self.durability = _name(observation_pb2.Durability, started.durability, "DURABILITY_")
            self.dimension = started.limits.dimension
            if started.limits.max_batch_observations:
                self._batch = min(self._batch, started.limits.max_batch_observations)
            self._max_message_bytes = started.limits.max_message_bytes
            self._first = self._next = self._cursor = started.next_sequence
            self._sent = self._next - 1
            # Only received so far; how much of it is durable and indexed the first acknowledgement tells.
            self._marks["received"] = self._next - 1
            self._started = True
        elif frame == "ack":
            self._take_ack(response.ack)
        elif frame == "pressure":
            self.pressure = _name(observation_pb2.PressureLevel, response.pressure.level, "PRESSURE_LEVEL_")
        elif frame == "ended":
            self._advance(response.ended)

    def _take_ack(self, ack: memory_service_pb2.Ack) -> None:
        now = time.monotonic()
        for run in ack.rejected:
            # Begins where the daemon goes on, so it is no gap: limits.max_batch_observations is lower than it was.
            if run.code == _OUT_OF_RANGE and run.sequence <= ack.received_through + 1:
                self._batch = max(1, min(self._batch, run.count) // 2)
        for one in rejections(ack.rejected, lambda sequence: self._ids.get(sequence, "")):
            if one.code not in _TRANSIENT:
                self.rejected_count += 1
                if len(self.rejected) < _REMEMBERED_REJECTIONS:
                    self.rejected.append(one)
                continue
            if not self._going_back:
                self._going_back, self._settled = True, False
                self._go_on_at, self._settled_by = now, now + one.retry_after + _SETTLE
            self._settled = self._settled or one.sequence >= self._sent
            self._go_on_at = max(self._go_on_at, now + one.retry_after)
        if ack.HasField("token"):
            self.token = Token.from_message(ack.token)
        self._advance(ack)

    def _advance(self, marks: Any) -> None:
        """Takes new watermarks in and lets go of what is received."""
        before = self._marks
        last = self._next - 1
        self._marks = {
            "received": max(before["received"], min(marks.received_through, last)),
            "durable": max(before["durable"], min(marks.durable_through, last)),
            "indexed": max(before["indexed"], min(marks.indexed_through, last)),
        }
        for sequence in range(max(self._first, before["received"] + 1), self._marks["received"] + 1):
            self._entries.pop(sequence, None)
        # Until it is durable an observation may still be refused, and is then reported with its id.
        for sequence in range(max(self._first, before["durable"] + 1), self._marks["durable"] + 1):
            self._ids.pop(sequence, None)


def _name(enum: Any, number: int, prefix: str) -> str:
    return enum.Name(number)[len(prefix) :].lower()

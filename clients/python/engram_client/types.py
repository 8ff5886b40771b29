"""The values that go in and come out, and their forms on the wire."""

from __future__ import annotations

import array
import datetime
import struct
import sys
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from engram_client.errors import code_name
from engram_client.v1 import memory_service_pb2, observation_pb2

#: A list of numbers, an ``array.array`` or a NumPy array of one dimension.
Embedding = Any
Instant = Union[datetime.datetime, int]
Duration = Union[datetime.timedelta, float, int]

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_MICROSECOND = datetime.timedelta(microseconds=1)


def to_micros(instant: Instant) -> int:
    """Microseconds since 1970. A datetime without a zone is local time, as everywhere in Python."""
    if isinstance(instant, datetime.datetime):
        return (instant.astimezone(datetime.timezone.utc) - _EPOCH) // _MICROSECOND
    return int(instant)


def from_micros(micros: int) -> datetime.datetime:
    return _EPOCH + datetime.timedelta(microseconds=micros)


def duration_micros(duration: Duration) -> int:
    """Microseconds of a timedelta or of seconds."""
    if isinstance(duration, datetime.timedelta):
        return duration // _MICROSECOND
    return round(duration * 1_000_000)


def embedding_bytes(embedding: Embedding) -> Tuple[str, bytes]:
    """The field of the wire that fits, "embedding_f32" or "embedding_f16", and its bytes."""
    dtype = getattr(embedding, "dtype", None)
    if dtype is not None:
        if embedding.ndim != 1:
            raise ValueError(f"an embedding has one dimension; this array has {embedding.ndim}")
        if dtype.kind == "f" and dtype.itemsize == 2:
            return "embedding_f16", embedding.astype("<f2").tobytes()
        return "embedding_f32", embedding.astype("<f4").tobytes()
    if isinstance(embedding, (str, bytes)):
        raise TypeError(f"an embedding is a sequence of numbers, not {type(embedding).__name__}")
    elements = array.array("f", embedding)
    if sys.byteorder == "big":
        elements.byteswap()
    return "embedding_f32", elements.tobytes()


def _elements(message: observation_pb2.Observation) -> Optional[List[float]]:
    which = message.WhichOneof("vector")
    if which is None:
        return None
    if which == "embedding":
        return list(message.embedding.values)
    data = getattr(message, which)
    size, letter = (4, "f") if which == "embedding_f32" else (2, "e")
    return list(struct.unpack(f"<{len(data) // size}{letter}", data))


@dataclass
class Observation:
    """One memory. Only the embedding is needed; without an id the daemon assigns one."""

    embedding: Optional[Embedding] = None
    id: str = ""
    content: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    observed_at: Optional[Instant] = None
    confidence: Optional[float] = None
    ttl: Optional[Duration] = None

    def to_message(self) -> observation_pb2.Observation:
        if self.embedding is None:
            raise ValueError(f"observation {self.id!r} has no embedding")
        message = observation_pb2.Observation(id=self.id, content=self.content, tags=dict(self.tags))
        name, data = embedding_bytes(self.embedding)
        setattr(message, name, data)
        if self.observed_at is not None:
            message.observed_at_us = to_micros(self.observed_at)
        if self.confidence is not None:
            message.confidence = self.confidence
        if self.ttl is not None:
            message.ttl_us = duration_micros(self.ttl)
        return message

    @classmethod
    def from_message(cls, message: observation_pb2.Observation) -> "Observation":
        return cls(
            embedding=_elements(message),
            id=message.id,
            content=message.content,
            tags=dict(message.tags),
            observed_at=from_micros(message.observed_at_us) if message.observed_at_us else None,
            confidence=message.confidence if message.HasField("confidence") else None,
            ttl=datetime.timedelta(microseconds=message.ttl_us) if message.ttl_us else None,
        )


@dataclass(frozen=True)
class Filter:
    """Which observations are meant: all conditions set must hold.

    ``tags`` must all be there, at least one of ``any_tags``, none of ``no_tags``. ``since`` is included, ``until`` is not.
    """

    tags: Mapping[str, str] = field(default_factory=dict)
    any_tags: Mapping[str, str] = field(default_factory=dict)
    no_tags: Mapping[str, str] = field(default_factory=dict)
    since: Optional[Instant] = None
    until: Optional[Instant] = None
    min_confidence: float = 0.0
    exclude_ids: Sequence[str] = ()

    def to_message(self) -> observation_pb2.Filter:
        return observation_pb2.Filter(
            all_tags=dict(self.tags),
            any_tags=dict(self.any_tags),
            no_tags=dict(self.no_tags),
            observed_from_us=0 if self.since is None else to_micros(self.since),
            observed_to_us=0 if self.until is None else to_micros(self.until),
            min_confidence=self.min_confidence,
            exclude_ids=list(self.exclude_ids),
        )


@dataclass(frozen=True)
class Token:
    """A position in the daemon's journal. Give it to ``recall(at_least=...)`` to read your writes."""

    journal: int
    position: int

    def to_message(self) -> observation_pb2.Token:
        return observation_pb2.Token(journal=self.journal, position=self.position)

    @classmethod
    def from_message(cls, message: observation_pb2.Token) -> "Token":
        return cls(message.journal, message.position)


@dataclass(frozen=True)
class Rejection:
    """One observation that was not taken. ``sequence`` is its number in the stream, or its place, from 1, in the call."""

    sequence: int
    id: str
    code: str
    message: str
    #: Seconds after which a transient refusal is worth another try.
    retry_after: float = 0.0


def rejections(messages: Sequence[observation_pb2.Rejection], id_of: Any) -> List[Rejection]:
    """Runs of refusals, one by one. ``id_of(sequence)`` names the observation."""
    return [
        Rejection(sequence, id_of(sequence), code_name(one.code), one.message, one.retry_after_us / 1e6)
        for one in messages
        for sequence in range(one.sequence, one.sequence + max(1, one.count))
    ]


@dataclass(frozen=True)
class ObserveResult:
    """What became of one ``observe`` call."""

    accepted: int
    #: One for each observation: its id, or "" where it was refused.
    ids: List[str]
    rejected: List[Rejection]
    #: None with ack="received".
    token: Optional[Token]


@dataclass(frozen=True)
class Hit:
    id: str
    similarity: float
    score: float
    observed_at: datetime.datetime
    confidence: float
    content: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    embedding: Optional[List[float]] = None

    @classmethod
    def from_message(cls, message: memory_service_pb2.Hit) -> "Hit":
        return cls(
            id=message.id,
            similarity=message.similarity,
            score=message.score,
            observed_at=from_micros(message.observed_at_us),
            confidence=message.confidence,
            content=message.content,
            tags=dict(message.tags),
            embedding=list(message.embedding) or None,
        )


@dataclass(frozen=True)
class FollowPoint:
    """How far a recall that goes on has got. Given back as it is; ``through`` also serves as ``at_least``."""

    through: Token
    partial_position: int = 0
    partial_places: int = 0

    def to_message(self) -> memory_service_pb2.FollowPoint:
        return memory_service_pb2.FollowPoint(
            through=self.through.to_message(),
            partial_position=self.partial_position,
            partial_places=self.partial_places,
        )


@dataclass(frozen=True)
class RecallPart:
    """Some hits of a recall that comes in parts."""

    hits: List[Hit]
    #: The last part of the snapshot.
    last: bool
    #: Everything recorded before it has been sent; None within the snapshot, and without ``follow``.
    point: Optional[FollowPoint]
    #: New matches left out because the journal's record of them is damaged.
    unreadable: int = 0

    @classmethod
    def from_message(cls, message: memory_service_pb2.RecallStreamResponse) -> "RecallPart":
        point = None
        if message.HasField("point"):
            at = message.point
            point = FollowPoint(Token.from_message(at.through), at.partial_position, at.partial_places)
        return cls([Hit.from_message(hit) for hit in message.hits], message.last, point, message.unreadable)


@dataclass(frozen=True)
class Coverage:
    """What an answer saw."""

    visible_through: Token
    exact: bool
    graph_candidates: int
    tail_scanned: int
    live: int
    #: Possible hits left out because the journal's record of them is damaged.
    unreadable: int = 0


class Observations(Dict[str, Observation]):
    """Observations by their ids, and why others that were asked for are not among them."""

    def __init__(self) -> None:
        super().__init__()
        #: The space has none with these ids.
        self.missing: List[str] = []
        #: The journal's record of these is damaged.
        self.unreadable: List[str] = []


@dataclass(frozen=True)
class RecallResult:
    """The hits, best first: a sequence of ``Hit``."""

    hits: List[Hit]
    coverage: Coverage
    #: Seconds inside the daemon.
    elapsed: float

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def __getitem__(self, index: int) -> Hit:
        return self.hits[index]

    @classmethod
    def from_message(cls, message: memory_service_pb2.RecallResponse) -> "RecallResult":
        coverage = message.coverage
        return cls(
            hits=[
                Hit.from_message(hit)
                for hit in message.hits
            ],
            coverage=Coverage(
                visible_through=Token.from_message(coverage.visible_through),
                exact=coverage.exact,
                graph_candidates=coverage.graph_candidates,
                tail_scanned=coverage.tail_scanned,
                live=coverage.live,
                unreadable=coverage.unreadable,
            ),
            elapsed=message.elapsed_us / 1e6,
        )


@dataclass(frozen=True)
class ForgetResult:
    #: How many; with dry_run, how many there would be.
    forgotten: int
    missing: List[str]
    token: Token


METRICS = {
    "cosine": observation_pb2.METRIC_COSINE,
    "inner_product": observation_pb2.METRIC_INNER_PRODUCT,
    "l2": observation_pb2.METRIC_L2,
}


@dataclass(frozen=True)
class Space:
    """A memory space as it is now. 0 in ``max_rate`` and the quotas is without limit."""

    name: str
    dimension: int
    metric: str
    live: int
    size: int
    linked: int
    queued: int
    has_graph: bool
    resident_bytes: int
    created_at: datetime.datetime
    ef_search: int
    max_rate: int
    quota_observations: int
    quota_bytes: int

    @classmethod
    def from_message(cls, message: memory_service_pb2.Space) -> "Space":
        config = message.config
        names = {number: name for name, number in METRICS.items()}
        return cls(
            name=message.name,
            dimension=config.dimension,
            metric=names.get(config.metric, "cosine"),
            live=message.live,
            size=message.size,
            linked=message.linked,
            queued=message.queued,
            has_graph=message.has_graph,
            resident_bytes=message.resident_bytes,
            created_at=from_micros(message.created_at_us),
            ef_search=config.ef_search,
            max_rate=config.max_rate,
            quota_observations=config.quota_observations,
            quota_bytes=config.quota_bytes,
        )

"""The calls of the daemon as methods."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Iterator, List, Mapping, Optional, Union

import grpc

from engram_client.errors import from_rpc
from engram_client.stream import ACK_LEVELS, PRIORITIES, Stream, choose
from engram_client.types import (
    METRICS,
    Embedding,
    Filter,
    FollowPoint,
    ForgetResult,
    Observation,
    Observations,
    ObserveResult,
    RecallPart,
    RecallResult,
    Space,
    Token,
    embedding_bytes,
    rejections,
)
from engram_client.v1 import admin_service_pb2, admin_service_pb2_grpc, memory_service_pb2, memory_service_pb2_grpc

#: What one GetObservations or Forget call may name.
_IDS_IN_A_CALL = 1000


def _recall_request(
    space: str,
    embedding: Optional[Embedding],
    k: int,
    *,
    id: Optional[str] = None,
    where: Optional[Filter] = None,
    content: bool = False,
    tags: bool = False,
    include_embedding: bool = False,
    min_similarity: Optional[float] = None,
    ef: int = 0,
    exact: bool = False,
    half_life: Optional[float] = None,
    confidence_weight: float = 0.0,
    oversample: int = 0,
    code_oversample: int = 0,
    at_least: Optional[Token] = None,
) -> memory_service_pb2.RecallRequest:
    if (embedding is None) == (id is None):
        raise ValueError("recall by an embedding or by an id: one of the two")
    request = memory_service_pb2.RecallRequest(
        space=space,
        k=k,
        ef=ef,
        include_content=content,
        include_tags=tags,
        include_embedding=include_embedding,
        exact=exact,
        oversample=code_oversample,
    )
    if id is not None:
        request.id = id
    else:
        name, data = embedding_bytes(embedding)
        setattr(request, name, data)
    if min_similarity is not None:
        request.min_similarity = min_similarity
    if half_life is not None:
        request.ranking.recency_half_life_us = round(half_life * 1_000_000)
    if confidence_weight:
        request.ranking.confidence_weight = confidence_weight
    if oversample:
        request.ranking.oversample = oversample
    if where is not None:
        request.filter.CopyFrom(where.to_message())
    if at_least is not None:
        request.at_least.CopyFrom(at_least.to_message())
    return request


class Client:
    """A connection to one engramd, made with the first call. Its methods may be called from several threads.

    ``address`` is host:port, [v6]:port or unix:path. ``timeout``, in seconds, bounds every call but streams.
    """

    def __init__(self, address: str = "127.0.0.1:50051", *, timeout: float = 10.0) -> None:
        self.address = address
        self.timeout = timeout
        self._channel = grpc.insecure_channel(
            address, options=[("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0)]
        )
        self._memory = memory_service_pb2_grpc.MemoryServiceStub(self._channel)
        self._admin = admin_service_pb2_grpc.AdminServiceStub(self._channel)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection, and with it streams that are still open."""
        self._channel.close()

    def _call(self, method: Callable[..., Any], request: Any, timeout: Optional[float] = None) -> Any:
        try:
            return method(request, timeout=self.timeout if timeout is None else timeout)
        except grpc.RpcError as error:
            raise from_rpc(error, self.address) from None

    def stream(
        self,
        space: str,
        *,
        stream_id: str = "",
        resume: bool = False,
        ack: str = "durable",
        priority: str = "normal",
        batch: int = 256,
        max_in_flight: int = 8192,
    ) -> Stream:
        """Opens a stream into a space: the fast way in. See ``Stream``."""
        return Stream(
            self._memory,
            self.address,
            space,
            stream_id=stream_id,
            resume=resume,
            ack=ack,
            priority=priority,
            batch=batch,
            max_in_flight=max_in_flight,
            timeout=self.timeout,
        )

    def observe(
        self,
        space: str,
        observations: Iterable[Union[Observation, Mapping[str, Any]]],
        *,
        ack: str = "durable",
        priority: str = "normal",
    ) -> ObserveResult:
        """Observes one batch and waits until it has reached the level ``ack``: received, durable or indexed.

        Observations are ``Observation`` objects or mappings of its fields. Refusals are in the result, not raised.
        """
        messages = [
            (one if isinstance(one, Observation) else Observation(**one)).to_message() for one in observations
        ]
        response = self._call(
            self._memory.Observe,
            memory_service_pb2.ObserveRequest(
                space=space,
                observations=messages,
                ack_level=choose("ack", ack, ACK_LEVELS),
                priority=choose("priority", priority, PRIORITIES),
            ),
        )
        return ObserveResult(
            accepted=response.accepted,
            ids=list(response.ids),
            rejected=rejections(response.rejected, lambda place: messages[place - 1].id if 0 < place <= len(messages) else ""),
            token=Token.from_message(response.token) if response.HasField("token") else None,
        )

    def recall(
        self,
        space: str,
        embedding: Optional[Embedding] = None,
        k: int = 10,
        *,
        id: Optional[str] = None,
        where: Optional[Filter] = None,
        content: bool = False,
        tags: bool = False,
        include_embedding: bool = False,
        min_similarity: Optional[float] = None,
        ef: int = 0,
        exact: bool = False,
        half_life: Optional[float] = None,
        confidence_weight: float = 0.0,
        oversample: int = 0,
        code_oversample: int = 0,
        at_least: Optional[Token] = None,
        timeout: Optional[float] = None,
    ) -> RecallResult:
        """The ``k`` observations most similar to an embedding, or to the observation ``id``.

        With a ``half_life`` in seconds, or a ``confidence_weight`` in 0..1, hits are ordered by ``score``: similarity
        weighted by age and confidence, among the ``oversample * k`` (0: four times ``k``) most similar.

        ``code_oversample`` times ``k`` (0: three times) observations that look most similar by their codes are looked at
        again in full precision.
        """
        request = _recall_request(
            space, embedding, k, id=id, where=where, content=content, tags=tags, include_embedding=include_embedding,
            min_similarity=min_similarity, ef=ef, exact=exact, half_life=half_life, confidence_weight=confidence_weight,
            oversample=oversample, code_oversample=code_oversample,
            at_least=at_least,
        )
        return RecallResult.from_message(self._call(self._memory.Recall, request, timeout))

    def recall_stream(
        self,
        space: str,
        embedding: Optional[Embedding] = None,
        k: int = 10,
        *,
        follow: bool = False,
        after: Optional[FollowPoint] = None,
        batch: int = 0,
        **cue: Any,
    ) -> Iterator[RecallPart]:
        """A recall in parts of ``batch`` hits; with ``follow`` it goes on with what is observed from then on.

        Takes what ``recall`` takes. A follower is given each new observation that passes ``min_similarity`` and ``where``,
        in the order of the journal, and parts without hits while there is none. Each part's ``point`` says how far it is:
        ``after=point`` goes on from there, without the snapshot, on any connection; an ``id`` to recall by is looked up
        anew then, so a cue that must not change is given as its vector. Closing the generator ends the call;
        a daemon that drains ends it with an ``EngramError`` of code "UNAVAILABLE".
        """
        request = memory_service_pb2.RecallStreamRequest(
            recall=_recall_request(space, embedding, k, **cue), batch_size=batch, follow=follow
        )
        if after is not None:
            request.after.CopyFrom(after.to_message())
        call = self._memory.RecallStream(request, timeout=None if follow else self.timeout)
        try:
            for message in call:
                yield RecallPart.from_message(message)
        except grpc.RpcError as error:
            raise from_rpc(error, self.address) from None
        finally:
            call.cancel()

    def get(self, space: str, ids: Iterable[str], *, embedding: bool = False) -> Observations:
        """The observations with these ids, by id. The answer names those that are ``missing`` or ``unreadable``."""
        wanted, found = list(ids), Observations()
        for at in range(0, len(wanted), _IDS_IN_A_CALL):
            response = self._call(
                self._memory.GetObservations,
                memory_service_pb2.GetObservationsRequest(
                    space=space, ids=wanted[at : at + _IDS_IN_A_CALL], include_embedding=embedding
                ),
            )
            found.update((message.id, Observation.from_message(message)) for message in response.observations)
            found.missing += response.missing
            found.unreadable += response.unreadable
        return found

    def forget(
        self,
        space: str,
        ids: Optional[Iterable[str]] = None,
        *,
        where: Optional[Filter] = None,
        dry_run: bool = False,
    ) -> ForgetResult:
        """Forgets by ids (at most 1000) or by a filter. No recall that begins after it shows them."""
        if (ids is None) == (where is None):
            raise ValueError("forget by ids or by a filter: one of the two")
        request = memory_service_pb2.ForgetRequest(space=space, ids=list(ids or ()), dry_run=dry_run)
        if where is not None:
            request.filter.CopyFrom(where.to_message())
        response = self._call(self._memory.Forget, request)
        return ForgetResult(response.forgotten, list(response.missing), Token.from_message(response.token))

    def spaces(self, prefix: str = "") -> List[Space]:
        """All spaces whose names begin so, in the order of their names."""
        out: List[Space] = []
        page_token = ""
        while True:
            response = self._call(
                self._memory.ListSpaces,
                memory_service_pb2.ListSpacesRequest(prefix=prefix, page_size=1000, page_token=page_token),
            )
            out.extend(Space.from_message(message) for message in response.spaces)
            page_token = response.next_page_token
            if not page_token:
                return out

    def space(self, name: str) -> Space:
        return Space.from_message(self._call(self._memory.GetSpace, memory_service_pb2.GetSpaceRequest(name=name)))

    def create_space(self, name: str, *, dimension: int = 0, metric: str = "cosine", **config: int) -> Space:
        """Makes a space; the same again answers the one there is.

        ``config``: max_connections, ef_construction, ef_search, flat_threshold, max_rate, quota_observations, quota_bytes.
        """
        request = memory_service_pb2.CreateSpaceRequest(
            name=name,
            config=memory_service_pb2.SpaceConfig(
                dimension=dimension, metric=choose("metric", metric, METRICS), **config
            ),
        )
        return Space.from_message(self._call(self._memory.CreateSpace, request))

    def update_space(self, name: str, **changes: int) -> Space:
        """Changes ef_search, max_rate, quota_observations or quota_bytes."""
        request = memory_service_pb2.UpdateSpaceRequest(name=name, **changes)
        return Space.from_message(self._call(self._memory.UpdateSpace, request))

    def delete_space(self, name: str) -> int:
        """Deletes a space and all it holds; answers how many observations those were."""
        return self._call(self._memory.DeleteSpace, memory_service_pb2.DeleteSpaceRequest(name=name)).forgotten

    def status(self) -> admin_service_pb2.GetStatusResponse:
        """How the daemon is doing, as the message of the wire."""
        return self._call(self._admin.GetStatus, admin_service_pb2.GetStatusRequest())

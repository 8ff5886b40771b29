from engram_client.v1 import observation_pb2 as _observation_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Ack(_message.Message):
    __slots__ = ["durability", "durable_through", "indexed_through", "next_sequence", "received_through", "rejected", "token"]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    DURABLE_THROUGH_FIELD_NUMBER: _ClassVar[int]
    INDEXED_THROUGH_FIELD_NUMBER: _ClassVar[int]
    NEXT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_THROUGH_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    durability: _observation_pb2.Durability
    durable_through: int
    indexed_through: int
    next_sequence: int
    received_through: int
    rejected: _containers.RepeatedCompositeFieldContainer[_observation_pb2.Rejection]
    token: _observation_pb2.Token
    def __init__(self, received_through: _Optional[int] = ..., durable_through: _Optional[int] = ..., indexed_through: _Optional[int] = ..., token: _Optional[_Union[_observation_pb2.Token, _Mapping]] = ..., rejected: _Optional[_Iterable[_Union[_observation_pb2.Rejection, _Mapping]]] = ..., next_sequence: _Optional[int] = ..., durability: _Optional[_Union[_observation_pb2.Durability, str]] = ...) -> None: ...

class Coverage(_message.Message):
    __slots__ = ["exact", "graph_candidates", "live", "tail_scanned", "unreadable", "visible_through"]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    GRAPH_CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    TAIL_SCANNED_FIELD_NUMBER: _ClassVar[int]
    UNREADABLE_FIELD_NUMBER: _ClassVar[int]
    VISIBLE_THROUGH_FIELD_NUMBER: _ClassVar[int]
    exact: bool
    graph_candidates: int
    live: int
    tail_scanned: int
    unreadable: int
    visible_through: _observation_pb2.Token
    def __init__(self, visible_through: _Optional[_Union[_observation_pb2.Token, _Mapping]] = ..., graph_candidates: _Optional[int] = ..., tail_scanned: _Optional[int] = ..., exact: bool = ..., live: _Optional[int] = ..., unreadable: _Optional[int] = ...) -> None: ...

class CreateSpaceRequest(_message.Message):
    __slots__ = ["config", "name"]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    config: SpaceConfig
    name: str
    def __init__(self, name: _Optional[str] = ..., config: _Optional[_Union[SpaceConfig, _Mapping]] = ...) -> None: ...

class DeleteSpaceRequest(_message.Message):
    __slots__ = ["name"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteSpaceResponse(_message.Message):
    __slots__ = ["forgotten"]
    FORGOTTEN_FIELD_NUMBER: _ClassVar[int]
    forgotten: int
    def __init__(self, forgotten: _Optional[int] = ...) -> None: ...

class FlowControl(_message.Message):
    __slots__ = ["action"]
    class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = []
    ACTION_FIELD_NUMBER: _ClassVar[int]
    ACTION_UNSPECIFIED: FlowControl.Action
    PAUSE: FlowControl.Action
    RESUME: FlowControl.Action
    action: FlowControl.Action
    def __init__(self, action: _Optional[_Union[FlowControl.Action, str]] = ...) -> None: ...

class FollowPoint(_message.Message):
    __slots__ = ["partial_places", "partial_position", "through"]
    PARTIAL_PLACES_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_POSITION_FIELD_NUMBER: _ClassVar[int]
    THROUGH_FIELD_NUMBER: _ClassVar[int]
    partial_places: int
    partial_position: int
    through: _observation_pb2.Token
    def __init__(self, through: _Optional[_Union[_observation_pb2.Token, _Mapping]] = ..., partial_position: _Optional[int] = ..., partial_places: _Optional[int] = ...) -> None: ...

class ForgetRequest(_message.Message):
    __slots__ = ["dry_run", "filter", "ids", "space"]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    dry_run: bool
    filter: _observation_pb2.Filter
    ids: _containers.RepeatedScalarFieldContainer[str]
    space: str
    def __init__(self, space: _Optional[str] = ..., ids: _Optional[_Iterable[str]] = ..., filter: _Optional[_Union[_observation_pb2.Filter, _Mapping]] = ..., dry_run: bool = ...) -> None: ...

class ForgetResponse(_message.Message):
    __slots__ = ["forgotten", "missing", "token"]
    FORGOTTEN_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    forgotten: int
    missing: _containers.RepeatedScalarFieldContainer[str]
    token: _observation_pb2.Token
    def __init__(self, forgotten: _Optional[int] = ..., missing: _Optional[_Iterable[str]] = ..., token: _Optional[_Union[_observation_pb2.Token, _Mapping]] = ...) -> None: ...

class GetObservationsRequest(_message.Message):
    __slots__ = ["ids", "include_embedding", "space"]
    IDS_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    include_embedding: bool
    space: str
    def __init__(self, space: _Optional[str] = ..., ids: _Optional[_Iterable[str]] = ..., include_embedding: bool = ...) -> None: ...

class GetObservationsResponse(_message.Message):
    __slots__ = ["missing", "observations", "unreadable"]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    OBSERVATIONS_FIELD_NUMBER: _ClassVar[int]
    UNREADABLE_FIELD_NUMBER: _ClassVar[int]
    missing: _containers.RepeatedScalarFieldContainer[str]
    observations: _containers.RepeatedCompositeFieldContainer[_observation_pb2.Observation]
    unreadable: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, observations: _Optional[_Iterable[_Union[_observation_pb2.Observation, _Mapping]]] = ..., missing: _Optional[_Iterable[str]] = ..., unreadable: _Optional[_Iterable[str]] = ...) -> None: ...

class GetSpaceRequest(_message.Message):
    __slots__ = ["name"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class Hit(_message.Message):
    __slots__ = ["confidence", "content", "embedding", "id", "observed_at_us", "score", "similarity", "tags"]
    class TagsEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_AT_US_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    confidence: float
    content: str
    embedding: _containers.RepeatedScalarFieldContainer[float]
    id: str
    observed_at_us: int
    score: float
    similarity: float
    tags: _containers.ScalarMap[str, str]
    def __init__(self, id: _Optional[str] = ..., similarity: _Optional[float] = ..., score: _Optional[float] = ..., observed_at_us: _Optional[int] = ..., confidence: _Optional[float] = ..., content: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., embedding: _Optional[_Iterable[float]] = ...) -> None: ...

class ListSpacesRequest(_message.Message):
    __slots__ = ["page_size", "page_token", "prefix"]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    prefix: str
    def __init__(self, prefix: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListSpacesResponse(_message.Message):
    __slots__ = ["next_page_token", "spaces"]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SPACES_FIELD_NUMBER: _ClassVar[int]
    next_page_token: str
    spaces: _containers.RepeatedCompositeFieldContainer[Space]
    def __init__(self, spaces: _Optional[_Iterable[_Union[Space, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ObservationBatch(_message.Message):
    __slots__ = ["first_sequence", "observations", "priority"]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    OBSERVATIONS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    first_sequence: int
    observations: _containers.RepeatedCompositeFieldContainer[_observation_pb2.Observation]
    priority: _observation_pb2.Priority
    def __init__(self, first_sequence: _Optional[int] = ..., priority: _Optional[_Union[_observation_pb2.Priority, str]] = ..., observations: _Optional[_Iterable[_Union[_observation_pb2.Observation, _Mapping]]] = ...) -> None: ...

class ObserveRequest(_message.Message):
    __slots__ = ["ack_level", "observations", "priority", "space"]
    ACK_LEVEL_FIELD_NUMBER: _ClassVar[int]
    OBSERVATIONS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    ack_level: _observation_pb2.AckLevel
    observations: _containers.RepeatedCompositeFieldContainer[_observation_pb2.Observation]
    priority: _observation_pb2.Priority
    space: str
    def __init__(self, space: _Optional[str] = ..., observations: _Optional[_Iterable[_Union[_observation_pb2.Observation, _Mapping]]] = ..., priority: _Optional[_Union[_observation_pb2.Priority, str]] = ..., ack_level: _Optional[_Union[_observation_pb2.AckLevel, str]] = ...) -> None: ...

class ObserveResponse(_message.Message):
    __slots__ = ["accepted", "durability", "ids", "level", "rejected", "token"]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    accepted: int
    durability: _observation_pb2.Durability
    ids: _containers.RepeatedScalarFieldContainer[str]
    level: _observation_pb2.AckLevel
    rejected: _containers.RepeatedCompositeFieldContainer[_observation_pb2.Rejection]
    token: _observation_pb2.Token
    def __init__(self, accepted: _Optional[int] = ..., ids: _Optional[_Iterable[str]] = ..., rejected: _Optional[_Iterable[_Union[_observation_pb2.Rejection, _Mapping]]] = ..., token: _Optional[_Union[_observation_pb2.Token, _Mapping]] = ..., level: _Optional[_Union[_observation_pb2.AckLevel, str]] = ..., durability: _Optional[_Union[_observation_pb2.Durability, str]] = ...) -> None: ...

class ObserveStreamRequest(_message.Message):
    __slots__ = ["batch", "end", "flow", "start"]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    FLOW_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    batch: ObservationBatch
    end: StreamEnd
    flow: FlowControl
    start: StreamStart
    def __init__(self, start: _Optional[_Union[StreamStart, _Mapping]] = ..., batch: _Optional[_Union[ObservationBatch, _Mapping]] = ..., flow: _Optional[_Union[FlowControl, _Mapping]] = ..., end: _Optional[_Union[StreamEnd, _Mapping]] = ...) -> None: ...

class ObserveStreamResponse(_message.Message):
    __slots__ = ["ack", "ended", "pressure", "started"]
    ACK_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    PRESSURE_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    ack: Ack
    ended: StreamEnded
    pressure: Pressure
    started: StreamStarted
    def __init__(self, started: _Optional[_Union[StreamStarted, _Mapping]] = ..., ack: _Optional[_Union[Ack, _Mapping]] = ..., pressure: _Optional[_Union[Pressure, _Mapping]] = ..., ended: _Optional[_Union[StreamEnded, _Mapping]] = ...) -> None: ...

class Pressure(_message.Message):
    __slots__ = ["capacity", "depth", "level", "retry_after_us"]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_US_FIELD_NUMBER: _ClassVar[int]
    capacity: int
    depth: int
    level: _observation_pb2.PressureLevel
    retry_after_us: int
    def __init__(self, level: _Optional[_Union[_observation_pb2.PressureLevel, str]] = ..., depth: _Optional[int] = ..., capacity: _Optional[int] = ..., retry_after_us: _Optional[int] = ...) -> None: ...

class RecallRequest(_message.Message):
    __slots__ = ["at_least", "ef", "embedding", "embedding_f16", "embedding_f32", "exact", "filter", "id", "include_content", "include_embedding", "include_tags", "k", "min_similarity", "oversample", "ranking", "space"]
    AT_LEAST_FIELD_NUMBER: _ClassVar[int]
    EF_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_F16_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_F32_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_CONTENT_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_TAGS_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    MIN_SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    OVERSAMPLE_FIELD_NUMBER: _ClassVar[int]
    RANKING_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    at_least: _observation_pb2.Token
    ef: int
    embedding: _observation_pb2.FloatVector
    embedding_f16: bytes
    embedding_f32: bytes
    exact: bool
    filter: _observation_pb2.Filter
    id: str
    include_content: bool
    include_embedding: bool
    include_tags: bool
    k: int
    min_similarity: float
    oversample: int
    ranking: _observation_pb2.Ranking
    space: str
    def __init__(self, space: _Optional[str] = ..., embedding: _Optional[_Union[_observation_pb2.FloatVector, _Mapping]] = ..., embedding_f32: _Optional[bytes] = ..., embedding_f16: _Optional[bytes] = ..., id: _Optional[str] = ..., k: _Optional[int] = ..., ef: _Optional[int] = ..., min_similarity: _Optional[float] = ..., filter: _Optional[_Union[_observation_pb2.Filter, _Mapping]] = ..., at_least: _Optional[_Union[_observation_pb2.Token, _Mapping]] = ..., include_content: bool = ..., include_tags: bool = ..., include_embedding: bool = ..., exact: bool = ..., ranking: _Optional[_Union[_observation_pb2.Ranking, _Mapping]] = ..., oversample: _Optional[int] = ...) -> None: ...

class RecallResponse(_message.Message):
    __slots__ = ["coverage", "elapsed_us", "hits"]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_US_FIELD_NUMBER: _ClassVar[int]
    HITS_FIELD_NUMBER: _ClassVar[int]
    coverage: Coverage
    elapsed_us: int
    hits: _containers.RepeatedCompositeFieldContainer[Hit]
    def __init__(self, hits: _Optional[_Iterable[_Union[Hit, _Mapping]]] = ..., coverage: _Optional[_Union[Coverage, _Mapping]] = ..., elapsed_us: _Optional[int] = ...) -> None: ...

class RecallStreamRequest(_message.Message):
    __slots__ = ["after", "batch_size", "follow", "recall"]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    after: FollowPoint
    batch_size: int
    follow: bool
    recall: RecallRequest
    def __init__(self, recall: _Optional[_Union[RecallRequest, _Mapping]] = ..., batch_size: _Optional[int] = ..., follow: bool = ..., after: _Optional[_Union[FollowPoint, _Mapping]] = ...) -> None: ...

class RecallStreamResponse(_message.Message):
    __slots__ = ["coverage", "hits", "last", "point", "unreadable"]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    HITS_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    POINT_FIELD_NUMBER: _ClassVar[int]
    UNREADABLE_FIELD_NUMBER: _ClassVar[int]
    coverage: Coverage
    hits: _containers.RepeatedCompositeFieldContainer[Hit]
    last: bool
    point: FollowPoint
    unreadable: int
    def __init__(self, hits: _Optional[_Iterable[_Union[Hit, _Mapping]]] = ..., coverage: _Optional[_Union[Coverage, _Mapping]] = ..., last: bool = ..., point: _Optional[_Union[FollowPoint, _Mapping]] = ..., unreadable: _Optional[int] = ...) -> None: ...

class Space(_message.Message):
    __slots__ = ["config", "created_at_us", "has_graph", "linked", "live", "name", "queued", "resident_bytes", "size"]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_US_FIELD_NUMBER: _ClassVar[int]
    HAS_GRAPH_FIELD_NUMBER: _ClassVar[int]
    LINKED_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    RESIDENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    config: SpaceConfig
    created_at_us: int
    has_graph: bool
    linked: int
    live: int
    name: str
    queued: int
    resident_bytes: int
    size: int
    def __init__(self, name: _Optional[str] = ..., config: _Optional[_Union[SpaceConfig, _Mapping]] = ..., live: _Optional[int] = ..., size: _Optional[int] = ..., linked: _Optional[int] = ..., resident_bytes: _Optional[int] = ..., queued: _Optional[int] = ..., created_at_us: _Optional[int] = ..., has_graph: bool = ...) -> None: ...

class SpaceConfig(_message.Message):
    __slots__ = ["dimension", "ef_construction", "ef_search", "flat_threshold", "max_connections", "max_rate", "metric", "quota_bytes", "quota_observations"]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    EF_CONSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    EF_SEARCH_FIELD_NUMBER: _ClassVar[int]
    FLAT_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    MAX_CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_RATE_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    QUOTA_BYTES_FIELD_NUMBER: _ClassVar[int]
    QUOTA_OBSERVATIONS_FIELD_NUMBER: _ClassVar[int]
    dimension: int
    ef_construction: int
    ef_search: int
    flat_threshold: int
    max_connections: int
    max_rate: int
    metric: _observation_pb2.Metric
    quota_bytes: int
    quota_observations: int
    def __init__(self, dimension: _Optional[int] = ..., metric: _Optional[_Union[_observation_pb2.Metric, str]] = ..., max_connections: _Optional[int] = ..., ef_construction: _Optional[int] = ..., ef_search: _Optional[int] = ..., flat_threshold: _Optional[int] = ..., max_rate: _Optional[int] = ..., quota_observations: _Optional[int] = ..., quota_bytes: _Optional[int] = ...) -> None: ...

class StreamEnd(_message.Message):
    __slots__ = ["drain"]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    drain: bool
    def __init__(self, drain: bool = ...) -> None: ...

class StreamEnded(_message.Message):
    __slots__ = ["drained", "durable_through", "indexed_through", "received_through"]
    DRAINED_FIELD_NUMBER: _ClassVar[int]
    DURABLE_THROUGH_FIELD_NUMBER: _ClassVar[int]
    INDEXED_THROUGH_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_THROUGH_FIELD_NUMBER: _ClassVar[int]
    drained: bool
    durable_through: int
    indexed_through: int
    received_through: int
    def __init__(self, received_through: _Optional[int] = ..., durable_through: _Optional[int] = ..., indexed_through: _Optional[int] = ..., drained: bool = ...) -> None: ...

class StreamLimits(_message.Message):
    __slots__ = ["dimension", "max_batch_observations", "max_content_bytes", "max_message_bytes", "max_tags", "queue_capacity"]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_OBSERVATIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_CONTENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_TAGS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_CAPACITY_FIELD_NUMBER: _ClassVar[int]
    dimension: int
    max_batch_observations: int
    max_content_bytes: int
    max_message_bytes: int
    max_tags: int
    queue_capacity: int
    def __init__(self, max_batch_observations: _Optional[int] = ..., max_message_bytes: _Optional[int] = ..., max_content_bytes: _Optional[int] = ..., max_tags: _Optional[int] = ..., dimension: _Optional[int] = ..., queue_capacity: _Optional[int] = ...) -> None: ...

class StreamStart(_message.Message):
    __slots__ = ["ack_level", "resume", "space", "stream_id"]
    ACK_LEVEL_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    ack_level: _observation_pb2.AckLevel
    resume: bool
    space: str
    stream_id: str
    def __init__(self, space: _Optional[str] = ..., stream_id: _Optional[str] = ..., ack_level: _Optional[_Union[_observation_pb2.AckLevel, str]] = ..., resume: bool = ...) -> None: ...

class StreamStarted(_message.Message):
    __slots__ = ["durability", "limits", "next_sequence", "stream_id"]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    NEXT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    durability: _observation_pb2.Durability
    limits: StreamLimits
    next_sequence: int
    stream_id: str
    def __init__(self, stream_id: _Optional[str] = ..., next_sequence: _Optional[int] = ..., limits: _Optional[_Union[StreamLimits, _Mapping]] = ..., durability: _Optional[_Union[_observation_pb2.Durability, str]] = ...) -> None: ...

class UpdateSpaceRequest(_message.Message):
    __slots__ = ["ef_search", "max_rate", "name", "quota_bytes", "quota_observations"]
    EF_SEARCH_FIELD_NUMBER: _ClassVar[int]
    MAX_RATE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    QUOTA_BYTES_FIELD_NUMBER: _ClassVar[int]
    QUOTA_OBSERVATIONS_FIELD_NUMBER: _ClassVar[int]
    ef_search: int
    max_rate: int
    name: str
    quota_bytes: int
    quota_observations: int
    def __init__(self, name: _Optional[str] = ..., ef_search: _Optional[int] = ..., max_rate: _Optional[int] = ..., quota_observations: _Optional[int] = ..., quota_bytes: _Optional[int] = ...) -> None: ...

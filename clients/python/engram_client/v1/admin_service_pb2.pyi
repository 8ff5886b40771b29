from engram_client.v1 import observation_pb2 as _observation_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

BROKEN_DISK: FaultKind
CRASH_BATCHES: FaultKind
DESCRIPTOR: _descriptor.FileDescriptor
FAULT_KIND_UNSPECIFIED: FaultKind
FILL_MEMORY: FaultKind
FULL_DISK: FaultKind
HEAL: FaultKind
KILL_WORKERS: FaultKind
SHIFT_CLOCK: FaultKind
SLOW_DISK: FaultKind
SLOW_JOURNAL: FaultKind
STALL_WORKERS: FaultKind
TRACE_KIND_OBSERVATION: TraceKind
TRACE_KIND_RECALL: TraceKind
TRACE_KIND_UNSPECIFIED: TraceKind
TRACE_SELECTION_BOTH: TraceSelection
TRACE_SELECTION_OBSERVATIONS: TraceSelection
TRACE_SELECTION_RECALLS: TraceSelection

class BuildStatus(_message.Message):
    __slots__ = ["commit", "flags"]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    commit: str
    flags: str
    def __init__(self, commit: _Optional[str] = ..., flags: _Optional[str] = ...) -> None: ...

class CheckpointRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class CheckpointResponse(_message.Message):
    __slots__ = ["token"]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: _observation_pb2.Token
    def __init__(self, token: _Optional[_Union[_observation_pb2.Token, _Mapping]] = ...) -> None: ...

class DrainRequest(_message.Message):
    __slots__ = ["resume"]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    resume: bool
    def __init__(self, resume: bool = ...) -> None: ...

class DrainResponse(_message.Message):
    __slots__ = ["drained", "remaining"]
    DRAINED_FIELD_NUMBER: _ClassVar[int]
    REMAINING_FIELD_NUMBER: _ClassVar[int]
    drained: bool
    remaining: int
    def __init__(self, drained: bool = ..., remaining: _Optional[int] = ...) -> None: ...

class FaultEffect(_message.Message):
    __slots__ = ["count", "kind"]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    count: int
    kind: FaultKind
    def __init__(self, kind: _Optional[_Union[FaultKind, str]] = ..., count: _Optional[int] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ["build", "draining", "durability", "fault_effects", "grpc_address", "lanes", "link_backlog", "machine", "metrics_address", "observations_live", "observations_total", "observe_latency", "pressure", "profile", "queue_capacity", "queue_depth", "recall_latency", "recalls_total", "recalls_waiting", "recovered", "rejected_total", "resident_bytes", "spaces", "started_at_us", "streams", "uptime_us", "version"]
    BUILD_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    FAULT_EFFECTS_FIELD_NUMBER: _ClassVar[int]
    GRPC_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    LANES_FIELD_NUMBER: _ClassVar[int]
    LINK_BACKLOG_FIELD_NUMBER: _ClassVar[int]
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    METRICS_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    OBSERVATIONS_LIVE_FIELD_NUMBER: _ClassVar[int]
    OBSERVATIONS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    OBSERVE_LATENCY_FIELD_NUMBER: _ClassVar[int]
    PRESSURE_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_CAPACITY_FIELD_NUMBER: _ClassVar[int]
    QUEUE_DEPTH_FIELD_NUMBER: _ClassVar[int]
    RECALLS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    RECALLS_WAITING_FIELD_NUMBER: _ClassVar[int]
    RECALL_LATENCY_FIELD_NUMBER: _ClassVar[int]
    RECOVERED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    RESIDENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    SPACES_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_US_FIELD_NUMBER: _ClassVar[int]
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    UPTIME_US_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    build: BuildStatus
    draining: bool
    durability: _observation_pb2.Durability
    fault_effects: _containers.RepeatedCompositeFieldContainer[FaultEffect]
    grpc_address: str
    lanes: _containers.RepeatedCompositeFieldContainer[LaneStatus]
    link_backlog: int
    machine: MachineStatus
    metrics_address: str
    observations_live: int
    observations_total: int
    observe_latency: LatencySummary
    pressure: _observation_pb2.PressureLevel
    profile: str
    queue_capacity: int
    queue_depth: int
    recall_latency: LatencySummary
    recalls_total: int
    recalls_waiting: int
    recovered: float
    rejected_total: int
    resident_bytes: int
    spaces: int
    started_at_us: int
    streams: int
    uptime_us: int
    version: str
    def __init__(self, version: _Optional[str] = ..., started_at_us: _Optional[int] = ..., uptime_us: _Optional[int] = ..., profile: _Optional[str] = ..., durability: _Optional[_Union[_observation_pb2.Durability, str]] = ..., draining: bool = ..., recovered: _Optional[float] = ..., queue_depth: _Optional[int] = ..., queue_capacity: _Optional[int] = ..., pressure: _Optional[_Union[_observation_pb2.PressureLevel, str]] = ..., lanes: _Optional[_Iterable[_Union[LaneStatus, _Mapping]]] = ..., recalls_waiting: _Optional[int] = ..., streams: _Optional[int] = ..., spaces: _Optional[int] = ..., observations_live: _Optional[int] = ..., link_backlog: _Optional[int] = ..., observations_total: _Optional[int] = ..., rejected_total: _Optional[int] = ..., recalls_total: _Optional[int] = ..., resident_bytes: _Optional[int] = ..., observe_latency: _Optional[_Union[LatencySummary, _Mapping]] = ..., recall_latency: _Optional[_Union[LatencySummary, _Mapping]] = ..., grpc_address: _Optional[str] = ..., metrics_address: _Optional[str] = ..., build: _Optional[_Union[BuildStatus, _Mapping]] = ..., machine: _Optional[_Union[MachineStatus, _Mapping]] = ..., fault_effects: _Optional[_Iterable[_Union[FaultEffect, _Mapping]]] = ...) -> None: ...

class InjectFaultRequest(_message.Message):
    __slots__ = ["bytes", "count", "delay_us", "duration_us", "kind", "shift_us"]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    DELAY_US_FIELD_NUMBER: _ClassVar[int]
    DURATION_US_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SHIFT_US_FIELD_NUMBER: _ClassVar[int]
    bytes: int
    count: int
    delay_us: int
    duration_us: int
    kind: FaultKind
    shift_us: int
    def __init__(self, kind: _Optional[_Union[FaultKind, str]] = ..., count: _Optional[int] = ..., delay_us: _Optional[int] = ..., shift_us: _Optional[int] = ..., bytes: _Optional[int] = ..., duration_us: _Optional[int] = ...) -> None: ...

class InjectFaultResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class LaneStatus(_message.Message):
    __slots__ = ["batches", "depth_high", "depth_normal", "lane", "stolen", "utilization"]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    DEPTH_HIGH_FIELD_NUMBER: _ClassVar[int]
    DEPTH_NORMAL_FIELD_NUMBER: _ClassVar[int]
    LANE_FIELD_NUMBER: _ClassVar[int]
    STOLEN_FIELD_NUMBER: _ClassVar[int]
    UTILIZATION_FIELD_NUMBER: _ClassVar[int]
    batches: int
    depth_high: int
    depth_normal: int
    lane: int
    stolen: int
    utilization: float
    def __init__(self, lane: _Optional[int] = ..., depth_high: _Optional[int] = ..., depth_normal: _Optional[int] = ..., batches: _Optional[int] = ..., stolen: _Optional[int] = ..., utilization: _Optional[float] = ...) -> None: ...

class LatencySummary(_message.Message):
    __slots__ = ["count", "p50_us", "p99_us"]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    P50_US_FIELD_NUMBER: _ClassVar[int]
    P99_US_FIELD_NUMBER: _ClassVar[int]
    count: int
    p50_us: int
    p99_us: int
    def __init__(self, p50_us: _Optional[int] = ..., p99_us: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class MachineStatus(_message.Message):
    __slots__ = ["cores", "cpu", "memory_bytes", "name", "system"]
    CORES_FIELD_NUMBER: _ClassVar[int]
    CPU_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_FIELD_NUMBER: _ClassVar[int]
    cores: int
    cpu: str
    memory_bytes: int
    name: str
    system: str
    def __init__(self, name: _Optional[str] = ..., system: _Optional[str] = ..., cpu: _Optional[str] = ..., cores: _Optional[int] = ..., memory_bytes: _Optional[int] = ...) -> None: ...

class ReloadConfigRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class ReloadConfigResponse(_message.Message):
    __slots__ = ["applied", "needs_restart"]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    NEEDS_RESTART_FIELD_NUMBER: _ClassVar[int]
    applied: _containers.RepeatedScalarFieldContainer[str]
    needs_restart: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, applied: _Optional[_Iterable[str]] = ..., needs_restart: _Optional[_Iterable[str]] = ...) -> None: ...

class SnapshotRequest(_message.Message):
    __slots__ = ["directory"]
    DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    directory: str
    def __init__(self, directory: _Optional[str] = ...) -> None: ...

class SnapshotResponse(_message.Message):
    __slots__ = ["bytes", "segments", "token"]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    bytes: int
    segments: int
    token: _observation_pb2.Token
    def __init__(self, token: _Optional[_Union[_observation_pb2.Token, _Mapping]] = ..., segments: _Optional[int] = ..., bytes: _Optional[int] = ...) -> None: ...

class Span(_message.Message):
    __slots__ = ["duration_ns", "name", "parent", "start_ns"]
    DURATION_NS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    START_NS_FIELD_NUMBER: _ClassVar[int]
    duration_ns: int
    name: str
    parent: int
    start_ns: int
    def __init__(self, name: _Optional[str] = ..., parent: _Optional[int] = ..., start_ns: _Optional[int] = ..., duration_ns: _Optional[int] = ...) -> None: ...

class Trace(_message.Message):
    __slots__ = ["batch", "batch_observations", "buffers", "graph_candidates", "hits", "id", "k", "kind", "lane", "number", "only_slow", "ordinal", "position", "priority", "sequence", "space", "spans", "started_at_us", "stream_id", "tail_scanned", "total_ns", "worker"]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    BATCH_OBSERVATIONS_FIELD_NUMBER: _ClassVar[int]
    BUFFERS_FIELD_NUMBER: _ClassVar[int]
    GRAPH_CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    HITS_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    LANE_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    ONLY_SLOW_FIELD_NUMBER: _ClassVar[int]
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    SPANS_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_US_FIELD_NUMBER: _ClassVar[int]
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    TAIL_SCANNED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_NS_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    batch: int
    batch_observations: int
    buffers: TraceBuffers
    graph_candidates: int
    hits: int
    id: str
    k: int
    kind: TraceKind
    lane: int
    number: int
    only_slow: bool
    ordinal: int
    position: int
    priority: _observation_pb2.Priority
    sequence: int
    space: str
    spans: _containers.RepeatedCompositeFieldContainer[Span]
    started_at_us: int
    stream_id: str
    tail_scanned: int
    total_ns: int
    worker: int
    def __init__(self, number: _Optional[int] = ..., kind: _Optional[_Union[TraceKind, str]] = ..., only_slow: bool = ..., space: _Optional[str] = ..., started_at_us: _Optional[int] = ..., total_ns: _Optional[int] = ..., spans: _Optional[_Iterable[_Union[Span, _Mapping]]] = ..., position: _Optional[int] = ..., id: _Optional[str] = ..., stream_id: _Optional[str] = ..., sequence: _Optional[int] = ..., ordinal: _Optional[int] = ..., priority: _Optional[_Union[_observation_pb2.Priority, str]] = ..., lane: _Optional[int] = ..., worker: _Optional[int] = ..., batch: _Optional[int] = ..., batch_observations: _Optional[int] = ..., buffers: _Optional[_Union[TraceBuffers, _Mapping]] = ..., k: _Optional[int] = ..., hits: _Optional[int] = ..., graph_candidates: _Optional[int] = ..., tail_scanned: _Optional[int] = ...) -> None: ...

class TraceBuffers(_message.Message):
    __slots__ = ["frame_bytes", "frame_observations", "frame_reused", "group_bytes", "group_records", "record_bytes", "record_observations", "record_reused"]
    FRAME_BYTES_FIELD_NUMBER: _ClassVar[int]
    FRAME_OBSERVATIONS_FIELD_NUMBER: _ClassVar[int]
    FRAME_REUSED_FIELD_NUMBER: _ClassVar[int]
    GROUP_BYTES_FIELD_NUMBER: _ClassVar[int]
    GROUP_RECORDS_FIELD_NUMBER: _ClassVar[int]
    RECORD_BYTES_FIELD_NUMBER: _ClassVar[int]
    RECORD_OBSERVATIONS_FIELD_NUMBER: _ClassVar[int]
    RECORD_REUSED_FIELD_NUMBER: _ClassVar[int]
    frame_bytes: int
    frame_observations: int
    frame_reused: bool
    group_bytes: int
    group_records: int
    record_bytes: int
    record_observations: int
    record_reused: bool
    def __init__(self, frame_bytes: _Optional[int] = ..., frame_observations: _Optional[int] = ..., frame_reused: bool = ..., record_bytes: _Optional[int] = ..., record_observations: _Optional[int] = ..., record_reused: bool = ..., group_bytes: _Optional[int] = ..., group_records: _Optional[int] = ...) -> None: ...

class TraceObservationsRequest(_message.Message):
    __slots__ = ["limit", "selection", "slow_us", "space"]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    SELECTION_FIELD_NUMBER: _ClassVar[int]
    SLOW_US_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    limit: int
    selection: TraceSelection
    slow_us: int
    space: str
    def __init__(self, limit: _Optional[int] = ..., space: _Optional[str] = ..., slow_us: _Optional[int] = ..., selection: _Optional[_Union[TraceSelection, str]] = ...) -> None: ...

class TraceObservationsResponse(_message.Message):
    __slots__ = ["state", "trace"]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    state: TraceState
    trace: Trace
    def __init__(self, trace: _Optional[_Union[Trace, _Mapping]] = ..., state: _Optional[_Union[TraceState, _Mapping]] = ...) -> None: ...

class TraceState(_message.Message):
    __slots__ = ["capacity", "frame_fallbacks", "frame_reuses", "record_fallbacks", "record_reuses", "recorded", "sample_period", "slow_us"]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    FRAME_FALLBACKS_FIELD_NUMBER: _ClassVar[int]
    FRAME_REUSES_FIELD_NUMBER: _ClassVar[int]
    RECORDED_FIELD_NUMBER: _ClassVar[int]
    RECORD_FALLBACKS_FIELD_NUMBER: _ClassVar[int]
    RECORD_REUSES_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_PERIOD_FIELD_NUMBER: _ClassVar[int]
    SLOW_US_FIELD_NUMBER: _ClassVar[int]
    capacity: int
    frame_fallbacks: int
    frame_reuses: int
    record_fallbacks: int
    record_reuses: int
    recorded: int
    sample_period: int
    slow_us: int
    def __init__(self, sample_period: _Optional[int] = ..., slow_us: _Optional[int] = ..., capacity: _Optional[int] = ..., recorded: _Optional[int] = ..., frame_reuses: _Optional[int] = ..., frame_fallbacks: _Optional[int] = ..., record_reuses: _Optional[int] = ..., record_fallbacks: _Optional[int] = ...) -> None: ...

class TraceSelection(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class TraceKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class FaultKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

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

class GetStatusRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ["build", "draining", "durability", "grpc_address", "lanes", "link_backlog", "machine", "metrics_address", "observations_live", "observations_total", "observe_latency", "pressure", "profile", "queue_capacity", "queue_depth", "recall_latency", "recalls_total", "recalls_waiting", "recovered", "rejected_total", "resident_bytes", "spaces", "started_at_us", "streams", "uptime_us", "version"]
    BUILD_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
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
    def __init__(self, version: _Optional[str] = ..., started_at_us: _Optional[int] = ..., uptime_us: _Optional[int] = ..., profile: _Optional[str] = ..., durability: _Optional[_Union[_observation_pb2.Durability, str]] = ..., draining: bool = ..., recovered: _Optional[float] = ..., queue_depth: _Optional[int] = ..., queue_capacity: _Optional[int] = ..., pressure: _Optional[_Union[_observation_pb2.PressureLevel, str]] = ..., lanes: _Optional[_Iterable[_Union[LaneStatus, _Mapping]]] = ..., recalls_waiting: _Optional[int] = ..., streams: _Optional[int] = ..., spaces: _Optional[int] = ..., observations_live: _Optional[int] = ..., link_backlog: _Optional[int] = ..., observations_total: _Optional[int] = ..., rejected_total: _Optional[int] = ..., recalls_total: _Optional[int] = ..., resident_bytes: _Optional[int] = ..., observe_latency: _Optional[_Union[LatencySummary, _Mapping]] = ..., recall_latency: _Optional[_Union[LatencySummary, _Mapping]] = ..., grpc_address: _Optional[str] = ..., metrics_address: _Optional[str] = ..., build: _Optional[_Union[BuildStatus, _Mapping]] = ..., machine: _Optional[_Union[MachineStatus, _Mapping]] = ...) -> None: ...

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

class TraceObservationsRequest(_message.Message):
    __slots__ = ["limit"]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    limit: int
    def __init__(self, limit: _Optional[int] = ...) -> None: ...

class TraceObservationsResponse(_message.Message):
    __slots__ = ["span_json"]
    SPAN_JSON_FIELD_NUMBER: _ClassVar[int]
    span_json: str
    def __init__(self, span_json: _Optional[str] = ...) -> None: ...

class FaultKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

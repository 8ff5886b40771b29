from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

ACK_LEVEL_DURABLE: AckLevel
ACK_LEVEL_INDEXED: AckLevel
ACK_LEVEL_RECEIVED: AckLevel
ACK_LEVEL_UNSPECIFIED: AckLevel
DESCRIPTOR: _descriptor.FileDescriptor
DURABILITY_FSYNC: Durability
DURABILITY_INTERVAL: Durability
DURABILITY_MEMORY: Durability
DURABILITY_UNSPECIFIED: Durability
METRIC_COSINE: Metric
METRIC_INNER_PRODUCT: Metric
METRIC_L2: Metric
METRIC_UNSPECIFIED: Metric
PRESSURE_LEVEL_CRITICAL: PressureLevel
PRESSURE_LEVEL_NORMAL: PressureLevel
PRESSURE_LEVEL_OVERLOADED: PressureLevel
PRESSURE_LEVEL_UNSPECIFIED: PressureLevel
PRESSURE_LEVEL_WARNING: PressureLevel
PRIORITY_HIGH: Priority
PRIORITY_NORMAL: Priority
PRIORITY_UNSPECIFIED: Priority

class Filter(_message.Message):
    __slots__ = ["all_tags", "any_tags", "exclude_ids", "min_confidence", "no_tags", "observed_from_us", "observed_to_us"]
    class AllTagsEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class AnyTagsEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class NoTagsEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ALL_TAGS_FIELD_NUMBER: _ClassVar[int]
    ANY_TAGS_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_IDS_FIELD_NUMBER: _ClassVar[int]
    MIN_CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    NO_TAGS_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_FROM_US_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_TO_US_FIELD_NUMBER: _ClassVar[int]
    all_tags: _containers.ScalarMap[str, str]
    any_tags: _containers.ScalarMap[str, str]
    exclude_ids: _containers.RepeatedScalarFieldContainer[str]
    min_confidence: float
    no_tags: _containers.ScalarMap[str, str]
    observed_from_us: int
    observed_to_us: int
    def __init__(self, all_tags: _Optional[_Mapping[str, str]] = ..., any_tags: _Optional[_Mapping[str, str]] = ..., no_tags: _Optional[_Mapping[str, str]] = ..., observed_from_us: _Optional[int] = ..., observed_to_us: _Optional[int] = ..., min_confidence: _Optional[float] = ..., exclude_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class FloatVector(_message.Message):
    __slots__ = ["values"]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...

class Observation(_message.Message):
    __slots__ = ["confidence", "content", "embedding", "embedding_f16", "embedding_f32", "id", "observed_at_us", "tags", "ttl_us"]
    class TagsEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_F16_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_F32_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_AT_US_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    TTL_US_FIELD_NUMBER: _ClassVar[int]
    confidence: float
    content: str
    embedding: FloatVector
    embedding_f16: bytes
    embedding_f32: bytes
    id: str
    observed_at_us: int
    tags: _containers.ScalarMap[str, str]
    ttl_us: int
    def __init__(self, id: _Optional[str] = ..., embedding: _Optional[_Union[FloatVector, _Mapping]] = ..., embedding_f32: _Optional[bytes] = ..., embedding_f16: _Optional[bytes] = ..., content: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., observed_at_us: _Optional[int] = ..., confidence: _Optional[float] = ..., ttl_us: _Optional[int] = ...) -> None: ...

class Ranking(_message.Message):
    __slots__ = ["confidence_weight", "oversample", "recency_half_life_us"]
    CONFIDENCE_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    OVERSAMPLE_FIELD_NUMBER: _ClassVar[int]
    RECENCY_HALF_LIFE_US_FIELD_NUMBER: _ClassVar[int]
    confidence_weight: float
    oversample: int
    recency_half_life_us: int
    def __init__(self, recency_half_life_us: _Optional[int] = ..., confidence_weight: _Optional[float] = ..., oversample: _Optional[int] = ...) -> None: ...

class Rejection(_message.Message):
    __slots__ = ["code", "count", "message", "retry_after_us", "sequence"]
    CODE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_US_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    code: int
    count: int
    message: str
    retry_after_us: int
    sequence: int
    def __init__(self, sequence: _Optional[int] = ..., count: _Optional[int] = ..., code: _Optional[int] = ..., message: _Optional[str] = ..., retry_after_us: _Optional[int] = ...) -> None: ...

class Token(_message.Message):
    __slots__ = ["journal", "position"]
    JOURNAL_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    journal: int
    position: int
    def __init__(self, journal: _Optional[int] = ..., position: _Optional[int] = ...) -> None: ...

class Metric(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class AckLevel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class Durability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class Priority(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class PressureLevel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

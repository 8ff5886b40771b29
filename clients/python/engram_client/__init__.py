"""Stream observations into Engram, recall them out.

    from engram_client import Client

    with Client("127.0.0.1:50051") as engram:
        with engram.stream("notes") as stream:
            stream.observe(id="a", embedding=[0.1, 0.9], content="the first note")
        for hit in engram.recall("notes", [0.1, 0.8], k=3, content=True):
            print(hit.score, hit.id, hit.content)

Embeddings are lists of numbers, ``array.array('f')`` or NumPy arrays; float16 arrays are sent as such. Instants are
``datetime`` objects (without a zone: local time) or whole microseconds since 1970; durations are ``timedelta`` or seconds.
Everything that goes wrong at the daemon or on the way there is an ``EngramError`` with a ``code``.
"""

from engram_client.client import Client
from engram_client.errors import EngramError
from engram_client.stream import Stream
from engram_client.types import (
    Coverage,
    Filter,
    FollowPoint,
    ForgetResult,
    Hit,
    Observation,
    Observations,
    ObserveResult,
    RecallPart,
    RecallResult,
    Rejection,
    Space,
    Token,
)

__version__ = "0.1.0"
__all__ = [
    "Client",
    "Coverage",
    "EngramError",
    "Filter",
    "FollowPoint",
    "ForgetResult",
    "Hit",
    "Observation",
    "Observations",
    "ObserveResult",
    "RecallPart",
    "RecallResult",
    "Rejection",
    "Space",
    "Stream",
    "Token",
]

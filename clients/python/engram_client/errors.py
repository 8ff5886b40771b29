"""What goes wrong, as one exception."""

from __future__ import annotations

import grpc


class EngramError(Exception):
    """An error of the daemon, or of the way to it.

    ``code`` is the name of the gRPC code: "NOT_FOUND", "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "UNAVAILABLE",
    "DEADLINE_EXCEEDED", ... ``message`` names the thing, the value and the limit.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message

    @property
    def is_transient(self) -> bool:
        """Whether the same call may work later."""
        return self.code in ("RESOURCE_EXHAUSTED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED")


_CODE_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}


def code_name(number: int) -> str:
    """The name of a google.rpc.Code."""
    return _CODE_NAMES.get(number, str(number))


def from_rpc(error: grpc.RpcError, address: str) -> EngramError:
    """The error of a failed call, with a hint where the daemon was not reached at all."""
    code, message = error.code().name, error.details() or ""
    if code == "UNAVAILABLE" and "connect" in message.lower():
        message = f"cannot reach engramd at {address}: {message}"
    return EngramError(code, message)

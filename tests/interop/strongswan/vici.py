"""charon's vici protocol, as far as it takes to give many commands without a process for each.

A packet is its length in 4 octets, its type and its content: for a command a name and a message, for the answer to one
a message. A message is a flat list of keys with values here.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path
from types import TracebackType
from typing import Self

_LENGTH = struct.Struct("!I")
_VALUE_LENGTH = struct.Struct("!H")

_COMMAND, _ANSWER = 0, 1
_KEY_VALUE = 3


class Vici:
    """A connection to the vici socket of a charon."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def command(self, name: str, **arguments: str) -> bytes:
        """Give a command and return the message that answers it; RuntimeError where charon does not know it."""
        message = b"".join(
            bytes((_KEY_VALUE, len(key))) + key.encode() + _VALUE_LENGTH.pack(len(value)) + value.encode()
            for key, value in arguments.items()
        )
        packet = bytes((_COMMAND, len(name))) + name.encode() + message
        self._socket.sendall(_LENGTH.pack(len(packet)) + packet)
        (length,) = _LENGTH.unpack(self._receive(_LENGTH.size))
        answer = self._receive(length)
        if answer[0] != _ANSWER:
            raise RuntimeError(f"charon does not know the command {name}")
        return answer[1:]

    def _receive(self, length: int) -> bytes:
        octets = b""
        while len(octets) < length:
            piece = self._socket.recv(length - len(octets))
            if not piece:
                raise RuntimeError("charon has closed its vici socket")
            octets += piece
        return octets

"""What ``rkmpd --trace`` and ``rkmpd --key-log`` do with what they are shown of IKE SAs.

The trace goes to the log, a message an entry. The key log is a file for Wireshark that only its owner can read; while
there is one, the log and operational state say so.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import final

from rkmp.errors import CommandError
from rkmp.ike import Path as NetworkPath
from rkmp.ike import Statistic
from rkmp.ike.key_log import key_log_line
from rkmp.ike.observation import ObservedKeys, ObservedMessage, Observer
from rkmp.ike.trace import describe_drop, describe_message, describe_repetition

_log = logging.getLogger(__name__)
_trace = logging.getLogger("rkmp.trace")


@final
class KeyLog:
    """The file at ``path``, made or continued, with mode 0600; raises :class:`CommandError` where it cannot be."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        try:
            self._descriptor: int | None = self._open()
        except OSError as error:
            raise CommandError(f"cannot write the key log {path}: {error.strerror}", 2) from error
        _log.warning(
            "DANGER: the keys of every IKE SA are written to %s; whoever reads it can read, and forge, all that is "
            "negotiated, routing keys included: for a lab only",
            self.path,
        )

    def write(self, keys: ObservedKeys) -> None:
        """Append the keys of an IKE SA; where the file cannot take them, it gets no more."""
        if self._descriptor is None:
            return
        try:
            os.write(self._descriptor, f"{key_log_line(keys)}\n".encode("ascii"))
        except OSError as error:
            _log.error("the key log %s is given up: %s", self.path, error.strerror)
            self.close()

    def reopen(self) -> None:
        """Go on in the file that has the path now, after somebody has moved the one that had it.

        Where there can be none, the one of before goes on being written.
        """
        try:
            fresh = self._open()
        except OSError as error:
            _log.error("the key log %s is not opened anew, the one of before goes on: %s", self.path, error.strerror)
            return
        self.close()
        self._descriptor = fresh

    def _open(self) -> int:
        # Not through a link, which somebody else may have put there.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, 0o600)
        os.fchmod(descriptor, 0o600)
        return descriptor

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@final
@dataclass(frozen=True, slots=True)
class Watching:
    """An :class:`rkmp.ike.observation.Observer` for either purpose or both."""

    has_trace: bool
    key_log: KeyLog | None

    @property
    def observer(self) -> Observer | None:
        """Itself, or None where nobody asked to see anything, so that nothing is done for it."""
        return self if self.has_trace or self.key_log is not None else None

    def message(self, message: ObservedMessage) -> None:
        """Trace a message."""
        if self.has_trace:
            _trace.info("%s", describe_message(message))

    def repeated(self, datagrams: tuple[bytes, ...], path: NetworkPath | None) -> None:
        """Trace a repetition."""
        if self.has_trace:
            _trace.info("%s", describe_repetition(datagrams, path))

    def dropped(self, datagram: bytes, reason: Statistic, path: NetworkPath | None) -> None:
        """Trace what was dropped."""
        if self.has_trace:
            _trace.info("%s", describe_drop(datagram, reason, path))

    def keys(self, keys: ObservedKeys) -> None:
        """Log keys."""
        if self.key_log is not None:
            self.key_log.write(keys)

    def reopen(self) -> None:
        """Go on in a new file, where the one before was moved."""
        if self.key_log is not None:
            self.key_log.reopen()

    def close(self) -> None:
        """Watch no more."""
        if self.key_log is not None:
            self.key_log.close()


WATCHES_NOTHING = Watching(has_trace=False, key_log=None)

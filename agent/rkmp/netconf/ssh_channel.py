"""One SSH channel as the transport of a NETCONF session: asyncssh's events on one side, `transport` on the other."""

from __future__ import annotations

import logging
from typing import Any, Protocol

import asyncssh

from rkmp.netconf.session import Session
from rkmp.netconf.session_table import SessionRefused
from rkmp.netconf.transport import Transport

_log = logging.getLogger(__name__)

SUBSYSTEM = "netconf"


class Login(Protocol):
    """What a channel asks of the SSH connection that it is part of."""

    @property
    def stream_full(self) -> bool:
        """Whether the connection takes nothing more for now."""

    def open_session(self, transport: Transport) -> Session:
        """Return the session of a new channel. Raises SessionRefused."""

    def channel_closed(self, channel: Channel) -> None:
        """Forget ``channel``."""

    def session_ended(self) -> None:
        """Take note that a session ended, whether or not its channel is closed yet."""


class Channel(asyncssh.SSHServerSession[bytes]):
    """One channel of a connection; its only use is the ``netconf`` subsystem (RFC 6242 section 3)."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._session: Session | None = None
        self._window_full = False
        self._paused = False

    @property
    def has_session(self) -> bool:
        """Whether a session lives on the channel."""
        return self._session is not None and self._session.ended is None

    # From asyncssh.

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def connection_lost(self, _exc: Exception | None) -> None:
        self._channel = None
        if self._session is not None:
            self._session.connection_lost()
        self._login.channel_closed(self)

    def subsystem_requested(self, subsystem: str) -> bool:
        if subsystem != SUBSYSTEM or self._session is not None:
            return False
        try:
            self._session = self._login.open_session(self)
        except SessionRefused as refusal:
            _log.warning("netconf session refused: %s", refusal)
            return False
        return True

    def session_started(self) -> None:
        if self._session is not None:
            self._session.start()

    def data_received(self, data: bytes, _datatype: Any) -> None:
        if self._session is not None:
            self._session.data_received(data)

    def eof_received(self) -> bool:
        if self._session is not None:
            self._session.eof_received()
        # The channel stays half open: what the client asked before it closed its side is still answered.
        return True

    def pause_writing(self) -> None:
        self._window_full = True
        self.writability_changed()

    def resume_writing(self) -> None:
        self._window_full = False
        self.writability_changed()

    def writability_changed(self) -> None:
        """Tell the session when the channel or the connection below it fills up, and when both have room again."""
        full = self._window_full or self._login.stream_full
        if self._session is None or full == self._paused:
            return
        self._paused = full
        if full:
            self._session.pause_writing()
        else:
            self._session.resume_writing()

    # For the session: its transport.

    def write(self, octets: bytes) -> None:
        if self._channel is not None and not self._channel.is_closing():
            self._channel.write(octets)

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
        self._login.session_ended()

    def abort(self) -> None:
        if self._channel is not None:
            self._channel.abort()
        self._login.session_ended()

    def pause_reading(self) -> None:
        if self._channel is not None:
            self._channel.pause_reading()

    def resume_reading(self) -> None:
        if self._channel is not None:
            self._channel.resume_reading()

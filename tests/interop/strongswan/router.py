"""Our side of a conversation with charon: IKE SAs behind one UDP socket, on the real clock."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import time
from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace
from typing import TypeVar

from rkmp.engine.datagrams import NON_ESP_MARKER, needs_marker, without_marker
from rkmp.ike import (
    ChildRequest,
    CookieKeeper,
    Event,
    Identity,
    IkeSa,
    IkeSaState,
    IkeSettings,
    NatDetected,
    Path,
    Policy,
    Statistic,
)
from rkmp.ike.addressing import is_opening_request
from rkmp.secret import Secret
from rkmp.wire import AuthAlg, Header, Kdf, RoutingProtocol, TcpAoTransform
from tests.interop.strongswan.algorithms import proposal
from tests.interop.strongswan.charon import CHARON_NAME, ROUTER_NAME, SECRET, SwanctlResult
from tests.interop.strongswan.policy import PreSharedKeyPolicy

_EventT = TypeVar("_EventT", bound=Event)

Address = tuple[str, int]

PATIENCE = 10.0
TICK = 0.02
"""Seconds until a condition is looked at again that no datagram of ours changes."""
LATENCY = 0.003
"""Seconds that a datagram from charon takes. It ignores what comes while it is busy with the same Message ID, and the
second answer to an IKE_SA_INIT may come faster than any network would bring it."""

ROUTER = Identity.parse("fqdn", ROUTER_NAME)
CHARON = Identity.parse("fqdn", CHARON_NAME)
CHARON_SETTINGS = IkeSettings(require_vendor_id=False)
"""charon announces no RKMP; every other setting is the default."""

BGP_REQUEST = ChildRequest(
    RoutingProtocol.BGP,
    (
        (TcpAoTransform(10, AuthAlg.AES_128_CMAC_96, Kdf.AES_128_CMAC),),
        (TcpAoTransform(11, AuthAlg.HMAC_SHA_1_96, Kdf.HMAC_SHA1),),
    ),
)


@dataclass
class Router:
    """IKE SAs, what they reported, and where their peers are.

    ``cookies`` makes it ask everyone for a cookie; ``policy`` takes the place of pre-shared keys. ``sent`` and
    ``received`` are datagrams as they travelled, marker and all; those whose number, counted from 1, is in
    ``lost_outgoing`` or ``lost_incoming`` did not get through.
    """

    socket: socket.socket
    settings: IkeSettings = CHARON_SETTINGS
    identity: Identity = ROUTER
    peer_identity: Identity = CHARON
    psk: str = SECRET
    peer_psk: str = SECRET
    cookies: CookieKeeper | None = None
    policy: Policy | None = None
    lost_outgoing: Container[int] = ()
    lost_incoming: Container[int] = ()

    ike_sas: list[IkeSa] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ways: dict[IkeSa, tuple[Address, bool]] = {}
        self._policy = self.policy or PreSharedKeyPolicy(
            self.identity, self.peer_identity, Secret(self.psk.encode()), Secret(self.peer_psk.encode())
        )

    # -- what tests do -----------------------------------------------------------------------------------------------

    @property
    def address(self) -> Address:
        """Where it is."""
        host, port = self.socket.getsockname()[:2]
        return host, port

    @property
    def ike_sa(self) -> IkeSa:
        """The newest IKE SA."""
        return self.ike_sas[-1]

    @property
    def now(self) -> float:
        """The clock of every IKE SA here."""
        return time.monotonic()

    def initiate(self, remote: Address, child_request: ChildRequest | None = None) -> IkeSa:
        """Begin to open an IKE SA, with the marker where the engine would put one (G37)."""
        path = Path(self.address, remote)
        ike_sa = IkeSa.initiate(self.settings, self._policy, os.urandom, child_request, self.now, path)
        self.ike_sas.append(ike_sa)
        self._ways[ike_sa] = (remote, needs_marker(path))
        self._flush()
        return ike_sa

    def run(self, until: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Send, receive and let time pass until something is so; fail when that takes too long."""
        deadline = self.now + seconds
        self._flush()
        while not until():
            assert self.now < deadline, f"it did not happen in {seconds} seconds; what did: {self.events}"
            self._step()

    def attend(self, command: subprocess.Popen[str]) -> SwanctlResult:
        """Do what has to be done while a command to charon is carried out, and return how that ended."""
        with command:
            self.run(lambda: command.poll() is not None)
            return SwanctlResult.of(command)

    def check_liveness(self) -> None:
        """Ask the peer of the newest IKE SA whether it is there, and see that it is."""
        answered = self.ike_sa.requests_completed
        self.ike_sa.check_liveness(self.now)
        self.run(lambda: self.ike_sa.requests_completed == answered + 1)
        assert self.ike_sa.state is IkeSaState.ESTABLISHED

    def has(self, kind: type[Event]) -> bool:
        """Return whether an event of this kind was reported."""
        return any(isinstance(event, kind) for event in self.events)

    def the(self, kind: type[_EventT]) -> _EventT:
        """Return the one event of a kind."""
        found = [event for event in self.events if isinstance(event, kind)]
        assert len(found) == 1, self.events
        return found[0]

    def count(self, statistic: Statistic) -> int:
        """Return what the newest IKE SA counted."""
        return self.ike_sa.statistics.get(statistic, 0)

    # -- how it does them --------------------------------------------------------------------------------------------

    def _step(self) -> None:
        timers = [timer for sa in self.ike_sas if (timer := sa.next_timer()) is not None]
        wait = min([TICK, *(max(0.0, timer - self.now) for timer in timers)])
        if select.select([self.socket], [], [], wait)[0]:
            time.sleep(LATENCY)
            data, remote = self.socket.recvfrom(65_535)
            self.received.append(data)
            if len(self.received) not in self.lost_incoming:
                self._receive(data, (remote[0], remote[1]))
        for ike_sa in self.ike_sas:
            ike_sa.handle_timer(self.now)
        self._flush()

    def _receive(self, data: bytes, remote: Address) -> None:
        message, is_marked = without_marker(data)
        header = Header.parse(message)
        ike_sa = self._find(header)
        if ike_sa is None:
            if not is_opening_request(header):
                return
            challenge = self.cookies.challenge(message, remote, self.now) if self.cookies else None
            if challenge is not None:
                self._send(challenge, remote, is_marked)
                return
            ike_sa = IkeSa.respond(self.settings, self._policy, os.urandom, Path(self.address, remote))
            self.ike_sas.append(ike_sa)
        # It answers where it was asked from, and as it was asked.
        self._ways[ike_sa] = (remote, is_marked)
        ike_sa.receive(message, self.now)

    def _find(self, header: Header) -> IkeSa | None:
        if is_opening_request(header):
            return next((sa for sa in self.ike_sas if sa.remote_spi == header.initiator_spi and not sa.is_closed), None)
        local_spi = header.responder_spi if header.is_initiator else header.initiator_spi
        return next((sa for sa in self.ike_sas if local_spi in sa.local_spis), None)

    def _flush(self) -> None:
        for ike_sa in self.ike_sas:
            events = ike_sa.events()
            self.events += events
            for event in events:
                if isinstance(event, NatDetected) and event.move_to is not None:
                    self._ways[ike_sa] = ((self._ways[ike_sa][0][0], event.move_to), True)
            for datagram in ike_sa.datagrams():
                self._send(datagram, *self._ways[ike_sa])

    def _send(self, message: bytes, remote: Address, is_marked: bool) -> None:
        data = NON_ESP_MARKER + message if is_marked else message
        self.sent.append(data)
        if len(self.sent) not in self.lost_outgoing:
            self.socket.sendto(data, remote)


def settings_for(*proposals: str) -> IkeSettings:
    """Return settings towards charon, with proposals in its own words."""
    return replace(CHARON_SETTINGS, proposals=tuple(proposal(text) for text in proposals))

"""Two routers in one process: the layer above the IKE SAs, reduced to what their tests need, and what lies between.

A :class:`Router` keeps IKE SAs, finds the one that a datagram is for, and writes down what they report. Between two of
them is either :func:`settle`, where everything arrives at once, or a :class:`Network` that loses, doubles and delays.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from rkmp.errors import IkeError
from rkmp.ike import (
    ChildChoice,
    ChildDeleted,
    ChildKeysEstablished,
    ChildOffer,
    ChildRefused,
    ChildRequest,
    ChildSa,
    Event,
    Expectations,
    Identity,
    IkeSa,
    IkeSaClosed,
    IkeSettings,
    LocalAuthentication,
    OwnCertificate,
    Path,
    PeerCertificate,
    Ppk,
    PreSharedKey,
    RemoteAuthentication,
)
from rkmp.ike.addressing import is_opening_request
from rkmp.ike.observation import Observer
from rkmp.secret import Secret
from rkmp.wire import (
    AuthAlg,
    ExchangeType,
    Header,
    Kdf,
    Message,
    NotifyType,
    Payload,
    RoutingProtocol,
    TcpAoTransform,
    parse_payloads,
)

_EventT = TypeVar("_EventT", bound=Event)

BGP, LDP = RoutingProtocol.BGP, RoutingProtocol.LDP
SHA1 = (AuthAlg.HMAC_SHA_1_96, Kdf.HMAC_SHA1)
AES = (AuthAlg.AES_128_CMAC_96, Kdf.AES_128_CMAC)
PSK = Secret(b"a pre-shared key of these two routers")

JUMBO = 9000
"""A datagram size at which nobody has to think of fragments."""

ALICE = Identity.parse("fqdn", "alice.example")
BOB = Identity.parse("fqdn", "bob.example")


def request(
    *send_ids: int, protocol: int = BGP, pairs: tuple[tuple[int, int], ...] = (AES, SHA1), pfs: bool = False
) -> ChildRequest:
    """Return a request for ``protocol`` that offers ``pairs``, each in a proposal of its own."""
    ids = send_ids or (10, 11)
    proposals = tuple((TcpAoTransform(send_id, *pair),) for send_id, pair in zip(ids, pairs, strict=False))
    return ChildRequest(protocol, proposals, perfect_forward_secrecy=pfs)


@dataclass
class Router:
    """A router, its IKE SAs and what it made of their events.

    ``refuse`` lets a test make the policy refuse the children of a protocol. ``keys`` are the live children with their
    keys by the KeyID that this router announced, oldest first. ``moments`` tell when each event was noted, as far as a
    :class:`Network` keeps ``now``.
    """

    identity: Identity = ALICE
    peer_identity: Identity = BOB
    psk: Secret = field(default_factory=lambda: PSK)
    peer_psk: Secret = field(default_factory=lambda: PSK)
    certificate: OwnCertificate | None = None
    other_certificates: tuple[OwnCertificate, ...] = ()
    peer_certificate: PeerCertificate | None = None
    authorities: bytes | None = None
    ppk: Ppk | None = None
    settings: IkeSettings = field(default_factory=IkeSettings)
    seed: int = 1
    pairs: tuple[tuple[int, int], ...] = (AES, SHA1)
    refuse: dict[int, IkeError] = field(default_factory=dict)
    next_send_id: int = 100
    path: Path | None = None
    observer: Observer | None = None

    ike_sas: list[IkeSa] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    keys: dict[int, tuple[ChildSa, Secret]] = field(default_factory=dict)
    redundant: set[int] = field(default_factory=set)
    outgoing: list[bytes] = field(default_factory=list)
    openings: dict[bytes, IkeSa] = field(default_factory=dict)
    moments: list[float] = field(default_factory=list)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.random: Callable[[int], bytes] = random.Random(self.seed).randbytes

    # -- rkmp.ike.Policy -------------------------------------------------------------------------------------------

    def expectations(self) -> Expectations:
        return Expectations(self.authorities, () if self.ppk is None else (self.ppk,))

    def local_authentication(self, remote_identity: Identity | None) -> LocalAuthentication:
        return LocalAuthentication(self.identity, self.certificate or PreSharedKey(self.psk), self.other_certificates)

    def remote_authentication(self, remote_identity: Identity) -> RemoteAuthentication:
        if remote_identity != self.peer_identity:
            raise IkeError(NotifyType.AUTHENTICATION_FAILED, f"{remote_identity} is nobody here")
        return RemoteAuthentication(self.peer_certificate or PreSharedKey(self.peer_psk), self.ppk)

    def choose_child(self, remote_identity: Identity, offer: ChildOffer) -> ChildChoice:
        assert remote_identity == self.peer_identity
        if offer.routing_protocol in self.refuse:
            raise self.refuse[offer.routing_protocol]
        if offer.replaces is None and self.current(offer.routing_protocol) is not None:
            raise IkeError(NotifyType.TEMPORARY_FAILURE, "there is a key already")
        for pair in self.pairs:
            for offered in offer.transforms:
                if (offered.transform.auth_alg, offered.transform.kdf) == pair:
                    return ChildChoice(offered, self.take_send_id())
        raise IkeError(NotifyType.NO_PROPOSAL_CHOSEN, "nothing that we like")

    def take_send_id(self) -> int:
        """Return a KeyID that none of our keys has."""
        while self.next_send_id % 256 in self.keys:
            self.next_send_id += 1
        self.next_send_id += 1
        return (self.next_send_id - 1) % 256

    # -- what the engine does ----------------------------------------------------------------------------------------

    @property
    def ike_sa(self) -> IkeSa:
        """The newest IKE SA."""
        return self.ike_sas[-1]

    def initiate(self, child_request: ChildRequest | None = None, now: float = 0.0) -> IkeSa:
        """Open an IKE SA."""
        ike_sa = IkeSa.initiate(self.settings, self, self.random, child_request, now, self.path, self.observer)
        self.ike_sas.append(ike_sa)
        self.collect()
        return ike_sa

    def receive(self, datagram: bytes, now: float = 0.0) -> None:
        """Find the IKE SA for a datagram, or make one, and let it have it."""
        ike_sa = self.find(datagram)
        if ike_sa is None:
            if len(datagram) < 28 or not is_opening_request(Header.parse(datagram)):
                return
            ike_sa = IkeSa.respond(self.settings, self, self.random, self.path, self.observer)
            self.ike_sas.append(ike_sa)
            self.openings[Header.parse(datagram).initiator_spi] = ike_sa
        ike_sa.receive(datagram, now)
        self.collect()

    def find(self, datagram: bytes) -> IkeSa | None:
        """Return the IKE SA that a datagram names."""
        if len(datagram) < 28:
            return None
        header = Header.parse(datagram)
        if is_opening_request(header):
            ike_sa = self.openings.get(header.initiator_spi)
            return ike_sa if ike_sa is not None and not ike_sa.is_closed else None
        local_spi = header.responder_spi if header.is_initiator else header.initiator_spi
        return next((sa for sa in self.ike_sas if local_spi in sa.local_spis), None)

    def handle_timer(self, now: float) -> None:
        """Wake every IKE SA."""
        for ike_sa in self.ike_sas:
            ike_sa.handle_timer(now)
        self.collect()

    def next_timer(self) -> float | None:
        """Return when the first IKE SA wants to be woken."""
        return min((timer for sa in self.ike_sas if (timer := sa.next_timer()) is not None), default=None)

    def collect(self) -> None:
        """Take events and datagrams from every IKE SA, the events first."""
        for ike_sa in self.ike_sas:
            for event in ike_sa.events():
                self.events.append(event)
                self.moments.append(self.now)
                self._note(event)
            self.outgoing += ike_sa.datagrams()

    def _note(self, event: Event) -> None:
        match event:
            case ChildKeysEstablished(child, key):
                assert child.send_id not in self.keys
                self.keys[child.send_id] = (child, key)
                if event.redundant:
                    self.redundant.add(child.send_id)
            case ChildDeleted(child):
                self.keys.pop(child.send_id, None)
                self.redundant.discard(child.send_id)

    def sent(self) -> list[bytes]:
        """Take what is to be sent."""
        outgoing, self.outgoing = self.outgoing, []
        return outgoing

    def current(self, protocol: int) -> tuple[ChildSa, Secret] | None:
        """Return the key to send with: the newest that is not redundant."""
        usable = [
            (child, key)
            for child, key in self.keys.values()
            if child.routing_protocol == protocol and child.send_id not in self.redundant
        ]
        return usable[-1] if usable else None

    def of(self, kind: type[Event]) -> list[Event]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def last(self, kind: type[_EventT]) -> _EventT:
        """Return the last event of one kind."""
        return [event for event in self.events if isinstance(event, kind)][-1]

    def kinds(self) -> list[str]:
        """Return the names of all events."""
        return [type(event).__name__ for event in self.events]


def pair(**changes: object) -> tuple[Router, Router]:
    """Return alice and bob; ``changes`` are for the settings of both."""
    settings = replace(IkeSettings(), **{"datagram_size": JUMBO, **changes})  # type: ignore[arg-type]
    return (
        Router(settings=settings),
        Router(identity=BOB, peer_identity=ALICE, settings=settings, seed=2, next_send_id=200),
    )


def settle(alice: Router, bob: Router, now: float = 0.0) -> list[bytes]:
    """Let every datagram arrive at once until there are none, and return them in order."""
    transcript: list[bytes] = []
    while True:
        from_alice, from_bob = alice.sent(), bob.sent()
        if not from_alice and not from_bob:
            return transcript
        for datagram in from_alice:
            bob.receive(datagram, now)
        for datagram in from_bob:
            alice.receive(datagram, now)
        transcript += from_alice + from_bob


def established(child_request: ChildRequest | None = None, **changes: object) -> tuple[Router, Router]:
    """Return alice, the initiator, and bob with an IKE SA and a key for BGP."""
    alice, bob = pair(**changes)
    alice.initiate(child_request or request())
    settle(alice, bob)
    return alice, bob


def assert_same_keys(alice: Router, bob: Router) -> None:
    """Both hold the same keys, each named from its own end."""
    assert {
        (c.send_id, c.peer_send_id, c.auth_alg, c.kdf, c.ignore_tcp_options, c.routing_protocol, k.reveal())
        for c, k in alice.keys.values()
    } == {
        (c.peer_send_id, c.send_id, c.auth_alg, c.kdf, c.ignore_tcp_options, c.routing_protocol, k.reveal())
        for c, k in bob.keys.values()
    }


# -- looking into messages, and making others of them ----------------------------------------------------------------


def inside(reader: Router, datagram: bytes) -> tuple[Payload, ...]:
    """Return the payloads of a protected message that ``reader`` received or could receive."""
    ike_sa = reader.find(datagram)
    assert ike_sa is not None
    protection = ike_sa._lineage.addressee(datagram).protection
    assert protection is not None
    message = Message.parse(datagram)
    opened = protection.open(datagram, message)
    assert opened is not None
    return parse_payloads(opened.first_payload, opened.octets)


def opened(alice: Router, bob: Router) -> list[tuple[Payload, ...]]:
    """Let every datagram arrive at once, and return the payloads of all that are protected, in order."""
    contents: list[tuple[Payload, ...]] = []
    while waiting := [(alice, datagram) for datagram in bob.sent()] + [(bob, datagram) for datagram in alice.sent()]:
        for reader, datagram in waiting:
            if Message.parse(datagram).exchange_type != ExchangeType.IKE_SA_INIT:
                contents.append(inside(reader, datagram))
            reader.receive(datagram)
    return contents


def reseal(writer: Router, reader: Router, datagram: bytes, payloads: tuple[Payload, ...]) -> bytes:
    """Return the message that ``writer`` sent to ``reader`` with other payloads."""
    message = Message.parse(datagram)
    local_spi = message.initiator_spi if message.is_initiator else message.responder_spi
    cores = (core for ike_sa in writer.ike_sas for core in ike_sa._lineage.cores)
    protection = next(core.protection for core in cores if core.context.local_spi == local_spi)
    assert protection is not None
    (resealed,) = protection.seal(message.exchange_type, message.message_id, payloads, is_response=message.is_response)
    return resealed


def inject(writer: Router, exchange_type: int, payloads: tuple[Payload, ...]) -> bytes:
    """Return a request of ``writer``'s newest IKE SA that it did not make up itself, with its next Message ID."""
    ike_sa = writer.ike_sa
    assert ike_sa._core.protection is not None
    message_id = ike_sa._core.tasks.next_message_id
    (datagram,) = ike_sa._core.protection.seal(exchange_type, message_id, payloads, is_response=False)
    return datagram


# -- a network that is none too good ---------------------------------------------------------------------------------


@dataclass
class Network:
    """Virtual time between two routers; ``loss`` and ``duplication`` are chances, delays up to ``delay`` seconds.

    Nothing is lost any more from ``good_from`` on.
    """

    alice: Router
    bob: Router
    seed: int
    loss: float = 0.3
    duplication: float = 0.2
    delay: float = 2.0
    good_from: float = float("inf")
    now: float = 0.0

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._in_flight: list[tuple[float, int, bytes, Router]] = []
        self._deeds: list[tuple[float, int, Callable[[float], None]]] = []
        self._count = 0

    def at(self, moment: float, deed: Callable[[float], None]) -> None:
        """Do something at a moment of virtual time; it is given that moment."""
        self._count += 1
        heapq.heappush(self._deeds, (moment, self._count, deed))

    def run(self, until: float = 600.0) -> None:
        """Let time pass until nothing is left to happen, or ``until``."""
        while (moment := self._next()) is not None and moment <= until:
            self.now = self.alice.now = self.bob.now = max(self.now, moment)
            while self._deeds and self._deeds[0][0] <= self.now:
                heapq.heappop(self._deeds)[2](self.now)
            while self._in_flight and self._in_flight[0][0] <= self.now:
                _, _, datagram, router = heapq.heappop(self._in_flight)
                router.receive(datagram, self.now)
            for router, peer in ((self.alice, self.bob), (self.bob, self.alice)):
                if (timer := router.next_timer()) is not None and timer <= self.now:
                    router.handle_timer(self.now)
                router.collect()
                for datagram in router.sent():
                    self._send(datagram, peer)

    def _next(self) -> float | None:
        moments = [self.alice.next_timer(), self.bob.next_timer()]
        moments += [queue[0][0] for queue in (self._in_flight, self._deeds) if queue]
        return min((moment for moment in moments if moment is not None), default=None)

    def _send(self, datagram: bytes, to: Router) -> None:
        copies = 0 if self._chance.random() < self.loss and self.now < self.good_from else 1
        copies += self._chance.random() < self.duplication
        for _ in range(copies):
            self._count += 1
            arrival = self.now + self._chance.random() * self.delay
            heapq.heappush(self._in_flight, (arrival, self._count, datagram, to))


def closed(router: Router) -> IkeSaClosed:
    """Return how the newest IKE SA ended; it has to be the last thing that it reported."""
    event = router.events[-1]
    assert isinstance(event, IkeSaClosed)
    return event


def refused(router: Router) -> ChildRefused:
    """Return the last refusal of a child."""
    return router.last(ChildRefused)

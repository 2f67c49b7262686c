"""What is fuzzed, each a function of the octets that somebody made up; it raises where a promise is broken.

The promises: nothing is raised but the typed error; no more is allocated than the length of the input justifies; and
nothing that is established changes by what has not its keys. Where the octets are sealed with the right keys, because
a peer may be hostile, an IKE SA may end of them, but in good order.
"""

from __future__ import annotations

import logging
import random
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache

from rkmp.ike import IkeSa, IkeSaState
from rkmp.ike.core import IkeSaCore
from rkmp.instant import Instant
from rkmp.wire import SPI_LENGTH, Encrypted, ExchangeType, Message, WireError, parse_payloads, serialise_payloads
from tests.engine.simulation import LISTENER, Router, Simulation, address_of, two_routers
from tests.fuzz.corpus import DATAGRAMS, INSIDES, SEVERAL_KEY_EXCHANGES
from tests.ike.network import Router as IkeRouter
from tests.ike.network import pair, request, settle

ALLOWANCE, PER_OCTET = 40_000, 100
"""Octets that may be allocated on the way whatever the length is, and for each octet of the input: an object for every
four, and what stands around a handful of them."""


class Broken(AssertionError):
    """A promise is broken; the message says which."""


@contextmanager
def frugal(data: bytes, allowance: int = ALLOWANCE) -> Iterator[None]:
    """Raise Broken when what happens inside allocates more than ``data`` justifies; only while memory is traced."""
    if not tracemalloc.is_tracing():
        yield
        return
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    yield
    used = tracemalloc.get_traced_memory()[1] - before
    if used > allowance + PER_OCTET * len(data):
        raise Broken(f"{used} octets were allocated for {len(data)}")


# -- the codec -------------------------------------------------------------------------------------------------------


def message(data: bytes) -> None:
    """``Message.parse``: what it can read, it can write, and reads as the same again."""
    with frugal(data):
        try:
            parsed = Message.parse(data)
        except WireError as refusal:
            _check_refusal(refusal, data)
            return
    if Message.parse(parsed.to_bytes()) != parsed:
        raise Broken("a message does not come back as it was")


def payloads(data: bytes) -> None:
    """``parse_payloads``: the first octet is the type of the first payload."""
    first_payload, octets = data[0] if data else 0, data[1:]
    with frugal(data):
        try:
            parsed = parse_payloads(first_payload, octets)
        except WireError as refusal:
            _check_refusal(refusal, octets)
            return
    if parse_payloads(*serialise_payloads(parsed)) != parsed:
        raise Broken("payloads do not come back as they were")


def _check_refusal(refusal: WireError, octets: bytes) -> None:
    if not 0 <= refusal.offset <= len(octets):
        raise Broken(f"octet {refusal.offset} of {len(octets)} is said to be wrong")


# -- an IKE SA -------------------------------------------------------------------------------------------------------


def snapshot(core: IkeSaCore) -> tuple[object, ...]:
    """Return what must not change of an IKE SA that is established."""
    context, tasks = core.context, core.tasks
    return (
        core.state,
        dict(context.children),
        context.remote_spi,
        context.remote_identity,
        context.secrets,
        tasks.next_message_id,
        tasks.expected_message_id,
        tasks.outstanding and (tasks.outstanding.message_id, tasks.outstanding.datagrams),
        core.lineage.last_heard,
    )


@lru_cache(maxsize=1)
def _established_pair() -> tuple[IkeRouter, IkeRouter]:
    alice, bob = pair()
    # Not the keys under which the corpus was sealed.
    alice.random, bob.random = random.Random("alice").randbytes, random.Random("bob").randbytes
    alice.initiate(request())
    settle(alice, bob)
    # Responses are taken only where there is a request.
    for router in (alice, bob):
        router.ike_sa.check_liveness(1.0)
        router.collect()
        router.sent()
    return alice, bob


def ike_sa(data: bytes) -> None:
    """An established IKE SA, from either side: as it comes, and with its SPIs in the place of those that came."""
    for router in _established_pair():
        sa = router.ike_sa
        before, events = snapshot(sa._core), len(router.events)
        spis = (sa.local_spi, sa.remote_spi) if router is _established_pair()[0] else (sa.remote_spi, sa.local_spi)
        for datagram in (data, b"".join(spis) + data[2 * SPI_LENGTH :]):
            with frugal(data):
                sa.receive(datagram, 2.0)
        router.collect()
        if snapshot(sa._core) != before or len(router.events) != events:
            raise Broken("an established IKE SA has changed")
        if router.sent():
            raise Broken("an established IKE SA answers what is not its peer's")


def opening(data: bytes) -> None:
    """A first message, whatever it is: there is one answer at most, and an IKE SA that is half open or gone."""
    bob = pair(proposals=SEVERAL_KEY_EXCHANGES)[1] if data[:1] > b"\x7f" else pair()[1]
    sa = IkeSa.respond(bob.settings, bob, bob.random)
    with frugal(data, 4 * ALLOWANCE):
        sa.receive(data, 0.0)
    if sa.state not in (IkeSaState.HALF_OPEN, IkeSaState.INTERMEDIATE, IkeSaState.CLOSED):
        raise Broken(f"a first message leads to {sa.state}")
    if len(sa.datagrams()) > 1:
        raise Broken("a first message has more than one answer")


_SEALED = (
    ExchangeType.IKE_AUTH,
    ExchangeType.CREATE_CHILD_SA,
    ExchangeType.INFORMATIONAL,
    ExchangeType.IKE_FOLLOWUP_KE,
    ExchangeType.IKE_INTERMEDIATE,
)


def hostile_peer(data: bytes) -> None:
    """What a peer with all keys may seal: the first two octets say how, the third which payload comes first.

    As a request or a response, in the middle of IKE_AUTH or afterwards, of any exchange.
    """
    if len(data) < 3:
        return
    how, exchange_type, first_payload, octets = data[0], _SEALED[data[1] % len(_SEALED)], data[2], data[3:]
    is_half_open, is_response = bool(how & 1), bool(how & 2)
    alice, bob = pair()
    alice.initiate(request(10, 11))
    bob.receive(alice.sent()[0])
    alice.receive(bob.sent()[0])
    if not is_half_open:
        bob.receive(alice.sent()[0])
        alice.receive(bob.sent()[0])
        bob.ike_sa.check_liveness(0.0)
    core = alice.ike_sa._core
    message_id = 0 if is_response else 1 if is_half_open else 2
    protection = core.protection
    assert protection is not None
    sealed = protection._message(exchange_type, message_id, Encrypted(first_payload, b""), is_response=is_response)
    datagram = protection._sealed(sealed, octets)
    with frugal(data, 4 * ALLOWANCE):
        bob.receive(datagram, 0.0)
    bob.sent()
    for moment in (1.0, 40.0, 400.0):
        bob.handle_timer(moment)
    for sa in bob.ike_sas:
        if sa.is_closed and sa.children:
            raise Broken("an IKE SA is closed and has children")


# -- the engine ------------------------------------------------------------------------------------------------------


class _Faults(logging.Handler):
    """Notes what was contained."""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record


_faults = _Faults()


@lru_cache(maxsize=1)
def _engine() -> tuple[Simulation, Router]:
    simulation = two_routers(1)
    simulation.run(5)
    # What is a fault of ours is contained, and told to the log alone.
    log = logging.getLogger("rkmp.engine.containment")
    log.propagate = False
    log.addHandler(_faults)
    return simulation, simulation["r2"]


def _shown(router: Router, at: Instant) -> object:
    """Return the keys, and what is shown of associations and of IKE SAs that are established; not what is counted."""
    return router.key_table.rows(), [
        (
            peer.associations,
            [(sa.local_spi, sa.remote_spi, sa.role) for sa in peer.ike_sas if sa.state == "established"],
        )
        for peer in router.engine.peers(at)
    ]


_received = 0


def engine(data: bytes) -> None:
    """``Engine.receive`` with a peer that is established: from its address, and from a stranger's."""
    global _received
    simulation, router = _engine()
    _received += 1
    if _received % 1000 == 0:
        # Whoever is half open goes in time; a run is longer than their patience.
        simulation.run(60)
    at = router.at(simulation.now)
    before = _shown(router, at)
    for remote in ((address_of("r1"), 500), ("203.0.113.9", 4500)):
        with frugal(data, 4 * ALLOWANCE):
            router.engine.receive(data, LISTENER, remote, at)
        sent = router.engine.datagrams()
        if len(sent) > 1 or any(datagram.remote != remote for datagram in sent):
            raise Broken("one datagram has several answers, or one that goes elsewhere")
    fault = _faults.__dict__.pop("last", None)
    if fault is not None:
        raise Broken(logging.Formatter().format(fault))
    if _shown(router, at) != before:
        raise Broken("what is shown of the peers, or the key table, has changed")


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    function.__name__.replace("_", "-"): function
    for function in (message, payloads, ike_sa, opening, hostile_peer, engine)
}
"""By the name that a run is asked for by."""


def seeds(target: str) -> list[bytes]:
    """Return the inputs with which fuzzing of a target begins."""
    if target == "payloads":
        return [bytes((first_payload,)) + octets for first_payload, octets in INSIDES]
    if target == "hostile-peer":
        return [
            bytes((how, exchange, first_payload)) + octets
            for first_payload, octets in INSIDES
            for how in range(4)
            for exchange in range(3)
        ]
    return DATAGRAMS

"""What fuzzing begins with: every kind of message of whole lives of IKE SAs, ours and of another implementation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from unittest import mock

from rkmp.crypto.suites import DEFAULT_IKE_PROPOSALS
from rkmp.ike import reception
from rkmp.wire import KeyExchangeId, parse_payloads
from tests.ike.network import LDP, pair, request
from tests.wire.transcripts import MESSAGES

SEVERAL_KEY_EXCHANGES = (replace(DEFAULT_IKE_PROPOSALS[0], additional_key_exchanges=((KeyExchangeId.ECP_256,),)),)


@dataclass
class Recording:
    """``datagrams`` as they travelled, each with the name of who receives it.

    ``insides`` are what was sealed in them: the type of the first payload, and the octets.
    """

    datagrams: list[tuple[str, bytes]] = field(default_factory=list)
    insides: list[tuple[int, bytes]] = field(default_factory=list)


def record(**changes: object) -> Recording:
    """Return the life of an IKE SA between alice, who opens it, and bob; ``changes`` are for the settings of both."""
    alice, bob = pair(**changes)
    recording = Recording()

    def note(first_payload: int, octets: bytes, *rest: object) -> object:
        recording.insides.append((first_payload, octets))
        return parse_payloads(first_payload, octets, *rest)  # type: ignore[arg-type]

    def exchange() -> None:
        alice.collect()
        bob.collect()
        while alice.outgoing or bob.outgoing:
            for sender, receiver, name in ((alice, bob, "bob"), (bob, alice, "alice")):
                for datagram in sender.sent():
                    recording.datagrams.append((name, datagram))
                    receiver.receive(datagram, 1.0)

    commands: list[Callable[[], object]] = [
        lambda: alice.initiate(request(10, 11)),
        lambda: alice.ike_sa.create_child(request(30, 31, protocol=LDP, pfs=True), 1.0),
        lambda: bob.ike_sa.rekey_child(200, request(50, 51), 1.0),
        lambda: alice.ike_sa.check_liveness(1.0),
        lambda: bob.ike_sa.rekey(1.0),
        lambda: alice.ike_sa.delete_child(10, 1.0),
        lambda: bob.ike_sa.close("enough", 1.0),
    ]
    with mock.patch.object(reception, "parse_payloads", note):
        for command in commands:
            command()
            exchange()
    return recording


RECORDINGS = (record(), record(proposals=SEVERAL_KEY_EXCHANGES, datagram_size=200))
RECORDED = [recorded for recording in RECORDINGS for recorded in recording.datagrams]
INSIDES = [inside for recording in RECORDINGS for inside in recording.insides]
DATAGRAMS = [*(datagram for _, datagram in RECORDED), *MESSAGES]

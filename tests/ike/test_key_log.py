"""With the key log, and only with it, Wireshark reads what an IKE SA says."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from rkmp.crypto.ciphers import ENCRYPTIONS, INTEGRITIES
from rkmp.crypto.suites import IkeProposal
from rkmp.ike.key_log import _ENCRYPTIONS, _INTEGRITIES, FILE_NAME, key_log_line
from rkmp.wire import IntegrityId, KeyExchangeId, PrfId
from tests.capture.files import pcap, timed, udp_packet
from tests.ike.network import BGP, Router, pair, request, settle
from tests.ike.watching import Watch
from tests.real_parts import lacking

ALICE, BOB = ("192.0.2.1", 500), ("192.0.2.2", 500)


def tshark(directory: Path, capture: bytes, table: str | None) -> str:
    """Return what Wireshark makes of a capture; skip where it is not installed, or fail where CI means it to be."""
    program = shutil.which("tshark")
    if program is None:
        lacking("tshark is not installed")
    profile = directory / "wireshark"
    profile.mkdir(exist_ok=True)
    (profile / FILE_NAME).unlink(missing_ok=True)
    if table is not None:
        (profile / FILE_NAME).write_text(table)
    file = directory / "ike.pcap"
    file.write_bytes(capture)
    result = subprocess.run(
        [program, "-r", str(file), "-V"],
        env={**os.environ, "HOME": str(directory), "XDG_CONFIG_HOME": str(directory)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return result.stdout


def recorded(proposal: IkeProposal) -> tuple[Router, Router, list[bytes]]:
    """Return two routers that watched themselves open an IKE SA and replace its key, and the packets of that."""
    alice, bob = pair(proposals=(proposal,))
    alice.observer = Watch()
    alice.initiate(request())
    packets = to_packets(alice, bob)
    (child, _) = alice.current(BGP)  # type: ignore[misc]
    alice.ike_sa.rekey_child(child.send_id, request(20, 21), 1.0)
    alice.collect()
    return alice, bob, packets + to_packets(alice, bob)


def to_packets(alice: Router, bob: Router) -> list[bytes]:
    # The Initiator flag tells who sent it: alice opened the IKE SA.
    return [
        udp_packet(ALICE, BOB, each) if each[19] & 0x08 else udp_packet(BOB, ALICE, each) for each in settle(alice, bob)
    ]


SUITES = [
    IkeProposal(
        encryption=((cipher.encryption_id, cipher.key_bits),),
        integrity=() if integrity is None else (integrity,),
        prf=(PrfId.HMAC_SHA2_256,),
        key_exchange=(KeyExchangeId.CURVE25519,),
    )
    for cipher in ENCRYPTIONS.values()
    for integrity in ((None,) if cipher.is_combined else tuple(INTEGRITIES))
]


@pytest.mark.parametrize(
    "proposal", SUITES, ids=lambda each: "-".join(map(str, (*each.encryption[0], *each.integrity)))
)
def test_wireshark_reads_everything_with_the_key_log_and_nothing_without(proposal: IkeProposal, tmp_path: Path) -> None:
    alice, _, packets = recorded(proposal)
    watch = alice.observer
    assert isinstance(watch, Watch)
    table = "# a comment\n" + "".join(f"{key_log_line(keys)}\n" for keys in watch.secrets)
    capture = pcap(timed(packets))
    closed = tshark(tmp_path, capture, None)
    assert "Exchange type: IKE_AUTH (35)" in closed
    assert "alice.example" not in closed
    opened = tshark(tmp_path, capture, table)
    assert "Identification Data:alice.example" in opened
    assert "Identification Data:bob.example" in opened
    assert opened.count("Payload: Authentication (39)") == 2
    assert "REKEY_SA" in opened
    assert "[incorrect" not in opened


def test_every_algorithm_has_its_name() -> None:
    assert set(_ENCRYPTIONS) == set(ENCRYPTIONS)
    assert set(_INTEGRITIES) == {*INTEGRITIES, IntegrityId.NONE}


def test_keys_of_an_ike_sa_that_replaces_another_are_a_line_of_their_own() -> None:
    alice, bob = pair()
    alice.observer = watch = Watch()
    alice.initiate(request())
    settle(alice, bob)
    alice.ike_sa.rekey(1.0)
    alice.collect()
    settle(alice, bob)
    spis = [(keys.initiator_spi, keys.responder_spi) for keys in watch.secrets]
    assert len(spis) == len(set(spis)) == 2
    assert spis[-1] == (alice.ike_sa.local_spi, alice.ike_sa.remote_spi)

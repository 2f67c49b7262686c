"""A whole agent in a process: the engine behind its asyncio driver, and a key table on the disk.

Run as a module: its arguments are ``responder`` or ``initiator``, the address and the port of the responder, and the
number of peers, each with one association. It says ``ready`` when it is configured, an initiator after a line on
standard input that lets it begin; ``all`` when every association has a key; and ends when standard input does.

To the responder its peers have an address of loopback each. The initiator has all of those, with a listener on each,
and speaks BGP with as many addresses of the responder's.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from rkmp.daemon import garbage
from rkmp.engine import (
    AssociationConfiguration,
    AssociationState,
    AssociationStateChange,
    Engine,
    EngineConfiguration,
    EngineDriver,
    EngineEvent,
    IkePolicy,
    Initiate,
    Listener,
    PeerConfiguration,
    PreSharedKeyName,
    ProposalConfiguration,
    TransformConfiguration,
)
from rkmp.ike import Identity
from rkmp.keytable import KeyTable
from rkmp.secret import Secret
from rkmp.storage import Database, KeyEncryptionKey, Sealer
from rkmp.wire import AuthAlg, Kdf, RoutingProtocol
from tests.benchmarks.handshakes import SETTINGS
from tests.interop.strongswan.charon import CHARON_NAME, SECRET

TRANSFORM = TransformConfiguration("aes", AuthAlg.AES_128_CMAC_96, Kdf.AES_128_CMAC)
RESPONDER, INITIATOR = "responder", "initiator"


def peer_name(number: int) -> str:
    """Return the name of a peer of the responder's."""
    return f"router{number}"


def peer_address(number: int) -> str:
    """Return the address of a peer of the responder's, which is its identity too."""
    return f"127.1.{number >> 8}.{number & 255}"


def neighbor_address(number: int) -> str:
    """Return the address with which the peer of that number speaks BGP."""
    return f"127.2.{number >> 8}.{number & 255}"


def responder_configuration(listener: Listener, peers: int) -> EngineConfiguration:
    """Return a configuration with so many peers, which open the IKE SAs."""
    return EngineConfiguration(
        listeners={listener.name: listener},
        local_identity=Identity.parse("fqdn", CHARON_NAME),
        peers={
            peer_name(number): _peer(
                peer_name(number), peer_address(number), peer_address(number), initiate=Initiate.NEVER
            )
            for number in range(peers)
        },
        **_shared(),  # type: ignore[arg-type]
    )


def initiator_configuration(responder: tuple[str, int], peers: int) -> EngineConfiguration:
    """Return the configuration of all those peers together: each opens an IKE SA at ``responder`` at once."""
    host, port = responder
    listeners = [Listener(peer_name(number), peer_address(number), port) for number in range(peers)]
    return EngineConfiguration(
        listeners={listener.name: listener for listener in listeners},
        peers={
            listener.name: _peer(
                listener.name,
                host,
                neighbor_address(number),
                initiate=Initiate.IMMEDIATELY,
                port=port,
                listener=listener.name,
                remote_identity=Identity.parse("fqdn", CHARON_NAME),
            )
            for number, listener in enumerate(listeners)
        },
        **_shared(),  # type: ignore[arg-type]
    )


def _shared() -> dict[str, object]:
    return {
        "require_vendor_id": SETTINGS.require_vendor_id,
        "pre_shared_keys": {"k": Secret(SECRET.encode())},
        # Peers that are only there to be established do not answer afterwards.
        "ike_policies": {"p": IkePolicy("p", proposals=SETTINGS.proposals, liveness_interval=0)},
        "proposals": {"ao": ProposalConfiguration("ao", (TRANSFORM,))},
    }


def _peer(name: str, address: str, neighbor: str, **more: object) -> PeerConfiguration:
    return PeerConfiguration(
        name=name,
        address=address,
        ike_policy="p",
        local_authentication=PreSharedKeyName("k"),
        remote_authentication=PreSharedKeyName("k"),
        associations={RoutingProtocol.BGP: AssociationConfiguration(RoutingProtocol.BGP, neighbor, ("ao",))},
        **more,  # type: ignore[arg-type]
    )


class Tally:
    """Says ``all`` when as many associations are established as there are."""

    def __init__(self, associations: int) -> None:
        self._missing = associations

    def __call__(self, event: EngineEvent, _wall: datetime) -> None:
        """Take note of an event."""
        if isinstance(event, AssociationStateChange) and event.after is AssociationState.ESTABLISHED:
            self._missing -= 1
            if not self._missing:
                print("all", flush=True)


def driver_for(listener: Listener, folder: Path) -> EngineDriver:
    """Return an agent without a configuration."""
    sealer = Sealer(KeyEncryptionKey(Secret(os.urandom(32))), "keys")
    key_table = KeyTable(Database(folder / "keys.db"), sealer, os.urandom)
    return EngineDriver(Engine(key_table, os.urandom, default_listener=listener), listener)


async def serve(role: str, address: tuple[str, int], peers: int, folder: Path) -> None:
    """Do what the role asks for until standard input ends."""
    listener = Listener("ike", *(address if role == RESPONDER else ("127.0.0.5", address[1])))
    driver = driver_for(listener, folder)
    driver.subscribe(Tally(peers))
    configuration = (
        responder_configuration(listener, peers) if role == RESPONDER else initiator_configuration(address, peers)
    )
    prepared = driver.prepare(configuration)
    if role == RESPONDER:
        prepared.apply()
    print("ready", flush=True)
    if role == INITIATOR:
        sys.stdin.readline()
        prepared.apply()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, ended.set)
    await ended.wait()
    driver.close()


if __name__ == "__main__":
    garbage.look_rarely()
    with tempfile.TemporaryDirectory(prefix="rkmp-benchmark-") as directory:
        where = (sys.argv[2], int(sys.argv[3]))
        asyncio.run(serve(sys.argv[1], where, int(sys.argv[4]), Path(directory)))

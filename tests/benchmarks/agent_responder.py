"""A whole agent as responder: the engine behind its asyncio driver, and a key table on the disk.

Run as a module: its arguments are an address, a port and the number of its peers; it says ``ready`` when it listens,
and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from rkmp.daemon import garbage
from rkmp.engine import (
    AssociationConfiguration,
    Engine,
    EngineConfiguration,
    EngineDriver,
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


def peer_name(number: int) -> str:
    """Return the name of a peer, which is its identity too."""
    return f"router{number}.example"


def peer_address(number: int) -> str:
    """Return the address of a peer, one of loopback's."""
    return f"127.1.{number >> 8}.{number & 255}"


def configuration(listener: Listener, peers: int) -> EngineConfiguration:
    """Return a configuration with one association for BGP for each of so many peers."""
    return EngineConfiguration(
        listeners={listener.name: listener},
        require_vendor_id=SETTINGS.require_vendor_id,
        local_identity=Identity.parse("fqdn", CHARON_NAME),
        pre_shared_keys={"k": Secret(SECRET.encode())},
        ike_policies={"p": IkePolicy("p", proposals=SETTINGS.proposals)},
        proposals={"ao": ProposalConfiguration("ao", (TRANSFORM,))},
        peers={
            peer_name(number): PeerConfiguration(
                name=peer_name(number),
                address=peer_address(number),
                ike_policy="p",
                local_authentication=PreSharedKeyName("k"),
                remote_authentication=PreSharedKeyName("k"),
                remote_identity=Identity.parse("fqdn", peer_name(number)),
                initiate=Initiate.NEVER,
                associations={
                    RoutingProtocol.BGP: AssociationConfiguration(RoutingProtocol.BGP, peer_address(number), ("ao",))
                },
            )
            for number in range(peers)
        },
    )


async def serve(address: str, port: int, peers: int, folder: Path) -> None:
    """Answer until standard input ends."""
    sealer = Sealer(KeyEncryptionKey(Secret(os.urandom(32))), "keys")
    key_table = KeyTable(Database(folder / "keys.db"), sealer, os.urandom)
    listener = Listener("ike", address, port)
    driver = EngineDriver(Engine(key_table, os.urandom, default_listener=listener), listener)
    driver.prepare(configuration(listener, peers)).apply()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, ended.set)
    print("ready", flush=True)
    await ended.wait()
    driver.close()


if __name__ == "__main__":
    garbage.look_rarely()
    with tempfile.TemporaryDirectory(prefix="rkmp-benchmark-") as directory:
        asyncio.run(serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(directory)))

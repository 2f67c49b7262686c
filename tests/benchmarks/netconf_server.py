"""Our NETCONF server over the module bench, without an engine: ``python -m tests.benchmarks.netconf_server FOLDER``.

Keeps its database in the folder, takes the key in ``user_key.pub`` there, says ``ready PORT`` and serves until its
standard input ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from rkmp.daemon import garbage
from rkmp.datastore.datastores import Datastores
from rkmp.datastore.schema import load_schema
from rkmp.netconf import NETCONF_MODULES, EventLog, NetconfServer, generate_host_key
from rkmp.secret import Secret
from rkmp.storage import Database, KeyEncryptionKey, Sealer

MODULES = Path(__file__).parents[1] / "datastore" / "modules"


class AnyUser:
    """Whoever has the key is an administrator."""

    def __init__(self, folder: Path) -> None:
        self._line = (folder / "user_key.pub").read_text(encoding="ascii")

    def authorized_keys(self, user: str) -> Iterable[str]:
        return [self._line]

    async def check_password(self, user: str, password: Secret) -> bool:
        return False


def clock() -> datetime:
    return datetime.now(UTC)


async def serve(folder: Path) -> None:
    schema = load_schema({**NETCONF_MODULES, "bench": ()}, [MODULES])
    with Database(folder / "bench.db") as database:
        sealer = Sealer(KeyEncryptionKey(Secret(os.urandom(32))), "benchmark")
        datastores = Datastores(schema, database, sealer, os.urandom, clock)
        log = EventLog(database, clock)
        server = NetconfServer(datastores, clock=clock, is_recovery=lambda _user: True, event_log=log)
        _, port = await server.listen_ssh("127.0.0.1", 0, [generate_host_key()], AnyUser(folder))
        print(f"ready {port}", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        await server.close()


if __name__ == "__main__":
    garbage.look_rarely()
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(Path(sys.argv[1])))
    else:
        uvloop.run(serve(Path(sys.argv[1])))

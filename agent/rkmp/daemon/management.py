"""How the agent is managed, carried out: joins users, doors and calls to the NETCONF server.

The :class:`~rkmp.northbound.agent_management.Management` of a running agent.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from rkmp.daemon.certificate_clock import CertificateClock
from rkmp.daemon.listen_address import ListenAddress
from rkmp.daemon.users import Users
from rkmp.netconf import NetconfServer, ServerLimits
from rkmp.netconf.accounts import Accounts
from rkmp.netconf.call_home import CalledClient, Caller, CallHome
from rkmp.netconf.doors import Doors, DoorSettings, DoorStatus, Identity, SshIdentity
from rkmp.netconf.transport import TransportServer
from rkmp.northbound.certificates import Certificates
from rkmp.secret import Secret

LAST_RESORT = "command line"
"""Name of the door that is open while no other one is."""


class RunningManagement:
    """Opens no door and calls nobody before ``start``; needs a running event loop."""

    def __init__(
        self,
        server: NetconfServer,
        users: Users,
        host_key: Secret,
        address: ListenAddress,
        certificates: CertificateClock,
    ) -> None:
        self._server = server
        self._users = users
        self._host_key = host_key
        self._certificates = certificates
        self._wanted: Sequence[DoorSettings] = ()
        self._clients: Sequence[CalledClient] = ()
        last_resort = DoorSettings(LAST_RESORT, address.host, address.port, SshIdentity())
        self._doors = Doors(self._make_server, server.retire, last_resort)
        self._call_home = CallHome(self._make_server, server.retire)
        self._has_started = False

    async def start(self) -> ListenAddress:
        """Open the doors and call; return an address where clients can come in.

        Raises OSError or ValueError where there is none.
        """
        await self._doors.start(self._wanted)
        self._has_started = True
        self._call_home.want(self._clients)
        return ListenAddress(*self._doors.addresses[0])

    async def close(self) -> None:
        """Open no more doors and call nobody; the server closes what there is."""
        await self._doors.close()
        await self._call_home.close()

    def _make_server(self, identity: Identity) -> TransportServer:
        if isinstance(identity, SshIdentity):
            return self._server.ssh_server(identity.host_keys or (self._host_key,), self._users)
        return self._server.tls_server(identity)

    def limit(self, limits: ServerLimits) -> None:
        """Have limits for the sessions that come."""
        self._server.limit(limits)

    def open_doors(self, doors: Sequence[DoorSettings]) -> None:
        """Serve NETCONF there, and nowhere else."""
        self._wanted = doors
        if self._has_started:
            self._doors.want(doors)

    def door_status(self, name: str) -> tuple[DoorStatus, str | None]:
        """Return how it stands with a door, and why."""
        return self._doors.status(name)

    def call_clients(self, clients: Sequence[CalledClient]) -> None:
        """Call these clients, and no others."""
        self._clients = clients
        if self._has_started:
            self._call_home.want(clients)

    def caller(self, name: str) -> Caller | None:
        """Return what calls a client."""
        return self._call_home.get(name)

    def locked_out(self, accounts: Accounts) -> str | None:
        """Return the name of an administrator who could not log in, where none could; None where one can."""
        return self._users.locked_out(accounts)

    def watch(self, certificates: Certificates, warnings: tuple[timedelta, ...]) -> None:
        """Tell of these certificates before they expire, and of no others."""
        self._certificates.watch(certificates, warnings)

    def admit(self, accounts: Accounts) -> None:
        """Let these users log in."""
        self._users.admit(accounts)

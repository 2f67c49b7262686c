"""The NETCONF server: SSH, TLS, call home, framing, sessions, operations, YANG actions, event streams.

Generic over YANG modules: nothing here knows RKMP. The daemon builds one object and feeds it::

    schema = load_schema({**NETCONF_MODULES, "my-module": ()}, [folder])
    datastores = Datastores(schema, database, sealer, os.urandom, clock)
    server = NetconfServer(datastores, clock=clock, event_log=EventLog(database, clock))

    server.provide_state("{urn:my}top", provider)              # adds config false nodes to every <get>
    server.handle(("{urn:my}top", "{urn:my}reset"), handler)   # an action; a path of one tag is an rpc
    server.publish(event_time, element)                        # to whoever has a subscription
    server.tell_state_changes("{urn:my}top")                   # its state is on-change capable (RFC 8641)
    server.state_changed("{urn:my}top")                        # and may not be what it was

    host, port = await server.listen_ssh("::", 830, [host_key], authenticator)
    await server.close()

Everything runs on one event loop and nothing is to be called from another thread. A provider gets a copy of running,
an element ``config`` with the top-level nodes that the request can select, and adds state to its own node. A handler
gets an ``Invocation`` whose input is valid and canonical, and returns the elements of its output; it raises RpcError
for its caller's faults. An authenticator says which keys and which password are a user's.

``ssh_server`` and ``tls_server`` return a server of one identity, which listens or calls clients; `doors` and
`call_home` keep such servers to what is wanted of them.

Nodes under nacm:default-deny-all leave in no reply and no notification.
"""

from rkmp.netconf.capabilities import NETCONF_MODULES
from rkmp.netconf.cert_to_name import CertToName, MapType
from rkmp.netconf.event_log import EventLog, EventLogLimits
from rkmp.netconf.handlers import Handler, Invocation, PathStep
from rkmp.netconf.operational import StateProvider
from rkmp.netconf.origin import Origin, set_origin
from rkmp.netconf.server import NetconfServer, ServerLimits
from rkmp.netconf.session import Session, SessionLimits, TerminationReason
from rkmp.netconf.session_table import SessionRefused
from rkmp.netconf.ssh import generate_host_key
from rkmp.netconf.tls_context import TlsIdentity
from rkmp.netconf.transport import Authenticator, Client, Transport, TransportLimits

__all__ = [
    "NETCONF_MODULES",
    "Authenticator",
    "CertToName",
    "Client",
    "EventLog",
    "EventLogLimits",
    "Handler",
    "Invocation",
    "MapType",
    "NetconfServer",
    "Origin",
    "PathStep",
    "ServerLimits",
    "Session",
    "SessionLimits",
    "SessionRefused",
    "StateProvider",
    "TerminationReason",
    "TlsIdentity",
    "Transport",
    "TransportLimits",
    "generate_host_key",
    "set_origin",
]

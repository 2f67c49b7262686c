"""Who uses the keys of the key table: BIRD, programs on the local key API or behind a hook, routers, TCP sockets.

:class:`Southbound` runs in the agent. :class:`KeyClient`, :class:`NeighborSockets` and :class:`Neighbor` are for
programs in Python that speak a routing protocol themselves; they need no agent in their process.
"""

from rkmp.errors import KeyApiRefusal, SouthboundError, TcpAoError, TcpAoUnavailable
from rkmp.southbound.chain_keys import KeyIds
from rkmp.southbound.client import KeyClient, Subscription, Told
from rkmp.southbound.configuration import (
    BirdConfiguration,
    HookConfiguration,
    KeyPermission,
    KeySocketConfiguration,
    NetconfNeighbor,
    NetconfServerConfiguration,
    SouthboundConfiguration,
)
from rkmp.southbound.feed import ConsumerReport, FeedState, FeedStatus
from rkmp.southbound.keys import HelloKey, MasterKeyTuple, Selection
from rkmp.southbound.permissions import Credentials, KeyAccessRefused
from rkmp.southbound.sockets import NeighborSockets
from rkmp.southbound.southbound import Southbound
from rkmp.southbound.steps import Add, Holding, Prefer, Remove, Retire, Usage
from rkmp.southbound.tcp_ao import Neighbor, require_tcp_ao

__all__ = [
    "Add",
    "BirdConfiguration",
    "ConsumerReport",
    "Credentials",
    "FeedState",
    "FeedStatus",
    "HelloKey",
    "Holding",
    "HookConfiguration",
    "KeyAccessRefused",
    "KeyApiRefusal",
    "KeyClient",
    "KeyIds",
    "KeyPermission",
    "KeySocketConfiguration",
    "MasterKeyTuple",
    "Neighbor",
    "NeighborSockets",
    "NetconfNeighbor",
    "NetconfServerConfiguration",
    "Prefer",
    "Remove",
    "Retire",
    "Selection",
    "Southbound",
    "SouthboundConfiguration",
    "SouthboundError",
    "Subscription",
    "TcpAoError",
    "TcpAoUnavailable",
    "Told",
    "Usage",
    "require_tcp_ao",
]

"""Where YANG meets RKMP: configuration, state, actions and notifications of ``/rkmp`` and ``/key-table``.

The one room that knows both the paths of our modules and the engine with its key table. And of ``/agent`` and the
local users, which say how the agent itself is managed.
"""

from __future__ import annotations

from rkmp.northbound.agent_management import AgentManagement
from rkmp.northbound.configuration import NorthboundConfiguration
from rkmp.northbound.engine_access import EngineAccess, PreparedEngine
from rkmp.northbound.names import MODULES
from rkmp.northbound.northbound import Northbound, Server
from rkmp.northbound.password_type import protect_passwords

__all__ = [
    "MODULES",
    "AgentManagement",
    "EngineAccess",
    "Northbound",
    "NorthboundConfiguration",
    "PreparedEngine",
    "Server",
    "protect_passwords",
]

"""Where YANG meets RKMP: configuration, state, actions and notifications of ``/rkmp`` and ``/key-table``.

The one room that knows both the paths of our modules and the engine with its key table.
"""

from __future__ import annotations

from rkmp.northbound.configuration import NorthboundConfiguration
from rkmp.northbound.engine_access import EngineAccess, PreparedEngine
from rkmp.northbound.names import MODULES
from rkmp.northbound.northbound import Northbound, Server

__all__ = ["MODULES", "EngineAccess", "Northbound", "NorthboundConfiguration", "PreparedEngine", "Server"]

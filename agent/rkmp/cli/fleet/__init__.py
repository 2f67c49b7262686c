"""``rkmp init-fleet``: from an inventory of routers and links to credentials, configurations, and keys.

``inventory`` reads what there is, ``credentials`` makes and keeps secrets, ``configuration`` writes what each router
is to have, and ``rollout`` brings it to all of them or to none.
"""

from rkmp.cli.fleet.command import FleetRequest, init_fleet

__all__ = ["FleetRequest", "init_fleet"]

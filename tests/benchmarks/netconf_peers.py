"""What our agent takes for peers of its own module, which it hands to the engine: ``tests.benchmarks.netconf``."""

from __future__ import annotations

from typing import Any

from tests.benchmarks import netconf
from tests.benchmarks.netconf_loads import PEERS
from tests.benchmarks.table import Table


def run(**options: Any) -> Table:
    """Measure and return the table."""
    return netconf.run(load=PEERS, **options)

"""The schema that the tests of this room share, compiled once."""

from __future__ import annotations

from pathlib import Path

import pytest

from rkmp.datastore.schema import Schema, load_schema
from rkmp.netconf.capabilities import NETCONF_MODULES

MODULES = Path(__file__).parent / "modules"


@pytest.fixture(scope="session")
def schema() -> Schema:
    return load_schema({**NETCONF_MODULES, "example-network": ()}, [MODULES])

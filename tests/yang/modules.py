"""Where the modules under test and the standard ones that they import are."""

from __future__ import annotations

import sys
from pathlib import Path

MODULES = Path(__file__).parents[2] / "yang"
STANDARD_MODULES = Path(sys.prefix) / "share" / "yang" / "modules" / "ietf"
"""Where the pyang package puts the IETF's modules."""

IANA_MODULES = STANDARD_MODULES.with_name("iana")
SEARCH_PATH = (MODULES, STANDARD_MODULES, IANA_MODULES)
"""Everywhere that a module of ours imports from."""

NAMES = ("rkmp-types", "crypto-key-table", "rkmp", "rkmp-agent", "rkmp-key-chain-deviations")

"""The table of cryptographic keys of RFC 7210: rows, their selection at an instant, and their lifetimes.

:class:`KeyTable` holds manual and negotiated keys as frozen :class:`KeyRow` values, keeps the negotiated ones on the
disk, sealed, and tells subscribers what happens to keys as :class:`KeyEvent` values. It knows neither who negotiates
a key nor who uses it.
"""

from rkmp.errors import KeyTableError
from rkmp.keytable.events import (
    KeyActivated,
    KeyEvent,
    KeyExpired,
    KeyExpiring,
    KeyExtended,
    KeyExtensionEnded,
    KeyInstalled,
    KeyRemoved,
    KeyUpdated,
)
from rkmp.keytable.row import (
    Direction,
    KeyRow,
    KeyState,
    Lifetime,
    Provenance,
    fingerprint,
    key_state,
)
from rkmp.keytable.rules import (
    ALG_IDS,
    ALL_INTERFACES,
    KDFS,
    LDP_ALG_IDS,
    PRIVATE_USE_PROTOCOLS,
    PROTOCOLS,
    TCP_AO_ALGORITHMS,
    TCP_AO_PROTOCOLS,
)
from rkmp.keytable.table import KeyTable, KeyTableChange, PreparedManualRows

__all__ = [
    "ALG_IDS",
    "ALL_INTERFACES",
    "KDFS",
    "LDP_ALG_IDS",
    "PRIVATE_USE_PROTOCOLS",
    "PROTOCOLS",
    "TCP_AO_ALGORITHMS",
    "TCP_AO_PROTOCOLS",
    "Direction",
    "KeyActivated",
    "KeyEvent",
    "KeyExpired",
    "KeyExpiring",
    "KeyExtended",
    "KeyExtensionEnded",
    "KeyInstalled",
    "KeyRemoved",
    "KeyRow",
    "KeyState",
    "KeyTable",
    "KeyTableChange",
    "KeyTableError",
    "KeyUpdated",
    "Lifetime",
    "PreparedManualRows",
    "Provenance",
    "fingerprint",
    "key_state",
]

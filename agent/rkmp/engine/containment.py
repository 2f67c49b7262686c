"""The one place where a fault of ours becomes a logged, contained failure.

An agent that serves many routers must not end because of one message, one timer or one peer. What raises here is a
bug: the log has it with its traceback, and a counter tells the operator to look there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

_log = logging.getLogger(__name__)


def contained(deed: Callable[[], object], what: str) -> bool:
    """Call ``deed`` and return whether it came to its end; ``what`` names it in the log."""
    try:
        deed()
    except Exception:  # noqa: BLE001 - the one place, as the docstring says
        _log.exception("internal error: %s", what)
        return False
    return True

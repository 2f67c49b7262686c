"""When Python looks for garbage in cycles: rarely, and not among what stays.

By default it does with every 700 objects that are new, each time among some that are older. An IKE SA is several
hundred objects that stay, so with many peers a tenth of the time of a handshake went there, and found nothing. What is
freed by counting references, which is nearly all, is freed as ever.
"""

from __future__ import annotations

import gc

NEW_OBJECTS = 20_000
"""How many more objects there have to be than at the last look; if all were garbage, some megabytes."""


def look_rarely() -> None:
    """Set that for the whole process; what there is by now is taken to stay."""
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])

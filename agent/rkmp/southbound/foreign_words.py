"""What a router or a program says is wrong, as it may be shown: its words may quote the key that it was given."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rkmp.secret import Secret
from rkmp.southbound.chain_keys import is_text

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What would end a line of the log or is no character: neither is in any name."""
MOST_CHARACTERS = 1000


def shown(text: str, secrets: Iterable[Secret] = ()) -> str:
    """Return ``text`` as one line that is not too long, without ``secrets`` in any form in which keys are written."""
    for secret in secrets:
        octets = secret.reveal()
        for form in (octets.hex(":"), octets.hex(), *([octets.decode("ascii")] if is_text(secret) else [])):
            text = re.sub(re.escape(form), "(the key)", text, flags=re.IGNORECASE)
    return CONTROL.sub("", " ".join(text.split()))[:MOST_CHARACTERS]

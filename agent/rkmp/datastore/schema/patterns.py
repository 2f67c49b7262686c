"""XML Schema regular expressions, as YANG's ``pattern`` and ``re-match()`` use them (RFC 7950 9.4.5, 10.2.1).

XSD regular expressions are anchored at both ends and know constructs of their own (``\\i``, ``\\p{..}``, class
subtraction), so they are translated rather than passed to ``re``.
"""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The anchored Python expression of an XSD pattern; ValueError when ``pattern`` is not one."""
    # Imported here: it is large, and an agent whose schema is at hand may never need it.
    from elementpath.regex import RegexError, translate_pattern

    try:
        return re.compile(translate_pattern(pattern, back_references=False, lazy_quantifiers=False, anchors=False))
    except (RegexError, re.error, OverflowError) as error:
        raise ValueError(f"{pattern!r} is not an XML Schema regular expression: {error}") from error

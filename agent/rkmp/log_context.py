"""What a line of the log is about, as fields beside its words: for collectors, which need not read sentences."""

from __future__ import annotations

from collections.abc import Mapping

EVENT = "rkmp_event"
"""The attribute of a log record that holds the fields: a dictionary that JSON can write."""


def about(**fields: str | int | None) -> Mapping[str, Mapping[str, str | int]]:
    """Return what a logger takes as ``extra``; what is None is left out, and names are written with hyphens."""
    return {EVENT: {name.replace("_", "-"): value for name, value in fields.items() if value is not None}}

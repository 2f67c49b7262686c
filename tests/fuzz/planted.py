"""A target with something wrong in it, which is found by following the branches: what shows that the fuzzer works."""

from __future__ import annotations


def fault(data: bytes) -> None:
    """Raise for octets that nobody would guess."""
    if data[:1] == b"R" and data[1:2] == b"K" and data[2:3] == b"M" and data[3:4] == b"P":
        raise ValueError("this was planted")

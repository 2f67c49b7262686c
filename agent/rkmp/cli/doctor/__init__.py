"""``rkmp doctor``: looks at a running agent, and at the peer's where it may, and names what is likely wrong.

``facts`` asks, ``diagnosis`` draws conclusions from what was answered and from nothing else, ``causes`` has the words,
``command`` prints.
"""

from rkmp.cli.doctor.command import Connect, doctor

__all__ = ["Connect", "doctor"]

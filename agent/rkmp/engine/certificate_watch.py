"""Tells of certificates that expire, in time to replace them: ours, trust anchors, and those that peers have shown.

Each is told of when 30 days, 7 days and one day are left, and when its time is over; one that is first seen later, for
what it has come to. Civil time comes in as an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from rkmp.crypto.certificates import first_to_expire, summary_of
from rkmp.engine.configuration import EngineConfiguration
from rkmp.engine.events import CertificateExpiring

WARNINGS: tuple[timedelta, ...] = (timedelta(days=30), timedelta(days=7), timedelta(days=1), timedelta(0))
"""How long before the end of a certificate it is told of, the earliest first."""


@dataclass(frozen=True, slots=True)
class Whose:
    """What the certificate is for: an entry of our certificates or trust anchors by name, or a peer by name."""

    certificate: str | None = None
    trust_anchor: str | None = None
    peer: str | None = None


@dataclass(slots=True)
class _Watched:
    certificate: x509.Certificate
    told: int = 0
    """How many of the warnings are over."""

    @property
    def next_change(self) -> datetime | None:
        if self.told == len(WARNINGS):
            return None
        return self.certificate.not_valid_after_utc - WARNINGS[self.told]


class CertificateWatch:
    """The certificates in use, and what was told of each; ``report`` takes the events."""

    def __init__(self, report: Callable[[CertificateExpiring], None]) -> None:
        self._report = report
        self._watched: dict[Whose, _Watched] = {}
        self.next_change: datetime | None = None

    def configure(self, configuration: EngineConfiguration, wall: datetime) -> None:
        """Watch what is configured, and forget what no longer is."""
        wanted: dict[Whose, x509.Certificate] = {}
        if configuration.enabled:
            for name, credential in configuration.certificates.items():
                wanted[Whose(certificate=name)] = credential.first_to_expire
            for name, anchors in configuration.trust_anchors.items():
                wanted[Whose(trust_anchor=name)] = first_to_expire(anchors)
        for whose in list(self._watched):
            if whose not in wanted and (whose.peer is None or whose.peer not in configuration.peers):
                del self._watched[whose]
        self._watch(wanted, wall)

    def peer_has_shown(self, peer: str, certificate: x509.Certificate, wall: datetime) -> None:
        """Watch the certificate of a peer's chain that expires first."""
        self._watch({Whose(peer=peer): certificate}, wall)

    def forget_peer(self, peer: str) -> None:
        """Watch no certificate of ``peer`` any more: it authenticates otherwise."""
        self._watched.pop(Whose(peer=peer), None)

    def handle_time(self, wall: datetime) -> None:
        """Tell of what has come due."""
        if self.next_change is None or wall < self.next_change:
            return
        for whose, watched in self._watched.items():
            before = watched.told
            while (due := watched.next_change) is not None and due <= wall:
                watched.told += 1
            if watched.told > before:
                summary = summary_of(watched.certificate)
                self._report(
                    CertificateExpiring(
                        certificate=whose.certificate,
                        trust_anchor=whose.trust_anchor,
                        peer=whose.peer,
                        subject=summary.subject,
                        expires_at=summary.not_after,
                    )
                )
        self._find_next()

    def _watch(self, wanted: Mapping[Whose, x509.Certificate], wall: datetime) -> None:
        for whose, certificate in wanted.items():
            known = self._watched.get(whose)
            if known is None or known.certificate != certificate:
                self._watched[whose] = _Watched(certificate)
        self._find_next()
        self.handle_time(wall)

    def _find_next(self) -> None:
        moments = (watched.next_change for watched in self._watched.values())
        self.next_change = min((moment for moment in moments if moment is not None), default=None)

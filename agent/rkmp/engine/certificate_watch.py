"""Tells of certificates that expire, in time to replace them: ours, trust anchors, and those that peers have shown.

Each is told of when as much of its time is left as the configuration says, once or several times, and when it is over;
one that is first seen later, for what it has come to. Civil time comes in as an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from rkmp.crypto.certificates import first_to_expire, summary_of
from rkmp.engine.configuration import EngineConfiguration
from rkmp.engine.events import CertificateExpiring

AT_THE_END = timedelta(0)


@dataclass(frozen=True, slots=True)
class Whose:
    """What the certificate is for: an entry of our certificates or trust anchors by name, or a peer by name."""

    certificate: str | None = None
    trust_anchor: str | None = None
    peer: str | None = None


@dataclass(slots=True)
class _Watched:
    certificate: x509.Certificate
    warnings: tuple[timedelta, ...]
    """How long before the end it is told of, the earliest first."""
    told: int = 0
    """How many of the warnings are over."""

    @property
    def next_change(self) -> datetime | None:
        if self.told == len(self.warnings):
            return None
        return self.certificate.not_valid_after_utc - self.warnings[self.told]

    def pass_by(self, wall: datetime) -> bool:
        """Leave the warnings behind that are due; return whether there were any."""
        before = self.told
        while (due := self.next_change) is not None and due <= wall:
            self.told += 1
        return self.told > before


class CertificateWatch:
    """The certificates in use, and what was told of each; ``report`` takes the events."""

    def __init__(self, report: Callable[[CertificateExpiring], None]) -> None:
        self._report = report
        self._warnings: tuple[timedelta, ...] = (AT_THE_END,)
        self._watched: dict[Whose, _Watched] = {}
        self.next_change: datetime | None = None

    def configure(self, configuration: EngineConfiguration, wall: datetime) -> None:
        """Watch what is configured, and forget what no longer is."""
        warnings = (*configuration.expiry_warnings, AT_THE_END)
        if warnings != self._warnings:
            self._warnings = warnings
            for watched in self._watched.values():
                # What would have been told already is not told again because there are other times for it now.
                watched.warnings, watched.told = warnings, 0
                watched.pass_by(wall)
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
            if watched.pass_by(wall):
                summary = summary_of(watched.certificate)
                self._report(
                    CertificateExpiring(
                        certificate=whose.certificate,
                        trust_anchor=whose.trust_anchor,
                        peer=whose.peer,
                        subject=summary.subject,
                        expires_at=summary.not_after,
                        seconds_left=max(0, int((summary.not_after - wall).total_seconds())),
                    )
                )
        self._find_next()

    def _watch(self, wanted: Mapping[Whose, x509.Certificate], wall: datetime) -> None:
        for whose, certificate in wanted.items():
            known = self._watched.get(whose)
            if known is None or known.certificate != certificate:
                self._watched[whose] = _Watched(certificate, self._warnings)
        self._find_next()
        self.handle_time(wall)

    def _find_next(self) -> None:
        moments = (watched.next_change for watched in self._watched.values())
        self.next_change = min((moment for moment in moments if moment is not None), default=None)

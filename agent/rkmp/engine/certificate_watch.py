"""Tells of certificates that expire, in time to replace them: ours, trust anchors, and those that peers have shown.

Each is told of when as much of its time is left as the configuration says, once or several times, and when it is over;
one that is first seen later, for what it has come to. A revocation list is told of when the next one is due: how often
its authority makes one is its own affair, and no time before suits them all. Civil time comes in as an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from rkmp.crypto.certificates import first_to_expire, summary_of
from rkmp.crypto.revocation import RevocationList
from rkmp.engine.configuration import EngineConfiguration
from rkmp.engine.events import CertificateExpiring, EngineEvent, RevocationListOverdue
from rkmp.engine.expiry_watch import ExpiryWatch, seconds_left


@dataclass(frozen=True, slots=True)
class Whose:
    """What the certificate is for: an entry of our certificates or trust anchors by name, or a peer by name."""

    certificate: str | None = None
    trust_anchor: str | None = None
    peer: str | None = None


@dataclass(frozen=True, slots=True)
class WatchedCertificate:
    """A certificate as what ends."""

    certificate: x509.Certificate

    @property
    def end(self) -> datetime:
        """When it expires."""
        return self.certificate.not_valid_after_utc


@dataclass(frozen=True, slots=True)
class _WatchedList:
    issuer: str
    end: datetime

    @classmethod
    def of(cls, revocation_list: RevocationList) -> _WatchedList | None:
        """Return None for a list that does not say when the next one comes."""
        due = revocation_list.next_update
        return None if due is None else cls(revocation_list.issuer_text, due)


class CertificateWatch:
    """The certificates and lists in use, and what was told of each; ``report`` takes the events."""

    def __init__(self, report: Callable[[EngineEvent], None]) -> None:
        self._report = report
        self._certificates = ExpiryWatch[Whose, WatchedCertificate](self._tell_certificate)
        self._lists = ExpiryWatch[str, _WatchedList](self._tell_list)

    @property
    def next_change(self) -> datetime | None:
        """When :meth:`handle_time` has something to tell, None for never."""
        moments = (self._certificates.next_change, self._lists.next_change)
        return min((moment for moment in moments if moment is not None), default=None)

    def configure(self, configuration: EngineConfiguration, wall: datetime) -> None:
        """Watch what is configured, and forget what no longer is."""
        self._certificates.warn(configuration.expiry_warnings, wall)
        wanted: dict[Whose, x509.Certificate] = {}
        lists: dict[str, _WatchedList] = {}
        if configuration.enabled:
            for name, credential in configuration.certificates.items():
                wanted[Whose(certificate=name)] = credential.first_to_expire
            for name, anchors in configuration.trust_anchors.items():
                wanted[Whose(trust_anchor=name)] = first_to_expire(anchors)
            for name, revocation_list in configuration.revocation_lists.items():
                if (watched := _WatchedList.of(revocation_list)) is not None:
                    lists[name] = watched
        peers = configuration.peers
        self._certificates.keep(lambda whose: whose in wanted or (whose.peer is not None and whose.peer in peers))
        self._certificates.watch({whose: WatchedCertificate(each) for whose, each in wanted.items()}, wall)
        self._lists.keep(lists.__contains__)
        self._lists.watch(lists, wall)

    def peer_has_shown(self, peer: str, certificate: x509.Certificate, wall: datetime) -> None:
        """Watch the certificate of a peer's chain that expires first."""
        self._certificates.watch({Whose(peer=peer): WatchedCertificate(certificate)}, wall)

    def forget_peer(self, peer: str) -> None:
        """Watch no certificate of ``peer`` any more: it authenticates otherwise."""
        self._certificates.forget(Whose(peer=peer))

    def handle_time(self, wall: datetime) -> None:
        """Tell of what has come due."""
        self._certificates.handle_time(wall)
        self._lists.handle_time(wall)

    def ends(self) -> Iterator[tuple[Whose, datetime]]:
        """Return when each certificate expires."""
        return ((whose, watched.end) for whose, watched in self._certificates)

    def lists_due(self) -> Iterator[tuple[str, datetime]]:
        """Return when a list after each that is configured is due, by its name."""
        return ((name, watched.end) for name, watched in self._lists)

    def _tell_certificate(self, whose: Whose, watched: WatchedCertificate, wall: datetime) -> None:
        self._report(
            CertificateExpiring(
                certificate=whose.certificate,
                trust_anchor=whose.trust_anchor,
                peer=whose.peer,
                subject=summary_of(watched.certificate).subject,
                expires_at=watched.end,
                seconds_left=seconds_left(watched.end, wall),
            )
        )

    def _tell_list(self, name: str, watched: _WatchedList, _wall: datetime) -> None:
        self._report(RevocationListOverdue(name, watched.issuer, watched.end))

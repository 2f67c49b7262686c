"""What is shown and told of certificates, those of IKE and those of NETCONF over TLS alike."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from cryptography import x509
from lxml import etree

from rkmp.crypto.certificates import summary_of
from rkmp.datastore.defaults import Instance
from rkmp.engine.certificate_watch import WatchedCertificate
from rkmp.engine.expiry_watch import ExpiryWatch, seconds_left
from rkmp.log_context import about
from rkmp.northbound.agent_names import AGENT_NAMESPACE, AgentNames
from rkmp.northbound.elements import add
from rkmp.northbound.names import Rkmp

_log = logging.getLogger(__name__)

Entry = tuple[AgentNames, str]
"""An entry of ``/agent/netconf``: CERTIFICATE or TRUST_ANCHOR, and its name."""
Certificates = Mapping[Entry, x509.Certificate]
"""By entry, the certificate that expires first."""


def expiry_warnings(parent: Instance, tag: str) -> tuple[timedelta, ...]:
    """Read ``expiry-warning``: how long before its end a certificate is told of, the earliest warning first."""
    seconds = {int(text) for text in parent.values(tag)}
    return tuple(timedelta(seconds=each) for each in sorted(seconds, reverse=True))


def add_summary(
    entry: etree._Element,
    names: type[Rkmp | AgentNames],
    certificate: x509.Certificate,
    now: datetime | None,
) -> None:
    """Append what is shown of a certificate, by the names of the module that ``entry`` belongs to."""
    summary = summary_of(certificate)
    add(entry, names.SUBJECT, summary.subject)
    add(entry, names.ISSUER, summary.issuer)
    add(entry, names.SERIAL_NUMBER, summary.serial_number)
    add(entry, names.FINGERPRINT, summary.fingerprint)
    add(entry, names.NOT_BEFORE, summary.not_before)
    add(entry, names.NOT_AFTER, summary.not_after)
    if now is not None:
        add(entry, names.SECONDS_LEFT, seconds_left(summary.not_after, now))


class NetconfCertificates:
    """The certificates by which the agent and its TLS clients prove who they are; warns before one of them expires.

    ``publish`` takes notifications. Nothing is told before :meth:`watch`; what then comes due is told by
    :meth:`handle_time`, for which :attr:`next_change` says the time.
    """

    def __init__(self, publish: Callable[[datetime, etree._Element], None]) -> None:
        self._publish = publish
        self._watch = ExpiryWatch[Entry, WatchedCertificate](self._tell)

    @property
    def next_change(self) -> datetime | None:
        """When there is something to tell, None for never."""
        return self._watch.next_change

    def watch(self, certificates: Certificates, warnings: tuple[timedelta, ...], now: datetime) -> None:
        """Watch these, and no others."""
        self._watch.warn(warnings, now)
        self._watch.keep(certificates.__contains__)
        self._watch.watch({entry: WatchedCertificate(each) for entry, each in certificates.items()}, now)

    def handle_time(self, now: datetime) -> None:
        """Tell of what has come due."""
        self._watch.handle_time(now)

    def ends(self) -> Iterable[tuple[Entry, datetime]]:
        """Return when each of them expires."""
        return ((entry, watched.end) for entry, watched in self._watch)

    def _tell(self, entry: Entry, watched: WatchedCertificate, now: datetime) -> None:
        tag, name = entry
        subject, left = summary_of(watched.certificate).subject, seconds_left(watched.end, now)
        what = f"the NETCONF {etree.QName(tag).localname} {name} ({subject})"
        extra = about(event="certificate-expiring", name=name, subject=subject, seconds_left=left)
        if left:
            _log.warning("%s expires in %d seconds, at %s", what, left, watched.end.isoformat(), extra=extra)
        else:
            _log.warning("%s has expired at %s", what, watched.end.isoformat(), extra=extra)
        element = etree.Element(AgentNames.CERTIFICATE_EXPIRING, nsmap={None: AGENT_NAMESPACE})
        add(element, tag, name)
        add(element, AgentNames.SUBJECT, subject)
        add(element, AgentNames.EXPIRES_AT, watched.end)
        add(element, AgentNames.SECONDS_LEFT, left)
        self._publish(now, element)

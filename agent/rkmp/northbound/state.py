"""Operational state: what the engine and the key table show of themselves, as YANG data beside the configuration.

Negotiated keys are entries of the same list as the configured ones. Key material is never written here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from lxml import etree

from rkmp.crypto.certificates import first_to_expire
from rkmp.engine.configuration import EngineConfiguration
from rkmp.engine.state import AssociationSnapshot, IkeSaSnapshot, PeerSnapshot
from rkmp.keytable import KeyRow, KeyTable, Lifetime, fingerprint, key_state
from rkmp.netconf import Origin, set_origin
from rkmp.netconf.operational import EntryNames
from rkmp.northbound.certificates import add_summary
from rkmp.northbound.elements import add, container
from rkmp.northbound.engine_access import EngineAccess
from rkmp.northbound.names import KEY_TABLE_NAMESPACE, RKMP_NAMESPACE, KeyTableNames, Rkmp
from rkmp.northbound.values import key_table_text

RECEIVED_NOTIFY = re.compile("notify-[0-9]+-received")
"""How the engine calls the counters of error notifies that a peer sent by itself."""


class EngineState:
    """Provides the state below ``/rkmp``.

    ``configuration`` returns what the engine is configured with, ``key_log`` is the file that IKE keys are written to.
    ``why_not_in_force`` returns what stands in the way of the configuration that is stored, None where nothing does.
    ``clock`` returns the time now, aware, in UTC.
    """

    def __init__(
        self,
        engine: EngineAccess,
        configuration: Callable[[], EngineConfiguration],
        key_log: str | None = None,
        *,
        why_not_in_force: Callable[[], str | None] = lambda: None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._clock = clock
        self._why_not_in_force = why_not_in_force
        self._engine = engine
        self._key_log = key_log
        self._configuration = configuration

    def provide(self, root: etree._Element) -> None:
        """Add the state to ``root``, a copy of the running configuration."""
        self._add(root, self._engine.peers())

    def provide_entries(self, root: etree._Element, entries: EntryNames) -> None:
        """Add the state of some entries to ``root``, which has just these, and what is in no list."""
        names = [keys[0] for tag, keys in entries if tag == Rkmp.PEER]
        self._add(root, [peer for name in names if (peer := self._engine.peer(name)) is not None])

    def _add(self, root: etree._Element, peers: Iterable[PeerSnapshot]) -> None:
        top = container(root, Rkmp.RKMP)
        entries = {peer.findtext(Rkmp.NAME): peer for peer in top.iterchildren(Rkmp.PEER)}
        for snapshot in peers:
            entry = entries.get(snapshot.name)
            if entry is not None:
                _add_peer(entry, snapshot)
        why_not = self._why_not_in_force()
        add(top, Rkmp.IN_FORCE, why_not is None)
        add(top, Rkmp.WHY_NOT_IN_FORCE, why_not)
        self._add_listeners(top, why_not)
        add(top, Rkmp.KEY_LOG, self._key_log)
        _add_counters(etree.SubElement(top, Rkmp.STATISTICS), self._engine.statistics())
        self._add_certificates(top)

    def _add_listeners(self, top: etree._Element, why_not_in_force: str | None) -> None:
        addresses = self._engine.addresses()
        for listener in top.iterchildren(Rkmp.LISTEN):
            is_listening = listener.findtext(Rkmp.NAME) in addresses
            add(listener, Rkmp.STATE, "listening" if is_listening else "closed")
            if not is_listening:
                add(listener, Rkmp.REASON, _why_closed(why_not_in_force))

    def _add_certificates(self, top: etree._Element) -> None:
        configuration = self._configuration()
        expiring = {
            Rkmp.CERTIFICATE: {name: each.first_to_expire for name, each in configuration.certificates.items()},
            Rkmp.TRUST_ANCHOR: {name: first_to_expire(each) for name, each in configuration.trust_anchors.items()},
        }
        for credentials in top.iterchildren(Rkmp.CREDENTIALS):
            for tag, certificates in expiring.items():
                for entry in credentials.iterchildren(tag):
                    certificate = certificates.get(entry.findtext(Rkmp.NAME) or "")
                    if certificate is not None:
                        add_summary(entry, Rkmp, certificate, None if self._clock is None else self._clock())
            for entry in credentials.iterchildren(Rkmp.REVOCATION_LIST):
                crl = configuration.revocation_lists.get(entry.findtext(Rkmp.NAME) or "")
                if crl is not None:
                    add(entry, Rkmp.ISSUER, crl.issuer_text)
                    add(entry, Rkmp.THIS_UPDATE, crl.this_update)
                    add(entry, Rkmp.NEXT_UPDATE, crl.next_update)
                    add(entry, Rkmp.REVOKED, crl.revoked)


def _why_closed(why_not_in_force: str | None) -> str:
    if why_not_in_force is None:
        return "RKMP is not enabled"
    return f"the configuration is not in force: {why_not_in_force}"


def _add_peer(entry: etree._Element, snapshot: PeerSnapshot) -> None:
    associations = {each.findtext(Rkmp.PROTOCOL): each for each in entry.iterchildren(Rkmp.ASSOCIATION)}
    for association in snapshot.associations:
        element = associations.get(association.protocol)
        if element is not None:
            _add_association(element, association)
    for ike_sa in snapshot.ike_sas:
        _add_ike_sa(etree.SubElement(entry, Rkmp.IKE_SA), ike_sa)
    statistics = etree.SubElement(entry, Rkmp.STATISTICS)
    received = {name: count for name, count in snapshot.statistics.items() if RECEIVED_NOTIFY.fullmatch(name)}
    _add_counters(statistics, {name: count for name, count in snapshot.statistics.items() if name not in received})
    for name, count in received.items():
        notify = etree.SubElement(statistics, Rkmp.RECEIVED_NOTIFY)
        add(notify, Rkmp.TYPE, name.split("-")[1])
        add(notify, Rkmp.COUNT, count)


def _add_counters(parent: etree._Element, counters: Mapping[str, int]) -> None:
    """Append a leaf for each counter, which the model names as the engine does."""
    for name in sorted(counters):
        add(parent, f"{{{RKMP_NAMESPACE}}}{name}", counters[name])


def _add_association(entry: etree._Element, snapshot: AssociationSnapshot) -> None:
    add(entry, Rkmp.STATE, snapshot.state)
    add(entry, Rkmp.CURRENT_KEY, snapshot.current_key)
    add(entry, Rkmp.NEXT_KEY, snapshot.next_key)
    add(entry, Rkmp.SEND_ID, snapshot.send_id)
    add(entry, Rkmp.RECV_ID, snapshot.recv_id)
    add(entry, Rkmp.ESTABLISHED_AT, snapshot.established_at)
    add(entry, Rkmp.NEXT_ROLLOVER_AT, snapshot.next_rollover_at)
    add(entry, Rkmp.ROLLOVERS, snapshot.rollovers)
    add(entry, Rkmp.LAST_ERROR, snapshot.last_error)


def _add_ike_sa(entry: etree._Element, snapshot: IkeSaSnapshot) -> None:
    add(entry, Rkmp.LOCAL_SPI, snapshot.local_spi)
    add(entry, Rkmp.REMOTE_SPI, snapshot.remote_spi)
    add(entry, Rkmp.ROLE, snapshot.role)
    add(entry, Rkmp.STATE, snapshot.state)
    add(entry, Rkmp.ESTABLISHED_AT, snapshot.established_at)
    add(entry, Rkmp.REKEY_AT, snapshot.rekey_at)
    add(entry, Rkmp.EXPIRES_AT, snapshot.expires_at)
    add(entry, Rkmp.ENCRYPTION, snapshot.encryption)
    add(entry, Rkmp.INTEGRITY, snapshot.integrity)
    add(entry, Rkmp.PRF, snapshot.prf)
    add(entry, Rkmp.KEY_EXCHANGE, snapshot.key_exchange)
    for method in snapshot.additional_key_exchanges:
        add(entry, Rkmp.ADDITIONAL_KEY_EXCHANGE, method)
    add(entry, Rkmp.REMOTE_IDENTITY, snapshot.remote_identity)
    add(entry, Rkmp.AUTH_METHOD, snapshot.auth_method)
    add(entry, Rkmp.CERTIFICATE_EXPIRES_AT, snapshot.certificate_expires_at)
    add(entry, Rkmp.USES_PPK, snapshot.uses_ppk)
    add(entry, Rkmp.NAT_LOCAL, snapshot.nat_local)
    add(entry, Rkmp.NAT_REMOTE, snapshot.nat_remote)
    add(entry, Rkmp.MESSAGES_IN, snapshot.messages_in)
    add(entry, Rkmp.MESSAGES_OUT, snapshot.messages_out)
    add(entry, Rkmp.OCTETS_IN, snapshot.octets_in)
    add(entry, Rkmp.OCTETS_OUT, snapshot.octets_out)


class KeyTableState:
    """Provides the state below ``/key-table``; ``clock`` returns the time now, aware, in UTC."""

    def __init__(self, key_table: KeyTable, clock: Callable[[], datetime]) -> None:
        self._key_table = key_table
        self._clock = clock

    def provide(self, root: etree._Element) -> None:
        """Add the state to ``root``, a copy of the running configuration."""
        self._add(root, self._key_table.rows())

    def provide_entries(self, root: etree._Element, entries: EntryNames) -> None:
        """Add the state of some keys to ``root``, which has just these, and how many there are of all."""
        names = [keys[0] for tag, keys in entries if tag == KeyTableNames.KEY]
        self._add(root, [row for name in names if (row := self._key_table.get(name)) is not None])

    def _add(self, root: etree._Element, rows: Iterable[KeyRow]) -> None:
        now = self._clock()
        top = container(root, KeyTableNames.KEY_TABLE)
        configured = {key.findtext(KeyTableNames.ADMIN_KEY_NAME): key for key in top.iterchildren(KeyTableNames.KEY)}
        for row in rows:
            entry = configured.get(row.admin_key_name) if row.provenance is None else _negotiated_entry(top, row)
            if entry is not None:
                add(entry, KeyTableNames.STATE, key_state(row, now))
                add(entry, KeyTableNames.SELECTED_FOR_SENDING, self._key_table.selected_for_sending(row, now))
                add(entry, KeyTableNames.EXTENDED_FROM, row.extended_from)
                add(entry, KeyTableNames.EXTENDED, None if row.extended_from is None else row.is_extended(now))
                add(entry, KeyTableNames.FINGERPRINT, fingerprint(row.key))
        count = etree.SubElement(top, KeyTableNames.COUNT)
        for state, number in self._key_table.counts(now).items():
            add(count, f"{{{KEY_TABLE_NAMESPACE}}}{state.value}", number)
        add(count, KeyTableNames.EXTENDED, self._key_table.extended(now))


def _negotiated_entry(top: etree._Element, row: KeyRow) -> etree._Element:
    """Append what the configuration of a manual key would say, without the key, and where the key comes from."""
    entry = etree.SubElement(top, KeyTableNames.KEY)
    # RFC 8342 5.3.4: what was learned from other systems through protocols.
    set_origin(entry, Origin.LEARNED)
    add(entry, KeyTableNames.ADMIN_KEY_NAME, row.admin_key_name)
    add(entry, KeyTableNames.LOCAL_KEY_NAME, row.local_key_name)
    add(entry, KeyTableNames.PEER_KEY_NAME, row.peer_key_name)
    for peer in row.peers:
        add(entry, KeyTableNames.PEER, peer)
    for interface in row.interfaces:
        add(entry, KeyTableNames.INTERFACE, interface)
    add(entry, KeyTableNames.PROTOCOL, key_table_text(row.protocol))
    tcp_ao = etree.SubElement(entry, KeyTableNames.TCP_AO)
    add(tcp_ao, KeyTableNames.IGNORE_TCP_OPTIONS, row.ignore_tcp_options)
    add(entry, KeyTableNames.KDF, key_table_text(row.kdf))
    add(entry, KeyTableNames.ALG_ID, key_table_text(row.alg_id))
    add(entry, KeyTableNames.DIRECTION, row.direction)
    _add_lifetime(entry, KeyTableNames.SEND_LIFETIME, row.send_lifetime)
    _add_lifetime(entry, KeyTableNames.ACCEPT_LIFETIME, row.accept_lifetime)
    if row.provenance is not None:
        origin = etree.SubElement(entry, Rkmp.RKMP)
        add(origin, Rkmp.PEER, row.provenance.peer)
        add(origin, Rkmp.ASSOCIATION, row.provenance.association)
        add(origin, Rkmp.IKE_SPI_LOCAL, row.provenance.ike_spi_local)
        add(origin, Rkmp.IKE_SPI_REMOTE, row.provenance.ike_spi_remote)
        add(origin, Rkmp.NEGOTIATED_AT, row.provenance.negotiated_at)
        add(origin, Rkmp.ROLE, row.provenance.role)
    return entry


def _add_lifetime(entry: etree._Element, tag: str, lifetime: Lifetime) -> None:
    element = etree.SubElement(entry, tag)
    add(element, KeyTableNames.START, lifetime.start)
    add(element, KeyTableNames.END, lifetime.end)

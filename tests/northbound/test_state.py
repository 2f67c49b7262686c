"""What <get> shows of the engine and of the keys, and what it never shows."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from datetime import timedelta

from lxml import etree

from rkmp.engine.configuration import EngineConfiguration
from rkmp.keytable import Direction, fingerprint
from rkmp.netconf.operational import OperationalState
from rkmp.netconf.origin import ORIGIN_ATTRIBUTE
from rkmp.northbound.names import KeyTableNames
from rkmp.northbound.state import EngineState, KeyTableState
from tests.keytable.rows import SECRET_OCTETS, lifetime, negotiated_row
from tests.northbound.snapshots import ASSOCIATION, IKE_SA, PEER
from tests.northbound.world import NAMESPACES, NOON, FakeEngine, Running, config, document, schema


def text(root: etree._Element, path: str) -> str | None:
    found = root.xpath(path, namespaces=NAMESPACES)
    assert len(found) <= 1, f"{path} is there {len(found)} times"
    return found[0].text if found else None


def engine_state(engine: FakeEngine) -> etree._Element:
    root = document("full")
    EngineState(engine, EngineConfiguration).provide(root)
    return root


def test_certificates_and_trust_anchors_show_what_they_are() -> None:
    running = Running()
    running.change(document("full"))
    root = running.tree.root
    EngineState(running.engine, lambda: running.configuration).provide(root)
    own, anchor = "//r:credentials/r:certificate/r:", "//r:credentials/r:trust-anchor/r:"
    assert text(root, f"{own}subject") == "CN=r1.example.net,C=XX"
    assert text(root, f"{own}issuer") == text(root, f"{anchor}subject") == "CN=root of the examples,C=XX"
    assert text(root, f"{own}not-after") == "2126-01-01T00:00:00Z"
    assert len(text(root, f"{own}fingerprint") or "") == 64


def test_an_association_shows_where_it_stands_in_its_own_entry() -> None:
    root = engine_state(FakeEngine(snapshots=(PEER,)))
    entry = "r:rkmp/r:peer[r:name='r2']/r:association[r:protocol='bgp']"
    assert text(root, f"{entry}/r:state") == "rolling-over"
    assert text(root, f"{entry}/r:current-key") == "r2-bgp-1"
    assert (text(root, f"{entry}/r:send-id"), text(root, f"{entry}/r:recv-id")) == ("0", "255")
    assert text(root, f"{entry}/r:next-rollover-at") == "2026-03-01T12:00:00Z"
    assert text(root, f"{entry}/r:last-error") == "no answer from the peer"
    assert text(root, "r:rkmp/r:peer[r:name='r2']/r:association[r:protocol='241']/r:state") is None


def test_what_is_not_known_is_absent() -> None:
    association = replace(ASSOCIATION, current_key=None, send_id=None, last_error=None, established_at=None)
    ike_sa = replace(IKE_SA, integrity=None, established_at=None, remote_identity=None)
    root = engine_state(FakeEngine(snapshots=(replace(PEER, associations=(association,), ike_sas=(ike_sa,)),)))
    for name in ("current-key", "last-error", "established-at"):
        assert text(root, f"//r:association/r:{name}") is None
    for name in ("integrity", "established-at", "remote-identity"):
        assert text(root, f"//r:ike-sa/r:{name}") is None


def test_an_ike_sa_is_an_entry_of_its_peer() -> None:
    root = engine_state(FakeEngine(snapshots=(PEER,)))
    entry = "r:rkmp/r:peer[r:name='r2']/r:ike-sa[r:local-spi='0102030405060708']"
    assert text(root, f"{entry}/r:remote-spi") == "1112131415161718"
    assert text(root, f"{entry}/r:encryption") == "aes-cbc-256"
    assert text(root, f"{entry}/r:octets-out") == "4"


def test_counters_have_the_names_that_the_engine_gives_them() -> None:
    counted = replace(PEER, statistics={"failed-no-proposal-chosen": 3, "notify-11-received": 2})
    root = engine_state(FakeEngine(snapshots=(counted,), counters={"dropped-stale": 4}))
    assert text(root, "r:rkmp/r:statistics/r:dropped-stale") == "4"
    assert text(root, "//r:peer/r:statistics/r:failed-no-proposal-chosen") == "3"
    assert text(root, "//r:peer/r:statistics/r:received-notify[r:type='11']/r:count") == "2"


def test_a_peer_that_the_configuration_does_not_have_is_not_shown() -> None:
    root = engine_state(FakeEngine(snapshots=(replace(PEER, name="gone"),)))
    assert len(root.xpath("//r:peer", namespaces=NAMESPACES)) == 2


def test_state_is_there_without_any_configuration() -> None:
    root, running = config(), Running()
    EngineState(FakeEngine(counters={"datagrams-in": 1}), EngineConfiguration).provide(root)
    KeyTableState(running.key_table, lambda: NOON).provide(root)
    assert text(root, "r:rkmp/r:statistics/r:datagrams-in") == "1"
    assert text(root, "k:key-table/k:count/k:active") == "0"


def with_keys() -> tuple[Running, etree._Element]:
    running = Running()
    running.change(document("full"))
    rows = [
        negotiated_row("r2-bgp-1", local_key_name="21", peer_key_name="31"),
        negotiated_row(
            "r2-bgp-2",
            local_key_name="22",
            peer_key_name="32",
            send_lifetime=lifetime(60, 7200),
            accept_lifetime=lifetime(0, 7200),
        ),
    ]
    with running.key_table.transaction(NOON) as change:
        for row in rows:
            change.install(row)
    root = schema().new_root()
    root.extend(etree.fromstring(etree.tostring(running.tree.root)))
    KeyTableState(running.key_table, lambda: NOON + timedelta(seconds=1)).provide(root)
    return running, root


def test_manual_and_negotiated_keys_share_one_list() -> None:
    _, root = with_keys()
    names = [name.text for name in root.xpath("k:key-table/k:key/k:admin-key-name", namespaces=NAMESPACES)]
    assert names == ["spring", "hello", "private", "r2-bgp-1", "r2-bgp-2"]
    origins = [key.text for key in root.xpath("k:key-table/k:key/r:rkmp/r:peer", namespaces=NAMESPACES)]
    assert origins == ["r2", "r2"]


def test_a_key_shows_what_it_may_be_used_for_now() -> None:
    _, root = with_keys()

    def shown(name: str) -> tuple[str | None, str | None]:
        entry = f"k:key-table/k:key[k:admin-key-name='{name}']"
        return text(root, f"{entry}/k:state"), text(root, f"{entry}/k:selected-for-sending")

    assert shown("spring") == ("active", "true")
    assert shown("private") == ("disabled", "false")
    assert shown("r2-bgp-1") == ("active", "true")
    assert shown("r2-bgp-2") == ("accept-only", "false")
    counts = {etree.QName(leaf).localname: leaf.text for leaf in root.xpath("//k:count/*", namespaces=NAMESPACES)}
    none = dict.fromkeys(("pending", "expired", "extended"), "0")
    assert counts == {"active": "3", "accept-only": "1", "disabled": "1", **none}


def test_a_negotiated_key_is_told_as_a_configured_one_would_be() -> None:
    _, root = with_keys()
    entry = "k:key-table/k:key[k:admin-key-name='r2-bgp-1']"
    assert text(root, f"{entry}/k:protocol") == "ckt:bgp"
    assert text(root, f"{entry}/k:kdf") == "ckt:hmac-sha-1"
    assert root.find(".//{*}protocol").nsmap["ckt"] == NAMESPACES["k"]  # type: ignore[union-attr]
    assert text(root, f"{entry}/k:send-lifetime/k:end") == "2026-03-01T13:00:00Z"
    assert text(root, f"{entry}/k:direction") == Direction.BOTH.value


def test_the_fingerprint_tells_keys_apart_and_no_key_is_shown() -> None:
    running, root = with_keys()
    for row in running.key_table.rows():
        entry = f"k:key-table/k:key[k:admin-key-name='{row.admin_key_name}']"
        assert text(root, f"{entry}/k:fingerprint") == fingerprint(row.key)
    # What the configuration itself holds is for others to take out; the providers add nothing to it.
    for secret in root.xpath("//k:hexadecimal-string | //k:keystring", namespaces=NAMESPACES):
        secret.getparent().remove(secret)
    shown = etree.tostring(root, encoding="unicode").lower()
    assert SECRET_OCTETS.hex() not in shown
    assert "sixteen octets" not in shown


def test_configured_keys_are_intended_and_negotiated_ones_are_learned() -> None:
    running, _ = with_keys()
    state = OperationalState()
    state.register(KeyTableNames.KEY_TABLE, KeyTableState(running.key_table, lambda: NOON).provide)
    root = state.in_use(schema(), running.tree.root)
    origins = {
        text(key, "k:admin-key-name"): key.get(ORIGIN_ATTRIBUTE)
        for key in root.xpath("k:key-table/k:key", namespaces=NAMESPACES)
    }
    # What is not said on an entry is that of the key table around it.
    assert origins == {
        "spring": None,
        "hello": None,
        "private": None,
        "r2-bgp-1": "or:learned",
        "r2-bgp-2": "or:learned",
    }
    (table,) = root.xpath("k:key-table", namespaces=NAMESPACES)
    assert table.get(ORIGIN_ATTRIBUTE) == "or:intended"
    for leaf in root.xpath("k:key-table/k:key/*[self::k:state or self::k:fingerprint]", namespaces=NAMESPACES):
        assert leaf.get(ORIGIN_ATTRIBUTE) is None
    assert text(root, "k:key-table/k:key[k:admin-key-name='r2-bgp-1']/k:state") == "active"


def listeners(root: etree._Element) -> dict[str, tuple[str | None, str | None]]:
    entries = root.xpath("r:rkmp/r:listen", namespaces=NAMESPACES)
    return {text(entry, "r:name") or "": (text(entry, "r:state"), text(entry, "r:reason")) for entry in entries}


def test_a_listener_tells_whether_it_listens_and_why_not() -> None:
    running = Running(FakeEngine(listening={"loopback": ("192.0.2.1", 500)}))
    running.change(document("full"))
    refused = "cannot listen on 2001:db8::1 port 500: no such address"
    for why_not, reason in (
        (refused, f"the configuration is not in force: {refused}"),
        (None, "RKMP is not enabled"),
    ):
        root = copy.deepcopy(running.tree.root)
        state = EngineState(
            running.engine, lambda: running.configuration, why_not_in_force=itertools.repeat(why_not).__next__
        )
        state.provide(root)
        assert text(root, "r:rkmp/r:in-force") == ("false" if why_not else "true")
        assert text(root, "r:rkmp/r:why-not-in-force") == why_not
        assert listeners(root) == {"loopback": ("listening", None), "loopback6": ("closed", reason)}

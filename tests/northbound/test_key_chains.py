"""The keys as standard key chains (RFC 8177), as a NETCONF client sees them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from rkmp.keytable import ALG_IDS, Direction, KeyRow
from rkmp.netconf.operational import OperationalState
from rkmp.northbound.key_chain_names import KEY_CHAIN_NAMESPACE
from rkmp.northbound.key_chains import ALGORITHMS, NOT_ON_CHANGE, key_id
from tests.keytable.rows import SECRET_OCTETS, lifetime, manual_row, negotiated_row
from tests.netconf.agents import data_of, edit, fault_of, get, get_config, require_ok
from tests.netconf.conversation import Peer, settle
from tests.northbound import test_push
from tests.northbound.agents import BEGINNING as START
from tests.northbound.test_agents import R2
from tests.northbound.test_netconf import Routers, rekey, routers
from tests.northbound.world import KEY_TABLE, config, schema
from tests.yang.judges import libyang_verdict, our_verdict, yangson_verdict

__all__ = ["routers"]

NMDA = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
DS = "urn:ietf:params:xml:ns:yang:ietf-datastores"
LIBRARY = "urn:ietf:params:xml:ns:yang:ietf-yang-library"
ORIGIN = "{urn:ietf:params:xml:ns:yang:ietf-origin}origin"
CHAINS = f'<key-chains xmlns="{KEY_CHAIN_NAMESPACE}"/>'
NAMESPACES = {"c": KEY_CHAIN_NAMESPACE, "k": KEY_TABLE}
CONFIGURED = (
    f'<key-chains xmlns="{KEY_CHAIN_NAMESPACE}"><key-chain><name>bgp@192.0.2.9</name><key><key-id>1</key-id>'
    "<crypto-algorithm>hmac-sha-1-12</crypto-algorithm></key></key-chain></key-chains>"
)
NC = 'xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0"'
REMOVED = (
    f'<key-table xmlns="{KEY_TABLE}"><key {NC} nc:operation="delete">'
    "<admin-key-name>spring</admin-key-name></key></key-table>"
)


def manual_key(name: str, content: str = "", neighbor: str = R2, ids: tuple[str, str] = ("f0", "f1")) -> str:
    """Return an edit of a manual key of TCP-AO, which is received as the second of ``ids``."""
    sent, received = ids
    return (
        f'<key-table xmlns="{KEY_TABLE}"><key><admin-key-name>{name}</admin-key-name>'
        f"<local-key-name>{received}</local-key-name><peer-key-name>{sent}</peer-key-name><peer>{neighbor}</peer>"
        "<protocol>bgp</protocol><kdf>aes-128-cmac</kdf><alg-id>aes-128-cmac-96</alg-id>"
        f"<hexadecimal-string>{SECRET_OCTETS.hex()}</hexadecimal-string>{content}</key></key-table>"
    )


async def chains_of(client: Peer) -> etree._Element:
    return data_of(await client.call(get(CHAINS)))


def found(root: etree._Element, path: str) -> list[str]:
    return [element.text or "" for element in root.xpath(path, namespaces=NAMESPACES)]


async def test_a_negotiated_key_is_in_the_chain_of_its_neighbor_and_protocol(routers: Routers) -> None:
    client, _ = await routers.configure()
    (row,) = routers.r1.key_table.rows()
    data = await chains_of(client)
    assert found(data, "c:key-chains/c:key-chain/c:name") == [f"bgp@{R2}"]
    (key,) = data.xpath("//c:key-chain/c:key", namespaces=NAMESPACES)
    assert int(found(key, "c:key-id")[0]) == key_id(row)
    for name, span in (("send", row.send_lifetime), ("accept", row.accept_lifetime)):
        (start,) = found(key, f"c:lifetime/c:{name}-lifetime/c:start-date-time")
        (end,) = found(key, f"c:lifetime/c:{name}-lifetime/c:end-date-time")
        assert span.end is not None
        assert (start, end) == tuple(at.isoformat().replace("+00:00", "Z") for at in (span.start, span.end))
        assert found(key, f"c:{name}-lifetime-active") == ["true"]
    (algorithm,) = key.iterchildren(f"{{{KEY_CHAIN_NAMESPACE}}}crypto-algorithm")
    prefix, _, identity = (algorithm.text or "").rpartition(":")
    assert (algorithm.nsmap[prefix or None], identity) == (KEY_CHAIN_NAMESPACE, ALGORITHMS[row.alg_id])


async def test_a_rollover_shows_in_the_chain(routers: Routers) -> None:
    client, _ = await routers.configure()
    before = await chains_of(client)
    call = asyncio.create_task(client.call(rekey()))
    await settle()
    routers.world.run(30)
    await call
    after = await chains_of(client)
    assert len(found(after, "//c:key-id")) == len(routers.r1.key_table.rows()) == 2
    assert set(found(before, "//c:key-id")) < set(found(after, "//c:key-id"))
    assert found(after, "//c:last-modified-timestamp") > found(before, "//c:last-modified-timestamp")


async def test_when_a_chain_was_modified_before_a_start_is_not_made_up(routers: Routers) -> None:
    """Neither by the negotiated keys of the disk nor by those of the configuration, which are installed at start."""
    client, _ = await routers.configure()
    require_ok(await client.call(edit("running", manual_key("spring", neighbor="192.0.2.77"))))
    assert len(found(await chains_of(client), "//c:last-modified-timestamp")) == 2
    routers.world.run(5)
    assert routers.r1.server is not None
    await routers.r1.server.close()
    routers.r1 = routers.world.restart(routers.r1)
    client = await routers.client(routers.r1)
    data = await chains_of(client)
    assert found(data, "//c:key-chain/c:name") == [f"bgp@{R2}", "bgp@192.0.2.77"]
    assert found(data, "//c:last-modified-timestamp") == []
    require_ok(await client.call(edit("running", manual_key("autumn", neighbor="192.0.2.77", ids=("e0", "e1")))))
    assert len(found(await chains_of(client), "//c:last-modified-timestamp")) == 1


async def test_a_manual_key_is_shown_beside_and_its_string_never(routers: Routers) -> None:
    client, _ = await routers.configure()
    require_ok(await client.call(edit("running", manual_key("spring"))))
    reply = await client.call(get(CHAINS))
    assert SECRET_OCTETS.hex() not in etree.tostring(reply, encoding="unicode")
    key = data_of(reply).xpath("//c:key[contains(c:crypto-algorithm, 'aes-cmac-prf-128')]", namespaces=NAMESPACES)[0]
    assert int(found(key, "c:key-id")[0]) % 65536 == 0xF0F1
    assert len(found(key, "c:lifetime/*/c:always")) == 2
    assert not data_of(reply).xpath("//c:key-string", namespaces=NAMESPACES)
    strings = CHAINS.replace("/>", "><key-chain><key><key-string/></key></key-chain></key-chains>")
    shown = await client.call(get(strings))
    assert SECRET_OCTETS.hex() not in etree.tostring(shown, encoding="unicode")


async def test_what_a_key_may_not_do_is_never_active(routers: Routers) -> None:
    client, _ = await routers.configure()
    require_ok(await client.call(edit("running", manual_key("in", "<direction>in</direction>", "192.0.2.77"))))
    later = "2026-03-02T00:00:00Z"
    pending = f"<send-lifetime><start>{later}</start></send-lifetime>"
    require_ok(await client.call(edit("running", manual_key("later", pending, "192.0.2.78"))))
    data = await chains_of(client)
    for neighbor in ("192.0.2.77", "192.0.2.78"):
        chain = f"//c:key-chain[c:name='bgp@{neighbor}']/c:key"
        assert found(data, f"{chain}/c:send-lifetime-active") == ["false"]
        assert found(data, f"{chain}/c:accept-lifetime-active") == ["true"]
    assert found(data, "//c:send-lifetime[c:no-end-time]/c:start-date-time") == [later]


async def test_a_key_that_moves_leaves_its_chain(routers: Routers) -> None:
    client, _ = await routers.configure()
    require_ok(await client.call(edit("running", manual_key("spring"))))
    moved = manual_key("spring", neighbor="2001:DB8:0::5").replace("<key>", f"<key {NC} nc:operation='replace'>")
    routers.world.run(5)
    require_ok(await client.call(edit("running", moved)))
    data = await chains_of(client)
    assert found(data, "//c:key-chain/c:name") == [f"bgp@{R2}", "bgp@2001:db8::5"]
    at = (START + timedelta(seconds=routers.world.now)).isoformat().replace("+00:00", "Z")
    assert found(data, "//c:last-modified-timestamp") == [at, at]
    require_ok(await client.call(edit("running", REMOVED)))
    assert found(await chains_of(client), "//c:key-chain/c:name") == [f"bgp@{R2}"]


@pytest.mark.parametrize("target", ["running", "candidate"])
async def test_chains_are_not_configured(routers: Routers, target: str) -> None:
    client, _ = await routers.configure()
    reply = await client.call(edit(target, CONFIGURED))
    if target == "candidate":
        require_ok(reply)
        reply = await client.call("<commit/>")
    fault = fault_of(reply)
    assert (fault.type, fault.tag, fault.app_tag) == ("application", "operation-failed", "not-configurable")
    assert fault.path == "/key-chain:key-chains/key-chain:key-chain[key-chain:name='bgp@192.0.2.9']"
    assert "keys are configured there" in etree.tostring(reply, encoding="unicode")
    data = data_of(await client.call(get_config()))
    assert not data.xpath("c:key-chains", namespaces=NAMESPACES)


def test_other_engines_refuse_them_too() -> None:
    """By the deviation, so that a client knows before it asks."""
    document = config(etree.fromstring(CONFIGURED))
    for verdict in (libyang_verdict(document), yangson_verdict(document)):
        assert verdict is not None
        assert "keys are configured there" in " ".join(verdict.split())
    assert our_verdict(document) == ("operation-failed", "not-configurable")


async def test_the_library_tells_what_is_left_out(routers: Routers) -> None:
    client = await routers.client(routers.r1)
    data = data_of(await client.call(get(f'<yang-library xmlns="{LIBRARY}"/>')))
    (module,) = data.xpath("//l:module[l:name='ietf-key-chain']", namespaces={"l": LIBRARY})
    assert module.findtext(f"{{{LIBRARY}}}deviation") == "rkmp-key-chain-deviations"
    features = {feature.text for feature in module.iterfind(f"{{{LIBRARY}}}feature")}
    assert features == {"aes-cmac-prf-128", "crypto-hmac-sha-1-12", "independent-send-accept-lifetime"}


async def test_a_key_string_is_unknown(routers: Routers) -> None:
    client, _ = await routers.configure()
    with_string = CONFIGURED.replace("</key>", "<key-string><keystring>x</keystring></key-string></key>")
    fault = fault_of(await client.call(edit("candidate", with_string)))
    assert fault.tag == "unknown-element"


async def test_where_keys_come_from(routers: Routers) -> None:
    client, _ = await routers.configure()
    require_ok(await client.call(edit("running", manual_key("spring"))))
    (data,) = await client.call(
        f'<get-data xmlns="{NMDA}"><datastore xmlns:ds="{DS}">ds:operational</datastore>'
        f"<subtree-filter>{CHAINS}</subtree-filter><with-origin/></get-data>"
    )
    (chain,) = data.xpath("c:key-chains/c:key-chain", namespaces=NAMESPACES)
    assert chain.get(ORIGIN) == "or:system"
    origins = {
        found(key, "c:crypto-algorithm")[0].rpartition(":")[2]: key.get(ORIGIN) for key in chain.iterfind("{*}key")
    }
    assert origins == {"hmac-sha-1-12": "or:learned", "aes-cmac-prf-128": None}
    assert not data.xpath("//c:send-lifetime-active/@*", namespaces=NAMESPACES)


async def test_one_chain_is_the_same_as_out_of_all(routers: Routers, monkeypatch: pytest.MonkeyPatch) -> None:
    client, _ = await routers.configure()
    require_ok(await client.call(edit("running", manual_key("spring", neighbor="2001:db8::5"))))
    requests = [
        get(f'<key-chains xmlns="{KEY_CHAIN_NAMESPACE}"><key-chain><name>{name}</name></key-chain></key-chains>')
        for name in ("bgp@2001:db8::5", "bgp@2001:DB8::5", f"bgp@{R2}", "bgp", "ldp@192.0.2.1")
    ]
    select = quoteattr("/c:key-chains/c:key-chain[c:name='bgp@2001:db8::5']")
    requests.append(f'<get><filter type="xpath" xmlns:c="{KEY_CHAIN_NAMESPACE}" select={select}/></get>')
    by_name = [etree.tostring(data_of(await client.call(request))) for request in requests]
    monkeypatch.setattr(OperationalState, "build_entries", lambda *_: None)
    assert [etree.tostring(data_of(await client.call(request))) for request in requests] == by_name
    assert [b"key-id" in reply for reply in by_name] == [True, False, True, False, False, True]


async def test_changes_are_pushed(routers: Routers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_push, "EXCEPTED", NOT_ON_CHANGE)
    client, _ = await routers.configure()
    watcher = await test_push.watch(routers, CHAINS)
    watched = len(watcher.operations)
    call = asyncio.create_task(client.call(rekey()))
    await settle()
    await watcher.run(1)
    await call
    require_ok(await client.call(edit("running", manual_key("spring", neighbor="2001:db8::5"))))
    await watcher.run(1)
    require_ok(await client.call(edit("running", REMOVED)))
    await watcher.run(1)
    targets = [target for _, target in watcher.operations[watched:]]
    assert any(target.startswith(f"/ietf-key-chain:key-chains/key-chain=bgp%40{R2}/key=") for target in targets), (
        targets
    )
    assert [operation for operation, target in watcher.operations if "2001" in target] == ["create", "delete"]


def test_every_algorithm_of_the_key_table_has_an_identity() -> None:
    assert ALGORITHMS.keys() == set(ALG_IDS)
    node = schema().node_at([f"{{{KEY_CHAIN_NAMESPACE}}}{name}" for name in PATH_OF_ALGORITHM])
    assert node is not None
    assert node.type is not None
    for identity in ALGORITHMS.values():
        node.type.check(f"c:{identity}", {"c": KEY_CHAIN_NAMESPACE})


PATH_OF_ALGORITHM = ("key-chains", "key-chain", "key", "crypto-algorithm")

octets = st.integers(0, 255).map(lambda value: f"{value:02x}")


@given(st.text(st.characters(codec="utf-8"), min_size=1), octets, octets)
def test_a_key_id_tells_the_ids_of_tcp_ao_and_is_the_rows_own(name: str, sent: str, received: str) -> None:
    def row(admin_key_name: str) -> KeyRow:
        return manual_row(admin_key_name, local_key_name=received, peer_key_name=sent)

    number = key_id(row(name))
    assert number < 2**64
    assert number % 65536 == int(sent + received, 16)
    assert key_id(row(f"{name}+")) != number
    changed = manual_row(
        name,
        local_key_name=received,
        peer_key_name=sent,
        direction=Direction.IN,
        send_lifetime=lifetime(60, 90),
        accept_lifetime=lifetime(60, 90),
    )
    assert key_id(changed) == number


def test_key_ids_of_other_protocols_are_the_rows_own_too() -> None:
    hello = {"protocol": "ldp-discovery", "kdf": "none", "alg_id": "hmac-sha-256"}
    names = {"local_key_name": "00000101", "peer_key_name": "00000102"}
    numbers = {
        key_id(manual_row("hello", **hello, **names)),
        key_id(manual_row("again", **hello, **names)),
        key_id(manual_row("group", protocol="241", local_key_name="0a", peer_key_name="")),
        key_id(negotiated_row("group of others", protocol="241", local_key_name="0a0b0c", peer_key_name="")),
    }
    assert len(numbers) == 4
    assert all(0 <= number < 2**64 for number in numbers)

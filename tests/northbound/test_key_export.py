"""Keys leave the agent by one door, for those whom a rule lets through, and are nowhere else to be found."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable

import pytest
from lxml import etree

from rkmp.netconf import Client
from tests.netconf.agents import data_of, edit, fault_of, get, get_config, require_ok
from tests.netconf.conversation import Peer, nc
from tests.northbound.agents import World
from tests.northbound.test_agents import R1, R2
from tests.northbound.test_netconf import NOTIFICATION, YANG, Routers
from tests.northbound.world import KEY_TABLE, RKMP

ACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
NMDA = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
DATASTORES = "urn:ietf:params:xml:ns:yang:ietf-datastores"
WITH_DEFAULTS = "urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults"
KEYS = "/ckt:key-table/ckt:key"
BY_HAND = f"""<key-table xmlns="{KEY_TABLE}"><key><admin-key-name>by hand</admin-key-name>
  <local-key-name>01</local-key-name><peer-key-name>02</peer-key-name><peer>192.0.2.9</peer><protocol>bgp</protocol>
  <kdf>hmac-sha-1</kdf><alg-id>hmac-sha-1-96</alg-id><keystring>written by hand</keystring></key></key-table>"""
BY_HAND_KEY = b"written by hand".hex()


def export(*names: str) -> str:
    wanted = "".join(f"<admin-key-name>{name}</admin-key-name>" for name in names)
    table = f'<key-table xmlns="{KEY_TABLE}"><export-keys>{wanted}</export-keys></key-table>'
    return f'<action xmlns="{YANG}">{table}</action>'


def rule(name: str, path: str, action: str = "permit") -> str:
    return (
        f'<rule xmlns:ckt="{KEY_TABLE}"><name>{name}</name><path>{path}</path>'
        f"<access-operations>read</access-operations><action>{action}</action></rule>"
    )


def rules(*content: str, users: Iterable[str] = ("viewer",), switches: str = "") -> str:
    members = "".join(f"<user-name>{user}</user-name>" for user in users)
    return (
        f'<nacm xmlns="{ACM}">{switches}<groups><group><name>keys</name>{members}</group></groups>'
        f"<rule-list><name>keys</name><group>keys</group>{''.join(content)}</rule-list></nacm>"
    )


def shown(reply: etree._Element) -> dict[str, str]:
    """Return the keys of a reply, by name."""
    assert all(child.tag == f"{{{KEY_TABLE}}}key" for child in reply), etree.tostring(reply).decode()
    return {entry[0].text or "": entry[1].text or "" for entry in reply}


class Exporting(Routers):
    """r1 holds a negotiated key and one by hand; ``admin`` has a recovery session, ``viewer`` is ruled."""

    def __init__(self) -> None:
        self.world = World(has_netconf=True)
        self.world.ruled = {"viewer"}
        self.r1, self.r2 = self.world.agent("r1", R1), self.world.agent("r2", R2)

    async def login(self, username: str) -> Peer:
        server = self.r1.server
        assert server is not None
        who = Client(username, "192.0.2.99", "netconf-ssh")
        return await Peer(lambda transport: server.open_session(who, transport)).hello()

    @property
    def keys(self) -> dict[str, str]:
        return {row.admin_key_name: row.key.reveal().hex() for row in self.r1.key_table.rows()}

    @property
    def negotiated(self) -> str:
        return next(row.admin_key_name for row in self.r1.key_table.rows() if row.provenance is not None)


@pytest.fixture
async def routers() -> AsyncIterator[Exporting]:
    routers = Exporting()
    admin, _ = await routers.configure()
    require_ok(await admin.call(edit("running", BY_HAND)))
    yield routers
    await routers.close()


@pytest.mark.parametrize("leaf", [f"{KEYS}/ckt:hexadecimal-string", KEYS, "/ckt:key-table"])
async def test_whoever_a_rule_permits_is_shown_every_key_and_the_log_says_so(
    routers: Exporting, leaf: str, caplog: pytest.LogCaptureFixture
) -> None:
    admin, viewer = await routers.login("admin"), await routers.login("viewer")
    require_ok(await admin.call(edit("running", rules(rule("keys", leaf)))))
    with caplog.at_level(logging.INFO):
        assert shown(await viewer.call(export())) == routers.keys
    assert routers.keys["by hand"] == BY_HAND_KEY
    (line,) = [record.getMessage() for record in caplog.records if "keys were shown" in record.getMessage()]
    assert "'viewer'" in line
    assert all(name in line for name in routers.keys)
    assert not any(key in caplog.text for key in routers.keys.values())


async def test_only_the_keys_that_are_asked_for_are_shown(routers: Exporting) -> None:
    admin, viewer = await routers.login("admin"), await routers.login("viewer")
    require_ok(await admin.call(edit("running", rules(rule("keys", f"{KEYS}/ckt:hexadecimal-string")))))
    assert shown(await viewer.call(export("by hand"))) == {"by hand": BY_HAND_KEY}
    fault = fault_of(await viewer.call(export("no such key")))
    assert (fault.tag, fault.path) == ("data-missing", f"{KEYS}[ckt:admin-key-name='no such key']")


async def test_a_rule_for_one_key_shows_that_one(routers: Exporting) -> None:
    admin, viewer = await routers.login("admin"), await routers.login("viewer")
    name = routers.negotiated
    path = f"{KEYS}[ckt:admin-key-name='{name}']/ckt:hexadecimal-string"
    require_ok(await admin.call(edit("running", rules(rule("one", path)))))
    assert shown(await viewer.call(export())) == {name: routers.keys[name]}
    fault = fault_of(await viewer.call(export("by hand")))
    assert (fault.tag, fault.path) == ("access-denied", f"{KEYS}[ckt:admin-key-name='by hand']")


@pytest.mark.parametrize("username", ["viewer", "admin"])
@pytest.mark.parametrize(
    "denying",
    [
        "",
        rules(rule("other", f"{KEYS}/ckt:fingerprint"), users=("viewer", "admin")),
        rules(
            rule("no", f"{KEYS}/ckt:hexadecimal-string", "deny"),
            rule("nor", f"{KEYS}/ckt:keystring", "deny"),
            rule("the rest", KEYS),
            users=("viewer", "admin"),
        ),
        rules(switches="<read-default>permit</read-default>"),
        rules(switches="<enable-nacm>false</enable-nacm>"),
    ],
)
async def test_without_a_rule_no_way_of_asking_shows_a_key(routers: Exporting, username: str, denying: str) -> None:
    admin = await routers.login("admin")
    if denying:
        require_ok(await admin.call(edit("running", denying)))
    client = await routers.login(username)
    fault = fault_of(await client.call(export()))
    assert fault.tag == "access-denied"
    table = f'<key-table xmlns="{KEY_TABLE}"/>'
    named = f'<key-table xmlns="{KEY_TABLE}"><key><hexadecimal-string/><keystring/></key></key-table>'
    xpath = (
        f'<filter type="xpath" xmlns:k="{KEY_TABLE}" select="//k:hexadecimal-string | //k:key[k:hexadecimal-string]"/>'
    )
    operations = [get(), get_config(), get(table), get(named), get_config("running", named), f"<get>{xpath}</get>"]
    for mode in ("report-all", "report-all-tagged", "trim", "explicit"):
        with_defaults = f'<with-defaults xmlns="{WITH_DEFAULTS}">{mode}</with-defaults>'
        operations += [
            f"<get>{with_defaults}</get>",
            f'<get><filter type="subtree">{named}</filter>{with_defaults}</get>',
        ]
    for datastore in ("running", "intended", "operational"):
        start = f'<get-data xmlns="{NMDA}" xmlns:ds="{DATASTORES}"><datastore>ds:{datastore}</datastore>'
        operations += [
            f"{start}</get-data>",
            f"{start}<subtree-filter>{named}</subtree-filter></get-data>",
            f'{start}<xpath-filter xmlns:k="{KEY_TABLE}">//k:hexadecimal-string</xpath-filter></get-data>',
        ]
    for operation in operations:
        reply = etree.tostring(await client.call(operation), encoding="unicode").lower()
        assert "<rpc-error>" not in reply, operation
        assert not any(key in reply for key in routers.keys.values()), operation
        assert "written by hand" not in reply, operation
    # A content match that is right tells as little as one that is wrong.
    right, wrong = [
        await client.call(
            get(f"""<key-table xmlns="{KEY_TABLE}"><key><admin-key-name/>
            <hexadecimal-string>{key}</hexadecimal-string></key></key-table>""")
        )
        for key in (routers.keys[routers.negotiated], "00" * 20)
    ]
    assert etree.tostring(data_of(right)) == etree.tostring(data_of(wrong))


async def test_a_right_to_read_keys_still_puts_none_into_state_or_notifications(routers: Exporting) -> None:
    admin, viewer = await routers.login("admin"), await routers.login("viewer")
    require_ok(await admin.call(edit("running", rules(rule("keys", f"{KEYS}/ckt:hexadecimal-string")))))
    key = routers.keys[routers.negotiated]
    for operation in (get(), get_config()):
        assert key not in etree.tostring(await viewer.call(operation), encoding="unicode")
    require_ok(await viewer.call(f'<create-subscription xmlns="{NOTIFICATION}"/>'))
    require_ok(
        await admin.call(
            edit("running", f'<rkmp xmlns="{RKMP}"><peer><name>r2</name><enabled>false</enabled></peer></rkmp>')
        )
    )
    before = {key, *routers.keys.values()}
    require_ok(
        await admin.call(
            edit("running", f'<rkmp xmlns="{RKMP}"><peer><name>r2</name><enabled>true</enabled></peer></rkmp>')
        )
    )
    routers.world.run(5)
    heard = ""
    while "key-installed" not in heard:
        heard += etree.tostring(await viewer.message(), encoding="unicode")
    assert not any(secret in heard for secret in before | set(routers.keys.values()))


async def test_what_is_exported_can_be_configured_on_another_router(routers: Exporting) -> None:
    """Octets out, octets in: the fingerprint of a key that was taken along is that of the key."""
    admin, viewer = await routers.login("admin"), await routers.login("viewer")
    require_ok(await admin.call(edit("running", rules(rule("keys", f"{KEYS}/ckt:hexadecimal-string")))))
    key = shown(await viewer.call(export(routers.negotiated)))[routers.negotiated]
    moved = BY_HAND.replace("<keystring>written by hand</keystring>", f"<hexadecimal-string>{key}</hexadecimal-string>")
    require_ok(await (await routers.client(routers.r2)).call(edit("running", moved)))
    (there,) = [row.key.reveal().hex() for row in routers.r2.key_table.rows() if row.admin_key_name == "by hand"]
    assert there == key


async def test_a_table_without_keys_shows_none_to_anybody(routers: Exporting) -> None:
    admin = await routers.login("admin")
    delete = (
        f'<key-table xmlns="{KEY_TABLE}" xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" nc:operation="remove"/>'
    )
    require_ok(await admin.call(edit("running", delete)))
    require_ok(
        await admin.call(
            edit("running", f'<rkmp xmlns="{RKMP}"><peer><name>r2</name><enabled>false</enabled></peer></rkmp>')
        )
    )
    routers.world.run(1)
    assert not routers.keys
    assert [child.tag for child in await admin.call(export())] == [nc("ok")]

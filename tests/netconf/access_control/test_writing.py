"""Changes are permitted node by node, for what they really change, in every datastore (RFC 8341 3.2.5 to 3.2.8)."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from tests.netconf.access_control.servers import ACM, BOX, CONTENT, SECRET, YANG, Guarded, b, nacm, rule, rules
from tests.netconf.agents import Fault, edit, fault_of, require_ok
from tests.netconf.conversation import Peer, nc

OPERATION = 'xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" nc:operation'
BOX_PATH = "/g:box"


def box(content: str, attributes: str = "") -> str:
    return f'<box xmlns="{BOX}" {attributes}>{content}</box>'


def denied(path: str) -> Fault:
    return Fault("application", "access-denied", None, path)


def allow(path: str, *operations: str) -> str:
    return rule("allow", path=path, access_operations=" ".join(operations) or "*")


async def attempt(server: Guarded, content: str, *given: str, **leaves: Any) -> list[str]:
    """What is in the way of ann's edit of running; nothing where it was carried out.

    The path of what was denied ends where ann's sight does.
    """
    ann = await server.configure(rules(*given), **leaves)
    before = etree.tostring(server.datastores.tree("running"))
    reply = await ann.call(edit("running", content))
    if reply[0].tag == nc("ok"):
        assert (await server.counters())["data-writes"] == 0
        return []
    fault = fault_of(reply)
    assert (fault.type, fault.tag) == ("application", "access-denied")
    assert etree.tostring(server.datastores.tree("running")) == before
    assert (await server.counters())["data-writes"] == 1
    assert SECRET not in etree.tostring(reply)
    return [fault.path or ""]


CUP = "/g:box/g:item[g:name='cup']"
NEW = "/g:box/g:item[g:name='new']"


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (box("<label>new</label>"), "/g:box/g:label"),
        (box(f'<label {OPERATION}="delete"/>'), "/g:box/g:label"),
        (box("<item><name>new</name></item>"), NEW),
        (box(f'<item {OPERATION}="delete"><name>cup</name></item>'), CUP),
        (box("<colour>green</colour>"), "/g:box/g:colour[.='green']"),
        (
            box(f'<item xmlns:y="{YANG}" y:insert="last"><name>cup</name></item>'),
            CUP,
        ),
        (box("<more><x xmlns='urn:x'/></more>"), "/g:box/g:more"),
        (nacm(), "/nacm:nacm"),
    ],
)
async def test_by_default_nothing_is_written(server: Guarded, content: str, path: str) -> None:
    content = content.replace("<user-name>bob", "<user-name>cat</user-name><user-name>bob")
    assert await attempt(server, content) == [path]


@pytest.mark.parametrize(
    "content",
    [
        box("<label>plain</label>"),
        box("<item><name>cup</name><weight>200</weight></item>"),
        box(f'<label {OPERATION}="remove"/>').replace("label", "polish"),
        box(""),
        "",
    ],
)
async def test_what_changes_nothing_needs_no_permission(server: Guarded, content: str) -> None:
    assert await attempt(server, content) == []


@pytest.mark.parametrize(
    ("content", "given", "in_the_way"),
    [
        (box("<label>new</label>"), [allow("/g:box/g:label", "update")], []),
        (box("<label>new</label>"), [allow("/g:box/g:label", "create", "delete")], ["/g:box/g:label"]),
        (box("<item><name>new</name></item>"), [allow("/g:box/g:item", "create")], []),
        (box("<item><name>new</name><weight>3</weight></item>"), [allow("/g:box/g:item[g:name='new']")], []),
        (box("<item><name>new</name><weight>3</weight></item>"), [allow("/g:box/g:item[g:name='old']")], [NEW]),
        (
            box("<item><name>new</name><weight>3</weight></item>"),
            [rule("no", "deny", path="/g:box/g:item/g:weight", access_operations="create"), allow("/g:box/g:item")],
            [f"{NEW}/g:weight"],
        ),
        (box("<item><name>ann</name><weight>9</weight></item>"), [allow("/g:box/g:item[g:name=$USER]")], []),
        (
            box("<item><name>cup</name><weight>9</weight></item>"),
            [allow("/g:box/g:item[g:name=$USER]")],
            [f"{CUP}/g:weight"],
        ),
        # A deletion is one of everything below.
        (box(f'<item {OPERATION}="delete"><name>ann</name></item>'), [allow("/g:box/g:item", "delete")], []),
        (
            box(f'<item {OPERATION}="delete"><name>ann</name></item>'),
            [rule("no", "deny", path="/g:box/g:item/g:weight", access_operations="delete"), allow("/g:box/g:item")],
            ["/g:box/g:item[g:name='ann']/g:weight"],
        ),
        # Of what may not be read only the place above is told.
        (
            box(f'<item {OPERATION}="delete"><name>cup</name></item>'),
            [rule("no", "deny", path="/g:box/g:item/g:pin"), allow("/g:box/g:item")],
            [CUP],
        ),
        # default-deny-write and default-deny-all want permission of their own, which any matching rule is.
        (box("<lock>chain</lock>"), [allow("/g:box/g:lock")], []),
        (box("<lock>chain</lock>"), [allow("/g:box")], []),
        (box("<code>tiger-9</code>"), [allow("/g:box/g:code")], []),
        # A module rule is about everything in it.
        (box("<label>new</label>"), [rule("r", module_name="guarded")], []),
        (box("<label>new</label>"), [rule("r", module_name="ietf-netconf")], ["/g:box/g:label"]),
        (
            box("<label>new</label>"),
            [rule("r", module_name="guarded", access_operations="read exec")],
            ["/g:box/g:label"],
        ),
        # Another case of the choice goes by itself, and is not asked about.
        (box("<tools><hammer>big</hammer></tools>"), [allow("/g:box/g:tools", "create")], []),
        (box(f'<book {OPERATION}="delete"/>'), [allow("/g:box/g:tools", "create")], ["/g:box/g:book"]),
        # anydata is changed whole, and is updated by that.
        (box("<more><y xmlns='urn:y'/></more>"), [allow("/g:box/g:more", "create")], []),
        # A container without presence is there by its content alone.
        (box("", f'{OPERATION}="delete"'), [allow("/g:box/g:label", "delete")], ["/g:box/g:lock"]),
    ],
)
async def test_rules_decide_what_is_written(
    server: Guarded, content: str, given: list[str], in_the_way: list[str]
) -> None:
    assert await attempt(server, content, *given) == in_the_way


@pytest.mark.parametrize(
    ("content", "in_the_way"),
    [
        (box("<label>new</label>"), []),
        (box("<lock>chain</lock>"), ["/g:box/g:lock"]),
        (box("<code>tiger-9</code>"), ["/g:box"]),
    ],
)
async def test_write_default_permit_keeps_to_the_extensions(
    server: Guarded, content: str, in_the_way: list[str]
) -> None:
    assert await attempt(server, content, write_default="permit") == in_the_way


async def test_the_last_anydata_is_updated(server: Guarded) -> None:
    root = await server.root()
    require_ok(await root.call(edit("running", box("<more><x xmlns='urn:x'/></more>"))))
    assert await attempt(server, box("<more><y xmlns='urn:y'/></more>"), allow("/g:box/g:more", "update")) == []


async def test_what_follows_from_a_permitted_change_is_not_asked_about(server: Guarded) -> None:
    root = await server.root()
    require_ok(await root.call(edit("running", box("<label>shiny</label><polish>wax</polish>"))))
    ann = await server.configure(rules(allow("/g:box/g:label", "update")), content="")
    require_ok(await ann.call(edit("running", box("<label>dull</label>"))))
    assert server.datastores.tree("running").find(f"{b('box')}/{b('polish')}") is None


async def test_switched_off_access_control_lets_everybody_write(server: Guarded) -> None:
    assert await attempt(server, box("<lock>chain</lock>"), enable_nacm="false") == []


async def test_a_recovery_session_writes_what_it_likes(server: Guarded) -> None:
    await server.configure(rules(rule("r", "deny"), group="*"), groups=[("all", ["root", "ann"])])
    root = await server.root()
    require_ok(await root.call(edit("running", box("<lock>chain</lock><code>tiger-9</code>"))))
    require_ok(await root.call(edit("running", f'<nacm xmlns="{ACM}" {OPERATION}="delete"/>')))


# Errors tell nothing.


async def test_whether_a_hidden_node_is_there_is_not_told(server: Guarded) -> None:
    ann = await server.configure(rules(rule("no", "deny", path=CUP), rule("no2", "deny", path=NEW), allow("/g:box")))
    answers = [
        etree.tostring(
            (await ann.call(edit("running", box(f'<item {OPERATION}="{operation}"><name>{name}</name></item>'))))[0]
        )
        for name in ("cup", "new")
        for operation in ("create", "delete")
    ]
    assert len(set(answers)) == 1
    assert b">/g:box</" in answers[0]


def _setting(content: str) -> dict[str, str]:
    nmda = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
    datastores = "urn:ietf:params:xml:ns:yang:ietf-datastores"
    return {
        "edit-config": edit("running", content),
        "a candidate": edit("candidate", content),
        "copy-config": "<copy-config><target><running/></target>"
        f"<source><config>{content}</config></source></copy-config>",
        "edit-data": f'<edit-data xmlns="{nmda}" xmlns:ds="{datastores}"><datastore>ds:running</datastore>'
        f"<config>{content}</config></edit-data>",
    }


@pytest.mark.parametrize("how", _setting(""))
@pytest.mark.parametrize(
    ("secret", "path"),
    [("<code>{}</code>", "/g:box"), ("<item><name>cup</name><pin>{}</pin></item>", CUP)],
    ids=["code", "pin"],
)
async def test_a_guess_of_a_secret_is_not_answered(server: Guarded, how: str, secret: str, path: str) -> None:
    ann = await server.configure()
    answers = [
        etree.tostring((await ann.call(_setting(box(secret.format(guess)))[how]))[0])
        for guess in ("tiger-1", "tiger-2", "mouse")
    ]
    assert len(set(answers)) == 1
    assert b"access-denied" in answers[0]
    assert f">{path}<".encode() in answers[0]


async def test_a_secret_is_named_by_whoever_may_do_something_with_it(server: Guarded) -> None:
    assert await attempt(server, box("<code>tiger-1</code>"), allow("/g:box/g:code", "read")) == []
    assert await attempt(server, box("<code>mouse</code>"), allow("/g:box/g:code", "update")) == []
    mine = rule("mine", path=f"{CUP}/g:pin", access_operations="update")
    assert await attempt(server, box("<item><name>cup</name><pin>mouse</pin></item>"), mine) == []
    assert await attempt(server, box("<item><name>pen</name><pin>mouse</pin></item>"), mine) == [
        "/g:box/g:item[g:name='pen']"
    ]


async def test_a_fault_in_what_is_hidden_is_not_described(server: Guarded) -> None:
    root = await server.root()
    require_ok(await root.call(edit("running", box("<item><name>cup</name><note>weightless</note></item>"))))
    hidden = [rule("no", "deny", path="/g:box/g:item/g:note", access_operations="read"), allow("/g:box")]
    ann = await server.configure(rules(*hidden), content="")
    fault = fault_of(await ann.call(edit("running", box("<item><name>cup</name><weight>1</weight></item>"))))
    assert fault == Fault("application", "operation-failed", "must-violation")


# The other operations.


async def test_the_candidate_is_guarded_like_running(server: Guarded) -> None:
    ann = await server.configure(rules(allow("/g:box/g:label")))
    assert fault_of(await ann.call(edit("candidate", box("<lock>x</lock>")))) == denied("/g:box/g:lock")
    require_ok(await ann.call(edit("candidate", box("<label>x</label>"))))
    require_ok(await ann.call("<commit/>"))
    assert server.datastores.tree("running").findtext(f"{b('box')}/{b('label')}") == "x"


async def test_commit_asks_for_what_differs_whoever_has_edited_it(server: Guarded) -> None:
    ann = await server.configure(rules(allow("/g:box/g:label")))
    root = await server.root()
    require_ok(await root.call(edit("candidate", box("<label>x</label><lock>chain</lock>"))))
    assert fault_of(await ann.call("<commit/>")) == denied("/g:box/g:lock")
    assert server.datastores.tree("running").findtext(f"{b('box')}/{b('label')}") == "plain"
    assert (await server.counters())["data-writes"] == 1
    require_ok(await ann.call("<discard-changes/>"))
    require_ok(await ann.call("<commit/>"))


def copy(source: str, target: str) -> str:
    return f"<copy-config><target><{target}/></target><source>{source}</source></copy-config>"


async def test_running_is_copied_to_startup_by_whoever_may_copy(server: Guarded) -> None:
    ann = await server.configure(rules(rule("no", "deny", path="/g:box/g:label")))
    require_ok(await ann.call(copy("<running/>", "startup")))
    startup = server.datastores.tree("startup")
    assert startup.findtext(f"{b('box')}/{b('label')}") == "plain"
    assert startup.findtext(f"{b('box')}/{b('code')}") == "tiger-1"


async def permitted_copy(server: Guarded, *given: str) -> Peer:
    return await server.configure(rules(rule("nacm", module_name="ietf-netconf-acm"), *given))


async def test_a_copy_leaves_out_what_may_not_be_read(server: Guarded) -> None:
    ann = await permitted_copy(
        server, rule("no", "deny", path="/g:box/g:item/g:pin", access_operations="read"), rule("yes")
    )
    require_ok(await ann.call(copy("<running/>", "candidate")))
    assert server.datastores.tree("candidate").find(f".//{b('pin')}") is None
    assert server.datastores.tree("candidate").findtext(f"{b('box')}/{b('code')}") == "tiger-1"
    require_ok(await ann.call(copy("<candidate/>", "startup")))
    assert server.datastores.tree("startup").find(f".//{b('pin')}") is None


async def test_a_copy_may_not_take_away_what_may_not_be_deleted(server: Guarded) -> None:
    ann = await permitted_copy(server, rule("no", "deny", path="/g:box/g:item/g:pin"), rule("yes"))
    for source in ("<running/>", "<startup/>"):
        reply = await ann.call(copy(source, "candidate"))
        assert fault_of(reply).tag == "access-denied"
        assert SECRET not in etree.tostring(reply)
    reply = await ann.call(copy(f"<config>{box('<label>only</label>')}</config>", "running"))
    assert fault_of(reply).tag == "access-denied"
    assert server.datastores.tree("running").findtext(f"{b('box')}/{b('label')}") == "plain"
    root = await server.root()
    require_ok(await root.call(copy("<running/>", "startup")))
    assert (
        fault_of(await ann.call(copy(f"<config>{CONTENT.replace('tiger-2', 'tiger-9')}</config>", "startup"))).tag
        == "access-denied"
    )


async def test_the_candidate_is_copied_to_running_by_whoever_may_change_that(server: Guarded) -> None:
    ann = await permitted_copy(server, rule("all", path="/g:box"))
    require_ok(await ann.call(edit("candidate", box("<label>x</label>"))))
    require_ok(await ann.call(copy("<candidate/>", "running")))
    assert server.datastores.tree("running").findtext(f"{b('box')}/{b('label')}") == "x"
    root = await server.root()
    require_ok(
        await root.call(edit("running", nacm(rules(rule("all", path="/g:box/g:label", access_operations="read")))))
    )


async def test_a_recovery_session_copies_secrets_that_it_is_not_shown(server: Guarded) -> None:
    await server.configure()
    root = await server.root()
    require_ok(await root.call(copy("<running/>", "startup")))
    require_ok(await root.call(edit("running", box(f'<code {OPERATION}="delete"/>'))))
    require_ok(await root.call(copy("<startup/>", "running")))
    assert server.datastores.tree("running").findtext(f"{b('box')}/{b('code')}") == "tiger-1"


async def test_startup_is_deleted_by_whoever_may_delete_all_of_it(server: Guarded) -> None:
    delete = "<delete-config><target><startup/></target></delete-config>"
    may = rule("exec", rpc_name="delete-config", access_operations="exec")
    ann = await server.configure(rules(may))
    root = await server.root()
    require_ok(await root.call(copy("<running/>", "startup")))
    assert fault_of(await ann.call(delete)).tag == "access-denied"
    require_ok(await root.call(edit("running", nacm(rules(may, rule("all"))))))
    require_ok(await ann.call(delete))
    assert len(server.datastores.tree("startup")) == 0

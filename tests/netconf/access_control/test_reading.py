"""Replies hold what their reader may read and nothing else, whatever a filter asks (RFC 8341 3.2.4, 3.4.5)."""

from __future__ import annotations

import pytest
from lxml import etree

from tests.netconf.access_control.servers import ACM, BOX, SECRET, STAFF, Groups, Guarded, nacm, rule, rules, shown
from tests.netconf.agents import data_of, edit, get, get_config, require_ok

OPEN = ["label=plain", "lock=bolt", "book=atlas", "colour=red", "colour=blue"]
CUP = ["cup/name=cup", "cup/weight=200", "cup/note=old"]
ANN = ["ann/name=ann", "ann/weight=300"]
PEN = ["pen/name=pen", "pen/weight=20", "pen/note=new"]
EVERYTHING = [*OPEN, *CUP, *ANN, *PEN]


async def read(
    server: Guarded, *rule_lists: str, content: str | None = None, groups: Groups = STAFF, **leaves: str
) -> list[str]:
    """What ann is shown of running; get-config and get have to agree."""
    ann = await server.configure(*rule_lists, groups=groups, **leaves)
    configured = shown(data_of(await ann.call(get_config("running", content))))
    assert shown(data_of(await ann.call(get(content)))) == configured
    return configured


async def test_without_rules_everything_but_secrets_and_the_rules_is_read(server: Guarded) -> None:
    ann = await server.configure()
    for operation in (get_config(), get()):
        reply = await ann.call(operation)
        assert shown(data_of(reply)) == EVERYTHING
        assert SECRET not in etree.tostring(reply)
        assert data_of(reply).find(f"{{{ACM}}}nacm") is None


async def test_read_default_deny_leaves_nothing(server: Guarded) -> None:
    assert await read(server, read_default="deny") == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([rule("r", "deny", path="/")], []),
        ([rule("r", "deny", path="/g:box")], []),
        ([rule("r", "deny", path="/g:box/g:item")], OPEN),
        ([rule("r", "deny", path="/g:box/g:item[g:name='cup']")], [*OPEN, *ANN, *PEN]),
        ([rule("r", "deny", path="/g:box/g:item[g:name=$USER]")], [*OPEN, *CUP, *PEN]),
        ([rule("r", "deny", path="/g:box/g:item/g:note")], [*OPEN, *CUP[:2], *ANN, *PEN[:2]]),
        ([rule("r", "deny", path="/g:box/g:item[g:name='pen']/g:weight")], [*OPEN, *CUP, *ANN, PEN[0], PEN[2]]),
        ([rule("r", "deny", path="/g:box/g:colour[.='red']")], [*OPEN[:3], OPEN[4], *CUP, *ANN, *PEN]),
        ([rule("r", "deny", module_name="guarded")], []),
        ([rule("r", "deny", module_name="ietf-netconf-acm")], EVERYTHING),
        ([rule("r", "deny", path="/g:box", access_operations="create update delete exec")], EVERYTHING),
        ([rule("r", "deny", path="/g:box", module_name="another")], EVERYTHING),
        ([rule("r", "deny", rpc_name="commit")], EVERYTHING),
        ([rule("r", "deny", notification_name="*")], EVERYTHING),
        # The first rule that matches decides.
        (
            [rule("a", path="/g:box/g:item[g:name='cup']"), rule("b", "deny", path="/g:box/g:item")],
            [*OPEN, *CUP[:2], CUP[2], "cup/pin=tiger-2"],
        ),
        ([rule("a", "deny", path="/g:box/g:item"), rule("b", path="/g:box/g:item[g:name='cup']")], OPEN),
        # What is below a denied node goes with it.
        ([rule("a", path="/g:box/g:item/g:weight"), rule("b", "deny", path="/g:box/g:item")], OPEN),
        # A key that is hidden still tells which rule is meant.
        (
            [
                rule("a", "deny", path="/g:box/g:item/g:name"),
                rule("b", "deny", path="/g:box/g:item[g:name='cup']/g:note"),
            ],
            [*OPEN, "weight=200", "weight=300", "weight=20", "note=new"],
        ),
    ],
)
async def test_rules_decide_what_is_read(server: Guarded, given: list[str], expected: list[str]) -> None:
    assert await read(server, rules(*given)) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("<item><name>cup</name></item>", []),
        ("<item><name>pen</name></item>", PEN),
        ("<item><weight>200</weight></item>", []),
        ("<item><note/></item>", [PEN[0], PEN[2]]),
        ("<item><name>pen</name><weight/></item>", PEN[:2]),
        ("<label/><item><name/></item>", ["label=plain", ANN[0], PEN[0]]),
    ],
)
async def test_filters_see_only_the_instances_that_may_be_read(
    server: Guarded, content: str, expected: list[str]
) -> None:
    hidden = rules(rule("r", "deny", path="/g:box/g:item[g:name='cup']"))
    assert await read(server, hidden, content=f'<box xmlns="{BOX}">{content}</box>') == expected


@pytest.mark.parametrize("guess", ["plain", "fancy"])
async def test_a_filter_cannot_guess_what_may_not_be_read(server: Guarded, guess: str) -> None:
    hidden = rules(rule("r", "deny", path="/g:box/g:label"))
    for namespace in (f' xmlns="{BOX}"', ""):
        content = f"<box{namespace}><label>{guess}</label><book/></box>"
        assert await read(server, hidden, content=content) == []


@pytest.mark.parametrize("guess", ["tiger-1", "lion-1"])
async def test_a_filter_cannot_guess_a_secret(server: Guarded, guess: str) -> None:
    assert await read(server, content=f'<box xmlns="{BOX}"><code>{guess}</code><book/></box>') == []


async def test_whoever_is_in_no_group_has_no_rules(server: Guarded) -> None:
    everybody = rules(rule("r", "deny", path="/g:box"), group="*")
    assert await read(server, everybody, groups=[("others", ["bob"])]) == EVERYTHING
    assert await read(server, everybody, groups=[("others", ["ann"])]) == []


async def test_rule_lists_are_tried_in_order_and_by_group(server: Guarded) -> None:
    lists = [
        rules(rule("r", "deny", path="/g:box/g:label"), group="strangers", name="1"),
        rules(rule("r", "permit", path="/g:box/g:item"), group="*", name="2"),
        rules(rule("r", "deny", path="/g:box"), group="staff", name="3"),
    ]
    assert await read(server, *lists) == []
    permitted = rules(rule("r", "permit", path="/g:box"), group="others", name="4")
    root = await server.root()
    moved = permitted.replace("<rule-list>", '<rule-list y:insert="first" xmlns:y="urn:ietf:params:xml:ns:yang:1">', 1)
    require_ok(await root.call(edit("running", nacm(moved, groups=[("staff", ["ann"]), ("others", ["ann"])]))))
    ann = await server.ann()
    assert "label=plain" in shown(data_of(await ann.call(get_config())))


# Secrets.


async def test_a_recovery_session_reads_the_rules_and_no_secret(server: Guarded) -> None:
    await server.configure(rules(rule("r", "deny", path="/g:box")))
    root = await server.root()
    for operation in (get_config(), get()):
        reply = await root.call(operation)
        assert shown(data_of(reply)) == EVERYTHING
        assert SECRET not in etree.tostring(reply)
        assert data_of(reply).find(f"{{{ACM}}}nacm/{{{ACM}}}rule-list") is not None


async def test_a_secret_is_read_by_explicit_permission(server: Guarded) -> None:
    permitted = rules(rule("r", path="/g:box/g:item[g:name='pen']/g:pin", access_operations="read"))
    expected = [*OPEN, *CUP, *ANN, *PEN, "pen/pin=tiger-3"]
    assert await read(server, permitted) == expected
    root = await server.root()
    assert shown(data_of(await root.call(get_config()))) == EVERYTHING
    # A recovery session is given permission as anybody else is.
    require_ok(await root.call(edit("running", nacm(groups=[("staff", ["root"])]))))
    assert shown(data_of(await root.call(get_config()))) == expected


async def test_a_permitted_secret_can_be_asked_for(server: Guarded) -> None:
    permitted = rules(rule("r", path="/g:box/g:code"))
    content = f'<box xmlns="{BOX}"><code>tiger-1</code><label/></box>'
    assert await read(server, permitted, content=content) == ["label=plain", "code=tiger-1"]


async def test_switched_off_access_control_shows_everything_but_secrets(server: Guarded) -> None:
    ann = await server.configure(rules(rule("r", "deny", path="/g:box")), enable_nacm="false")
    reply = await ann.call(get_config())
    assert shown(data_of(reply)) == EVERYTHING
    assert SECRET not in etree.tostring(reply)
    assert data_of(reply).find(f"{{{ACM}}}nacm") is not None


async def test_the_rules_are_read_by_explicit_permission(server: Guarded) -> None:
    permitted = rules(rule("r", module_name="ietf-netconf-acm", access_operations="read"))
    ann = await server.configure(permitted)
    assert data_of(await ann.call(get_config())).find(f"{{{ACM}}}nacm/{{{ACM}}}groups") is not None


async def test_rules_are_in_force_at_once_and_for_sessions_that_live(server: Guarded) -> None:
    ann = await server.configure()
    root = await server.root()
    hidden = rules(rule("r", "deny", path="/g:box/g:item"))
    require_ok(await root.call(edit("candidate", nacm(hidden))))
    assert shown(data_of(await ann.call(get_config()))) == EVERYTHING
    require_ok(await root.call("<commit/>"))
    assert shown(data_of(await ann.call(get_config()))) == OPEN
    assert shown(data_of(await ann.call(get_config("candidate")))) == OPEN


# XPath filters.


def xpath(select: str) -> str:
    selection = f'<filter type="xpath" xmlns:g="{BOX}" xmlns:nacm="{ACM}" select="{select}"/>'
    return f"<get-config><source><running/></source>{selection}</get-config>"


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("/g:box/g:label", ["label=plain"]),
        ("/g:box/g:item[g:name='cup']", []),
        ("/g:box/g:item[g:name='pen']/g:weight", PEN[:2]),
        ("/g:box/g:item[last()]/g:weight", PEN[:2]),
        ("/g:box/g:item[1]/g:weight", ANN),
        ("/g:box[g:item/g:weight = 200]/g:label", []),
        ("/g:box[count(g:item) = 2]/g:label", ["label=plain"]),
        ("/g:box[g:lock = 'bolt']/g:label", []),
        ("/g:box[g:code]/g:label", []),
        ("//g:note", [PEN[0], PEN[2]]),
        ("/g:box/g:code | /g:box/g:lock", []),
        ("/nacm:nacm", []),
    ],
)
async def test_xpath_filters_see_only_what_may_be_read(server: Guarded, select: str, expected: list[str]) -> None:
    hidden = [rule("a", "deny", path="/g:box/g:item[g:name='cup']"), rule("b", "deny", path="/g:box/g:lock")]
    ann = await server.configure(rules(*hidden))
    data = data_of(await ann.call(xpath(select)))
    assert shown(data) == expected
    assert data.find(f"{{{ACM}}}nacm") is None


async def test_xpath_filters_see_what_is_permitted_explicitly(server: Guarded) -> None:
    ann = await server.configure(rules(rule("r", path="/g:box/g:code")))
    assert shown(data_of(await ann.call(xpath("/g:box[g:code = 'tiger-1']/g:code")))) == ["code=tiger-1"]
    root = await server.root()
    assert shown(data_of(await root.call(xpath("/g:box/g:code")))) == []
    rule_name = data_of(await root.call(xpath("/nacm:nacm/nacm:rule-list/nacm:rule/nacm:name")))
    assert b">r</" in etree.tostring(rule_name)

"""Operations and actions are invoked by whoever may, and the others are told no (RFC 8341 3.4.4, 3.1.3)."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from rkmp.netconf import Invocation
from rkmp.netconf.namespaces import NOTIFICATION
from tests.netconf.access_control.servers import BOX, YANG, Guarded, b, nacm, rule, rules
from tests.netconf.agents import Fault, data_of, edit, fault_of, get, get_config, require_ok
from tests.netconf.conversation import nc

LOOK, DESTROY = f'<look xmlns="{BOX}"/>', f'<destroy xmlns="{BOX}"/>'
SUBSCRIBE = f'<create-subscription xmlns="{NOTIFICATION}"/>'
KILL = "<kill-session><session-id>77</session-id></kill-session>"
DELETE = "<delete-config><target><startup/></target></delete-config>"


def shake(item: str = "cup") -> str:
    return f'<action xmlns="{YANG}"><box xmlns="{BOX}"><item><name>{item}</name><shake/></item></box></action>'


async def done(_: Invocation) -> None:
    return None


@pytest.fixture
def handled(server: Guarded) -> Guarded:
    for path in ((b("look"),), (b("destroy"),), (b("box"), b("item"), b("shake"))):
        server.server.handle(path, done)
    return server


def is_denied(reply: etree._Element) -> bool:
    return reply.find(f"{nc('rpc-error')}/{nc('error-tag')}[.='access-denied']") is not None


EXEC = {"access_operations": "exec"}


@pytest.mark.parametrize(
    ("operation", "given", "leaves", "permitted"),
    [
        (LOOK, [], {}, True),
        (LOOK, [], {"exec_default": "deny"}, False),
        (LOOK, [rule("r", "deny", rpc_name="look")], {}, False),
        (LOOK, [rule("r", "deny", rpc_name="*")], {}, False),
        (LOOK, [rule("r", "deny", rpc_name="destroy")], {}, True),
        (LOOK, [rule("r", "deny", module_name="guarded")], {}, False),
        (LOOK, [rule("r", "deny", module_name="ietf-netconf", rpc_name="look")], {}, True),
        (LOOK, [rule("r", "deny", rpc_name="look", access_operations="read")], {}, True),
        (LOOK, [rule("r", "deny", path="/")], {}, True),
        (LOOK, [rule("r", "deny", notification_name="*")], {}, True),
        (LOOK, [rule("r", rpc_name="look", **EXEC)], {"exec_default": "deny"}, True),
        (LOOK, [rule("a", rpc_name="look"), rule("b", "deny")], {"exec_default": "deny"}, True),
        (DESTROY, [], {}, False),
        (DESTROY, [rule("r", rpc_name="destroy")], {}, True),
        (DESTROY, [], {"enable_nacm": "false"}, True),
        (SUBSCRIBE, [], {}, True),
        (SUBSCRIBE, [rule("r", "deny", module_name="notifications")], {}, False),
        (SUBSCRIBE, [rule("r", "deny", rpc_name="create-subscription")], {}, False),
        (KILL, [], {}, False),
        (KILL, [rule("r", module_name="ietf-netconf", rpc_name="kill-session", **EXEC)], {}, True),
        (KILL, [], {"enable_nacm": "false"}, True),
        (DELETE, [], {}, False),
        (DELETE, [rule("r", module_name="ietf-netconf", rpc_name="delete-config", **EXEC)], {}, True),
        (get_config(), [rule("r", "deny", rpc_name="get-config")], {}, False),
        (get(), [rule("r", "deny", rpc_name="get-config")], {}, True),
        ("<close-session/>", [rule("r", "deny")], {"exec_default": "deny"}, True),
        (shake(), [], {}, True),
        (shake(), [], {"exec_default": "deny"}, False),
        (shake(), [rule("r", "deny", path="/g:box/g:item/g:shake")], {}, False),
        (shake(), [rule("r", "deny", path="/g:box/g:item[g:name='cup']/g:shake", **EXEC)], {}, False),
        (shake("pen"), [rule("r", "deny", path="/g:box/g:item[g:name='cup']/g:shake", **EXEC)], {}, True),
        # The way to an action must be readable.
        (shake(), [rule("r", "deny", path="/g:box/g:item[g:name='cup']", access_operations="read")], {}, False),
        (shake(), [], {"read_default": "deny"}, False),
        (
            shake(),
            [rule("r", path="/g:box", access_operations="read exec")],
            {"read_default": "deny", "exec_default": "deny"},
            True,
        ),
        # RFC 8341 3.1.3: the operation <action> is not one to ask about.
        (shake(), [rule("r", "deny", rpc_name="action")], {}, True),
    ],
)
async def test_rules_decide_what_is_invoked(
    handled: Guarded, operation: str, given: list[str], leaves: dict[str, Any], permitted: bool
) -> None:
    ann = await handled.configure(rules(*given), **leaves)
    assert is_denied(await ann.call(operation)) is not permitted
    assert (await handled.counters())["operations"] == (0 if permitted else 1)


async def test_the_error_names_the_operation(handled: Guarded) -> None:
    ann = await handled.configure()
    assert fault_of(await ann.call(KILL)) == Fault("protocol", "access-denied", None, "/nc:rpc/nc:kill-session")
    reply = await ann.call(DESTROY)
    assert fault_of(reply) == Fault("protocol", "access-denied", None, "/nc:rpc/op:destroy")
    path = reply[0].find(nc("error-path"))
    assert path is not None
    assert path.nsmap["op"] == BOX


async def test_the_error_names_the_action(handled: Guarded) -> None:
    ann = await handled.configure(exec_default="deny")
    expected = Fault("application", "access-denied", None, "/g:box/g:item[g:name='cup']/g:shake")
    assert fault_of(await ann.call(shake())) == expected
    # Nothing is told of entries that may not be asked about.
    assert fault_of(await ann.call(shake("none"))).tag == "access-denied"


async def test_no_is_said_before_parameters_are_looked_at(handled: Guarded) -> None:
    ann = await handled.configure(rules(rule("r", "deny", rpc_name="lock")))
    assert fault_of(await ann.call("<lock><target><nothing/></target></lock>")).tag == "access-denied"
    assert fault_of(await ann.call("<unheard-of/>")).tag == "operation-not-supported"


async def test_a_recovery_session_invokes_what_it_likes(handled: Guarded) -> None:
    ann = await handled.configure(rules(rule("r", "deny"), group="*"), groups=[("all", ["root"])], exec_default="deny")
    root = await handled.root()
    for operation in (LOOK, DESTROY, DELETE, shake()):
        require_ok(await root.call(operation))
    require_ok(await root.call(f"<kill-session><session-id>{ann.session.id}</session-id></kill-session>"))


async def test_without_rules_only_a_recovery_session_can_change_anything(server: Guarded) -> None:
    ann = await server.ann()
    assert (
        fault_of(await ann.call(edit("running", f'<box xmlns="{BOX}"><label>x</label></box>'))).tag == "access-denied"
    )
    assert len(data_of(await ann.call(get_config()))) == 0
    root = await server.root()
    require_ok(await root.call(edit("running", f'<box xmlns="{BOX}"><label>x</label></box>')))


async def test_rules_survive_a_restart(server: Guarded) -> None:
    await server.configure(rules(rule("r", "deny", path="/g:box/g:item[g:name='cup']")))
    again = Guarded.restarted(server)
    ann = await again.ann()
    assert b"cup" not in etree.tostring(await ann.call(get_config()))
    assert b"pen" in etree.tostring(await ann.call(get_config()))
    await again.server.close()


@pytest.mark.parametrize(
    "path",
    [
        "box",
        "/box",
        "/g:nothing",
        "/x:box",
        "/g:box[1]",
        "/g:box/g:item[g:weight='1']",
        "/g:*",
        "//g:box",
        "count(/g:box)",
    ],
)
async def test_a_path_that_names_nothing_is_refused(server: Guarded, path: str) -> None:
    root = await server.root()
    fault = fault_of(await root.call(edit("running", nacm(rules(rule("r", "deny", path=path))))))
    expected = "/nacm:nacm/nacm:rule-list[nacm:name='rules']/nacm:rule[nacm:name='r']/nacm:path"
    assert fault == Fault("application", "invalid-value", None, expected)


async def test_paths_are_kept_with_the_servers_prefixes(server: Guarded) -> None:
    root = await server.root()
    given = rule("r", "deny", path="/q:box/q:item[ q:name = &quot;cup&quot; ]").replace("xmlns:g=", "xmlns:q=")
    require_ok(await root.call(edit("running", nacm(rules(given)))))
    assert b">/g:box/g:item[g:name='cup']</" in etree.tostring(await root.call(get_config()))

"""The table of docs/architecture.md, "what bad input gets", row by row, as far as datastores answer it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from rkmp.datastore.rejections import YANG
from rkmp.datastore.schema.nodes import NETCONF_BASE
from rkmp.errors import EngineRefusal, RpcError, RpcErrors
from tests.datastore.servers import Server

START = (
    "<zoo><species><name>a</name><latin>strix</latin></species><species><name>b</name></species>"
    "<cage><hall>east</hall><number>1</number><size>2</size><animal>a</animal></cage>"
    "<feeding><id>1</id><hour>1</hour></feeding></zoo><holiday>x</holiday>"
)
CAGE = "/z:zoo/z:cage[z:hall='east'][z:number='1']"
FEEDING = "/z:zoo/z:feeding[z:id='1']"


@dataclass(frozen=True)
class Row:
    """One input and the answer. ``info`` is (local name, text), ``app_tag`` and ``path`` None where there is none."""

    input: str
    tag: str
    type: str = "application"
    app_tag: str | None = None
    path: str | None = None
    info: tuple[tuple[str, str], ...] = ()
    prepare: str = ""


def cage(content: str) -> str:
    return f"<zoo><cage><hall>east</hall><number>1</number>{content}</cage></zoo>"


ROWS = {
    "element not in the schema": Row(
        "<zoo><bogus/></zoo>", "unknown-element", path="/z:zoo/z:bogus", info=(("bad-element", "bogus"),)
    ),
    "namespace not in the schema": Row(
        "<zoo xmlns='urn:no'/>",
        "unknown-namespace",
        path="/ns0:zoo",
        info=(("bad-element", "zoo"), ("bad-namespace", "urn:no")),
    ),
    "value out of range": Row(cage("<size>21</size>"), "invalid-value", path=f"{CAGE}/z:size"),
    "value of another type": Row(cage("<size>x</size>"), "invalid-value", path=f"{CAGE}/z:size"),
    "enumeration": Row(
        "<zoo><cage><hall>up</hall><number>1</number></cage></zoo>",
        "invalid-value",
        path="/z:zoo/z:cage[z:hall='up'][z:number='1']/z:hall",
    ),
    "length": Row("<zoo><guest>too long</guest></zoo>", "invalid-value", path="/z:zoo/z:guest[.='too long']"),
    "pattern with its own error-app-tag": Row(
        "<zoo><keeper><name>k</name><phone>x1</phone></keeper></zoo>",
        "invalid-value",
        app_tag="only-digits",
        path="/z:zoo/z:keeper/z:phone",
    ),
    "list entry without a key": Row(
        "<zoo><cage><hall>east</hall></cage></zoo>",
        "missing-element",
        path="/z:zoo/z:cage[z:hall='east']",
        info=(("bad-element", "number"),),
    ),
    "mandatory leaf missing": Row(
        "<zoo><keeper/></zoo>", "missing-element", path="/z:zoo/z:keeper", info=(("bad-element", "name"),)
    ),
    "mandatory choice missing": Row(
        "<zoo><feeding><id>2</id></feeding></zoo>",
        "data-missing",
        app_tag="missing-choice",
        path="/z:zoo/z:feeding[z:id='2']",
        info=(("missing-choice", "when"),),
    ),
    "two cases of one choice": Row(
        "<zoo><feeding><id>1</id><hour>1</hour><every><hours>9</hours></every></feeding></zoo>",
        "bad-element",
        path=f"{FEEDING}/z:every",
        info=(("bad-element", "every"),),
    ),
    "node whose when is false": Row(
        "<zoo><night>loud</night></zoo>", "unknown-element", path="/z:zoo/z:night", info=(("bad-element", "night"),)
    ),
    "insert before what is not there": Row(
        "<holiday yang:insert='before' yang:value='y'>z</holiday>",
        "bad-attribute",
        app_tag="missing-instance",
        path="/z:holiday[.='z']",
        info=(("bad-attribute", "value"), ("bad-element", "holiday")),
    ),
    "malformed insert key": Row(
        "<zoo><feeding yang:insert='before' yang:key='1'><id>2</id><hour>1</hour></feeding></zoo>",
        "bad-attribute",
        path="/z:zoo/z:feeding[z:id='2']",
        info=(("bad-attribute", "key"), ("bad-element", "feeding")),
    ),
    "insert on a list not ordered by user": Row(
        "<zoo><guest yang:insert='first'>a</guest></zoo>",
        "unknown-attribute",
        path="/z:zoo/z:guest[.='a']",
        info=(("bad-attribute", "insert"), ("bad-element", "guest")),
    ),
    "leafref to nowhere": Row(
        cage("<animal>x</animal>"),
        "data-missing",
        app_tag="instance-required",
        path=f"{CAGE}/z:animal[.='x']",
    ),
    "instance-identifier to nowhere": Row(
        "<zoo><pointer xmlns:z='urn:example:zoo'>/z:zoo/z:species[z:name='x']</pointer></zoo>",
        "data-missing",
        app_tag="instance-required",
        path="/z:zoo/z:pointer",
    ),
    "must not satisfied": Row(
        "<zoo><guest>rex</guest></zoo>", "operation-failed", app_tag="must-violation", path="/z:zoo"
    ),
    "must with its own error-app-tag": Row(
        cage("<size>1</size><animal>b</animal>"), "operation-failed", app_tag="cage-size", path=CAGE
    ),
    "unique broken": Row(
        "<zoo><species><name>b</name><latin>strix</latin></species></zoo>",
        "operation-failed",
        app_tag="data-not-unique",
        path="/z:zoo/z:species",
        info=(
            ("non-unique", "/z:zoo/z:species[z:name='a']/z:latin"),
            ("non-unique", "/z:zoo/z:species[z:name='b']/z:latin"),
        ),
    ),
    "too few entries": Row(
        cage("<animal nc:operation='delete'>a</animal>"),
        "operation-failed",
        app_tag="too-few-elements",
        path=f"{CAGE}/z:animal",
    ),
    "too many entries": Row(
        "<zoo><species><name>c</name></species><species><name>d</name></species></zoo>"
        + cage("<size>9</size><animal>b</animal><animal>c</animal><animal>d</animal>"),
        "operation-failed",
        app_tag="too-many-elements",
        path=f"{CAGE}/z:animal",
    ),
    "create what exists": Row(
        "<holiday nc:operation='create'>x</holiday>",
        "data-exists",
        path="/z:holiday[.='x']",
        info=(("bad-element", "holiday"),),
    ),
    "delete what does not": Row(
        "<holiday nc:operation='delete'>y</holiday>",
        "data-missing",
        path="/z:holiday[.='y']",
        info=(("bad-element", "holiday"),),
    ),
    "operation attribute unknown": Row(
        "<holiday nc:operation='bogus'>y</holiday>",
        "bad-attribute",
        type="protocol",
        path="/z:holiday[.='y']",
        info=(("bad-attribute", "operation"), ("bad-element", "holiday")),
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_bad_input_gets_the_answer_of_the_table(row: Row) -> None:
    server = Server()
    server.edit(START)
    content = row.input
    if content.count("<zoo>") == 2:
        first, second = content.split("</zoo><zoo>")
        content = first + second
    (error,) = server.refusal(content)
    names = tuple((name.rpartition("}")[2], text) for name, text in error.info)
    assert (error.type, error.tag, error.app_tag, error.path, names) == (
        row.type,
        row.tag,
        row.app_tag,
        row.path,
        row.info,
    )
    assert error.severity == "error"
    assert error.message
    bound = {"z": "urn:example:zoo"} if "ns0" not in (row.path or "") else {"ns0": "urn:no"}
    assert error.path_namespaces == bound
    for name, _ in error.info:
        expected = YANG if name.endswith(("non-unique", "missing-choice")) else NETCONF_BASE
        assert name.startswith(f"{{{expected}}}")


class Unwilling:
    """A subscriber that refuses everything."""

    def prepare(self, change: object) -> Unwilling:
        raise EngineRefusal("turn on the thing first")

    def apply(self) -> None:
        raise AssertionError

    def abort(self) -> None:
        raise AssertionError


def refuse_to_apply(server: Server) -> None:
    server.datastores.subscribe(Unwilling())
    server.edit("<holiday>y</holiday>")


OTHERS: dict[str, tuple[Callable[[Server], object], tuple[str, str, tuple[tuple[str, str], ...]]]] = {
    "target unknown": (
        lambda server: server.edit("", "bogus"),
        ("application", "bad-element", (("bad-element", "bogus"),)),
    ),
    "lock held by another": (
        lambda server: server.datastores.lock("running", 8),
        ("protocol", "lock-denied", (("session-id", "7"),)),
    ),
    "edit under another's lock": (
        lambda server: server.edit("<holiday>y</holiday>", session_id=8),
        ("protocol", "in-use", (("session-id", "7"),)),
    ),
    "engine refuses to apply": (refuse_to_apply, ("application", "operation-failed", ())),
}


@pytest.mark.parametrize(("act", "expected"), OTHERS.values(), ids=OTHERS)
def test_refusals_of_whole_operations_get_theirs(
    act: Callable[[Server], object], expected: tuple[str, str, tuple[tuple[str, str], ...]]
) -> None:
    server = Server()
    server.edit(START)
    if act is not refuse_to_apply:
        server.datastores.lock("running", 7)
    before = server.text()
    with pytest.raises((RpcError, RpcErrors)) as caught:
        act(server)
    assert isinstance(caught.value, RpcError)
    error = caught.value
    names = tuple((name.rpartition("}")[2], text) for name, text in error.info)
    assert (error.type, error.tag, names) == expected
    assert server.text() == before

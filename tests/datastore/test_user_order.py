"""Lists and leaf-lists in the order of their user (RFC 7950 7.7.9, 7.8.6, 8.3.1, 15.7)."""

from __future__ import annotations

import pytest

from tests.datastore.servers import Server, briefly

HOLIDAY = "/z:holiday"


@pytest.fixture
def server() -> Server:
    server = Server()
    server.edit("".join(f"<holiday>{name}</holiday>" for name in "abc") + _feedings("123"))
    return server


def _feedings(ids: str, attributes: str = "") -> str:
    entries = "".join(f"<feeding{attributes}><id>{number}</id><hour>1</hour></feeding>" for number in ids)
    return f"<zoo>{entries}</zoo>"


def holidays(server: Server) -> str:
    return "".join(node[1] for node in server.tree() if node[0] == "holiday")


def feedings(server: Server) -> str:
    (zoo,) = (node for node in server.tree() if node[0] == "zoo")
    return "".join(node[1][1] for node in zoo[1:] if node[0] == "feeding")


@pytest.mark.parametrize(
    ("attributes", "name", "order"),
    [
        ("yang:insert='first'", "d", "dabc"),
        ("yang:insert='last'", "d", "abcd"),
        ("yang:insert='before' yang:value='b'", "d", "adbc"),
        ("yang:insert='after' yang:value='b'", "d", "abdc"),
        ("yang:insert='after' yang:value='c'", "d", "abcd"),
        ("yang:insert='before' yang:value='a'", "d", "dabc"),
        ("", "d", "abcd"),
        ("yang:insert='first'", "c", "cab"),
        ("yang:insert='first'", "a", "abc"),
        ("yang:insert='last'", "a", "bca"),
        ("yang:insert='last'", "c", "abc"),
        ("yang:insert='before' yang:value='a'", "c", "cab"),
        ("yang:insert='after' yang:value='c'", "a", "bca"),
        ("yang:insert='after' yang:value='a'", "b", "abc"),
        ("yang:insert='before' yang:value='b'", "b", "abc"),
        ("", "a", "abc"),
    ],
)
@pytest.mark.parametrize("operation", ["merge", "replace"])
def test_an_entry_goes_where_insert_says(
    server: Server, attributes: str, name: str, order: str, operation: str
) -> None:
    server.edit(f"<holiday nc:operation='{operation}' {attributes}>{name}</holiday>")
    assert holidays(server) == order
    server.restart()
    assert holidays(server) == order


@pytest.mark.parametrize(
    ("attributes", "number", "order"),
    [
        ("yang:insert='first'", "4", "4123"),
        ('yang:insert="before" yang:key="[z:id=\'2\']"', "4", "1423"),
        ('yang:insert="after" yang:key=\'[z:id="2"]\'', "1", "213"),
        ("yang:insert='after' yang:key='[id=\"+3\"]'", "1", "231"),
        ("yang:insert='last'", "1", "231"),
    ],
)
def test_a_list_entry_goes_where_insert_says(server: Server, attributes: str, number: str, order: str) -> None:
    server.edit(_feedings(number, f" xmlns:z='urn:example:zoo' {attributes}"))
    assert feedings(server) == order
    server.restart()
    assert feedings(server) == order


def test_entries_are_placed_one_after_the_other(server: Server) -> None:
    server.edit(
        "<holiday yang:insert='first'>x</holiday>"
        "<holiday yang:insert='after' yang:value='x'>y</holiday>"
        "<holiday yang:insert='before' yang:value='y'>c</holiday>"
    )
    assert holidays(server) == "xcyab"


def test_entries_can_be_placed_inside_of_something_new() -> None:
    server = Server()
    server.edit(
        "<zoo><species><name>a</name></species><species><name>b</name></species><species><name>c</name></species>"
        "<cage><hall>east</hall><number>1</number><animal>a</animal><animal yang:insert='first'>b</animal>"
        "<animal yang:insert='after' yang:value='b'>c</animal></cage></zoo>"
    )
    assert [node for node in server.tree()[0][-1] if node[0] == "animal"] == [
        ("animal", "b"),
        ("animal", "c"),
        ("animal", "a"),
    ]


def test_replacing_all_takes_the_order_of_the_request(server: Server) -> None:
    server.edit(_feedings("312").replace("<zoo>", "<zoo nc:operation='replace'>"))
    assert feedings(server) == "312"
    server.restart()
    assert feedings(server) == "312"


def test_many_insertions_at_one_place_keep_their_order_on_disk(server: Server) -> None:
    expected = "abc"
    for number in range(30):
        name = chr(ord("d") + number)
        server.edit(f"<holiday yang:insert='after' yang:value='a'>{name}</holiday>")
        expected = f"a{name}{expected[1:]}"
    assert holidays(server) == expected
    server.restart()
    assert holidays(server) == expected


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (
            "<holiday yang:insert='before' yang:value='x'>d</holiday>",
            ("bad-attribute", "missing-instance", f"{HOLIDAY}[.='d']"),
        ),
        (
            "<holiday yang:insert='before' yang:value='x'>a</holiday>",
            ("bad-attribute", "missing-instance", f"{HOLIDAY}[.='a']"),
        ),
        (
            "<holiday yang:insert='after' yang:value='d'>d</holiday>",
            ("bad-attribute", "missing-instance", f"{HOLIDAY}[.='d']"),
        ),
        ("<holiday yang:insert='bogus'>d</holiday>", ("bad-attribute", None, f"{HOLIDAY}[.='d']")),
        ("<holiday yang:insert='before'>d</holiday>", ("missing-attribute", None, f"{HOLIDAY}[.='d']")),
        (
            "<holiday yang:insert='first' yang:value='a'>d</holiday>",
            ("unknown-attribute", None, f"{HOLIDAY}[.='d']"),
        ),
        (
            "<holiday yang:insert='before' yang:key='[id=\"1\"]'>d</holiday>",
            ("missing-attribute", None, f"{HOLIDAY}[.='d']"),
        ),
        (
            "<holiday nc:operation='delete' yang:insert='first'>a</holiday>",
            ("unknown-attribute", None, f"{HOLIDAY}[.='a']"),
        ),
        ("<zoo><guest yang:insert='first'>a</guest></zoo>", ("unknown-attribute", None, "/z:zoo/z:guest[.='a']")),
        ("<zoo yang:insert='first'/>", ("unknown-attribute", None, "/z:zoo")),
    ],
)
def test_a_wrong_insertion_is_refused(
    server: Server, payload: str, expected: tuple[str, str | None, str | None]
) -> None:
    assert expected in briefly(server.refusal(payload))


@pytest.mark.parametrize(
    "key",
    ["1", "[z:id=1]", "[z:id='x']", "[z:id='1'", "[z:nr='1']", "[q:id='1']", "[z:id='1'][z:id='1'] x", "", "[.='1']"],
)
def test_a_key_that_names_no_entry_is_a_bad_attribute(server: Server, key: str) -> None:
    payload = _feedings("4", f' xmlns:z="urn:example:zoo" yang:insert="before" yang:key="{key}"')
    assert briefly(server.refusal(payload)) == [("bad-attribute", None, "/z:zoo/z:feeding[z:id='4']")]


def test_a_value_outside_of_the_type_is_a_bad_attribute(server: Server) -> None:
    server.edit(
        "<zoo><species><name>a</name></species><cage><hall>east</hall><number>1</number><animal>a</animal></cage></zoo>"
    )
    payload = (
        "<zoo><cage><hall>east</hall><number>1</number>"
        "<animal yang:insert='before' yang:value=''>a</animal></cage></zoo>"
    )
    (error,) = server.refusal(payload)
    assert (error.tag, error.app_tag) == ("bad-attribute", None)

"""What a change looks like: as much as differs, and where it is, however long the configuration is."""

from __future__ import annotations

import time

from lxml import etree

from rkmp.cli.changes import compared

NETCONF = "urn:ietf:params:xml:ns:netconf:base:1.0"
RKMP = "urn:rkmp:yang:rkmp"


def answer(*peers: tuple[str, int], prefix: str = "") -> etree._Element:
    """Return a ``data`` with peers of a name and a port."""
    colon = f"{prefix}:" if prefix else ""
    entries = "".join(
        f"<{colon}peer><{colon}name>{name}</{colon}name><{colon}port>{port}</{colon}port></{colon}peer>"
        for name, port in peers
    )
    binding = f'xmlns:{prefix}="{RKMP}"' if prefix else f'xmlns="{RKMP}"'
    return etree.fromstring(f'<data xmlns="{NETCONF}"><{colon}rkmp {binding}>{entries}</{colon}rkmp></data>')


def test_a_change_says_which_entry_it_is_in() -> None:
    peers = [(f"r{number}", 500) for number in range(9)]
    changes = compared(answer(*peers), answer(*peers[:4], ("r4", 501), *peers[5:]), with_secrets=False)
    assert changes.lines == [
        "@@ rkmp peer r4 @@",
        "     <peer>",
        "       <name>r4</name>",
        "-      <port>500</port>",
        "+      <port>501</port>",
        "     </peer>",
        "     <peer>",
    ]


def test_a_new_entry_is_one_piece() -> None:
    changes = compared(answer(("r1", 1), ("r3", 3)), answer(("r1", 1), ("r2", 2), ("r3", 3)), with_secrets=False)
    assert [line.strip() for line in changes.lines if line[0] in "+-@"] == [
        "@@ rkmp peer r2 @@",
        "+    <peer>",
        "+      <name>r2</name>",
        "+      <port>2</port>",
        "+    </peer>",
    ]


def test_how_an_agent_writes_namespaces_is_no_change() -> None:
    changes = compared(answer(("r1", 1)), answer(("r1", 1), prefix="r"), with_secrets=False)
    assert (changes.lines, changes.may_be_some) == ([], False)
    assert compared(answer(), answer(), with_secrets=True).may_be_some


def test_a_small_change_of_a_long_configuration_takes_no_time() -> None:
    peers = [(f"r{number}", 500) for number in range(5000)]
    started = time.process_time()
    changes = compared(answer(*peers), answer(*peers[:2500], ("r2500", 501), *peers[2501:]), with_secrets=False)
    assert len(changes.lines) == 7
    # A whole comparison takes a minute.
    assert time.process_time() - started < 10

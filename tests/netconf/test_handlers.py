"""Handlers are bound to operations that exist, once, and only where all of their input is checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from lxml import etree

from rkmp.datastore.schema import Schema, load_schema
from rkmp.netconf import Client
from rkmp.netconf.access_control import AccessControl
from rkmp.netconf.handlers import HandlerRegistry, Invocation, PathStep

NET = "{urn:example:network}"
RESTART = (f"{NET}network", f"{NET}peer", f"{NET}restart")
TRACE = (f"{NET}trace",)


async def handler(invocation: Invocation) -> Sequence[etree._Element] | None:
    return None


def test_an_rpc_and_an_action_find_their_handlers(schema: Schema) -> None:
    registry = HandlerRegistry(schema)
    for path in (RESTART, TRACE):
        registry.register(path, handler)
        node = schema.node_at(path)
        assert node is not None
        assert registry.get(node) is handler
    assert registry.get(schema.rpcs[f"{NET}forget"]) is None
    assert list(registry) == [RESTART, TRACE]


@pytest.mark.parametrize(
    "path",
    [(), (f"{NET}bogus",), (f"{NET}network",), (f"{NET}network", f"{NET}peer"), (f"{NET}alarm",), (f"{NET}restart",)],
)
def test_what_is_no_operation_takes_no_handler(schema: Schema, path: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="no rpc or action"):
        HandlerRegistry(schema).register(path, handler)


def test_an_operation_takes_one_handler(schema: Schema) -> None:
    registry = HandlerRegistry(schema)
    registry.register(TRACE, handler)
    with pytest.raises(ValueError, match="a handler already"):
        registry.register(TRACE, handler)


def test_input_with_conditions_takes_no_handler(tmp_path: Path) -> None:
    (tmp_path / "picky.yang").write_text(
        'module picky { yang-version 1.1; namespace "urn:picky"; prefix p; '
        'rpc go { input { leaf a { type string; } leaf b { type string; must "../a"; } } } }'
    )
    schema = load_schema({"picky": ()}, [tmp_path])
    with pytest.raises(ValueError, match="must or when"):
        HandlerRegistry(schema).register(("{urn:picky}go",), handler)


def test_an_invocation_gives_the_keys_on_its_way(schema: Schema) -> None:
    node = schema.node_at(RESTART)
    assert node is not None
    steps = (PathStep(f"{NET}network", {}), PathStep(f"{NET}peer", {f"{NET}name": "a"}))
    reader = AccessControl(schema).access_of(Client("alice", "192.0.2.7", "netconf-ssh")).reader
    invocation = Invocation(node, etree.Element(f"{NET}restart"), steps, "alice", 1, reader)
    assert invocation.key(f"{NET}peer", f"{NET}name") == "a"
    for list_tag, key_tag in ((f"{NET}profile", f"{NET}name"), (f"{NET}peer", f"{NET}address")):
        with pytest.raises(KeyError):
            invocation.key(list_tag, key_tag)

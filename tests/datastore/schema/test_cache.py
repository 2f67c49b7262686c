"""A schema from the cache is the one that compiling gives, and whatever is not exactly that is compiled anew."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rkmp.datastore import schema as package
from rkmp.datastore.schema import Schema
from rkmp.datastore.schema.cache import load_cached
from rkmp.secret import Secret
from tests.datastore.modules import module, write
from tests.datastore.servers import MODULES, Server

KEY = Secret(bytes(range(32)))
ZOO = {"zoo": ()}


class Compilations:
    """Counts how often modules were compiled."""

    def __init__(self, compile_them: Callable[..., Schema]) -> None:
        self._compile = compile_them
        self.count = 0

    def __call__(self, *arguments: Any) -> Schema:
        self.count += 1
        return self._compile(*arguments)


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> Compilations:
    counting = Compilations(package.load_schema)
    monkeypatch.setattr(package, "load_schema", counting)
    return counting


def outline(schema: Schema) -> list[Any]:
    return [
        (
            node.schema_path,
            node.kind,
            node.defaults,
            node.keys,
            type(node.type),
            [must.expression.text for must in node.musts],
            [sorted(read.schema_path for read in when.expression.reads) for when in node.whens],
        )
        for node in schema.data_nodes()
    ]


def test_modules_are_compiled_once(tmp_path: Path, compilations: Compilations) -> None:
    first = load_cached(ZOO, [MODULES], tmp_path / "schema", KEY)
    second = load_cached(ZOO, [MODULES], tmp_path / "schema", KEY)
    assert compilations.count == 1
    assert second is not first
    assert outline(second) == outline(first)
    assert second.content_id == first.content_id
    assert second.modules == first.modules
    assert (tmp_path / "schema").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["schema"]


def test_a_schema_from_the_cache_validates_and_evaluates(tmp_path: Path) -> None:
    for _ in range(2):
        server = Server(schema=load_cached(ZOO, [MODULES], tmp_path / "schema", KEY))
        server.edit(
            "<zoo><species><name>a</name></species><feeding><id>1</id><hour>1</hour><species>a</species></feeding></zoo>"
        )
        (error,) = server.refusal("<zoo><feeding><id>2</id><hour>1</hour><species>b</species></feeding></zoo>")
        assert error.app_tag == "instance-required"
        (error,) = server.refusal("<zoo><species><name>a</name><weight>x</weight></species></zoo>")
        assert error.tag == "invalid-value"


def test_other_modules_features_or_keys_are_compiled_anew(tmp_path: Path, compilations: Compilations) -> None:
    folder = tmp_path / "modules"
    folder.mkdir()
    cache = tmp_path / "schema"
    leaves = "feature f; leaf one { type string; default first; } leaf two { if-feature f; type string; }"
    text = module(leaves, name="a")
    write(folder, text)
    assert "two" not in str(outline(load_cached({"a": ()}, [folder], cache, KEY)))
    assert "two" in str(outline(load_cached({"a": ("f",)}, [folder], cache, KEY)))
    write(folder, text.replace("first", "second"))
    assert "second" in str(outline(load_cached({"a": ("f",)}, [folder], cache, KEY)))
    assert compilations.count == 3
    load_cached({"a": ("f",)}, [folder], cache, Secret(bytes(32)))
    assert compilations.count == 4


@pytest.mark.parametrize("position", [0, 31, 32, 63, 64, 1000, -1])
def test_an_altered_file_is_not_read(tmp_path: Path, compilations: Compilations, position: int) -> None:
    cache = tmp_path / "schema"
    load_cached(ZOO, [MODULES], cache, KEY)
    octets = bytearray(cache.read_bytes())
    octets[position] ^= 1
    cache.write_bytes(octets)
    load_cached(ZOO, [MODULES], cache, KEY)
    assert compilations.count == 2
    load_cached(ZOO, [MODULES], cache, KEY)
    assert compilations.count == 2


@pytest.mark.parametrize("length", [0, 10, 32, 64, 5000])
def test_a_file_that_was_cut_short_is_not_read(tmp_path: Path, compilations: Compilations, length: int) -> None:
    cache = tmp_path / "schema"
    load_cached(ZOO, [MODULES], cache, KEY)
    os.truncate(cache, length)
    load_cached(ZOO, [MODULES], cache, KEY)
    assert compilations.count == 2


def test_nothing_that_somebody_else_wrote_is_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (tmp_path / "sprung").touch, ()

    cache = tmp_path / "schema"
    load_cached(ZOO, [MODULES], cache, KEY)
    cache.write_bytes(cache.read_bytes()[:64] + pickle.dumps(Trap()))
    load_cached(ZOO, [MODULES], cache, KEY)
    assert not (tmp_path / "sprung").exists()


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path, compilations: Compilations) -> None:
    for _ in range(2):
        assert load_cached(ZOO, [MODULES], tmp_path / "nowhere" / "schema", KEY).top
    assert compilations.count == 2

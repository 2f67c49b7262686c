"""The layers of docs/architecture.md, held: imports point down, and pure layers stay pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import rkmp

PACKAGE = Path(rkmp.__file__).parent

# A room may import from rooms of a smaller number, and from those of its own number that ALSO names.
LAYERS = {
    "errors": 0,
    "secret": 0,
    "instant": 0,
    "wire": 1,
    "crypto": 2,
    "storage": 2,
    "ike": 3,
    "keytable": 3,
    "engine": 4,
    "datastore": 4,
    "netconf": 5,
    "northbound": 5,
    "southbound": 5,
    "cli": 6,
    "daemon": 6,
}

# Rooms that take time and randomness as arguments; the engine's one asyncio driver is the edge.
PURE_ROOMS = ("wire", "crypto", "keytable", "ike", "engine", "datastore")
EDGES = {PACKAGE / "engine" / "driver.py"}
IMPURE_MODULES = {"asyncio", "random", "secrets", "select", "socket", "threading", "time"}
IMPURE_CALLS = {"os.urandom", "datetime.now", "datetime.utcnow", "time.time", "time.monotonic"}


def sources() -> Iterator[tuple[str, Path, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = path.relative_to(PACKAGE)
        room = relative.parts[0].removesuffix(".py")
        if room != "__init__":
            yield room, path, ast.parse(path.read_text(encoding="utf-8"))


def imported_modules(path: Path, tree: ast.Module) -> Iterator[str]:
    package = ["rkmp", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def test_every_room_has_a_layer() -> None:
    assert {room for room, _, _ in sources()} <= set(LAYERS)


def test_imports_point_down() -> None:
    wrong = []
    for room, path, tree in sources():
        for module in imported_modules(path, tree):
            parts = module.split(".")
            if parts[0] != "rkmp" or len(parts) < 2 or parts[1] not in LAYERS:
                continue
            target = parts[1]
            if target != room and LAYERS[target] >= LAYERS[room]:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {module}")
    assert not wrong, wrong


@pytest.mark.parametrize("room", PURE_ROOMS)
def test_pure_rooms_read_no_clock_no_randomness_and_no_socket(room: str) -> None:
    wrong = []
    for owner, path, tree in sources():
        if owner != room or path in EDGES:
            continue
        for module in imported_modules(path, tree):
            if module.split(".")[0] in IMPURE_MODULES:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {module}")
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in IMPURE_CALLS:
                wrong.append(f"{path.relative_to(PACKAGE)} calls {ast.unparse(node.func)}")
    assert not wrong, wrong

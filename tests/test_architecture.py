"""The layers of docs/architecture.md, held: imports point down, and pure layers stay pure."""

from __future__ import annotations

import ast
import graphlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import rkmp

PACKAGE = Path(rkmp.__file__).parent
REPOSITORY = Path(__file__).parents[1]

# A room may import from rooms of a smaller number, and from those of its own number that ALSO names.
LAYERS = {
    "errors": 0,
    "secret": 0,
    "instant": 0,
    "log_context": 0,
    "value": 0,
    "wire": 1,
    "crypto": 2,
    "storage": 2,
    "ike": 3,
    "keytable": 3,
    "capture": 3,
    "engine": 4,
    "datastore": 4,
    "netconf": 5,
    "northbound": 5,
    "southbound": 5,
    "metrics": 5,
    "cli": 6,
    "daemon": 6,
}
# Arrows inside a layer, each one way: the northbound hands what it knows to the NETCONF server, and what is configured
# to who uses the keys, whom the metrics look at, too.
ALSO = {"northbound": {"metrics", "netconf", "southbound"}, "metrics": {"southbound"}}

# Rooms that take time and randomness as arguments; the engine's one asyncio driver is the edge.
PURE_ROOMS = ("wire", "crypto", "keytable", "ike", "capture", "engine", "datastore")
EDGES = {PACKAGE / "engine" / "driver.py", PACKAGE / "engine" / "sockets.py"}
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
            if target != room and LAYERS[target] >= LAYERS[room] and target not in ALSO.get(room, ()):
                wrong.append(f"{path.relative_to(PACKAGE)} imports {module}")
    assert not wrong, wrong


def test_no_module_imports_itself_in_a_circle() -> None:
    """Whichever module is imported first, the import succeeds: a package's ``__init__`` counts as one of them."""
    trees = {_module_name(path): (path, tree) for _, path, tree in sources()}
    graph = {name: _needs(name, path, tree) & trees.keys() for name, (path, tree) in trees.items()}
    sorter = graphlib.TopologicalSorter(graph)
    try:
        sorter.prepare()
    except graphlib.CycleError as circle:
        pytest.fail(" imports ".join(reversed(circle.args[1])))


def _module_name(path: Path) -> str:
    parts = ["rkmp", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _needs(name: str, path: Path, tree: ast.Module) -> set[str]:
    """What has to be imported before ``name``: imports at its top level, and the packages those live in."""
    top_level = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
    needed: set[str] = set()
    for module in imported_modules(path, top_level):
        parts = module.split(".")
        needed |= {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
    # Its own packages are under way already when a module is imported.
    return {module for module in needed if module != name and not name.startswith(f"{module}.")}


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


def test_the_architecture_page_shows_the_layers_that_are_held() -> None:
    page = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    shown: dict[str, int] = {}
    for layer, rooms in re.findall(r"^\| (\d) \| ([^|]+) \|", page, re.MULTILINE):
        shown |= dict.fromkeys(re.findall(r"`(\w+)`", rooms), int(layer))
    assert shown == {room: LAYERS[room] for room in {room for room, _, _ in sources()}}


def test_the_architecture_page_draws_only_arrows_that_point_down() -> None:
    page = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    arrows = [
        (source, target)
        for source, targets in re.findall(r"^    (\w+) --> ([\w &]+)$", page, re.MULTILINE)
        for target in targets.split(" & ")
    ]
    assert arrows
    sideways = [(source, target) for source, target in arrows if LAYERS[source] <= LAYERS[target]]
    assert all(target in ALSO.get(source, ()) for source, target in sideways), sideways

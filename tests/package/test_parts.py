"""What the package is made of agrees with what it is made from."""

from __future__ import annotations

import argparse
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from rkmp.cli import command_line as client
from rkmp.daemon import __main__ as daemon
from rkmp.daemon.command_line import serve_parser
from tests.real_parts import program

REPOSITORY = Path(__file__).parents[2]
PACKAGING = REPOSITORY / "packaging"


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_has_one_version_that_is_new_enough() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = (PACKAGING / "requirements.txt").read_text(encoding="utf-8")
    versions = dict(re.findall(r"(?m)^(\S+)==(\S+) ", locked))
    assert len(versions) == locked.count("=="), "one version each"
    for requirement in project["dependencies"]:
        name, least = requirement.split(">=")
        least_parts, parts = (tuple(map(int, each.split("."))) for each in (least, versions[canonical(name)]))
        assert parts >= least_parts, f"{requirement}: run packaging/lock"
        for needed in importlib.metadata.requires(name) or ():
            if "extra ==" not in needed and "python_version" not in needed and "platform" not in needed:
                below = re.match(r"[\w.-]+", needed)
                assert below is not None
                assert canonical(below[0]) in versions, f"{name} needs {below[0]}: run packaging/lock"


def test_wheels_are_locked_by_their_digests() -> None:
    text = (PACKAGING / "requirements.txt").read_text(encoding="utf-8")
    for entry in re.split(r"(?m)^(?=\S+==)", text)[1:]:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry


@pytest.mark.parametrize("script", ["postinst", "prerm", "postrm", "build"])
def test_scripts_can_be_read_by_their_shells(script: str) -> None:
    path = PACKAGING / "debian" / script
    shell = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("#!").split()
    done = subprocess.run([*shell, "-n", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("is_link", [False, True])
def test_a_purge_leaves_no_key_wherever_the_state_is(tmp_path: Path, is_link: bool) -> None:
    state, kept = tmp_path / "state", tmp_path / "kept"
    (kept if is_link else state).mkdir()
    if is_link:
        state.symlink_to(kept)
    (state / "deep").mkdir()
    (state / "deep" / "key").touch()
    script = (PACKAGING / "debian" / "postrm").read_text(encoding="utf-8")
    for path, instead in (("/var/lib/rkmp", state), ("/etc/", tmp_path / "etc"), ("/run/", tmp_path / "run")):
        assert path in script
        script = script.replace(path, f"{instead}/" if path.endswith("/") else str(instead))
    done = subprocess.run(["sh", "-s", "purge"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "with every key" in done.stdout
    assert not list(kept.iterdir() if is_link else state.glob("*"))
    assert state.exists() == is_link


def options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield name
                yield from options(below)
        yield from (option for option in action.option_strings if option not in ("-h", "--help"))


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("manual")
    subprocess.run([sys.executable, PACKAGING / "manual.py", folder], check=True)
    return folder


@pytest.mark.parametrize("page", ["rkmpd.8", "rkmp.1"])
def test_the_manual_has_every_option_and_command_and_no_fault(manual: Path, page: str) -> None:
    groff = program("groff", "groff-base")
    shown = subprocess.run(
        [groff, "-man", "-Tascii", "-ww", "-rLL=900n", "-P-cbou", manual / page],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stderr == ""
    if page == "rkmp.1":
        words = set(options(client.parser()))
    else:
        parsers = [serve_parser(), *(make_parser() for make_parser, _run in daemon.COMMANDS.values())]
        words = {option for parser in parsers for option in options(parser)} | set(daemon.COMMANDS)
    assert {word for word in words if word not in shown.stdout} == set()

"""The modules are clean by the two tools that others will read them with."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.real_parts import lacking
from tests.yang.modules import MODULES, NAMES, SEARCH_PATH

# What RFC 8407 asks of private modules too. A prefix in front of the module's name it asks of published ones, and
# `rkmp` is the prefix of the others.
PYANG_OPTIONS = (
    *("--strict", "--lint", "--lint-ensure-hyphenated-names", "-Werror"),
    *("--lint-namespace-prefix=urn:rkmp:yang:", "--ignore-error=LINT_NO_MODULENAME_PREFIX"),
    "--max-line-length=72",
)


def check(*command: str) -> str:
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return finished.stdout + finished.stderr + (f"exit status {finished.returncode}" if finished.returncode else "")


def test_every_module_is_listed() -> None:
    assert {path.stem for path in MODULES.iterdir()} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_pyang_finds_nothing(name: str) -> None:
    pyang = str(Path(sys.executable).with_name("pyang"))
    command = (
        sys.executable,
        pyang,
        *PYANG_OPTIONS,
        f"--path={':'.join(map(str, SEARCH_PATH))}",
        str(MODULES / f"{name}.yang"),
    )
    assert check(*command) == ""


@pytest.mark.parametrize("name", NAMES)
def test_yanglint_finds_nothing(name: str) -> None:
    yanglint = shutil.which("yanglint")
    if yanglint is None:
        lacking("yanglint is not installed (Debian and Ubuntu: apt install libyang2-tools)")
    paths = (word for folder in SEARCH_PATH for word in ("--path", str(folder)))
    command = (yanglint, *paths, str(MODULES / f"{name}.yang"))
    assert check(*command) == ""

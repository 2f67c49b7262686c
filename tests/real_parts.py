"""What a test does where a real part that it starts is not to be had."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import NoReturn

import pytest


def lacking(reason: str) -> NoReturn:
    """Skip the test and say why; fail it in CI, which installs every part."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def program(name: str, package: str | None = None) -> str:
    """Return the path of an installed program, of Debian's ``package`` where it is called otherwise."""
    found = shutil.which(name)
    if found is None:
        lacking(f"{name} is not installed (Debian and Ubuntu: apt install {package or name})")
    return found


def traces() -> str:
    """Return the path of strace; skip the test where the system lets nobody trace, which no package mends."""
    strace = program("strace")
    tried = subprocess.run([strace, "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"strace may not trace here: {tried.stderr.strip()}")
    return strace

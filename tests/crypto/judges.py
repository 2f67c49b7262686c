"""Command-line tools of others that give a second opinion: OpenSSL, and strongSwan's pki."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.real_parts import lacking

_PACKAGES = {"openssl": "openssl", "pki": "strongswan-pki"}


def need(tool: str) -> None:
    """Skip the test, or fail it where CI is set, when ``tool`` is not installed."""
    if shutil.which(tool) is None:
        lacking(f"{tool} is not installed (Debian and Ubuntu: apt install {_PACKAGES[tool]})")


def run(*command: str | Path, standard_input: bytes = b"") -> bytes:
    """Return what the command prints; fail with what it complains about."""
    need(str(command[0]))
    done = subprocess.run(command, input=standard_input, capture_output=True, check=False, timeout=30)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def approves(*command: str | Path) -> bool:
    """Return whether the command exits with 0."""
    need(str(command[0]))
    return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0

"""Profiles: agents by a name, in a file, so that nobody types where they are and who one is there.

``config.toml`` in ``rkmp`` under the XDG configuration directory::

    default-profile = "r1"

    [profile.r1]
    host = "192.0.2.1"
    port = 830
    user = "ops"
    key = "~/.ssh/ops"
    strict-host-key = true

What the command line says goes before what the profile says. A password is in no file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rkmp.cli.exit_status import USAGE
from rkmp.errors import CommandError

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 830


@dataclass(frozen=True, slots=True)
class Profile:
    """Where an agent is and who one is there; ``user`` is None for whoever runs the command."""

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    user: str | None = None
    key: Path | None = None
    strict_host_key: bool = False


_TYPES: Mapping[str, type] = {"host": str, "port": int, "user": str, "key": str, "strict-host-key": bool}


def profiles_file() -> Path:
    """Return where profiles are kept."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "rkmp" / "config.toml"


def profile_names() -> list[str]:
    """Return the names of the profiles there are; none where the file cannot be read."""
    try:
        return sorted(_read(profiles_file())[1])
    except CommandError:
        return []


def profile(name: str | None) -> Profile:
    """Return the profile called ``name``, or of None the default one; what a file does not say is built in.

    Raises :class:`CommandError` for a profile that is not there and for a file that is not one of profiles.
    """
    path = profiles_file()
    default, found = _read(path)
    chosen = name or default
    if chosen is None:
        return Profile()
    if chosen not in found:
        known = f"; there are {', '.join(sorted(found))}" if found else ""
        raise CommandError(f"{path} has no profile {chosen!r}{known}", USAGE)
    return found[chosen]


def _read(path: Path) -> tuple[str | None, dict[str, Profile]]:
    # Where there is no such file, which is for most, nobody waits for its parser.
    if not path.exists():
        return None, {}
    import tomllib

    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}", USAGE) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CommandError(f"{path}: {error}", USAGE) from error
    default, tables = document.pop("default-profile", None), document.pop("profile", {})
    if document or not isinstance(tables, dict) or not isinstance(default, str | None):
        raise CommandError(f"{path} has more than default-profile and [profile.NAME] in it", USAGE)
    return default, {name: _profile(path, name, table) for name, table in tables.items()}


def _profile(path: Path, name: str, table: Any) -> Profile:
    if not isinstance(table, dict):
        raise CommandError(f"{path}: profile.{name} is not a table", USAGE)
    for key, value in table.items():
        # In Python a truth value is an integer, too.
        if (
            key not in _TYPES
            or not isinstance(value, _TYPES[key])
            or isinstance(value, bool) is not (_TYPES[key] is bool)
        ):
            kinds = ", ".join(f"{each} ({kind.__name__})" for each, kind in _TYPES.items())
            raise CommandError(f"{path}: profile.{name}.{key} is none of {kinds}", USAGE)
    port = table.get("port", DEFAULT_PORT)
    if not 0 < port < 65536:
        raise CommandError(f"{path}: profile.{name}.port is not a port number", USAGE)
    return Profile(
        table.get("host", DEFAULT_HOST),
        port,
        table.get("user"),
        Path(table["key"]).expanduser() if "key" in table else None,
        table.get("strict-host-key", False),
    )

"""The secrets of a fleet, made once and kept in one directory that only its owner can read.

A secret of a pair is used again by the next run, so that nothing changes where nothing was asked for; ``rotate`` makes
it anew. What is made is written down by whoever has brought it to the routers, and not here.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from rkmp.cli.exit_status import USAGE
from rkmp.cli.fleet.authority import Certified, certified_routers
from rkmp.cli.fleet.inventory import Fleet
from rkmp.cli.private_file import read_private
from rkmp.errors import CommandError
from rkmp.secret import Secret

SECRET_OCTETS = 32
SECRETS_FILE = "pre-shared-keys.json"


@dataclass(frozen=True, slots=True)
class Credentials:
    """How the routers of a fleet prove to each other who they are: a secret a link, or a certificate a router.

    ``made`` says in words what is new, by link or router; ``renewed`` are the links whose ends have to prove it anew.
    ``files`` is what is to be written, by name.
    """

    secrets: Mapping[str, Secret] = field(default_factory=dict)
    certified: Mapping[str, Certified] = field(default_factory=dict)
    made: tuple[str, ...] = ()
    renewed: frozenset[str] = frozenset()
    files: Mapping[str, Secret] = field(default_factory=dict)


def open_credentials(
    fleet: Fleet, directory: Path, *, rotate: bool, now: datetime, passphrase: Secret | None = None
) -> Credentials:
    """Return the credentials of ``fleet``: what is kept in ``directory``, and what is missing there, made.

    ``passphrase`` is that of the authority's key. Raises :class:`CommandError` where a file cannot be read.
    """
    if fleet.credentials == "psk":
        if passphrase is not None:
            raise CommandError("a fleet with pre-shared keys has no authority that a passphrase is for", USAGE)
        return _pre_shared_keys(fleet, directory / SECRETS_FILE, rotate=rotate)
    certified, made, files = certified_routers(fleet, directory, rotate=rotate, now=now, passphrase=passphrase)
    new = {link.name for link in fleet.links if not made.isdisjoint((*link.routers, "authority"))}
    return Credentials(
        certified=certified,
        made=tuple(f"a certificate of {name}" for name in sorted(made)),
        renewed=frozenset(new),
        files=files,
    )


def _pre_shared_keys(fleet: Fleet, path: Path, *, rotate: bool) -> Credentials:
    """One secret a link, of 32 random octets in base64url, in one JSON file by the link's name."""
    kept = _read_secrets(path)
    names = [link.name for link in fleet.links]
    made = {name: secrets.token_urlsafe(SECRET_OCTETS) for name in names if rotate or not kept.get(name)}
    # Links that are gone stay in the file: one that comes back has had its secret all the time.
    content = json.dumps(kept | made, indent=2, sort_keys=True).encode() + b"\n"
    return Credentials(
        secrets={name: Secret((made.get(name) or kept[name]).encode()) for name in names},
        made=tuple(f"a secret of {name}" for name in made),
        renewed=frozenset(made),
        files={path.name: Secret(content)} if made else {},
    )


def _read_secrets(path: Path) -> dict[str, str]:
    octets = read_private(path)
    if octets is None:
        return {}
    try:
        content = json.loads(octets)
    except ValueError:
        # Without the exception's words: it saw the secrets.
        raise CommandError(f"cannot read {path}: it is no JSON", USAGE) from None
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise CommandError(f"{path} does not hold secrets by the names of links", USAGE)
    return content

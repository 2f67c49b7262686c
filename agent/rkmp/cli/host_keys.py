"""Who is on the other end: SSH host keys are learnt once and compared for ever after.

A host that was never seen is accepted and its key recorded, with a line on standard error, as OpenSSH does with
``StrictHostKeyChecking=accept-new``; a host whose key has changed is refused before any credential is sent.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import asyncssh

from rkmp.errors import CommandError

EXIT_CONNECTION = 3
SSH_PORT = 22


def known_hosts_file() -> Path:
    """Return where learnt host keys are kept: ``rkmp/known_hosts`` under the XDG configuration directory."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "rkmp" / "known_hosts"


def present_host_key(
    host: str, port: int, timeout: float, known: Sequence[asyncssh.SSHKey] = ()
) -> asyncssh.SSHKey | None:
    """Return the host key that ``host`` shows, without authenticating; of the kinds of ``known`` where there are some.

    None is a host that has none of these kinds. Raises :class:`CommandError` when nothing answers there or what
    answers is not SSH.
    """
    try:
        # An empty configuration: this client does not read the operator's ~/.ssh/config.
        kinds = list(dict.fromkeys(kind.decode("ascii") for key in known for kind in key.sig_algorithms))
        asked = asyncssh.get_server_host_key(host, port, config=None, server_host_key_algs=kinds or ())
        key = asyncio.run(asyncio.wait_for(asked, timeout))
    except asyncssh.KeyExchangeFailed as error:
        if known:
            return None
        raise CommandError(f"{host} port {port} has no way to talk in common: {error}", EXIT_CONNECTION) from error
    except (asyncssh.ConnectionLost, ConnectionResetError) as error:
        if known:
            # It may have hung up on us before we have read that no kind is in common: see which it has.
            shown = present_host_key(host, port, timeout)
            is_of_them = shown is not None and shown.algorithm in {key.algorithm for key in known}
            return shown if is_of_them else None
        raise CommandError(f"{host} port {port} hangs up: {error}; does it speak SSH?", EXIT_CONNECTION) from error
    except TimeoutError as error:
        raise CommandError(f"{host} port {port} does not answer; is TCP to it blocked?", EXIT_CONNECTION) from error
    except socket.gaierror as error:
        raise CommandError(f"cannot find {host}: {error.strerror}; see --host", EXIT_CONNECTION) from error
    except OSError as error:
        # What asyncio says instead shows its own insides.
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise CommandError(
            f"cannot connect to {host} port {port}: {reason}; is rkmpd running there, and is that its NETCONF port?",
            EXIT_CONNECTION,
        ) from error
    except asyncssh.Error as error:
        raise CommandError(f"{host} port {port} does not speak SSH: {error}", EXIT_CONNECTION) from error
    return key


def verified_host_key(host: str, port: int, *, timeout: float, strict: bool) -> str:
    """Return the base64 of the host key to insist on; an unknown one is recorded, or refused if ``strict``.

    Raises :class:`CommandError` when the key differs from the one on record.
    """
    name = host if port == SSH_PORT else f"[{host}]:{port}"
    path = known_hosts_file()
    on_record = {file: _recorded(file, host, port) for file in (Path.home() / ".ssh" / "known_hosts", path)}
    known = [key for keys in on_record.values() for key in keys]
    presented = present_host_key(host, port, timeout, known)
    if known and presented not in known:
        # Of another kind than those on record, too: whoever is in between has one of every kind.
        shown = "one of another kind" if presented is None else presented.get_fingerprint()
        remedies = " and ".join(f"`ssh-keygen -f {file} -R '{name}'`" for file, keys in on_record.items() if keys)
        raise CommandError(
            f"the host key of {name} has changed to {shown}: another agent, or somebody in between. If that is "
            f"intended, forget the old one with {remedies}",
            EXIT_CONNECTION,
        )
    if presented is None:
        raise CommandError(f"{host} port {port} shows no host key", EXIT_CONNECTION)
    encoded = presented.export_public_key("openssh").split()[1].decode("ascii")
    if known:
        return encoded
    if strict:
        raise CommandError(
            f"the host key of {name} ({presented.get_fingerprint()}) is not known; connect once without "
            "--strict-host-key to record it",
            EXIT_CONNECTION,
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with path.open("a", encoding="ascii") as file:
            file.write(f"{name} {presented.get_algorithm()} {encoded}\n")
    except OSError as error:
        raise CommandError(f"cannot record the host key in {path}: {error.strerror}", EXIT_CONNECTION) from error
    print(f"rkmp: learnt the host key of {name}: {presented.get_fingerprint()}", file=sys.stderr)
    return encoded


def _recorded(file: Path, host: str, port: int) -> Sequence[asyncssh.SSHKey]:
    if not file.is_file():
        return ()
    try:
        return asyncssh.match_known_hosts(str(file), host, host, None if port == SSH_PORT else port)[0]
    except (OSError, ValueError) as error:
        raise CommandError(f"cannot read {file}: {error}", EXIT_CONNECTION) from error

"""What one logs in with: keys of the SSH agent, key files with or without a passphrase, passwords.

ncclient takes a key by the name of its file, and would offer a passphrase as a password to whoever is on the other
side. So keys are decrypted here, and it is handed the name of a file that is in memory alone.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import asyncssh
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from rkmp.cli.exit_status import USAGE
from rkmp.errors import CommandError

TRIES = 3
"""How often a passphrase is asked for."""

PUBLIC_BEGINNINGS = (b"ssh-", b"ecdsa-", b"sk-", b"---- BEGIN SSH2 PUBLIC KEY", b"-----BEGIN PUBLIC KEY")


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A key to log in with: ``name`` is that of a file that ncclient can read; ``is_with_agent`` where it is there."""

    name: str
    is_with_agent: bool = False


def key_file(path: Path, ask: Callable[[str], str] | None = None) -> KeyFile:
    """Return the key in the file ``path`` as one that can be used; ``ask`` asks for a passphrase, None where nobody is.

    An encrypted key that the SSH agent holds is the agent's to use, as with ``ssh -i``. Raises :class:`CommandError`
    where there is no private key, or nobody who has the passphrase.
    """
    try:
        content = path.expanduser().read_bytes()
    except OSError as error:
        raise CommandError(f"cannot read the key {path}: {error.strerror}", USAGE) from error
    if content.startswith(PUBLIC_BEGINNINGS):
        private = f": name {path.with_suffix('')}" if path.suffix == ".pub" else ""
        raise CommandError(f"{path} is the public half of a key; the private one is needed{private}", USAGE)
    try:
        _loaded(content, None)
    except TypeError:
        # The library's way to say that it takes a passphrase.
        return _with_passphrase(path, content, ask)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CommandError(f"{path} holds no private key that can be used here", USAGE) from error
    return KeyFile(str(path.expanduser()))


def terminal_asker() -> Callable[[str], str] | None:
    """Return what asks whoever is at the terminal without showing the answer; None where there is no terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return None
    return getpass.getpass


def read_password() -> str:
    """Return the first line of standard input, which a terminal does not show; raises :class:`CommandError`."""
    if sys.stdin.isatty():
        return getpass.getpass()
    try:
        return sys.stdin.buffer.readline().rstrip(b"\r\n").decode()
    except UnicodeDecodeError as error:
        # Not the error's own text, which shows what was read.
        raise CommandError("the password on standard input is not UTF-8", USAGE) from error


def _with_passphrase(path: Path, content: bytes, ask: Callable[[str], str] | None) -> KeyFile:
    if _is_with_agent(path):
        return KeyFile(str(path.expanduser()), is_with_agent=True)
    if ask is None:
        raise CommandError(
            f"the key {path} is encrypted, and there is no terminal to ask for its passphrase: "
            f"load it into the SSH agent with `ssh-add {path}`",
            USAGE,
        )
    for _ in range(TRIES):
        try:
            key = _loaded(content, ask(f"passphrase of {path}: ").encode())
        except ValueError:
            print("rkmp: that is not its passphrase", file=sys.stderr)
        except EOFError:
            break
        else:
            return KeyFile(_in_memory(key))
    raise CommandError(f"the key {path} was not decrypted", USAGE)


def _loaded(content: bytes, passphrase: bytes | None) -> PrivateKeyTypes:
    """Return a key; raises TypeError where it takes a passphrase, ValueError where that is wrong or there is no key."""
    with warnings.catch_warnings():
        # Old algorithms are said to be old; which a user of this agent has is not this program's to judge.
        warnings.simplefilter("ignore")
        if b"OPENSSH PRIVATE KEY" in content:
            return serialization.load_ssh_private_key(content, passphrase)
        return serialization.load_pem_private_key(content, passphrase)


def _in_memory(key: PrivateKeyTypes) -> str:
    """Return the name of a file that is nowhere but in our memory, for as long as we live."""
    descriptor = os.memfd_create("key")
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
            )
        )
    return f"/proc/self/fd/{descriptor}"


def _is_with_agent(path: Path) -> bool:
    """Tell whether the SSH agent holds the key whose public half is beside it, as ssh-keygen puts it."""

    public_half = f"{path.expanduser()}.pub"

    async def held() -> bool:
        wanted = asyncssh.read_public_key(public_half)
        async with asyncssh.connect_agent() as agent:
            return any(key.public_data == wanted.public_data for key in await agent.get_keys())

    try:
        return asyncio.run(held())
    except (OSError, ValueError, asyncssh.Error):
        return False

"""Who one is and where an agent is: from the command line and the profile to sessions, one or several."""

from __future__ import annotations

import argparse
import getpass
import threading
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from rkmp.cli.credentials import KeyFile, key_file, read_password, terminal_asker
from rkmp.cli.exit_status import USAGE
from rkmp.cli.profiles import Profile
from rkmp.cli.session import Session, Target
from rkmp.errors import CommandError

PATIENCE = 30.0
"""Seconds to wait for an agent."""
IMPATIENCE = 2.0
"""Seconds where somebody waits for something else."""


class Connections:
    """Opens sessions; whoever has to be asked for a password or a passphrase is asked once.

    ``asks`` is False where nobody may be asked, and no host key is recorded: for what runs unseen.
    """

    def __init__(self, arguments: argparse.Namespace, profile: Profile, *, asks: bool = True) -> None:
        self._arguments = arguments
        self._profile = profile
        self._asks = asks
        self._password: str | None = None
        self._keys: dict[Path, KeyFile] = {}
        # Several agents may be connected to at a time.
        self._asking = threading.Lock()

    def connect(
        self,
        host: str | None = None,
        port: int | None = None,
        user: str | None = None,
        key: Path | None = None,
        *,
        waiting: AbstractContextManager[object] | None = None,
    ) -> Session:
        """Open a session with the agent of the command line, or with another; raises :class:`CommandError`.

        ``user`` and ``key`` are for where the command line says nothing else; they go before what the profile says.
        ``waiting`` is entered once nobody is to be asked for anything more, until the agent is there or is not.
        """
        arguments = self._arguments
        with self._asking:
            if arguments.password_stdin and self._password is None:
                self._password = read_password()
            named = arguments.key or (None if arguments.password_stdin else key or self._profile.key)
            if named is not None and named not in self._keys:
                self._keys[named] = key_file(named, terminal_asker() if self._asks else None)
        strict = self._profile.strict_host_key if arguments.strict_host_key is None else arguments.strict_host_key
        target = Target(
            host=host or arguments.host,
            port=port or arguments.port,
            user=arguments.user or user or self._profile.user or _you(),
            key=None if named is None else self._keys[named],
            password=self._password,
            strict_host_key=strict or not self._asks,
            timeout=PATIENCE if self._asks else IMPATIENCE,
        )
        with waiting or nullcontext():
            return Session(target)


def _you() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise CommandError("this system does not know who you are: give --user", USAGE) from error

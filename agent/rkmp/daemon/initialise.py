"""``rkmpd init``: a state directory with its first administrator, or nothing at all."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rkmp.daemon.state_directory import StateDirectory
from rkmp.daemon.users import NewUser, Users
from rkmp.errors import CommandError
from rkmp.instant import Random
from rkmp.secret import Secret
from rkmp.storage import Database

_USER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.@-]{0,63}")


def initialise(
    directory: StateDirectory,
    *,
    user: str,
    authorized_keys: Sequence[str] = (),
    password: Secret | None = None,
    random: Random,
) -> None:
    """Make ``directory`` (0700), its keys and its database with ``user`` in it.

    Raises :class:`CommandError` when the directory holds state already, the user's name is not one that SSH clients
    can send, or a key cannot be read; then no agent will start on the directory.
    """
    if _USER_NAME.fullmatch(user) is None:
        raise CommandError(f"{user!r} is not a user name: a letter, then letters, digits and . _ @ -", 2)
    directory.create()
    try:
        database = Database(directory.database)
        try:
            Users(database).add(NewUser(user, authorized_keys, password, is_recovery=True), random)
        finally:
            database.close()
        directory.complete(random)
    except BaseException:
        directory.discard()
        raise

"""``rkmpd init``: a state directory with its first administrator, or nothing at all. And one more, later.

Who can read and write the state directory has the agent anyway; that is what an administrator is added by.
"""

from __future__ import annotations

import contextlib
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
    _require_name(user)
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


def add_administrator(
    directory: StateDirectory,
    *,
    user: str,
    authorized_keys: Sequence[str] = (),
    password: Secret | None = None,
    random: Random,
) -> None:
    """Give the agent in ``directory``, which must not run, ``user``, whom access control does not apply to.

    Raises :class:`CommandError` as :func:`initialise` does, and where there is no agent, it runs, or has such an
    administrator already.
    """
    _require_name(user)
    directory.require_without_key()
    with directory.locked(), contextlib.closing(Database(directory.database, must_exist=True)) as database:
        Users(database).add(NewUser(user, authorized_keys, password, is_recovery=True), random)


def _require_name(user: str) -> None:
    if _USER_NAME.fullmatch(user) is None:
        raise CommandError(f"{user!r} is not a user name: a letter, then letters, digits and . _ @ -", 2)

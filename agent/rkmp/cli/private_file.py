"""Files that hold secrets: readable by their owner alone from the first octet on, whole or not there."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from rkmp.errors import CommandError

EXIT_FILE = 2


def write_private(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` with mode 0600, in the place of what is there, at once or not at all.

    Raises :class:`CommandError` where that cannot be done.
    """
    try:
        # mkstemp makes it 0600 whatever the umask, and nobody can have put a link in its place.
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}", EXIT_FILE) from error


def read_private(path: Path) -> bytes | None:
    """Return what is in a file with secrets, None where there is none.

    Raises :class:`CommandError` where it cannot be read, and where others than its owner can, as ssh does of a key.
    """
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise CommandError(f"others than you can read or change {path}: make it 0600 (chmod 600)", EXIT_FILE)
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}", EXIT_FILE) from error

"""Configurations in files (RFC 6241 section 8.8): ``file:`` URLs of files ``*.xml`` below one directory.

The directory is the agent's own, and so are other files in it; their names do not end like that. A file is written
whole or not at all, and only its owner can read it. It must not know operations or access control.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lxml import etree

from rkmp.errors import RpcError
from rkmp.netconf.documents import NotWellFormed, parse_document, serialise
from rkmp.netconf.framing import DEFAULT_MESSAGE_LIMIT
from rkmp.netconf.namespaces import base

SCHEME = "file"
SUFFIX = ".xml"
_PART = ".part"


class UrlFiles:
    """The files below ``directory``, which only the agent's own user may use."""

    def __init__(self, directory: Path, largest: int = DEFAULT_MESSAGE_LIMIT) -> None:
        """``largest`` is how many octets a file may have that is read."""
        self._directory = Path(os.path.realpath(directory))
        self._largest = largest

    def read(self, url: str) -> etree._Element:
        """Return the ``config`` element that a file holds. Raises RpcError."""
        path = self._path(url)
        with _reported(path):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                octets = file.read(self._largest + 1)
        if len(octets) > self._largest:
            raise RpcError("too-big", f"{path.name} has more than {self._largest} octets", type="application")
        try:
            config = parse_document(octets)
        except NotWellFormed as error:
            raise _bad_url("invalid-value", f"{path.name} is {error}") from None
        if config.tag != base("config"):
            raise _bad_url("invalid-value", f"{path.name} holds no config element of the base namespace")
        return config

    def write(self, url: str, config: etree._Element) -> None:
        """Make a file hold ``config``, durable before this returns. Raises RpcError, and then it is as it was."""
        path = self._path(url)
        part = path.with_name(path.name + _PART)
        with _reported(path):
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
                with os.fdopen(os.open(part, flags, 0o600), "wb") as file:
                    file.write(serialise(config))
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(path)
                _sync(path.parent)
            except BaseException:
                part.unlink(missing_ok=True)
                raise

    def delete(self, url: str) -> None:
        """Remove a file. Raises RpcError."""
        path = self._path(url)
        with _reported(path):
            path.unlink()
            _sync(path.parent)

    def _path(self, url: str) -> Path:
        """Return the path of the file that a URL names; what is relative is so to the directory."""
        try:
            parts = urlsplit(url.strip())
            name = unquote(parts.path, errors="strict")
        except ValueError:
            raise _bad_url("invalid-value", "this is no URL") from None
        if parts.scheme.lower() != SCHEME:
            raise _bad_url("invalid-value", "only file: URLs are served")
        is_plain = not parts.query and not parts.fragment and parts.netloc.lower() in ("", "localhost")
        if not is_plain or not name.isprintable():
            raise _bad_url("invalid-value", "a file: URL holds the path of a file on this host and nothing else")
        given = Path(name)
        # Resolved but for its last step, which is never followed where it is a link.
        folder = Path(os.path.realpath(self._directory / given.parent))
        if not folder.is_relative_to(self._directory) or not given.name.endswith(SUFFIX) or given.name == SUFFIX:
            message = f"files are to be below {self._directory} and to have names that end in {SUFFIX}"
            raise _bad_url("invalid-value", message)
        return folder / given.name


@contextlib.contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Turn what the disk says into an rpc-error."""
    try:
        yield
    except FileNotFoundError:
        raise _bad_url("data-missing", f"there is no file {path.name}") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE):
            raise RpcError("resource-denied", f"{path.name}: {error.strerror}", type="application") from error
        raise _bad_url("operation-failed", f"{path.name}: {error.strerror}") from error


def _bad_url(tag: str, message: str) -> RpcError:
    return RpcError(tag, message, info=[(base("bad-element"), "url")])


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

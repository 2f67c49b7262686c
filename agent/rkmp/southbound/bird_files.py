"""The file of keys that a BIRD's configuration includes into a BGP protocol, written and read.

It says ``authentication ao`` and has the ``keys`` block of BIRD 2.17 or 3.1 and later; without keys it disables the
protocol, so that a session is never unprotected. It belongs to whoever owns its directory, and nobody else may read
it but the directory's group, where the directory has the set-group-ID bit: so an agent without root gives keys to a
BIRD that is another user. Behind each key stands its AdminKeyName; a key without one was written by an operator and is
adopted.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import stat
from pathlib import Path

from rkmp.errors import SouthboundError
from rkmp.secret import Secret
from rkmp.southbound.keys import ConsumerKey, MasterKeyTuple
from rkmp.southbound.steps import HeldKey, Holding

ALGORITHMS = {"hmac-sha-1-96": "hmac sha1", "aes-128-cmac-96": "cmac aes128"}
"""BIRD's names by RFC 7210's AlgID."""
_ALG_IDS = {name: alg_id for alg_id, name in ALGORITHMS.items()}

HEADER = "# The TCP-AO keys of BGP protocol {protocol}, written by rkmpd: what is changed by hand here is lost."
_KEY = re.compile(
    r"""\s*key\s*\{\s*
    (?: id\s+(?P<id>\d+) | send\s+id\s+(?P<send>\d+)\s*;\s*recv\s+id\s+(?P<recv>\d+) )\s*;\s*
    secret\s+(?: "(?P<text>[^"]*)" | (?:hex:)?(?P<hex>[0-9A-Fa-f:]+) )\s*;\s*
    (?:algorithm\s+(?P<algorithm>\w+\s+\w+)\s*;\s*)?
    (?P<mark>preferred|deprecated)?\s*;?\s*\}\s*;[ \t]*
    (?:\#[ ]*(?P<name>"(?:[^"\\]|\\.)*")[ \t]*(?=\n|$))?""",
    re.VERBOSE,
)
_WHOLE = re.compile(
    r"\s*(?:authentication\s+ao\s*;\s*keys\s*\{(?P<keys>.*)\}\s*;|disabled\s*(?:yes)?\s*;)?\s*", re.DOTALL
)
_COMMENT_LINE = re.compile(r"(?m)^\s*#.*$")
MOST_OCTETS = 65536


def require_expressible(key: ConsumerKey) -> None:
    """Raise :class:`SouthboundError` for a key that BIRD's language has no words for."""
    if not isinstance(key, MasterKeyTuple) or key.alg_id not in ALGORITHMS:
        raise SouthboundError(f"key {key.name!r} is for {key.alg_id}, which BIRD does not have with TCP-AO")
    if key.ignore_tcp_options:
        raise SouthboundError(f"key {key.name!r} leaves TCP options out of the MAC, which BIRD cannot do")


def written(holding: Holding, protocol: str) -> str:
    """Return the text of the file for ``holding``; raises :class:`SouthboundError` where BIRD cannot have a key."""
    lines = [HEADER.format(protocol=protocol)]
    # A key that is alone is preferred anyway, so that a first key is one change and not two.
    preferred = holding.keys[0].key.name if len(holding.keys) == 1 else holding.preferred
    if holding.keys:
        lines += ["authentication ao;", "keys {", *(_line(held, preferred) for held in holding.keys), "};"]
    else:
        lines += ["# There is no key: the protocol is closed until there is one.", "disabled yes;"]
    return "\n".join(lines) + "\n"


def parsed(text: str) -> Holding:
    """Return what a file holds; raises :class:`SouthboundError` for one that is anything but a file of keys."""
    whole = _WHOLE.fullmatch(_COMMENT_LINE.sub("", text))
    if whole is None:
        raise SouthboundError("the file holds more than keys, so it is left as it is")
    keys: list[HeldKey] = []
    preferred: str | None = None
    block, place = (whole["keys"] or "").rstrip(), 0
    while place < len(block):
        match = _KEY.match(block, place)
        if match is None:
            raise SouthboundError("the file has a key that cannot be read, so it is left as it is")
        held = _held(match)
        keys.append(held)
        preferred = held.key.name if match["mark"] == "preferred" else preferred
        place = match.end()
    if preferred is None and len(keys) == 1:
        # The only one there is.
        preferred = keys[0].key.name
    return Holding(tuple(keys), preferred)


def read(path: Path) -> Holding | None:
    """Return what the file at ``path`` holds, None where there is none; raises :class:`SouthboundError`."""
    try:
        octets = _octets(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise SouthboundError(f"cannot read {path}: {reason}") from error
    if len(octets) > MOST_OCTETS:
        raise SouthboundError(f"{path} is too long for a file of keys, so it is left as it is")
    try:
        return parsed(octets.decode())
    except (SouthboundError, UnicodeDecodeError) as error:
        raise SouthboundError(f"{path}: {error}") from None


def _octets(path: Path) -> bytes:
    """Return what a file begins with; of more than MOST_OCTETS one more. Raises OSError.

    Whoever owns the directory may be another user than ours. A link of theirs is not followed, since the keys that it
    leads to would be theirs; neither a pipe nor a device is waited for.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        return file.read(MOST_OCTETS + 1)


def write(path: Path, text: str) -> None:
    """Put ``text`` in the place of the file at once, for the owner of its directory and, by its bit, the group."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        # An agent that was killed may have left one: of one name, so that keys do not pile up.
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                _give_as(path.parent.stat(), file.fileno())
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        raise SouthboundError(f"cannot write {path}: {error.strerror}") from error


def _give_as(directory: os.stat_result, descriptor: int) -> None:
    # Where the system has seen to owner and group already, nothing is asked of it that only root may.
    made = os.fstat(descriptor)
    if (made.st_uid, made.st_gid) != (directory.st_uid, directory.st_gid):
        os.fchown(descriptor, directory.st_uid, directory.st_gid)
    if directory.st_mode & stat.S_ISGID:
        os.fchmod(descriptor, 0o640)


def _line(held: HeldKey, preferred: str | None) -> str:
    key = held.key
    require_expressible(key)
    mark = " preferred;" if key.name == preferred else " deprecated;" if held.is_retired else ""
    words = (
        f"  key {{ send id {key.send_id}; recv id {key.recv_id}; secret hex:{key.secret.reveal().hex()};"
        f" algorithm {ALGORITHMS[key.alg_id]};{mark} }};"
    )
    return words if held.is_foreign else f"{words} # {json.dumps(key.name)}"


def _held(match: re.Match[str]) -> HeldKey:
    send_id, recv_id = (int(match[name] or match["id"]) for name in ("send", "recv"))
    algorithm = " ".join((match["algorithm"] or "hmac sha1").split())
    if algorithm not in _ALG_IDS or max(send_id, recv_id) > 255:
        raise SouthboundError("the file has a key that TCP-AO's standard does not have, so it is left as it is")
    text, name = match["text"], match["name"]
    try:
        octets = bytes.fromhex((match["hex"] or "").replace(":", "")) if text is None else text.encode()
        known_as = f"of-the-file-{send_id}-{recv_id}" if name is None else str(json.loads(name))
    except ValueError:
        raise SouthboundError("the file has a key that cannot be read, so it is left as it is") from None
    return HeldKey(
        MasterKeyTuple(known_as, send_id, recv_id, _ALG_IDS[algorithm], Secret(octets), ignore_tcp_options=False),
        is_retired=match["mark"] == "deprecated",
        is_foreign=name is None,
    )

"""A compiled schema on the disk, so that a start need not compile the same modules again.

The file is taken only where everything that went into it is as it was: the content of every module that there is, the
features, the code that compiles, and the versions of Python and of the libraries. It begins with an HMAC under a key
that only this agent has, since what is in it would be run: a file that was altered, cut short or made by somebody else
is not read. A cache that cannot be read or written costs time and nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib.metadata
import os
import pickle
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rkmp.datastore import schema as package
from rkmp.datastore.schema.folders import standard_modules
from rkmp.datastore.schema.nodes import Schema
from rkmp.secret import Secret

_LIBRARIES = ("pyang", "lxml", "elementpath")
_DIGEST = "sha256"
_DIGEST_OCTETS = 32
_CODE = (Path(package.__file__).parent, Path(package.__file__).parent.parent / "xpath")


def load_cached(
    implemented: Mapping[str, Sequence[str]], search_path: Sequence[Path], cache: Path, key: Secret
) -> Schema:
    """Return what ``load_schema`` would, from the file ``cache`` where it fits, and else kept there for the next time.

    ``key`` is for this purpose alone. Raises SchemaError.
    """
    inputs = _digest(implemented, search_path)
    schema = _read(cache, inputs, key)
    if schema is None:
        schema = package.load_schema(implemented, search_path)
        _write(cache, inputs + pickle.dumps(schema, pickle.HIGHEST_PROTOCOL), key)
    return schema


def _read(cache: Path, inputs: bytes, key: Secret) -> Schema | None:
    try:
        octets = cache.read_bytes()
    except OSError:
        return None
    code, content = octets[:_DIGEST_OCTETS], octets[_DIGEST_OCTETS:]
    if not hmac.compare_digest(code, hmac.digest(key.reveal(), content, _DIGEST)) or not content.startswith(inputs):
        return None
    schema = pickle.loads(memoryview(content)[len(inputs) :])  # noqa: S301 - we have written it, as the HMAC says
    return schema if isinstance(schema, Schema) else None


def _write(cache: Path, content: bytes, key: Secret) -> None:
    fresh = cache.with_name(f"{cache.name}.fresh")
    try:
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(hmac.digest(key.reveal(), content, _DIGEST) + content)
        # Not synchronised: after a loss of power it may be anything, which the HMAC tells.
        fresh.replace(cache)
    except OSError:
        return


def _digest(implemented: Mapping[str, Sequence[str]], search_path: Sequence[Path]) -> bytes:
    """What the compiled schema hangs on, in a few octets."""
    digest = hashlib.new(_DIGEST)
    versions = [platform.python_version(), *(importlib.metadata.version(name) for name in _LIBRARIES)]
    features = sorted((name, sorted(set(enabled))) for name, enabled in implemented.items())
    digest.update(repr((versions, features)).encode())
    for file in _files([*_CODE, *search_path, *standard_modules()]):
        content = file.read_bytes()
        digest.update(f"{file.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.digest()


def _files(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        for file in sorted(folder.iterdir()) if folder.is_dir() else ():
            if file.suffix in (".py", ".yang", ".yin") and file.is_file():
                yield file

"""The type ``crypt-hash`` (RFC 7317 section 4.1): a password in clear text is hashed before anything keeps it.

In the place of the string type that the schema has for it. Clear text costs time, and an edit is read before anybody
asks whether it is permitted; so not many of them are taken at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from rkmp.crypto.crypt_hash import check_hash, hash_password
from rkmp.datastore.schema import Schema
from rkmp.datastore.schema.types import Namespaces, ValueType
from rkmp.errors import CryptoError, InvalidValue
from rkmp.instant import Random
from rkmp.northbound.agent_names import PASSWORD_PATH
from rkmp.secret import Secret

CLEAR_TEXT = "$0$"
AT_ONCE = 20
"""Passwords in clear text that are taken at once."""
PER_SECOND = 2.0
"""And how many more with each second."""


@dataclass(slots=True, eq=False)
class CryptHashType(ValueType):
    """crypt-hash; ``form`` is the string type with its pattern, ``clock`` returns seconds, monotonic."""

    form: ValueType
    random: Random
    clock: Callable[[], float] = time.monotonic
    _allowance: float = AT_ONCE
    _counted: float = 0.0

    name = "string"

    def check(self, text: str, namespaces: Namespaces) -> str:
        """The hash of a password in clear text; a hash as it is. Raises InvalidValue."""
        self.form.check(text, namespaces)
        try:
            if text.startswith(CLEAR_TEXT):
                self._count()
                return hash_password(Secret(text.removeprefix(CLEAR_TEXT).encode()), self.random)
            check_hash(text)
        except CryptoError as error:
            raise InvalidValue(str(error)) from None
        return text

    def _count(self) -> None:
        now = self.clock()
        self._allowance = min(self._allowance + (now - self._counted) * PER_SECOND, AT_ONCE)
        self._counted = now
        if self._allowance < 1:
            raise InvalidValue("too many passwords in clear text at once; wait, or send hashes")
        self._allowance -= 1


def protect_passwords(schema: Schema, random: Random) -> Schema:
    """Have passwords hashed, and their hashes treated as under nacm:default-deny-all; returns ``schema``.

    To be called before anything uses the schema. RFC 7317 shows hashes to whoever can read configuration, and a
    deviation cannot add an extension: whoever sees hashes can try passwords without being noticed.
    """
    password = schema.node_at(PASSWORD_PATH)
    if password is None or password.type is None:
        raise ValueError("the schema has no passwords")
    password.default_deny_all = True
    password.type = CryptHashType(password.type, random)
    return schema

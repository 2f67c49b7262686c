"""Local users as configuration has them: names, SSH public keys and hashes of passwords."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from rkmp.secret import Secret


@dataclass(frozen=True, slots=True)
class Account:
    """One user."""

    name: str
    authorized_keys: tuple[str, ...] = ()
    """Lines in OpenSSH format."""
    password_hash: Secret | None = field(default=None, repr=False)
    """In the form of crypt(3); None where no password opens the account."""

    @property
    def can_log_in(self) -> bool:
        """Whether there is any way in."""
        return bool(self.authorized_keys) or self.password_hash is not None


Accounts: TypeAlias = Mapping[str, Account]
"""By name."""

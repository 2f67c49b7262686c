"""An IKE SA that is to replace another: while its key exchanges are being done, and when they are.

RFC 7296 2.18, RFC 9370 2.2.4. The first key exchange is done in CREATE_CHILD_SA, each further one in an IKE_FOLLOWUP_KE
of its own. There is no IKE SA before the last of them, only what both sides remember of those before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rkmp.crypto.ike_keys import rekeyed_ike_keys
from rkmp.crypto.suites import IkeSuite
from rkmp.ike.collisions import Nonces
from rkmp.ike.events import Role
from rkmp.secret import Secret

if TYPE_CHECKING:
    from rkmp.ike.context import Context, IkeSaSecrets


@dataclass(frozen=True, slots=True)
class Successor:
    """An IKE SA that is to take the place of another.

    ``role`` is ours in it, and its initiator is who asked for it; ``local_spi`` is our SPI. ``is_redundant``: we asked,
    and lost against what the peer asked for at the same time.
    """

    role: Role
    local_spi: bytes
    secrets: IkeSaSecrets
    is_redundant: bool = False


@dataclass(frozen=True, slots=True)
class Rekeying:
    """What is agreed about a new IKE SA, and the secrets of its key exchanges so far, in their order.

    ``link`` is what the next IKE_FOLLOWUP_KE names it by, empty where there is none to come.
    """

    role: Role
    local_spi: bytes
    remote_spi: bytes
    suite: IkeSuite
    nonces: Nonces
    shared_secrets: tuple[Secret, ...]
    link: bytes = b""

    @property
    def next_key_exchange(self) -> int | None:
        """The method of the key exchange that is to be done next; None where all are done."""
        return next(iter(self.suite.additional_key_exchanges[len(self.shared_secrets) - 1 :]), None)

    def named(self, link: bytes) -> Rekeying:
        """Return it with the name by which the next request finds it."""
        return replace(self, link=link)

    def with_secret(self, shared_secret: Secret, link: bytes) -> Rekeying:
        """Return it after one more key exchange."""
        return replace(self, shared_secrets=(*self.shared_secrets, shared_secret), link=link)

    def successor(self, context: Context, *, is_redundant: bool = False) -> Successor:
        """Return the new IKE SA, which replaces that of ``context``."""
        old = context.negotiated
        first, *additional = self.shared_secrets
        spis = (self.local_spi, self.remote_spi)
        spi_i, spi_r = spis if self.role is Role.INITIATOR else spis[::-1]
        nonce_i, nonce_r = self.nonces
        keys = rekeyed_ike_keys(
            old.suite.prf, old.keys.sk_d, self.suite, first, nonce_i, nonce_r, spi_i, spi_r, additional
        )
        secrets = replace(
            old, remote_spi=self.remote_spi, suite=self.suite, keys=keys, nonce_i=nonce_i, nonce_r=nonce_r
        )
        return Successor(self.role, self.local_spi, secrets, is_redundant)

"""Cookies: an initiator shows that it is where it says, before it costs us a key exchange or any memory.

RFC 7296 2.6. Whether cookies are asked for is the caller's decision, by how many IKE SAs are half open.
"""

from __future__ import annotations

from typing import final

from cryptography.hazmat.primitives import constant_time

from rkmp.crypto.prf import prf
from rkmp.ike.addressing import is_opening_request
from rkmp.ike.occurrence import notify_of, only
from rkmp.instant import Random
from rkmp.secret import Secret
from rkmp.wire import Header, Message, Nonce, Notify, NotifyType, PrfId, WireError

SECRET_LENGTH = 32
ROTATION = 60.0
"""Seconds until a new secret is taken; the one before it is good for as long again."""


@final
class CookieKeeper:
    """Makes and knows its cookies, without remembering to whom it gave them.

    A cookie is one octet that names the secret and PRF-HMAC-SHA2-256(secret, SPIi | address | port | Ni).
    """

    __slots__ = ("_generation", "_random", "_rotate_at", "_secrets")

    def __init__(self, random: Random) -> None:
        self._random = random
        self._generation = 0
        self._rotate_at: float | None = None
        self._secrets: dict[int, Secret] = {}

    def challenge(self, datagram: bytes, remote: tuple[str, int], now: float) -> bytes | None:
        """Return the response that asks for a cookie; None where a request need not, or cannot, be answered so.

        That is, where ``datagram`` brings a cookie that was made here for ``remote`` (address and port), or is not an
        opening request; what else is wrong with it is for the IKE SA to find out.
        """
        self._rotate(now)
        try:
            header = Header.parse(datagram)
            if not is_opening_request(header):
                return None
            message = Message.parse(datagram)
        except WireError:
            return None
        nonce = only(Nonce, message.payloads)
        if nonce is None:
            return None
        brought = notify_of(NotifyType.COOKIE, message.payloads)
        if brought is not None and self._is_ours(brought.data, header.initiator_spi, remote, nonce.data):
            return None
        cookie = self._cookie(self._generation, header.initiator_spi, remote, nonce.data)
        return Message(
            header.initiator_spi,
            header.responder_spi,
            header.exchange_type,
            header.message_id,
            (Notify(NotifyType.COOKIE, cookie),),
            is_response=True,
        ).to_bytes()

    def _is_ours(self, cookie: bytes, initiator_spi: bytes, remote: tuple[str, int], nonce: bytes) -> bool:
        if not cookie or cookie[0] not in self._secrets:
            return False
        return constant_time.bytes_eq(cookie, self._cookie(cookie[0], initiator_spi, remote, nonce))

    def _cookie(self, generation: int, initiator_spi: bytes, remote: tuple[str, int], nonce: bytes) -> bytes:
        address, port = remote[0].encode(), remote[1].to_bytes(2)
        # The address is the one part of unknown length that is not the last.
        octets = b"".join((initiator_spi, bytes((len(address),)), address, port, nonce))
        return bytes((generation,)) + prf(PrfId.HMAC_SHA2_256, self._secrets[generation], octets)

    def _rotate(self, now: float) -> None:
        if self._rotate_at is not None and now < self._rotate_at:
            return
        is_overdue = self._rotate_at is None or now >= self._rotate_at + ROTATION
        kept = {} if is_overdue else {self._generation: self._secrets[self._generation]}
        self._generation = (self._generation + 1) % 256
        self._secrets = kept | {self._generation: Secret(self._random(SECRET_LENGTH))}
        self._rotate_at = now + ROTATION

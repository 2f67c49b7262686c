"""Whether a message is for an IKE SA at all, as far as its header tells (RFC 7296 2.5, 2.6, 3.1)."""

from __future__ import annotations

from rkmp.ike.context import Context
from rkmp.ike.statistics import Statistic
from rkmp.instant import Random
from rkmp.wire import MAJOR_VERSION, SPI_LENGTH, ExchangeType, Header

NO_SPI = bytes(SPI_LENGTH)
"""What stands for an SPI that is not known yet."""

MARKER = bytes(4)
"""The non-ESP marker, by which a datagram with a message in it may begin (RFC 7296 2.23)."""


def new_spi(random: Random) -> bytes:
    """Return an SPI of ours; it never begins like a non-ESP marker, so that nobody has to guess (G37)."""
    while True:
        spi = random(SPI_LENGTH)
        if not spi.startswith(MARKER):
            return spi


def is_opening_request(header: Header) -> bool:
    """Return whether a message asks for a new IKE SA: an IKE_SA_INIT request that names none of ours."""
    return (
        header.exchange_type == ExchangeType.IKE_SA_INIT
        and not header.is_response
        and header.is_initiator
        and header.responder_spi == NO_SPI
        and header.initiator_spi != NO_SPI
    )


def misaddressed(context: Context, header: Header) -> Statistic | None:
    """Return what to count a message as that is not for this IKE SA, or None for one that is."""
    if header.major_version != MAJOR_VERSION:
        return Statistic.DROPPED_WRONG_VERSION
    if header.is_initiator == context.is_initiator:
        return Statistic.DROPPED_WRONG_DIRECTION
    if context.is_initiator:
        local_spi, remote_spi = header.initiator_spi, header.responder_spi
    else:
        local_spi, remote_spi = header.responder_spi, header.initiator_spi
    knows_us = local_spi == context.local_spi or is_opening_request(header)
    is_known = context.remote_spi in (NO_SPI, remote_spi)
    return None if knows_us and is_known else Statistic.DROPPED_WRONG_SPI

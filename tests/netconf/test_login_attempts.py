"""Guessing is slowed down for whoever guesses, and for nobody else; what it costs is bounded."""

from __future__ import annotations

import asyncssh
import pytest

from rkmp.netconf.login_attempts import MOST_SOURCES, LoginAttempts
from rkmp.netconf.transport import TransportLimits
from tests.netconf.over_ssh import ALICE_KEY, PASSWORD, eventually
from tests.netconf.test_ssh import STRANGERS_KEY, serving

LIMITS = TransportLimits(failed_logins=3, failed_login_interval=60)


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_address_that_fails_too_often_has_to_wait() -> None:
    time = Time()
    attempts = LoginAttempts(LIMITS, time)
    for _ in range(3):
        assert not attempts.are_too_many("192.0.2.1")
        attempts.failed("192.0.2.1")
        time.now += 10
    assert attempts.are_too_many("192.0.2.1")
    assert not attempts.are_too_many("192.0.2.2")
    time.now += 30
    # The first of the three does not count any more.
    assert not attempts.are_too_many("192.0.2.1")
    attempts.failed("192.0.2.1")
    assert attempts.are_too_many("192.0.2.1")


def test_waiting_costs_nothing_in_the_end() -> None:
    time = Time()
    attempts = LoginAttempts(LIMITS, time)
    attempts.failed("192.0.2.1")
    time.now += 60
    assert not attempts.are_too_many("192.0.2.1")
    assert len(attempts) == 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("", "", True),
    ],
)
def test_one_host_has_one_network_of_ipv6(one: str, other: str, same: bool) -> None:
    attempts = LoginAttempts(LIMITS)
    for _ in range(3):
        attempts.failed(one)
    assert attempts.are_too_many(other) is same


def test_memory_is_bounded_whoever_fails_how_often() -> None:
    attempts = LoginAttempts(LIMITS)
    for number in range(MOST_SOURCES + 100):
        attempts.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    for _ in range(1000):
        attempts.failed("192.0.2.1")
    assert len(attempts) == MOST_SOURCES
    assert attempts.are_too_many("192.0.2.1")


async def test_after_wrong_passwords_not_even_the_right_one_is_tried() -> None:
    async with serving(limits=LIMITS) as server:
        for _ in range(3):
            with pytest.raises(asyncssh.PermissionDenied):
                await server.connect(client_keys=None, password="wrong")
        with pytest.raises((asyncssh.Error, ConnectionError)):
            await server.connect(client_keys=None, password=PASSWORD)
        with pytest.raises((asyncssh.Error, ConnectionError)):
            await server.connect()
        await eventually(lambda: server.transport.is_idle or not server.transport._logins)


async def test_keys_that_do_not_fit_are_no_failure_of_who_has_one_that_does() -> None:
    async with serving(limits=LIMITS) as server:
        for _ in range(5):
            async with await server.connect(client_keys=[STRANGERS_KEY, ALICE_KEY]):
                pass
        for _ in range(3):
            with pytest.raises(asyncssh.PermissionDenied):
                await server.connect(client_keys=[STRANGERS_KEY])
        with pytest.raises((asyncssh.Error, ConnectionError)):
            await server.connect()

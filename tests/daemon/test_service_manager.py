"""What systemd hears, read from the socket that it would read."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rkmp.daemon.service_manager import ServiceManager

PID = 4711


@contextmanager
def notify_socket(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(address)
        notify.setblocking(False)
        yield notify


def heard(notify: socket.socket) -> list[list[str]]:
    messages = []
    while True:
        try:
            messages.append(notify.recv(4096).decode().split("\n"))
        except BlockingIOError:
            return messages


@pytest.mark.parametrize("is_abstract", [False, True])
async def test_ready_reloading_and_stopping_are_told(tmp_path: Path, *, is_abstract: bool) -> None:
    path = str(tmp_path / "notify")
    with notify_socket("\0" + path if is_abstract else path) as notify:
        manager = ServiceManager({"NOTIFY_SOCKET": "@" + path if is_abstract else path}, PID)
        manager.ready("netconf=127.0.0.1:830")
        manager.reloading()
        await manager.stopping()
        ready, reloading, stopping = heard(notify)
    assert ready == ["READY=1", "STATUS=netconf=127.0.0.1:830"]
    assert reloading[0] == "RELOADING=1"
    assert reloading[1].startswith("MONOTONIC_USEC=")
    assert stopping == ["STOPPING=1"]


async def test_the_watchdog_is_fed_twice_as_often_as_it_has_to_be(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with notify_socket(path) as notify:
        environment = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": str(PID)}
        manager = ServiceManager(environment, PID)
        manager.ready("")
        await asyncio.sleep(0.25)
        await manager.stopping()
        fed = heard(notify).count(["WATCHDOG=1"])
        await asyncio.sleep(0.1)
        assert heard(notify) == []
    assert 2 <= fed <= 6


@pytest.mark.parametrize(
    "environment",
    [{}, {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "0"}],
    ids=["none asked for", "another process's", "no number", "zero"],
)
async def test_a_watchdog_that_is_not_ours_is_not_fed(tmp_path: Path, environment: dict[str, str]) -> None:
    path = str(tmp_path / "notify")
    with notify_socket(path) as notify:
        manager = ServiceManager({"NOTIFY_SOCKET": path, **environment}, PID)
        manager.ready("")
        await asyncio.sleep(0.06)
        await manager.stopping()
        assert ["WATCHDOG=1"] not in heard(notify)


@pytest.mark.parametrize("name", ["", "relative/path", "vsock:2:1234"])
async def test_without_a_socket_nothing_is_told(name: str, caplog: pytest.LogCaptureFixture) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000"}, PID)
    manager.ready("")
    await manager.stopping()
    assert caplog.text == ""


async def test_a_manager_that_is_gone_costs_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}, PID).ready("")
    assert "No such file or directory" in caplog.text

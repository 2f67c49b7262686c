"""Benchmarks run; what they measure is for people to judge."""

from __future__ import annotations

import importlib
import os
import socket
from types import ModuleType

import pytest

from tests.benchmarks import fleet, handshake, handshake_profile, netconf, netconf_peers
from tests.benchmarks.__main__ import BENCHMARKS, main
from tests.benchmarks.table import Table
from tests.interop.strongswan.conftest import strongswan

__all__ = ["strongswan"]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_what_is_listed_is_there(name: str) -> None:
    assert callable(importlib.import_module(f"tests.benchmarks.{name.replace('-', '_')}").run)


def test_without_a_name_they_are_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks"])
    assert main() == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(BENCHMARKS)


def test_one_that_cannot_be_run_says_why(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks", "handshake"])
    monkeypatch.setenv("PATH", "/no/such/folder")
    assert main() == 1
    assert "handshake cannot be run: unshare is not installed" in capsys.readouterr().err


def test_a_name_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks", "marathon"])
    with pytest.raises(SystemExit):
        main()
    assert "there is no benchmark marathon" in capsys.readouterr().err


def test_handshakes_of_both_implementations_are_measured(strongswan: None) -> None:
    processors = os.sched_getaffinity(0)
    table = handshake.run(rounds=2, handshakes=20)
    assert os.sched_getaffinity(0) == processors
    cost = {row[0]: float(row[1]) for row in table.rows}
    for method, rows in (("PSK", 8), ("ECDSA", 6)):
        of_method = {who: value for who, value in cost.items() if who.startswith(f"{method} ")}
        assert len(of_method) == rows
        # No side can be had for less than its cryptography.
        assert min(of_method, key=lambda who: of_method[who]) == f"{method} either: rkmp.crypto alone"
    assert all(value > 0 for value in cost.values())
    # What is compared with itself is neither better nor worse.
    assert {row[3] for row in table.rows if row[0].endswith(": charon")} == {"1.00"}


def test_many_peers_are_brought_up_and_weighed(strongswan: None) -> None:
    table = fleet.run(peers=(30,), associations=30, rounds=1)
    values = {row[0]: float(row[1].split()[0]) for row in table.rows}
    assert len(values) == 7
    assert all(value > 0 for name, value in values.items() if "configured" not in name)


def test_the_profile_names_our_rooms() -> None:
    table = handshake_profile.run(handshakes=300)
    assert {"crypto", "wire", "ike"} <= {row[0] for row in table.rows}
    signing = [row for row in table.rows if "ecdsa" in row[0] and row[0].endswith("verify")]
    assert all(float(row[1]) == 0 < float(row[3]) for row in signing)


@pytest.mark.parametrize("of_load", [netconf, netconf_peers])
def test_a_netconf_server_is_measured_in_every_row(monkeypatch: pytest.MonkeyPatch, of_load: ModuleType) -> None:
    monkeypatch.delenv("NETCONF_HOST", raising=False)
    table = of_load.run(sizes=(2, 3), reads=1, edits=2, sessions=4)
    assert [row[0] for row in table.rows] == [*netconf.RECORDED, netconf.GROWTH, netconf.WATCHING]
    *measured, growth, watching = ([cell.replace(",", "") for cell in row] for row in table.rows)
    # Of sizes that were not recorded there is nothing to set beside ours.
    assert all(float(row[1]) > 0 and float(row[3]) > 0 and row[2] == row[4] == row[5] == "-" for row in measured)
    by_name = dict(zip(netconf.RECORDED, measured, strict=True))
    assert all(float(by_name[what][6]) > 0 for what in (netconf.LOAD, netconf.EDIT, netconf.ENTRY))
    assert all(float(by_name[what][7]) > 0 for what in (netconf.LOAD, netconf.ALL, netconf.EDIT))
    assert float(growth[3]) > 0
    assert float(watching[1]) > 0
    assert "recorded on another run" in table.title


def test_a_netconf_server_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        monkeypatch.setenv("NETCONF_HOST", "127.0.0.1")
        monkeypatch.setenv("NETCONF_PORT", str(unused.getsockname()[1]))
        monkeypatch.setattr("sys.argv", ["benchmarks", "netconf"])
        assert main() == 1
    assert "netconf cannot be run: no session with 127.0.0.1" in capsys.readouterr().err


def test_a_table_is_aligned() -> None:
    table = Table("Title", ("", "us"), (("one", "1"), ("twelve", "12")), ("A note.",))
    assert str(table) == "Title\n\n        us\n------  --\none      1\ntwelve  12\n\nA note."

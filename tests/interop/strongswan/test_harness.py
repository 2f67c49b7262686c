"""What the other files here rely on: nothing is left behind, nothing is left out, and no absence is a success."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rkmp.crypto import ciphers, key_exchange, prf
from rkmp.wire import KeyExchangeId
from tests.interop.strongswan.algorithms import ENCRYPTIONS, INTEGRITIES, KEY_EXCHANGES, PRFS, SUITES
from tests.interop.strongswan.charon import Charon, Connection
from tests.interop.strongswan.conftest import MakeCharon
from tests.interop.strongswan.namespace import NetworkNamespace, Unavailable, find_program

REPOSITORY = Path(__file__).parents[3]
ML_KEM = {KeyExchangeId.ML_KEM_512, KeyExchangeId.ML_KEM_768, KeyExchangeId.ML_KEM_1024}


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists() and "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def test_every_algorithm_is_tried() -> None:
    words = {word for suite in SUITES for word in suite.split("-")}
    assert words == {*ENCRYPTIONS, *INTEGRITIES, *PRFS, *KEY_EXCHANGES}
    assert set(ENCRYPTIONS.values()) == set(ciphers.ENCRYPTIONS)
    assert set(INTEGRITIES.values()) == set(ciphers.INTEGRITIES)
    assert set(PRFS.values()) == set(prf.PRFS)
    # strongSwan 5.9.8 is older than ML-KEM in IKEv2.
    assert set(KEY_EXCHANGES.values()) == set(key_exchange.KEY_EXCHANGES) - ML_KEM


def test_a_charon_leaves_neither_process_nor_file(network: NetworkNamespace) -> None:
    with Charon(network) as charon:
        charon.start()
        pid, files = charon.pid, charon.directory
        assert is_running(pid)
        assert files.is_dir()
    assert not is_running(pid)
    assert not files.exists()


def test_a_namespace_ends_with_its_holder(strongswan: None) -> None:
    with NetworkNamespace() as network:
        pid = network.pid
        assert is_running(pid)
        assert Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    assert not is_running(pid)


def test_a_test_run_that_is_killed_takes_its_charon_along(strongswan: None) -> None:
    script = (
        "import sys; from tests.interop.strongswan.charon import Charon;"
        "from tests.interop.strongswan.namespace import NetworkNamespace;"
        "network = NetworkNamespace(); charon = Charon(network); charon.start();"
        "print(network.pid, charon.pid, charon.directory, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        holder, charon, directory = run.stdout.readline().split()
        assert is_running(int(charon))
        run.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while is_running(int(holder)) or is_running(int(charon)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for path in sorted(Path(directory).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    Path(directory).rmdir()


def test_a_missing_program_is_named_with_its_package() -> None:
    with pytest.raises(Unavailable, match=r"no-such-daemon is not installed .*apt install no-such-package"):
        find_program("no-such-daemon", "no-such-package")


def test_a_charon_that_does_not_start_says_why(make_charon: MakeCharon) -> None:
    with pytest.raises(Unavailable, match=r"(?s)charon does not start: .*no-such-plugin"):
        make_charon(plugins="kernel-netlink socket-default no-such-plugin")


def test_charon_refuses_what_it_does_not_understand(charon: Charon) -> None:
    with pytest.raises(AssertionError, match="invalid value for: childless"):
        charon.load(Connection(SUITES[0], childless="prefer"))


@pytest.mark.parametrize(("ci", "outcome", "status"), [("", "SKIPPED", 0), ("true", "ERROR", 1)], ids=["", "CI"])
def test_without_strongswan_6_it_skips_loudly_and_fails_in_ci(
    strongswan: None, ci: str, outcome: str, status: int
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "RKMP_STRONGSWAN_6"}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"{Path(__file__).parent}/test_ml_kem.py"],
        cwd=REPOSITORY,
        env={**environment, "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == status, run.stdout
    summary = run.stdout.partition("short test summary info")[2]
    assert outcome in summary
    assert "RKMP_STRONGSWAN_6 does not say where strongSwan 6 is" in summary
    assert " passed" not in summary


@pytest.mark.parametrize(("ci", "outcome", "status"), [("", "SKIPPED", 0), ("true", "ERROR", 1)], ids=["", "CI"])
def test_where_it_cannot_run_it_skips_loudly_and_fails_in_ci(ci: str, outcome: str, status: int) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"{Path(__file__).parent}/test_ports.py"],
        cwd=REPOSITORY,
        env={**os.environ, "PATH": "/no/such/folder", "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == status, run.stdout
    summary = run.stdout.partition("short test summary info")[2]
    assert outcome in summary
    assert "unshare is not installed (Debian: apt install util-linux)" in summary
    assert " passed" not in summary

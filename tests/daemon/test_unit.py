"""The unit for systemd: read by systemd's own tools where they are, and saying what rkmpd understands."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from rkmp.daemon.command_line import serve_parser
from rkmp.daemon.state_directory import KEY_CREDENTIAL
from tests.real_parts import lacking

UNIT = Path(__file__).parents[2] / "packaging" / "systemd" / "rkmpd.service"
LARGEST_EXPOSURE = 2.0
"""What `systemd-analyze security` may say at most, of 10: it calls up to 2 OK, and most services of Debian get 9."""


@pytest.fixture
def systemd_analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        lacking("systemd-analyze is not installed")
    return found


def unit() -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False, comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(UNIT.read_text(encoding="utf-8"))
    return parser


def test_it_starts_rkmpd_with_a_command_line_that_rkmpd_reads() -> None:
    service = unit()["Service"]
    program, *words, options = shlex.split(service["ExecStart"])
    assert Path(program).name == "rkmpd"
    assert options == "$RKMPD_OPTIONS"
    assert serve_parser().parse_args(words).state_dir == Path("/var/lib") / service["StateDirectory"]
    assert service["Type"] == "notify"
    assert service["LoadCredentialEncrypted"] == KEY_CREDENTIAL
    with pytest.raises(SystemExit) as wrong:
        serve_parser().parse_args([*words, "--no-such-option"])
    assert service["RestartPreventExitStatus"] == str(wrong.value.code), "trying again does not help"


def test_systemd_finds_nothing_wrong_with_it(systemd_analyze: str, tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    copy.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(encoding="utf-8")))
    done = subprocess.run([systemd_analyze, "verify", "--man=no", copy], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_it_is_confined(systemd_analyze: str) -> None:
    done = subprocess.run(
        [systemd_analyze, "security", "--offline=true", "--no-pager", UNIT], capture_output=True, text=True, check=False
    )
    exposure = re.search(r"Overall exposure level for rkmpd.service: ([0-9.]+)", done.stdout)
    assert exposure is not None, done.stderr
    assert float(exposure[1]) <= LARGEST_EXPOSURE, done.stdout

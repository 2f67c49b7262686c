"""``rkmp verify`` over files: what it prints, how it exits, and that it never shows a key."""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from rkmp.capture import VerificationKey
from rkmp.cli.__main__ import main
from rkmp.cli.key_documents import read_keys
from rkmp.cli.views import KEY_TABLE
from rkmp.errors import CommandError
from tests.capture.files import ETHERNET, ethernet, pcap, pcapng, timed
from tests.capture.sessions import SHA1, Session, octets_of, rfc_9235_key, rfc_9235_sessions
from tests.terminal import Terminal


def exported(*keys: VerificationKey) -> dict[str, Any]:
    """Return what ``rkmp --json keys export`` prints."""
    return {
        "key-table": {
            "key": [
                {
                    "admin-key-name": key.name,
                    "local-key-name": f"{key.recv_id:02x}",
                    "peer-key-name": f"{key.send_id:02x}",
                    "peer": list(key.peers),
                    "protocol": f"ckt:{key.protocol}",
                    "tcp-ao": {"ignore-tcp-options": "true" if key.ignore_tcp_options else "false"},
                    "kdf": f"ckt:{key.kdf}",
                    "alg-id": f"ckt:{key.alg_id}",
                    "hexadecimal-string": octets_of(key).hex(),
                    "accept-lifetime": {"start": "2026-01-01T00:00:00Z"},
                }
                for key in keys
            ]
        }
    }


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(exported(SHA1)))
    return path


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    return tmp_path / "capture.pcap"


@pytest.mark.parametrize("section", rfc_9235_sessions())
@pytest.mark.parametrize("is_pcapng", [False, True], ids=["pcap", "pcapng"])
def test_the_vectors_of_rfc_9235_pass_as_captures(
    section: str, is_pcapng: bool, tmp_path: Path, capture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vectors = rfc_9235_sessions()[section]
    frames = timed(ethernet(bytes.fromhex(vector["packet"])) for vector in vectors)
    capture.write_bytes(pcapng(frames, ETHERNET) if is_pcapng else pcap(frames, ETHERNET))
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(exported(rfc_9235_key(vectors))))
    assert main(["--json", "verify", str(capture), "--keys", str(keys)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["verdicts"] == {"verified": 4}
    assert {finding["key"] for finding in told["findings"]} == {"testvector"}
    assert [finding["key-id"] for finding in told["findings"]] == [61, 84, 61, 84]


def test_what_is_not_verified_is_told_one_by_one(keys: Path, capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = Session()
    wrong = session.segment(SHA1, secret=b"another key of the same length")
    capture.write_bytes(pcap(timed([*session.handshake(SHA1), session.segment(None), wrong])))
    assert main(["verify", str(capture), "--keys", str(keys)]) == 4
    out = capsys.readouterr().out
    assert "packet 4, 192.0.2.1:40000 to 192.0.2.2:179: no-option: it has no TCP-AO option" in out
    assert "packet 5, 192.0.2.1:40000 to 192.0.2.2:179: wrong-mac: the MAC is not that of 'sha1'" in out
    assert "packet 1," not in out
    assert "1 no-option, 1 wrong-mac" in out
    assert main(["verify", str(capture), "--keys", str(keys), "--all"]) == 4
    assert "packet 1, 192.0.2.1:40000 to 192.0.2.2:179: verified" in capsys.readouterr().out


def test_many_that_are_not_verified_are_counted(keys: Path, capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capture.write_bytes(pcap(timed([Session().segment(SHA1)] * 100)))
    assert main(["verify", str(capture), "--keys", str(keys)]) == 4
    out = capsys.readouterr().out
    assert out.count("unknown-isns: no handshake was seen") == 40
    assert "and 60 more; --all tells them" in out


def test_a_capture_without_tcp_ao_is_not_called_verified(
    keys: Path, capture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capture.write_bytes(pcap(timed([Session(remote_port=22).segment(None)])))
    assert main(["verify", str(capture), "--keys", str(keys)]) == 4
    assert "no segment in the capture" in capsys.readouterr().out


def test_a_damaged_capture_is_told_as_far_as_it_goes(
    keys: Path, capture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capture.write_bytes(pcap(timed(Session().handshake(SHA1)))[:-5])
    assert main(["verify", str(capture), "--keys", str(keys)]) == 2
    printed = capsys.readouterr()
    assert "VERIFIED" in printed.out
    assert "ends in the middle of packet 3" in printed.err


@pytest.mark.parametrize(
    ("content", "reason"), [(b"no capture", "is no capture"), (None, "No such file"), (b"", "is no capture")]
)
def test_a_file_that_is_no_capture_asks_nobody_for_keys(
    content: bytes | None, reason: str, capture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        capture.write_bytes(content)
    assert main(["--port", "1", "verify", str(capture)]) == 2
    assert reason in capsys.readouterr().err


def test_a_capture_comes_from_standard_input(
    keys: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = io.BytesIO(pcap(timed(Session().handshake(SHA1))))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
    assert main(["verify", "-", "--keys", str(keys)]) == 0
    assert "sha1" in capsys.readouterr().out


def test_keys_are_read_from_xml_and_json_alike(keys: Path, tmp_path: Path) -> None:
    entry = exported(SHA1)["key-table"]["key"][0]
    table = etree.Element(f"{{{KEY_TABLE}}}key-table", nsmap={None: KEY_TABLE, "ckt": KEY_TABLE})
    key = etree.SubElement(table, f"{{{KEY_TABLE}}}key")
    for name, value in entry.items():
        for each in value if isinstance(value, list) else [value]:
            leaf = etree.SubElement(key, f"{{{KEY_TABLE}}}{name}")
            if isinstance(each, dict):
                for inner, text in each.items():
                    etree.SubElement(leaf, f"{{{KEY_TABLE}}}{inner}").text = text
            else:
                leaf.text = each
    xml = tmp_path / "keys.xml"
    xml.write_bytes(etree.tostring(table))
    assert read_keys(xml) == read_keys(keys)
    (read,) = read_keys(keys)
    assert replace(read, starts=None) == SHA1


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}x",
        "<config/>",
        '{"key-table": {"key": [{}]}}',
        '{"key-table": {"key": ["x"]}}',
        '{"key-table": []}',
        '{"key-table": {"key": [{"hexadecimal-string": "secret"}]}}',
    ],
)
def test_a_file_that_holds_no_keys_is_told_without_its_content(content: str, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(content)
    with pytest.raises(CommandError) as refused:
        read_keys(file)
    assert refused.value.exit_status == 2
    assert "secret" not in str(refused.value)


def test_no_key_is_ever_printed(keys: Path, capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = Session()
    capture.write_bytes(pcap(timed([*session.handshake(SHA1), session.segment(SHA1, secret=b"another")])))
    for extra in ([], ["--all"], ["--json"]):
        main(["verify", str(capture), "--keys", str(keys), *extra])
    printed = capsys.readouterr()
    for text in (printed.out, printed.err):
        assert octets_of(SHA1).decode() not in text
        assert octets_of(SHA1).hex() not in text


def test_a_terminal_is_told_how_far_it_has_come(keys: Path, capture: Path, tmp_path: Path) -> None:
    found = tmp_path / "found"
    content, number = busy_capture()
    os.mkfifo(capture)
    command = f"{sys.executable} -m rkmp.cli --json verify {capture} --keys {keys} >{found}"
    with Terminal(["sh", "-c", command], os.environ) as terminal:
        with capture.open("wb") as writer:
            writer.write(content)
            writer.flush()
            # Before there is an end of it.
            terminal.expect(r"capture\.pcap: 2000 packets, 2000 segments")
        assert terminal.end() == 4, terminal.text
    # What is printed is what was found, and nothing else.
    assert json.loads(found.read_text())["segments"] == number


def test_how_far_a_file_has_been_read_is_told(keys: Path, capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, _ = busy_capture()
    capture.write_bytes(content)
    told: list[str] = []
    monkeypatch.setattr("rkmp.cli.verify.telling", lambda _: nullcontext(told.append))
    assert main(["verify", str(capture), "--keys", str(keys)]) == 4
    assert told == [
        f"reading {capture}: {packets} packets, {percent} % of {len(content)} octets, {packets} segments"
        for packets, percent in ((1000, 40), (2000, 80))
    ]


def busy_capture() -> tuple[bytes, int]:
    """Return a capture of segments, most of which lack a MAC, and how many there are."""
    session = Session()
    segments = [*session.handshake(SHA1), *[session.segment(None)] * 2497]
    return pcap(timed(segments)), len(segments)

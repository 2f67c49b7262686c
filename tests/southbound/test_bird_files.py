"""BIRD's file of keys: what it says, who may read it, and what is never overwritten."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rkmp.errors import SouthboundError
from rkmp.secret import Secret
from rkmp.southbound.bird_files import parsed, read, write, written
from rkmp.southbound.keys import MasterKeyTuple
from rkmp.southbound.steps import HeldKey, Holding

ONE = MasterKeyTuple("r2-bgp-1", 1, 101, "hmac-sha-1-96", Secret(bytes(range(20))), False)
TWO = MasterKeyTuple('odd "name" # \n', 2, 102, "aes-128-cmac-96", Secret(bytes(range(16))), False)


def test_a_rollover_is_written_as_bird_wants_it() -> None:
    holding = Holding((HeldKey(ONE, is_retired=True), HeldKey(TWO)), TWO.name)
    assert written(holding, "nb") == (
        "# The TCP-AO keys of BGP protocol nb, written by rkmpd: what is changed by hand here is lost.\n"
        "authentication ao;\n"
        "keys {\n"
        "  key { send id 1; recv id 101; secret hex:000102030405060708090a0b0c0d0e0f10111213;"
        ' algorithm hmac sha1; deprecated; }; # "r2-bgp-1"\n'
        "  key { send id 2; recv id 102; secret hex:000102030405060708090a0b0c0d0e0f;"
        ' algorithm cmac aes128; preferred; }; # "odd \\"name\\" # \\n"\n'
        "};\n"
    )


def test_without_a_key_the_protocol_is_closed() -> None:
    assert "disabled yes;" in written(Holding(), "nb").splitlines()
    assert "authentication" not in written(Holding(), "nb")


def test_an_operators_own_file_is_read() -> None:
    holding = parsed(
        """
        # mine
        authentication ao;
        keys {
          key { send id 5; recv id 6; secret "old secret"; algorithm hmac sha1; preferred; };
          key { id 7; secret hex:00ff; algorithm cmac aes128; };
        };
        """
    )
    assert [(each.key.send_id, each.key.recv_id, each.key.alg_id, each.is_foreign) for each in holding.keys] == [
        (5, 6, "hmac-sha-1-96", True),
        (7, 7, "aes-128-cmac-96", True),
    ]
    assert [each.key.secret for each in holding.keys] == [Secret(b"old secret"), Secret(b"\x00\xff")]
    assert holding.preferred == holding.keys[0].key.name
    # It is written back as it was, as nobody's.
    assert parsed(written(holding, "nb")) == holding


@pytest.mark.parametrize(
    "text",
    [
        "protocol bgp nb { }",
        "authentication ao; keys { key { id 1; secret 5; }; };",
        "authentication ao; keys { key { id 300; secret hex:00; }; };",
        "authentication ao; keys { key { id 1; secret hex:00; algorithm hmac sha512; }; };",
        'authentication ao; keys { key { id 1; secret "a"; }; }; local as 1;',
        "authentication md5; ",
    ],
)
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "nb.conf"
    path.write_text(text)
    with pytest.raises(SouthboundError, match="left as it is"):
        read(path)


def test_what_somebody_else_has_put_in_the_place_of_a_file_is_not_read(tmp_path: Path) -> None:
    write(tmp_path / "other.conf", written(Holding((HeldKey(ONE),)), "other"))
    (tmp_path / "link.conf").symlink_to(tmp_path / "other.conf")
    with pytest.raises(SouthboundError, match=r"link\.conf: it is a symbolic link"):
        read(tmp_path / "link.conf")
    os.mkfifo(tmp_path / "pipe.conf")
    with pytest.raises(SouthboundError, match=r"pipe\.conf: it is no regular file"):
        read(tmp_path / "pipe.conf")


def test_a_file_without_end_takes_no_memory(tmp_path: Path) -> None:
    with (tmp_path / "nb.conf").open("wb") as sparse:
        sparse.truncate(1 << 40)
    with pytest.raises(SouthboundError, match="too long"):
        read(tmp_path / "nb.conf")


def test_what_a_killed_agent_has_left_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def kill(_: int) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", kill)
        with pytest.raises(Killed):
            write(tmp_path / "nb.conf", "old keys")
    write(tmp_path / "nb.conf", "new")
    assert [each.name for each in tmp_path.iterdir()] == ["nb.conf"]


def test_what_bird_has_no_words_for_is_refused() -> None:
    with pytest.raises(SouthboundError, match="leaves TCP options out"):
        written(Holding((HeldKey(replace(ONE, ignore_tcp_options=True)),)), "nb")
    with pytest.raises(SouthboundError, match="BIRD does not have"):
        written(Holding((HeldKey(replace(ONE, alg_id="hmac-sha-256-128")),)), "nb")


def test_only_the_owner_of_the_directory_reads_the_file(tmp_path: Path) -> None:
    path = tmp_path / "nb.conf"
    path.write_text("old")
    path.chmod(0o644)
    if os.geteuid() == 0:
        os.chown(tmp_path, 12345, 12345)
    write(path, "new")
    status = path.stat()
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert (status.st_uid, status.st_gid) == (tmp_path.stat().st_uid, tmp_path.stat().st_gid)
    assert path.read_text() == "new"
    assert [each.name for each in tmp_path.iterdir()] == ["nb.conf"]


def test_a_directory_may_let_its_group_read_the_file(tmp_path: Path) -> None:
    group = 12345 if os.geteuid() == 0 else os.getegid()
    os.chown(tmp_path, -1, group)
    tmp_path.chmod(0o2750)
    write(tmp_path / "nb.conf", "new")
    status = (tmp_path / "nb.conf").stat()
    assert stat.S_IMODE(status.st_mode) == 0o640
    assert (status.st_uid, status.st_gid) == (os.geteuid(), group)


def test_a_directory_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(SouthboundError, match="No such file or directory"):
        write(tmp_path / "missing" / "nb.conf", "new")
    assert read(tmp_path / "missing" / "nb.conf") is None


keys = st.builds(
    MasterKeyTuple,
    name=st.text(min_size=1).filter(lambda text: text.isprintable() or "\n" in text),
    send_id=st.integers(0, 255),
    recv_id=st.integers(0, 255),
    alg_id=st.sampled_from(["hmac-sha-1-96", "aes-128-cmac-96"]),
    secret=st.binary(min_size=1, max_size=80).map(Secret),
    ignore_tcp_options=st.just(False),
)


@given(st.lists(st.tuples(keys, st.booleans()), max_size=4, unique_by=lambda each: each[0].name), st.integers(0, 3))
def test_what_is_written_is_read(held: list[tuple[MasterKeyTuple, bool]], place: int) -> None:
    preferred = held[place % len(held)][0].name if held else None
    holding = Holding(
        tuple(HeldKey(key, is_retired=retired and key.name != preferred) for key, retired in held), preferred
    )
    assert parsed(written(holding, "nb")) == holding

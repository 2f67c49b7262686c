"""What one logs in with: which files are keys, who is asked for a passphrase, and what is said where it is none."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

from rkmp.cli.credentials import TRIES, KeyFile, key_file
from rkmp.errors import CommandError
from tests.real_parts import program

PASSPHRASE = "correct horse"


def make_key(path: Path, passphrase: str = "", *, layout: str = "RFC4716", kind: str = "ed25519") -> Path:
    command = [program("ssh-keygen", "openssh-client"), "-q", "-t", kind, "-N", passphrase, "-f", str(path)]
    subprocess.run([*command, *(("-m", layout) if layout != "RFC4716" else ())], check=True, timeout=30)
    return path


def answers(*texts: str) -> tuple[Callable[[str], str], list[str]]:
    """Return what answers with ``texts``, one after the other, and the questions that it has been asked."""
    left, questions = list(texts), []

    def ask(question: str) -> str:
        questions.append(question)
        return left.pop(0)

    return ask, questions


def test_a_plain_key_is_used_as_it_is(tmp_path: Path) -> None:
    path = make_key(tmp_path / "key")
    assert key_file(path) == KeyFile(str(path))


@pytest.mark.parametrize(("layout", "kind"), [("RFC4716", "ed25519"), ("PEM", "ecdsa"), ("PKCS8", "ecdsa")])
def test_a_passphrase_is_asked_for_and_the_key_is_on_no_disk(tmp_path: Path, layout: str, kind: str) -> None:
    path = make_key(tmp_path / "key", PASSPHRASE, layout=layout, kind=kind)
    ask, questions = answers("wrong", PASSPHRASE)
    found = key_file(path, ask)
    assert questions == [f"passphrase of {path}: "] * 2
    assert not found.is_with_agent
    assert str(Path(found.name).readlink()).startswith("/memfd:")
    decrypted = load_ssh_private_key(Path(found.name).read_bytes(), None)
    public = " ".join(Path(f"{path}.pub").read_text().split()[:2])
    assert decrypted.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() == public


def test_who_does_not_know_the_passphrase_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make_key(tmp_path / "key", PASSPHRASE)
    ask, questions = answers("a", "b", "c", PASSPHRASE)
    with pytest.raises(CommandError, match="was not decrypted") as refused:
        key_file(path, ask)
    assert (len(questions), refused.value.exit_status) == (TRIES, 2)
    assert capsys.readouterr().err.count("not its passphrase") == TRIES


def test_where_nobody_can_be_asked_the_agent_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    path = make_key(tmp_path / "key", PASSPHRASE)
    with pytest.raises(CommandError, match=f"is encrypted, and .* `ssh-add {path}`") as refused:
        key_file(path)
    assert refused.value.exit_status == 2


@pytest.fixture
def ssh_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    path = tmp_path / "socket"
    with subprocess.Popen(
        [program("ssh-agent", "openssh-client"), "-D", "-a", str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        yield
        process.terminate()


@pytest.mark.usefixtures("ssh_agent")
def test_a_key_that_the_ssh_agent_holds_is_left_to_it(tmp_path: Path) -> None:
    path = make_key(tmp_path / "key")
    subprocess.run(["ssh-add", "-q", str(path)], check=True, timeout=30)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", PASSPHRASE, "-f", str(path)], check=True, timeout=30)
    assert key_file(path) == KeyFile(str(path), is_with_agent=True)
    other = make_key(tmp_path / "other", PASSPHRASE)
    with pytest.raises(CommandError, match="is encrypted"):
        key_file(other)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot read the key"),
        (b"", "holds no private key"),
        (b"root:x:0:0\n", "holds no private key"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "holds no private key"),
        (b"\xff\xfe", "holds no private key"),
        (b"ssh-ed25519 AAAA user@host", "public half .* the private one is needed: name .*/key$"),
    ],
)
def test_what_is_no_private_key_is_not_blamed_on_the_agent(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "key.pub"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CommandError, match=reason) as refused:
        key_file(path)
    assert refused.value.exit_status == 2

"""The loss of power at any instant: what was acknowledged is there, and of what was not all or nothing.

A child's writes are recorded with strace. The disk after a loss of power is then made up again: whatever was
synchronised, and of later writes any, in part or not at all, in whatever order a disk does them. That is why commits
are synchronous=FULL: with less, a commit that nobody waits for the disk with would be among what can be missing.
"""

from __future__ import annotations

import random
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rkmp.storage import Database
from tests.real_parts import traces
from tests.storage.notes import numbers
from tests.storage.test_faults import run

CALL = re.compile(r'^\d+ +(\w+)\((?:(\d+)<([^>]*)>|"([^"]*)")(?:, "([^"]*)"\.*)?(?:, (\d+))?(?:, (\d+))?\) += (-?\d+)')
SECTOR = 512


def octets(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


@dataclass
class Disk:
    """The files of one directory: what is certain to be there, and what was written since."""

    durable: dict[str, bytearray] = field(default_factory=dict)
    pending: list[tuple[str, int, bytes | None]] = field(default_factory=list)

    def write(self, name: str, offset: int, content: bytes | None) -> None:
        """``content`` of None cuts the file off at ``offset``."""
        self.pending.append((name, offset, content))

    def synchronise(self, name: str) -> None:
        for write in [write for write in self.pending if write[0] == name]:
            _apply(self.durable, write)
        self.pending = [write for write in self.pending if write[0] != name]

    def remove(self, name: str) -> None:
        self.durable.pop(name, None)
        self.pending = [write for write in self.pending if write[0] != name]

    def after_power_loss(self, chance: random.Random) -> dict[str, bytearray]:
        files = {name: bytearray(content) for name, content in self.durable.items()}
        for name, offset, content in chance.sample(self.pending, chance.randint(0, len(self.pending))):
            if content is not None and chance.random() < 0.5:
                content = content[: SECTOR * chance.randint(0, len(content) // SECTOR)]
            _apply(files, (name, offset, content))
        return files


def _apply(files: dict[str, bytearray], write: tuple[str, int, bytes | None]) -> None:
    name, offset, content = write
    file = files.setdefault(name, bytearray())
    if content is None:
        del file[offset:]
    else:
        file.extend(bytes(max(0, offset - len(file))))
        file[offset : offset + len(content)] = content


def recorded(log: str, directory: Path) -> Iterator[tuple[Disk, int]]:
    """The disk after each call, and how many notes had been acknowledged by then."""
    disk, acknowledged = Disk(), 0
    for line in log.splitlines():
        found = CALL.match(line)
        if found is None or found[8].startswith("-"):
            continue
        call, descriptor, target, path, content, size, offset, _ = found.groups()
        file = Path(octets(target or path).decode(errors="replace"))
        if call == "write" and descriptor == "1":
            acknowledged += 1
        elif file.parent == directory:
            if call == "pwrite64":
                disk.write(file.name, int(offset), octets(content))
            elif call == "ftruncate":
                disk.write(file.name, int(size), None)
            elif call in ("fdatasync", "fsync"):
                disk.synchronise(file.name)
            elif call == "unlink":
                disk.remove(file.name)
        yield disk, acknowledged


def test_no_loss_of_power_takes_what_was_acknowledged(tmp_path: Path) -> None:
    log, written, replayed = tmp_path / "log", tmp_path / "written", tmp_path / "replayed"
    written.mkdir()
    calls = "trace=pwrite64,write,ftruncate,fdatasync,fsync,unlink"
    strace = [traces(), "-f", "-y", "-xx", "-s", "70000", "-e", calls, "-o", str(log)]
    run([*strace, sys.executable, "-m", "tests.storage.notes", "acknowledging", str(written)])
    chance = random.Random(26)
    seen: set[int] = set()
    was_checkpointed = False
    for disk, acknowledged in recorded(log.read_text(), written):
        if acknowledged == 0:
            # The tables are being made.
            continue
        was_checkpointed |= any(name == "rkmp.db" for name, _, _ in disk.pending)
        if chance.random() < 0.5:
            continue
        shutil.rmtree(replayed, ignore_errors=True)
        replayed.mkdir()
        for name, content in disk.after_power_loss(chance).items():
            (replayed / name).write_bytes(content)
        with Database(replayed / "rkmp.db", must_exist=True) as database:
            there = numbers(database)
        assert there == list(range(len(there)))
        assert acknowledged <= len(there) <= acknowledged + 1
        seen.add(acknowledged)
    assert was_checkpointed
    assert len(seen) > 20

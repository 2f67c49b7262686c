"""``rkmp verify``: every segment of a capture against the keys of an agent, or of a file that was exported."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rkmp.capture import Finding, Verdict, VerificationKey, Verifier, read_packets
from rkmp.capture.segments import Endpoint
from rkmp.cli.exit_status import DONE, NOT_WELL, USAGE
from rkmp.cli.progress import telling
from rkmp.errors import CaptureError, CommandError

MOST_LINES = 40
"""How many segments that are not verified are told one by one, unless all are wanted."""
TELL_EVERY = 1000
"""Packets after which it is told how far it has come."""


def verify(
    capture: Path, keys: Callable[[], Sequence[VerificationKey]], console: Console, *, tells_all: bool, as_json: bool
) -> int:
    """Check ``capture`` and say what was found; return the exit status.

    ``keys`` is asked for once the capture can be read. Raises :class:`CommandError` where it is none; a damaged one is
    told as far as it goes first.
    """
    findings: list[Finding] = []
    damage = None
    with _opened(capture) as stream:
        packets = read_packets(stream)
        try:
            first = next(packets, None)
            # Not before there is a capture: whoever has the keys may have to be asked.
            verifier = Verifier(keys() if first is not None else ())
            with telling(f"reading {capture}") as tell:
                for packet in packets if first is None else chain([first], packets):
                    finding = verifier.check(packet)
                    if finding is not None:
                        findings.append(finding)
                    if packet.number % TELL_EVERY == 0:
                        tell(f"reading {capture}: {packet.number} packets, {_place(stream)}{len(findings)} segments")
        except CaptureError as error:
            damage = error
    if damage is not None and not findings:
        raise CommandError(f"{capture}: {damage}", USAGE)
    if as_json:
        print(json.dumps(_as_data(findings), indent=2))
    else:
        _tell(findings, console, tells_all=tells_all)
    if damage is not None:
        raise CommandError(f"{capture}: {damage}", USAGE)
    return DONE if findings and all(each.verdict is Verdict.VERIFIED for each in findings) else NOT_WELL


def _place(stream: BinaryIO) -> str:
    """Return how far a file has been read; nothing for a pipe, which does not tell."""
    if not stream.seekable():
        return ""
    size = os.fstat(stream.fileno()).st_size
    return f"{stream.tell() * 100 // max(size, 1)} % of {size} octets, "


@contextmanager
def _opened(capture: Path) -> Iterator[BinaryIO]:
    if str(capture) == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = capture.open("rb")
    except OSError as error:
        raise CommandError(f"cannot read {capture}: {error.strerror}", USAGE) from error
    with stream:
        yield stream


def _tell(findings: Sequence[Finding], console: Console, *, tells_all: bool) -> None:
    if not findings:
        console.print("no segment in the capture has a TCP-AO option, or is of a connection that a key is for")
        return
    table = Table("FROM", "TO", "SEGMENTS", "VERIFIED", "KEYS", "NOT VERIFIED", box=None, pad_edge=False)
    for (source, destination), found in _by_direction(findings).items():
        verdicts = Counter(each.verdict for each in found)
        verified = verdicts.pop(Verdict.VERIFIED, 0)
        keys = ", ".join(dict.fromkeys(each.key for each in found if each.key is not None))
        others = ", ".join(f"{number} {verdict}" for verdict, number in verdicts.most_common())
        table.add_row(
            *map(Text, (_endpoint(source), _endpoint(destination), str(len(found)), str(verified), keys or "-")),
            Text(others or "-", "bold red" if others else ""),
        )
    console.print(table)
    told = [each for each in findings if tells_all or each.verdict is not Verdict.VERIFIED]
    for each in told if tells_all else told[:MOST_LINES]:
        ends = f"{_endpoint(each.segment.source)} to {_endpoint(each.segment.destination)}"
        console.print(Text(f"packet {each.number}, {ends}: {each.verdict}: {each.reason}"), soft_wrap=True)
    if not tells_all and len(told) > MOST_LINES:
        console.print(f"and {len(told) - MOST_LINES} more; --all tells them")


def _by_direction(findings: Sequence[Finding]) -> dict[tuple[Endpoint, Endpoint], list[Finding]]:
    found: dict[tuple[Endpoint, Endpoint], list[Finding]] = {}
    for each in findings:
        found.setdefault((each.segment.source, each.segment.destination), []).append(each)
    return found


def _endpoint(endpoint: Endpoint) -> str:
    address, port = endpoint
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def _as_data(findings: Sequence[Finding]) -> dict[str, object]:
    return {
        "segments": len(findings),
        "verdicts": dict(Counter(each.verdict.value for each in findings)),
        "findings": [
            {
                "packet": each.number,
                "time": None if each.at is None else each.at.isoformat(),
                "source": _endpoint(each.segment.source),
                "destination": _endpoint(each.segment.destination),
                "key-id": None if each.segment.option is None else each.segment.option.key_id,
                "verdict": each.verdict.value,
                "key": each.key,
                "reason": each.reason,
            }
            for each in findings
        ],
    }

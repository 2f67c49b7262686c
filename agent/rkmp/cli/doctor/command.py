"""``rkmp doctor``: asks, and prints what it has found with what to do about it."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.text import Text

from rkmp.cli.doctor.causes import Cause, Finding
from rkmp.cli.doctor.diagnosis import diagnose
from rkmp.cli.doctor.facts import Facts, ask
from rkmp.cli.exit_status import DONE, NO_SESSION, NOT_WELL
from rkmp.cli.progress import telling
from rkmp.cli.session import Session
from rkmp.errors import CommandError, TcpAoError
from rkmp.southbound.tcp_ao import require_tcp_ao

Connect = Callable[[], Session]


def doctor(
    console: Console,
    agents: list[tuple[str, str, Connect]],
    peer: str | None,
    since: timedelta,
    *,
    as_json: bool,
) -> int:
    """Diagnose the first of ``agents``, with the second as its peer where there is one; return the exit status.

    Each has a name, the address that it is reached at, and a way to a session.
    """
    facts: list[Facts] = []
    findings: list[Finding] = []
    for name, host, connect in agents:
        started = datetime.now(UTC)
        try:
            with connect() as session, telling(f"{name}: asking") as tell:
                facts.append(ask(session, name, since, started, _has_tcp_ao(host), tell))
        except CommandError as error:
            if error.exit_status != NO_SESSION:
                raise
            findings.append(Finding(Cause.NO_NETCONF, name, str(error)))
            if not facts:
                break
    if facts:
        findings += diagnose(facts, peer)
    if as_json:
        print(json.dumps({"findings": [_as_data(finding) for finding in findings]}, indent=2))
    else:
        _tell(console, findings)
    return NOT_WELL if any(not finding.is_note for finding in findings) else DONE


def _has_tcp_ao(host: str) -> bool | None:
    """Return whether the agent's kernel has TCP-AO; None where it is not the kernel under us."""
    try:
        is_here = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_here = False
    if not is_here:
        return None
    try:
        require_tcp_ao()
    except TcpAoError:
        return False
    return True


def _tell(console: Console, findings: list[Finding]) -> None:
    if not any(not finding.is_note for finding in findings):
        console.print(Text("nothing is wrong that can be seen from here", "green"))
    for finding in findings:
        style = "yellow" if finding.is_note else "bold red"
        head = Text.assemble((finding.cause.label, style), f"  {finding.subject}: {finding.seen}")
        console.print(head, soft_wrap=True)
        doubt = " (likely; the peer's agent knows better: --peer-agent)" if finding.is_guess else ""
        console.print(Text(f"    {finding.cause.advice}{doubt}"), soft_wrap=True)


def _as_data(finding: Finding) -> dict[str, object]:
    return {
        "cause": finding.cause.label,
        "subject": finding.subject,
        "seen": finding.seen,
        "advice": finding.cause.advice,
        "certain": not finding.is_guess,
        "note": finding.is_note,
    }

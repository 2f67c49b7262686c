"""Brings configuration to every router of a fleet or to none: confirmed commits everywhere, then the confirmations.

A router that refuses, or cannot be reached, has the others go back to what they were; should this program die half-way,
they do so by themselves when the time for the confirmation is over (RFC 6241 section 8.4).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TypeVar

from lxml import etree

from rkmp.cli.documents import to_dictionary
from rkmp.cli.exit_status import REFUSED
from rkmp.cli.fleet.inventory import Fleet, FleetRouter
from rkmp.cli.session import Session
from rkmp.cli.views import RKMP
from rkmp.errors import CommandError

AT_ONCE = 8
"""Routers that are spoken to at a time."""
_POLL_SECONDS = 0.5

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Rollout:
    """Open sessions with every router; use it as a context manager. Raises :class:`CommandError` for all that fail."""

    def __init__(self, fleet: Fleet, connect: Callable[[FleetRouter], Session], confirm_within: int) -> None:
        self._fleet = fleet
        self._token = secrets.token_hex(8)
        self._confirm_within = confirm_within
        self._stack = ExitStack()
        self._pool = self._stack.enter_context(ThreadPoolExecutor(max_workers=AT_ONCE))
        self._sessions: dict[str, Session] = {}
        try:
            opened, failures = self._each(fleet.routers, lambda router, _: connect(router))
            for session in opened.values():
                self._stack.callback(session.close)
            _raise(failures, "no router was changed")
        except BaseException:
            self._stack.close()
            raise
        self._sessions = opened

    def __enter__(self) -> Rollout:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def bring(self, configurations: Mapping[str, etree._Element]) -> None:
        """Merge each router's configuration, everywhere or nowhere."""
        changed, failures = self._each(configurations, lambda config, name: self._stage(name, config))
        if failures:
            _, stuck = self._each(changed, lambda _, name: self._sessions[name].cancel(self._token))
            within = f"; {', '.join(sorted(stuck))} will within {self._confirm_within} s" if stuck else ""
            _raise(failures, f"the others went back to what they were{within}")
        _, failures = self._each(configurations, lambda _, name: self._sessions[name].confirm(self._token))
        _raise(failures, "the others are changed; run it again")

    def wait_for_keys(self, seconds: float) -> list[str]:
        """Wait until every link has its keys; return what has none after ``seconds``, each with the reason known."""
        deadline = time.monotonic() + seconds
        while True:
            answers, failures = self._each(self._sessions, lambda session, _: _associations(session))
            _raise(failures, "the fleet is changed")
            missing = [
                f"{router} {protocol} with {peer.name}: {answers[router].get((peer.name, protocol), 'not there')}"
                for router in sorted(self._fleet.routers)
                for peer, link in self._fleet.peers_of(router)
                for protocol in link.protocols
                if answers[router].get((peer.name, protocol), "") is not None
            ]
            if not missing or time.monotonic() > deadline:
                return missing
            time.sleep(_POLL_SECONDS)

    def _stage(self, name: str, config: etree._Element) -> None:
        session = self._sessions[name]
        with session.clean_candidate():
            session.edit_config("candidate", config)
            session.commit_until_confirmed(self._confirm_within, self._token)

    def _each(
        self, items: Mapping[str, _Item], action: Callable[[_Item, str], _Result]
    ) -> tuple[dict[str, _Result], dict[str, CommandError]]:
        """Do something with every item at once; return what came of it, and what failed, by name."""
        done: dict[str, _Result] = {}
        failures: dict[str, CommandError] = {}
        futures = {name: self._pool.submit(action, item, name) for name, item in items.items()}
        for name, future in futures.items():
            try:
                done[name] = future.result()
            except CommandError as error:
                failures[name] = error
        return done, failures


def _associations(session: Session) -> dict[tuple[str, str], str | None]:
    """Return of each association, by peer and protocol, why it has no key; None where it has one."""
    selection = etree.Element(f"{{{RKMP}}}rkmp", nsmap={None: RKMP})
    peer = etree.SubElement(selection, f"{{{RKMP}}}peer")
    etree.SubElement(peer, f"{{{RKMP}}}name")
    etree.SubElement(peer, f"{{{RKMP}}}association")
    data = to_dictionary(session.get(selection))
    return {
        (peer["name"], entry["protocol"]): None
        if entry.get("current-key")
        else entry.get("last-error") or entry.get("state", "idle")
        for peer in (data.get("rkmp") or {}).get("peer", [])
        for entry in peer.get("association", [])
    }


def _raise(failures: Mapping[str, CommandError], outcome: str) -> None:
    if failures:
        lines = [f"{name}: {error}" for name, error in sorted(failures.items())]
        status = max((error.exit_status for error in failures.values()), default=REFUSED)
        raise CommandError("\n".join((*lines, outcome)), status)

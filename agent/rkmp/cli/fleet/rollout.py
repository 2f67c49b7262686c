"""Brings configuration to every router of a fleet or to none.

Confirmed commits everywhere, then proof that what had keys has them still, under the new credentials, then the
confirmations. A router that refuses, breaks off or loses a key has all of them go back to what they were; should this
program die half-way, they do so by themselves when the time for the confirmation is over (RFC 6241 section 8.4).
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TypeVar

from lxml import etree

from rkmp.cli.changes import compared
from rkmp.cli.documents import to_dictionary
from rkmp.cli.exit_status import REFUSED
from rkmp.cli.fleet.configuration import with_removals
from rkmp.cli.fleet.inventory import Fleet, FleetRouter
from rkmp.cli.session import CANDIDATE, CONFIRMED_COMMIT, Session
from rkmp.cli.views import RKMP
from rkmp.errors import CommandError

AT_ONCE = 8
"""Routers that are spoken to at a time."""
_POLL_SECONDS = 0.5

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_Associations = Mapping[tuple[str, str], tuple[str | None, str]]
"""By peer and protocol: the name of the key that is in use, if there is one, and what is known of why there is none."""


class Rollout:
    """Open sessions with every router; use it as a context manager, at whose end what is unconfirmed is undone.

    Raises :class:`CommandError` for all that fail.
    """

    def __init__(self, fleet: Fleet, connect: Callable[[FleetRouter], Session], confirm_within: int) -> None:
        self._fleet = fleet
        self._token = secrets.token_hex(8)
        self._confirm_within = confirm_within
        self._stack = ExitStack()
        self._pool = self._stack.enter_context(ThreadPoolExecutor(max_workers=AT_ONCE))
        self._sessions: dict[str, Session] = {}
        self._unconfirmed: set[str] = set()
        self._before: dict[str, _Associations] = {}
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
        with self._stack, contextlib.suppress(CommandError):
            self._undo()

    def differences(self, configurations: Mapping[str, etree._Element]) -> Mapping[str, list[str]]:
        """Return of each router what its configuration would change, as lines of a diff; nothing changes."""
        found, failures = self._each(configurations, lambda config, name: self._difference(name, config))
        _raise(failures, "no router was changed")
        return found

    def stage(self, configurations: Mapping[str, etree._Element]) -> None:
        """Have every router take its configuration, to be confirmed: all of them or none."""
        _, failures = self._each(configurations, lambda config, name: self._stage(name, config))
        if failures:
            self._give_up([f"{name}: {error}" for name, error in sorted(failures.items())], failures)

    def wait_for_keys(self, seconds: float, renewed: frozenset[str]) -> list[str]:
        """Wait until every link has its keys; return what has none after ``seconds``, each with the reason known.

        The keys of links that are ``renewed`` have to be new. Where a link had a key, and does not get one, everything
        is undone: nothing that has worked is lost.
        """
        deadline = time.monotonic() + seconds
        waiting = dict(self._sessions)
        while True:
            answers, failures = self._each(waiting, lambda session, _: _associations(session))
            if failures:
                self._give_up([f"{name}: {error}" for name, error in sorted(failures.items())], failures)
            lacking = {name: self._lacking(name, answer, renewed) for name, answer in answers.items()}
            waiting = {name: session for name, session in waiting.items() if lacking[name]}
            if not waiting or time.monotonic() > deadline:
                break
            time.sleep(_POLL_SECONDS)
        lost = [text for name in sorted(waiting) for text, had_one in lacking[name] if had_one]
        if lost:
            self._give_up(lost)
        return [text for name in sorted(waiting) for text, _ in lacking[name]]

    def confirm(self) -> None:
        """Make it final everywhere."""
        _, failures = self._each(
            {name: self._sessions[name] for name in self._unconfirmed}, lambda session, _: session.confirm(self._token)
        )
        self._unconfirmed.clear()
        _raise(failures, "the others are changed; run it again")

    def _stage(self, name: str, config: etree._Element) -> None:
        session = self._sessions[name]
        if not (session.supports(CANDIDATE) and session.supports(CONFIRMED_COMMIT)):
            raise CommandError("the agent has no confirmed commits", REFUSED)
        with session.clean_candidate():
            self._before[name] = _associations(session)
            session.edit_config("candidate", with_removals(config, session.get_config("running")))
            # Before it is asked: the answer may be lost.
            self._unconfirmed.add(name)
            session.commit_until_confirmed(self._confirm_within, self._token)

    def _difference(self, name: str, config: etree._Element) -> list[str]:
        session = self._sessions[name]
        with session.clean_candidate():
            running = session.get_config("running")
            session.edit_config("candidate", with_removals(config, running))
            session.validate("candidate")
            return compared(running, session.get_config("candidate"), with_secrets=True).lines

    def _lacking(self, router: str, found: _Associations, renewed: frozenset[str]) -> list[tuple[str, bool]]:
        """Return which keys of a router are not there, in words, and whether there was one before."""
        lacking = []
        for neighbor in self._fleet.neighbors_of(router):
            for protocol in neighbor.link.protocols:
                which = (neighbor.router.name, protocol)
                key, why = found.get(which, (None, "not there"))
                before, _ = self._before[router].get(which, (None, ""))
                if key is None or (key == before and neighbor.link.name in renewed):
                    still = "" if key is None else "still the old key, "
                    lacking.append(
                        (f"{router} {protocol} with {neighbor.router.name}: {still}{why}", before is not None)
                    )
        return lacking

    def _give_up(self, reasons: list[str], failures: Mapping[str, CommandError] | None = None) -> None:
        """Undo everything and raise an error with ``reasons`` that says what became of the routers."""
        stuck = self._undo()
        within = f"; {', '.join(sorted(stuck))} will within {self._confirm_within} s" if stuck else ""
        raise CommandError("\n".join((*reasons, f"every router went back to what it was{within}")), _status(failures))

    def _undo(self) -> set[str]:
        """Have every router go back that has not been confirmed; return those that cannot be told to."""
        sessions = {name: self._sessions[name] for name in self._unconfirmed}
        _, failures = self._each(sessions, lambda session, _: session.cancel(self._token))
        self._unconfirmed.clear()
        # One that refuses has nothing to go back from.
        return {name for name, error in failures.items() if error.exit_status != REFUSED}

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


def _associations(session: Session) -> _Associations:
    selection = etree.Element(f"{{{RKMP}}}rkmp", nsmap={None: RKMP})
    peer = etree.SubElement(selection, f"{{{RKMP}}}peer")
    etree.SubElement(peer, f"{{{RKMP}}}name")
    etree.SubElement(peer, f"{{{RKMP}}}association")
    data = to_dictionary(session.get(selection))
    return {
        (peer["name"], entry["protocol"]): (
            entry.get("current-key"),
            entry.get("last-error") or entry.get("state", "idle"),
        )
        for peer in (data.get("rkmp") or {}).get("peer", [])
        for entry in peer.get("association", [])
    }


def _status(failures: Mapping[str, CommandError] | None) -> int:
    return max((error.exit_status for error in (failures or {}).values()), default=REFUSED)


def _raise(failures: Mapping[str, CommandError], outcome: str) -> None:
    if failures:
        lines = [f"{name}: {error}" for name, error in sorted(failures.items())]
        raise CommandError("\n".join((*lines, outcome)), _status(failures))

"""The commands that change an agent: ``apply`` and ``diff`` of a configuration file, and the actions on a peer."""

from __future__ import annotations

import difflib
import json
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lxml import etree

from rkmp.cli.configuration_files import ConfigurationFile
from rkmp.cli.documents import to_dictionary
from rkmp.cli.session import CANDIDATE, CONFIRMED_COMMIT, EXIT_USAGE, Refusal, Session
from rkmp.cli.views import RKMP
from rkmp.errors import CommandError

SECRETS = frozenset({"hexadecimal-string", "keystring", "password", "private-key"})
"""The leaves of our modules that can be written and are not shown, so that no difference of them is.

tests/cli holds this set against the schema.
"""


@dataclass(frozen=True, slots=True)
class Changes:
    """What applying a file changes: lines of a diff, and whether the file holds secrets, which no diff can show."""

    lines: list[str]
    with_secrets: bool

    def print_data(self, **more: object) -> None:
        """Print them, and ``more``, for programs."""
        data = {"changed": bool(self.lines), "diff": self.lines, "with-secrets": self.with_secrets, **more}
        print(json.dumps(data, indent=2))

    def print(self) -> None:
        """Print them for people."""
        for line in self.lines:
            print(line)
        if not self.lines:
            print("nothing to change that is shown; secrets are not" if self.with_secrets else "nothing to change")


def apply(
    session: Session, file: ConfigurationFile, *, as_json: bool, asks: bool = False, confirm_within: int | None = None
) -> None:
    """Merge what ``file`` holds into running, through the candidate, all or nothing; say what changes before it does.

    ``asks`` whoever is at the terminal first. With ``confirm_within`` seconds it is undone unless it is confirmed.
    """
    if confirm_within is not None and not session.supports(CONFIRMED_COMMIT):
        raise CommandError("the agent has no confirmed commits", EXIT_USAGE)
    with _edited(session, file) as changes:
        if not as_json:
            changes.print()
        if asks and not _agrees():
            raise CommandError("nothing was changed")
        pending: dict[str, object] = {}
        if confirm_within is None:
            session.commit()
        else:
            token = secrets.token_hex(4)
            session.commit_until_confirmed(confirm_within, token)
            pending = {"confirm-within": confirm_within, "token": token}
            print(f"undone in {confirm_within} seconds, unless you run `rkmp confirm {token}` before", file=sys.stderr)
        if as_json:
            changes.print_data(**pending)


def diff(session: Session, file: ConfigurationFile, *, as_json: bool) -> None:
    """Show what :func:`apply` would change; the agent validates it and changes nothing."""
    with _edited(session, file) as changes:
        session.validate("candidate")
        if as_json:
            changes.print_data()
        else:
            changes.print()


def confirm(session: Session, token: str, *, as_json: bool) -> None:
    """Keep what was applied to be confirmed."""
    session.confirm(token)
    print(json.dumps({"ok": True}) if as_json else "ok")


def cancel(session: Session, token: str, *, as_json: bool) -> None:
    """Undo at once what was applied to be confirmed."""
    session.cancel(token)
    print(json.dumps({"ok": True}) if as_json else "ok")


def rekey(session: Session, peer: str, protocol: str, *, as_json: bool) -> None:
    """Replace the key of one association now; print the new key's name."""
    reply = to_dictionary(session.action(rekey_instance(peer, protocol)))
    if as_json:
        print(json.dumps({"admin-key-name": reply["admin-key-name"]}, indent=2))
    else:
        print(f"new key {reply['admin-key-name']}")


def clear(session: Session, peer: str, *, as_json: bool) -> None:
    """Remove the peer's IKE SAs and negotiated keys; they are negotiated anew where the configuration asks it."""
    _simple_action(session, peer, "clear", as_json=as_json)


def initiate(session: Session, peer: str, *, as_json: bool) -> None:
    """Negotiate with the peer now whatever its associations lack."""
    _simple_action(session, peer, "initiate-now", as_json=as_json)


def rekey_instance(peer: str, protocol: str) -> etree._Element:
    """Return the instance that an ``action`` request names to rekey one association."""
    instance = _peer_instance(peer)
    association = etree.SubElement(instance[0], f"{{{RKMP}}}association")
    etree.SubElement(association, f"{{{RKMP}}}protocol").text = protocol
    etree.SubElement(association, f"{{{RKMP}}}rekey")
    return instance


def _simple_action(session: Session, peer: str, name: str, *, as_json: bool) -> None:
    instance = _peer_instance(peer)
    etree.SubElement(instance[0], f"{{{RKMP}}}{name}")
    session.action(instance)
    print(json.dumps({"ok": True}) if as_json else "ok")


def _peer_instance(peer: str) -> etree._Element:
    root = etree.Element(f"{{{RKMP}}}rkmp", nsmap={None: RKMP})
    entry = etree.SubElement(root, f"{{{RKMP}}}peer")
    etree.SubElement(entry, f"{{{RKMP}}}name").text = peer
    return root


@contextmanager
def _edited(session: Session, file: ConfigurationFile) -> Iterator[Changes]:
    """Hold the candidate with what ``file`` holds merged into it; errors of the agent say where in the file."""
    if not session.supports(CANDIDATE):
        raise CommandError("the agent has no candidate datastore", EXIT_USAGE)
    config = file.config(session.modules)
    with_secrets = any(etree.QName(element).localname in SECRETS for element in config.iter("*"))
    with session.clean_candidate():
        before = _lines(session.get_config("running"))
        try:
            session.edit_config("candidate", config)
            after = _lines(session.get_config("candidate"))
            difference = difflib.unified_diff(before, after, lineterm="", n=2)
            yield Changes([line for line in difference if not line.startswith(("---", "+++"))], with_secrets)
        except Refusal as refusal:
            told = [f"{file.place_of(config, path)}: {text}" for text, path in refusal.errors]
            raise CommandError("\n".join(told), refusal.exit_status) from refusal


def _agrees() -> bool:
    """Ask whoever is at the terminal."""
    if not sys.stdin.isatty():
        raise CommandError("--ask needs a terminal to ask at", EXIT_USAGE)
    return input("commit this? [y/N] ").strip().lower() in ("y", "yes")


def _lines(data: etree._Element) -> list[str]:
    etree.indent(data)
    return etree.tostring(data, encoding="unicode").splitlines()[1:-1]

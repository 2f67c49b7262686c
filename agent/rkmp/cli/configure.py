"""The commands that change an agent: ``apply`` and ``diff`` of a configuration file, and the actions on a peer."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from lxml import etree
from rich.console import Console

from rkmp.cli.changes import Changes, compared
from rkmp.cli.configuration_files import ConfigurationFile
from rkmp.cli.documents import to_dictionary
from rkmp.cli.progress import telling
from rkmp.cli.session import (
    CANDIDATE,
    CONFIRMED_COMMIT,
    EXIT_REFUSED,
    EXIT_USAGE,
    WRITABLE_RUNNING,
    Refusal,
    Session,
)
from rkmp.cli.show import subtree
from rkmp.cli.views import RKMP
from rkmp.errors import CommandError

SECRETS = frozenset({"hexadecimal-string", "keystring", "password", "private-key"})
"""The leaves of our modules that can be written and are not shown, so that no difference of them is.

tests/cli holds this set against the schema.
"""


REACH_SECONDS = 60
"""How long the agent waits for us to reach it again after a change, before it goes back."""
READING = "reading the configuration of the agent"
COMMITTING = "having it validated and committed"


def apply(
    session: Session,
    file: ConfigurationFile,
    console: Console,
    reach: Callable[[], AbstractContextManager[Session]],
    *,
    as_json: bool,
    asks: bool | None = None,
    confirm_within: int | None = None,
) -> None:
    """Merge what ``file`` holds into running, all or nothing; say what changes before it does.

    It goes through the candidate, and where the agent has confirmed commits it stays only if ``reach`` opens another
    session afterwards; with ``confirm_within`` seconds it is undone unless somebody confirms it. An agent without a
    candidate has running edited, and tells afterwards. ``asks`` whoever is at the terminal first; None if there is one.
    """
    if confirm_within is not None and not (session.supports(CANDIDATE) and session.supports(CONFIRMED_COMMIT)):
        raise CommandError("the agent has no confirmed commits: leave --confirm-within away", EXIT_USAGE)
    is_asked = _is_at_a_terminal(asks, is_default=not as_json)
    if not session.supports(CANDIDATE):
        _apply_directly(session, file, console, as_json=as_json, is_asked=is_asked)
        return
    with _edited(session, file) as changes:
        if not as_json:
            changes.print(console)
        if changes.may_be_some:
            _require_agreement(is_asked=is_asked and bool(changes.lines))
            pending = _commit(session, reach, confirm_within)
        else:
            pending = {}
        if as_json:
            changes.print_data(**pending)


def _commit(
    session: Session, reach: Callable[[], AbstractContextManager[Session]], confirm_within: int | None
) -> dict[str, object]:
    """Make the candidate running; return what is still to be done for it to stay."""
    if confirm_within is not None:
        token = secrets.token_hex(4)
        with telling(COMMITTING):
            session.commit_until_confirmed(confirm_within, token)
        print(f"undone in {confirm_within} seconds, unless you run `rkmp confirm {token}` before", file=sys.stderr)
        return {"confirm-within": confirm_within, "token": token}
    if not session.supports(CONFIRMED_COMMIT):
        with telling(COMMITTING):
            session.commit()
        return {}
    with telling(COMMITTING):
        session.commit_until_confirmed(REACH_SECONDS)
    try:
        with telling("logging in again, to see that one can"):
            with reach() as again:
                # A session that is one too many is refused when it asks for something, and not before.
                again.get(subtree((f"{{{RKMP}}}rkmp", f"{{{RKMP}}}enabled")))
            session.confirm()
    except CommandError as error:
        # Where this cannot be asked for either, the end of the session undoes it (RFC 6241 8.4.1).
        with suppress(CommandError):
            session.cancel()
        raise CommandError(
            f"it was undone, because nobody could have logged in afterwards: {error}; "
            "--confirm-within keeps it for a time all the same",
            EXIT_REFUSED,
        ) from error
    except KeyboardInterrupt:
        print("rkmp: interrupted before it was known to be good: the agent undoes it", file=sys.stderr)
        raise
    return {}


def _apply_directly(
    session: Session, file: ConfigurationFile, console: Console, *, as_json: bool, is_asked: bool
) -> None:
    if not session.supports(WRITABLE_RUNNING):
        raise CommandError("the agent's running configuration cannot be written, nor has it a candidate", EXIT_USAGE)
    config = file.config(session.modules)
    print("rkmp: the agent has no candidate: what changes can only be told afterwards", file=sys.stderr)
    _require_agreement(is_asked=is_asked)
    with session.locked("running"):
        with telling(READING):
            before = session.get_config("running")
        with _told_by_lines(file, config), telling(_sending(config)) as tell:
            session.edit_config("running", config)
            tell(READING)
            after = session.get_config("running")
        changes = compared(before, after, with_secrets=_has_secrets(config))
    if as_json:
        changes.print_data()
    else:
        changes.print(console)


def diff(session: Session, file: ConfigurationFile, console: Console, *, as_json: bool) -> None:
    """Show what :func:`apply` would change; the agent validates it and changes nothing."""
    if not session.supports(CANDIDATE):
        raise CommandError("the agent has no candidate to try it in: only `rkmp apply` can tell", EXIT_USAGE)
    with _edited(session, file) as changes:
        with telling("having it validated"):
            session.validate("candidate")
        if as_json:
            changes.print_data()
        else:
            changes.print(console)


def confirm(session: Session, token: str, *, as_json: bool) -> None:
    """Keep what was applied to be confirmed."""
    session.confirm(token)
    print(json.dumps({"ok": True}) if as_json else "ok")


def cancel(session: Session, token: str, *, as_json: bool) -> None:
    """Undo at once what was applied to be confirmed."""
    session.cancel(token)
    print(json.dumps({"ok": True}) if as_json else "ok")


def rekey(
    session: Session, peer: str, protocol: str, waiting: AbstractContextManager[object], *, as_json: bool
) -> None:
    """Replace the key of one association now, ``waiting`` meanwhile; print the new key's name."""
    with waiting:
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
    config = file.config(session.modules)
    with session.clean_candidate():
        with telling(READING):
            before = session.get_config("running")
        with _told_by_lines(file, config):
            with telling(_sending(config)) as tell:
                session.edit_config("candidate", config)
                tell(READING)
                after = session.get_config("candidate")
            yield compared(before, after, with_secrets=_has_secrets(config))


@contextmanager
def _told_by_lines(file: ConfigurationFile, config: etree._Element) -> Iterator[None]:
    try:
        yield
    except Refusal as refusal:
        told = [f"{file.place_of(config, path)}: {text}" for text, path in refusal.errors]
        raise CommandError("\n".join(told), refusal.exit_status) from refusal


def _sending(config: etree._Element) -> str:
    return f"sending {len(etree.tostring(config))} octets of configuration"


def _has_secrets(config: etree._Element) -> bool:
    return any(etree.QName(element).localname in SECRETS for element in config.iter("*"))


def _is_at_a_terminal(asks: bool | None, *, is_default: bool) -> bool:
    """Whether to ask: if it is wished, which takes a terminal, or by default where one is on both ends."""
    if asks and not sys.stdin.isatty():
        raise CommandError("--ask needs a terminal to ask at", EXIT_USAGE)
    return asks if asks is not None else is_default and sys.stdin.isatty() and sys.stdout.isatty()


def _require_agreement(*, is_asked: bool) -> None:
    """Ask whoever is at the terminal; raises :class:`CommandError` unless the answer is yes."""
    if not is_asked:
        return
    try:
        is_agreed = input("commit this? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        print()
        is_agreed = False
    if not is_agreed:
        raise CommandError("nothing was changed")

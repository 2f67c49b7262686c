"""The commands that change an agent: ``apply`` and ``diff`` of a configuration file, and the actions on a peer."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from rkmp.cli.documents import to_dictionary
from rkmp.cli.session import CANDIDATE, EXIT_USAGE, NETCONF, Session
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

    def print(self, *, as_json: bool) -> None:
        """Print them for people or for programs."""
        if as_json:
            changed = bool(self.lines)
            print(json.dumps({"changed": changed, "diff": self.lines, "with-secrets": self.with_secrets}, indent=2))
            return
        for line in self.lines:
            print(line)
        if not self.lines:
            print("nothing to change that is shown; secrets are not" if self.with_secrets else "nothing to change")


def read_configuration(path: Path) -> etree._Element:
    """Return the file's content as an RFC 6241 ``config`` element.

    The file holds a top-level data node of the agent's modules, or a ``config`` (or ``data``) element with several.
    Raises :class:`CommandError` for a file that cannot be read or is not that.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}", EXIT_USAGE) from error
    parser = etree.XMLParser(remove_comments=True, remove_pis=True, resolve_entities=False, no_network=True)
    try:
        root = etree.fromstring(text, parser)
    except etree.XMLSyntaxError as error:
        raise CommandError(f"{path} line {error.lineno}: {error.msg}", EXIT_USAGE) from error
    tops = list(root) if etree.QName(root).localname in ("config", "data") else [root]
    # Values may hold prefixes that the root has bound.
    config = etree.Element(f"{{{NETCONF}}}config", nsmap={**root.nsmap, "nc": NETCONF})
    if not tops:
        raise CommandError(f"{path} holds no configuration", EXIT_USAGE)
    config.extend(tops)
    return config


def apply(session: Session, config: etree._Element, *, as_json: bool) -> None:
    """Merge ``config`` into running, through the candidate, all or nothing; say what has changed."""
    _through_candidate(session, config, commit=True).print(as_json=as_json)


def diff(session: Session, config: etree._Element, *, as_json: bool) -> None:
    """Show what :func:`apply` would change; the agent validates it and changes nothing."""
    _through_candidate(session, config, commit=False).print(as_json=as_json)


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


def _through_candidate(session: Session, config: etree._Element, *, commit: bool) -> Changes:
    if not session.supports(CANDIDATE):
        raise CommandError("the agent has no candidate datastore", EXIT_USAGE)
    with_secrets = any(etree.QName(element).localname in SECRETS for element in config.iter("*"))
    with session.clean_candidate():
        before = _lines(session.get_config("running"))
        session.edit_config("candidate", config)
        after = _lines(session.get_config("candidate"))
        if commit:
            session.commit()
        else:
            session.validate("candidate")
    difference = difflib.unified_diff(before, after, lineterm="", n=2)
    return Changes([line for line in difference if not line.startswith(("---", "+++"))], with_secrets)


def _lines(data: etree._Element) -> list[str]:
    etree.indent(data)
    return etree.tostring(data, encoding="unicode").splitlines()[1:-1]

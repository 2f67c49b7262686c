"""The commands that change an agent: ``apply`` and ``diff`` of a configuration file, and the actions on a peer."""

from __future__ import annotations

import difflib
import json
from pathlib import Path

from lxml import etree

from rkmp.cli.documents import to_dictionary
from rkmp.cli.session import CANDIDATE, NETCONF, Session
from rkmp.cli.show import RKMP
from rkmp.errors import CommandError

EXIT_USAGE = 2


def read_configuration(path: Path) -> etree._Element:
    """Return the file's content as an RFC 6241 ``config`` element.

    The file holds either a ``config`` (or ``data``) element or top-level data nodes of the agent's modules, one
    after the other. Raises :class:`CommandError` for a file that cannot be read or is not XML.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}", EXIT_USAGE) from error
    parser = etree.XMLParser(remove_comments=True, remove_pis=True, resolve_entities=False, no_network=True)
    config = etree.Element(f"{{{NETCONF}}}config", nsmap={"nc": NETCONF})
    try:
        root = etree.fromstring(text, parser)
        tops = list(root) if etree.QName(root).localname in ("config", "data") else [root]
    except etree.XMLSyntaxError as error:
        raise CommandError(f"{path} line {error.lineno}: {error.msg}", EXIT_USAGE) from error
    config.extend(tops)
    return config


def apply(session: Session, path: Path, *, as_json: bool) -> None:
    """Merge a file into running, through the candidate, all or nothing; say what has changed."""
    changes = _through_candidate(session, read_configuration(path), commit=True)
    if as_json:
        print(json.dumps({"changed": bool(changes), "diff": changes}, indent=2))
    else:
        print("\n".join(changes) if changes else "nothing to change")


def diff(session: Session, path: Path, *, as_json: bool) -> None:
    """Show what :func:`apply` of a file would change; the agent validates it and changes nothing."""
    changes = _through_candidate(session, read_configuration(path), commit=False)
    if as_json:
        print(json.dumps({"changed": bool(changes), "diff": changes}, indent=2))
    else:
        print("\n".join(changes) if changes else "nothing to change")


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


def _through_candidate(session: Session, config: etree._Element, *, commit: bool) -> list[str]:
    if not session.supports(CANDIDATE):
        raise CommandError("the agent has no candidate datastore", EXIT_USAGE)
    with session.clean_candidate():
        before = _lines(session.get_config("running"))
        session.edit_config("candidate", config)
        after = _lines(session.get_config("candidate"))
        if commit:
            session.commit()
        else:
            session.validate("candidate")
    return [
        line for line in difflib.unified_diff(before, after, lineterm="", n=2) if not line.startswith(("---", "+++"))
    ]


def _lines(data: etree._Element) -> list[str]:
    etree.indent(data)
    return etree.tostring(data, encoding="unicode").splitlines()[1:-1]

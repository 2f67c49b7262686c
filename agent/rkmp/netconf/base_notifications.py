"""What the server tells about itself: the notifications of ietf-netconf-notifications (RFC 6470).

Elements are made here and handed to ``publish``; who gets them is the hub's business. Nothing here fails: a change
is durable and a session is over by the time that it is told.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from xml.sax.saxutils import escape

from lxml import etree

from rkmp.datastore.confirmed_commit import ConfirmedCommitChange, ConfirmEvent
from rkmp.datastore.edits import Edit, EditKind
from rkmp.datastore.layout import Layout
from rkmp.datastore.paths import namespaces_of, step_text
from rkmp.netconf.namespaces import NOTIFICATIONS
from rkmp.netconf.replies import printable
from rkmp.netconf.session import Session, TerminationReason

TARGET_CHARACTERS = 1024 * 1024
"""Characters that the targets of one netconf-config-change have at most; a larger change is told by ancestors."""

_OPERATIONS = {
    EditKind.CREATED: "create",
    EditKind.DELETED: "delete",
    EditKind.CHANGED: "replace",
    EditKind.MOVED: "merge",
}
"""RFC 6470 section 2.2: what was done to the target, in the words of edit-config."""

_PART = "merge"
"""What was done to an ancestor of what has changed."""

# It would come back as a line feed (XML 1.0 section 2.11).
_CARRIAGE_RETURN = {"\r": "&#13;"}


class BaseNotifications:
    """Tells of changes and sessions through ``publish``, as long as ``is_wanted`` says that anyone cares."""

    def __init__(
        self,
        publish: Callable[[datetime, etree._Element], None],
        *,
        find_session: Callable[[int], Session | None],
        clock: Callable[[], datetime],
        is_wanted: Callable[[], bool],
    ) -> None:
        self._publish = publish
        self._find_session = find_session
        self._clock = clock
        self._is_wanted = is_wanted

    def session_started(self, session: Session) -> None:
        """Tell that a client has come (netconf-session-start)."""
        if self._is_wanted():
            event = _event("netconf-session-start")
            _add_session(event, session)
            self._publish(self._clock(), event)

    def session_ended(self, session: Session, reason: TerminationReason) -> None:
        """Tell that a client has gone, and why (netconf-session-end)."""
        if self._is_wanted():
            event = _event("netconf-session-end")
            _add_session(event, session)
            if reason is TerminationReason.KILLED and session.killed_by is not None:
                _leaf(event, "killed-by", str(session.killed_by))
            _leaf(event, "termination-reason", reason.value)
            self._publish(self._clock(), event)

    def running_changed(self, session_id: int | None, edits: Sequence[Edit]) -> None:
        """Tell that running has changed (netconf-config-change); a listener of the datastores."""
        if self._is_wanted():
            targets = edit_targets(edits)
            event = _event("netconf-config-change", targets.namespaces)
            self._add_author(event, session_id)
            _leaf(event, "datastore", "running")
            event = _with_edits(event, targets)
            self._publish(self._clock(), event)

    def startup_changed(self, session_id: int | None) -> None:
        """Tell that startup was replaced as a whole (netconf-config-change, without edits)."""
        if self._is_wanted():
            event = _event("netconf-config-change")
            self._add_author(event, session_id)
            _leaf(event, "datastore", "startup")
            self._publish(self._clock(), event)

    def commit_confirmed(self, change: ConfirmedCommitChange) -> None:
        """Tell what has happened to a confirmed commit (netconf-confirmed-commit); a listener of the datastores."""
        if self._is_wanted():
            event = _event("netconf-confirmed-commit")
            session = None if change.session_id is None else self._find_session(change.session_id)
            if session is not None:
                _add_session(event, session)
            elif change.event is not ConfirmEvent.TIMEOUT:
                # The session ended with an earlier process; the module has zero for what is no session of NETCONF.
                _leaf(event, "username", None)
                _leaf(event, "session-id", "0")
            _leaf(event, "confirm-event", change.event.value)
            if change.timeout is not None:
                _leaf(event, "timeout", str(change.timeout))
            self._publish(self._clock(), event)

    def capabilities_changed(self, before: Collection[str], now: Collection[str]) -> None:
        """Tell that clients are not told the same any more (netconf-capability-change): another release has started.

        A capability is modified when only what comes after its question mark is not the same.
        """
        added = {uri.partition("?")[0]: uri for uri in now if uri not in before}
        gone = {uri.partition("?")[0]: uri for uri in before if uri not in now}
        if not added and not gone:
            return
        event = _event("netconf-capability-change")
        self._add_author(event, None)
        for name, uris in (
            ("added-capability", [uri for base, uri in added.items() if base not in gone]),
            ("deleted-capability", [uri for base, uri in gone.items() if base not in added]),
            ("modified-capability", [uri for base, uri in added.items() if base in gone]),
        ):
            for uri in sorted(uris):
                _leaf(event, name, uri)
        self._publish(self._clock(), event)

    def _add_author(self, event: etree._Element, session_id: int | None) -> None:
        changed_by = _leaf(event, "changed-by", None)
        session = None if session_id is None else self._find_session(session_id)
        if session is None:
            _leaf(changed_by, "server", None)
        else:
            _add_session(changed_by, session)


@dataclass(frozen=True, slots=True)
class EditTargets:
    """The edits of one change as (instance path, operation), and the namespaces of the prefixes in the paths."""

    edits: tuple[tuple[str, str], ...]
    namespaces: dict[str, str]


class _Target(NamedTuple):
    """A node that has changed. A tuple, of which large changes make tens of thousands."""

    element: etree._Element
    parent: etree._Element | None
    layout: Layout
    operation: str

    def ancestor(self, levels: int) -> _Target | None:
        """What is ``levels`` above, as changed in part; None for the root."""
        target: _Target = self
        for _ in range(levels):
            above = target.layout.parent
            if target.parent is None or above is None or above.parent is None:
                return None
            target = _Target(target.parent, target.parent.getparent(), above, _PART)
        return target


def edit_targets(edits: Sequence[Edit]) -> EditTargets:
    """Return the instance paths of what ``edits`` have changed.

    No path shows a secret value, and together they stay within ``TARGET_CHARACTERS``: what would not is told by the
    ancestors that it is below, in the end by nothing at all (RFC 6470 section 2.2 allows both).
    """
    targets = [_Target(edit.element, edit.parent, edit.layout, _OPERATIONS[edit.kind]) for edit in edits]
    hidden = {layout: _levels_to_hide(layout) for layout in {target.layout for target in targets}}
    if any(hidden.values()):
        targets = _once_each(target.ancestor(hidden[target.layout]) for target in targets)
    while (texts := _texts(targets)) is None:
        targets = _once_each(target.ancestor(1) for target in targets)
    namespaces: dict[str, str] = {}
    for layout in {target.layout for target in targets}:
        namespaces.update(namespaces_of(layout))
    return EditTargets(tuple(zip(texts, (target.operation for target in targets), strict=True)), namespaces)


def _texts(targets: Sequence[_Target]) -> list[str] | None:
    """Return the paths of ``targets``, or None when they are too long together."""
    above: dict[etree._Element | None, str] = {None: ""}
    texts = []
    length = 0
    for element, parent, layout, _ in targets:
        leading = above.get(parent)
        if leading is None:
            leading = above[parent] = _path(parent, layout.parent)
        text = f"{leading}/{step_text(element, layout)}"
        length += len(text)
        if length > TARGET_CHARACTERS:
            return None
        texts.append(text)
    return texts


def _with_edits(event: etree._Element, targets: EditTargets) -> etree._Element:
    """Return ``event`` with its list of edits, written as text: making elements one by one costs five times as much."""
    end = b"</netconf-config-change>"
    edits = "".join(
        f"<edit><target>{escape(text, _CARRIAGE_RETURN)}</target><operation>{operation}</operation></edit>"
        for text, operation in targets.edits
    )
    return etree.fromstring(b"".join((etree.tostring(event, encoding="UTF-8").removesuffix(end), edits.encode(), end)))


def _path(element: etree._Element | None, layout: Layout | None) -> str:
    """Return the path of an element in its tree; that of the root is empty."""
    steps: list[str] = []
    while element is not None and layout is not None and layout.parent is not None:
        steps.append(step_text(element, layout))
        element, layout = element.getparent(), layout.parent
    return "".join(f"/{step}" for step in reversed(steps))


def _once_each(targets: Iterable[_Target | None]) -> list[_Target]:
    """Leave out an ancestor that is there already, and what is told by an edit of the whole element."""
    found: dict[etree._Element, _Target] = {}
    for target in targets:
        if target is not None and (target.element not in found or found[target.element].operation == _PART):
            found[target.element] = target
    return list(found.values())


def _levels_to_hide(layout: Layout) -> int:
    """Return how far above a node the first ancestor is whose path shows no secret."""
    chain: list[Layout] = []
    step: Layout | None = layout
    while step is not None:
        chain.append(step)
        step = step.parent
    for index in range(len(chain) - 1, -1, -1):
        if _shows_secret(chain[index]):
            return index + 1
    return 0


def _shows_secret(layout: Layout) -> bool:
    if layout.is_leaf_list:
        return layout.is_secret
    return layout.is_list and any(layout.children[key].is_secret for key in layout.keys)


def _event(name: str, namespaces: dict[str, str] | None = None) -> etree._Element:
    bindings: dict[str | None, str] = {None: NOTIFICATIONS}
    bindings.update((namespaces or {}).items())
    return etree.Element(f"{{{NOTIFICATIONS}}}{name}", nsmap=bindings)


def _leaf(parent: etree._Element, name: str, text: str | None) -> etree._Element:
    child = etree.SubElement(parent, f"{{{NOTIFICATIONS}}}{name}")
    child.text = text
    return child


def _add_session(parent: etree._Element, session: Session) -> None:
    """Add common-session-parms."""
    _leaf(parent, "username", printable(session.client.username))
    _leaf(parent, "session-id", str(session.id))
    try:
        address = str(ipaddress.ip_address(session.client.source_host))
    except ValueError:
        return
    _leaf(parent, "source-host", address)

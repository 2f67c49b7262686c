"""edit-config carried out on one tree (RFC 6241 7.2, RFC 7950 8.2 and 8.3.2, and the operations of 7.5 to 7.11).

The tree's journal is open; whoever opened it undoes what was done before an error. Knows payloads and trees; not
datastores, sessions or constraints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from rkmp.datastore import rejections
from rkmp.datastore.data_tree import DataTree
from rkmp.datastore.instance_path import InstancePath
from rkmp.datastore.layout import Key, Layout, is_empty
from rkmp.datastore.marks import Insert, Mark, Operation
from rkmp.datastore.paths import path_of
from rkmp.datastore.payload import Payload, put_in_order
from rkmp.datastore.reconcile import Reconciler
from rkmp.errors import RpcError

_NO_MARK = Mark()


@dataclass(slots=True)
class _Place:
    """Where children go: an element of the tree, or a container without presence that is there only once it is needed.

    RFC 7950 7.5.1: such a container means nothing by itself, so to an edit it is always there.
    """

    layout: Layout
    element: etree._Element | None
    above: _Place | None = None

    def path(self) -> InstancePath:
        if self.element is not None:
            return path_of(self.element, self.layout)
        above = self.above.path() if self.above is not None else InstancePath("/", {})
        prefix = self.layout.name.partition(":")[0]
        text = f"{above.text.rstrip('/')}/{self.layout.name}"
        return InstancePath(text, {**above.namespaces, prefix: self.layout.node.namespace})


@dataclass(slots=True)
class Editor:
    """One edit of ``tree``.

    With ``collect`` the edit goes on after an error and ``errors`` holds all of them; otherwise the first is raised.
    ``mentioned`` are the nodes under a ``when`` that the payload gives content to: they may not turn out to be false.
    """

    tree: DataTree
    payload: Payload
    collect: bool = False
    errors: list[RpcError] = field(default_factory=list)
    mentioned: list[etree._Element] = field(default_factory=list)
    _emptied: list[tuple[etree._Element, Layout]] = field(default_factory=list)

    def carry_out(self, default_operation: Operation) -> None:
        """Apply the payload. Raises RpcError at the first fault, unless errors are collected."""
        root = self.tree.layouts.root
        config = self.payload.config
        if default_operation is Operation.REPLACE:
            # RFC 6241 7.2: the payload completely replaces the datastore.
            content = self._content(config, root)
            Reconciler(self.tree, take=True).make_equal(self.tree.root, config if content is None else content, root)
        else:
            self._children(_Place(root, self.tree.root), config, default_operation)
        drop_empty_containers(self.tree, self._emptied)

    def _children(self, place: _Place, source: etree._Element, operation: Operation) -> None:
        marks = self.payload.marks
        keys = place.layout.keys
        for child in list(source):
            layout = place.layout.children[child.tag]
            mark = marks.get(child, _NO_MARK) if marks else _NO_MARK
            own = mark.operation or operation
            try:
                if layout.tag in keys:
                    self._key(place, layout, mark)
                else:
                    self._child(place, child, layout, own, mark)
            except RpcError as error:
                if not self.collect:
                    raise
                self.errors.append(error)

    def _key(self, place: _Place, layout: Layout, mark: Mark) -> None:
        """The key of an entry that exists. It tells which entry is meant, and cannot be changed (RFC 7950 7.8.6)."""
        if mark.operation is None or mark.operation in (Operation.MERGE, Operation.REPLACE):
            return
        path, name = self._path(place, layout), layout.node.name
        if mark.operation is Operation.CREATE:
            raise rejections.data_exists(path, name)
        raise rejections.bad_attribute(path, name, "operation", "cannot take the key away from its entry")

    def _child(self, place: _Place, source: etree._Element, layout: Layout, operation: Operation, mark: Mark) -> None:
        existing = self._existing(place, source, layout)
        if operation.deletes:
            if existing is not None:
                self._delete(existing, layout)
            elif operation is Operation.DELETE:
                raise rejections.data_missing(self._path(place, layout, source), layout.node.name)
        elif operation is Operation.NONE:
            self._pass_through(place, existing, source, layout)
        elif existing is None:
            if not mark.resets:
                self._create(place, source, layout, mark)
        elif operation is Operation.CREATE:
            raise rejections.data_exists(path_of(existing, layout), layout.node.name)
        else:
            if layout.node.whens:
                self.mentioned.append(existing)
            self._change(place, existing, source, layout, operation)
            if mark.insert is not None:
                self._position(existing, layout, mark)

    def _existing(self, place: _Place, source: etree._Element, layout: Layout) -> etree._Element | None:
        if place.element is None:
            return None
        if layout.is_entry:
            return self.tree.entry(place.element, layout, layout.key_of(source))
        return self.tree.child(place.element, layout)

    def _pass_through(
        self, place: _Place, existing: etree._Element | None, source: etree._Element, layout: Layout
    ) -> None:
        """default-operation none: nothing happens here, but something may be marked further down."""
        if existing is None and not layout.is_structural:
            raise rejections.data_missing(self._path(place, layout, source), layout.node.name)
        if not layout.node.has_text and not layout.is_opaque:
            self._children(_Place(layout, existing, place), source, Operation.NONE)

    def _change(
        self, place: _Place, existing: etree._Element, source: etree._Element, layout: Layout, operation: Operation
    ) -> None:
        if layout.is_leaf:
            if (existing.text or "") != (source.text or ""):
                self.tree.set_text(existing, layout, source.text or "")
        elif layout.is_opaque:
            # RFC 7950 7.10.3: modified in its entirety only.
            source.attrib.clear()
            Reconciler(self.tree, take=True).make_equal(existing, source, layout)
        elif layout.is_leaf_list:
            return
        elif operation is Operation.REPLACE:
            content = self._content(source, layout)
            if content is None:
                self._delete(existing, layout)
            else:
                Reconciler(self.tree, take=True).make_equal(existing, content, layout)
        else:
            self._children(_Place(layout, existing, place), source, operation)

    def _delete(self, element: etree._Element, layout: Layout) -> None:
        parent = element.getparent()
        self.tree.remove(element, layout)
        if parent is not None and layout.parent is not None and layout.parent.is_structural and is_empty(parent):
            self._emptied.append((parent, layout.parent))

    # Creation

    def _create(self, place: _Place, source: etree._Element, layout: Layout, mark: Mark) -> None:
        content = self._content(source, layout)
        if content is None:
            return
        if mark.anchor is not None:
            # An entry that is not there yet is no anchor for itself.
            entries = self.tree.entries(place.element, layout).by_key if place.element is not None else {}
            if mark.anchor not in entries:
                raise self._missing_anchor(self._path(place, layout, source), layout)
        parent = self._ensure(place)
        self._leave_other_cases(parent, layout)
        self.tree.add(parent, content, layout)
        if mark.insert is not None:
            self._position(content, layout, mark)

    def _ensure(self, place: _Place) -> etree._Element:
        if place.element is None:
            if place.above is None:
                raise ValueError("the root is always there")
            parent = self._ensure(place.above)
            self._leave_other_cases(parent, place.layout)
            place.element = self.tree.create(parent, place.layout)
        return place.element

    def _leave_other_cases(self, parent: etree._Element, layout: Layout) -> None:
        """RFC 7950 8.2: creating a node of one case deletes the nodes of the others."""
        if layout.parent is None or not layout.cases:
            return
        others = [
            tag
            for choice, case in layout.cases
            for other in choice.children
            if other is not case
            for tag in other.data_children
        ]
        for child in list(parent.iterchildren(*others)) if others else ():
            self.tree.remove(child, layout.parent.children[child.tag])

    def _content(self, source: etree._Element, layout: Layout) -> etree._Element | None:
        """``source`` as it is to stand in the tree where nothing of it exists yet; None where nothing is left of it.

        Without attributes it is in normal form as it came. Raises RpcError for an operation inside that cannot be.
        """
        if self.payload.is_normal:
            return None if layout.is_structural and is_empty(source) else source
        source.attrib.clear()
        if layout.node.has_text or layout.is_opaque:
            return source
        ordered: dict[Any, list[etree._Element]] = {}
        for child in list(source):
            below = layout.children[child.tag]
            mark = self.payload.marks.get(child, _NO_MARK)
            if mark.operation is Operation.DELETE:
                raise rejections.data_missing(self._new_path(child, below), below.node.name)
            content = None if mark.operation is Operation.REMOVE or mark.resets else self._content(child, below)
            if content is None:
                source.remove(child)
            elif mark.insert is not None:
                self._insert_new(content, below, mark, ordered.setdefault(child.tag, []))
            elif below.is_entry:
                ordered.setdefault(child.tag, []).append(content)
        for entries in ordered.values():
            for entry in entries:
                source.append(entry)
        put_in_order(source, layout)
        return None if layout.is_structural and is_empty(source) else source

    def _insert_new(self, entry: etree._Element, layout: Layout, mark: Mark, entries: list[etree._Element]) -> None:
        """Place an entry among those of its list that the same payload has created before it."""
        match mark.insert:
            case Insert.FIRST:
                entries.insert(0, entry)
            case Insert.BEFORE | Insert.AFTER:
                keys = [layout.key_of(other) for other in entries]
                if mark.anchor not in keys:
                    raise self._missing_anchor(self._new_path(entry, layout), layout)
                entries.insert(keys.index(mark.anchor) + (mark.insert is Insert.AFTER), entry)
            case _:
                entries.append(entry)

    # Order

    def _position(self, entry: etree._Element, layout: Layout, mark: Mark) -> None:
        parent = entry.getparent()
        if parent is None:
            raise ValueError(f"{layout!r} is in no tree")
        entries = self.tree.entries(parent, layout)
        if mark.insert is Insert.FIRST:
            self.tree.move(entry, layout, next(parent.iterchildren(layout.tag)))
        elif mark.insert is Insert.LAST:
            if entries.last is not None and entries.last is not entry:
                self.tree.move(entry, layout, entries.last.getnext())
        else:
            anchor = self._anchor(entries.by_key.get, mark.anchor, entry, layout)
            if anchor is not entry:
                self.tree.move(entry, layout, anchor if mark.insert is Insert.BEFORE else anchor.getnext())

    def _anchor(
        self,
        look_up: Callable[[Key], etree._Element | None],
        key: Key | None,
        entry: etree._Element,
        layout: Layout,
    ) -> etree._Element:
        anchor = look_up(key) if key is not None else None
        if anchor is None:
            raise self._missing_anchor(path_of(entry, layout), layout)
        return anchor

    def _missing_anchor(self, path: InstancePath, layout: Layout) -> RpcError:
        return rejections.missing_instance(path, layout.node.name, "value" if layout.is_leaf_list else "key")

    # Errors

    def _path(self, place: _Place, layout: Layout, source: etree._Element | None = None) -> InstancePath:
        if place.element is not None:
            element = source if source is not None else etree.Element(layout.tag)
            return path_of(element, layout, place.element)
        inside = _Place(layout, None, place)
        return inside.path()

    def _new_path(self, source: etree._Element, layout: Layout) -> InstancePath:
        return path_of(source, layout)


def drop_empty_containers(tree: DataTree, candidates: list[tuple[etree._Element, Layout]]) -> None:
    """Remove containers without presence that have lost their content, and those above that this leaves empty."""
    for candidate, candidate_layout in candidates:
        element: etree._Element | None = candidate
        layout: Layout | None = candidate_layout
        while element is not None and layout is not None and layout.is_structural and is_empty(element):
            parent = element.getparent()
            if parent is None or not tree.is_attached(element):
                break
            tree.remove(element, layout)
            element, layout = parent, layout.parent

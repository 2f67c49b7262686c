"""A receiver of push-update and push-change-update that keeps a copy of the data, by the words of the RFCs alone.

RFC 8072 section 2.5 says what an edit does, RFC 8040 section 3.5.3 what a target names; RFC 8641 section 3.5.2 that
creating what there is and deleting what there is not are no errors.
"""

from __future__ import annotations

import copy
from urllib.parse import unquote

from lxml import etree

from rkmp.datastore.schema import NodeKind, Schema, SchemaNode
from tests.netconf.subscriptions.requests import yp

Content = tuple[object, ...]


class Receiver:
    """The data of one subscription as its notifications tell it."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.tree = schema.new_root()
        self.patches: list[int] = []

    def receive(self, event: etree._Element) -> None:
        """Take the element inside a notification."""
        if event.tag == yp("push-update"):
            self.tree = self.schema.new_root()
            self.tree.extend([copy.deepcopy(element) for element in event.iterfind(f"{yp('datastore-contents')}/*")])
            self.patches.clear()
        elif event.tag == yp("push-change-update"):
            path = f"{yp('datastore-changes')}/{yp('yang-patch')}"
            self.patches.append(int(event.findtext(f"{path}/{yp('patch-id')}", "")))
            for edit in event.iterfind(f"{path}/{yp('edit')}"):
                self.apply(edit)

    def apply(self, edit: etree._Element) -> None:
        operation = edit.findtext(yp("operation"))
        steps = edit.findtext(yp("target"), "").split("/")[1:]
        parent, node = self.tree, self.schema.root
        for step in steps[:-1]:
            node = self._node(node, step)
            found = self._find(parent, node, step)
            parent = etree.SubElement(parent, node.tag) if found is None else found
        node = self._node(node, steps[-1])
        there = self._find(parent, node, steps[-1])
        value = edit.find(yp("value"))
        new = there if value is None else copy.deepcopy(value[0])
        if operation in ("create", "replace"):
            assert new is not None
            assert new.tag == node.tag
            if there is None:
                parent.append(new)
            else:
                parent.replace(there, new)
        elif operation == "delete":
            if there is not None:
                parent.remove(there)
        else:
            assert operation in ("insert", "move")
            assert new is not None
            if there is not None:
                parent.remove(there)
            if edit.findtext(yp("where")) == "first":
                parent.insert(0, new)
            else:
                point = edit.findtext(yp("point"), "").split("/")[1:]
                assert point[:-1] == steps[:-1]
                before = self._find(parent, node, point[-1])
                assert before is not None
                before.addnext(new)

    def _node(self, above: SchemaNode, step: str) -> SchemaNode:
        module, _, name = step.partition("=")[0].rpartition(":")
        namespace = self.schema.modules[module].namespace if module else above.namespace
        return above.data_children[f"{{{namespace}}}{name}"]

    def _find(self, parent: etree._Element, node: SchemaNode, step: str) -> etree._Element | None:
        values = [unquote(part) for part in step.partition("=")[2].split(",")]
        for element in parent.iterchildren(node.tag):
            if node.kind is NodeKind.LEAF_LIST:
                if (element.text or "") == values[0]:
                    return element
            elif node.kind is NodeKind.LIST:
                keys = [element.findtext(key) or "" for key in node.keys]
                if [key.rpartition(":")[2] for key in keys] == [value.rpartition(":")[2] for value in values]:
                    return element
            else:
                return element
        return None


def content_of(schema: Schema, tree: etree._Element) -> Content:
    """Return data in a form to be compared: without the order that means nothing, and without empty containers."""
    return _content(schema.root, tree)


def _content(node: SchemaNode, element: etree._Element) -> Content:
    if node.kind in (NodeKind.ANYDATA, NodeKind.ANYXML):
        return (etree.tostring(element, method="c14n", exclusive=True),)
    found: list[tuple[str, object]] = []
    ordered: dict[str, list[object]] = {}
    for child in element.iterchildren(tag=etree.Element):
        below = node.data_children[str(child.tag)]
        what: object = (child.text or "") if below.has_text else _content(below, child)
        if below.kind is NodeKind.CONTAINER and not below.presence and not what:
            continue
        if below.ordered_by_user:
            ordered.setdefault(below.tag, []).append(what)
        else:
            found.append((below.tag, what))
    return (*sorted(found, key=repr), *sorted(ordered.items()))

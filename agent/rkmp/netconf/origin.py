"""Where values in use come from: the ``origin`` annotation of the operational datastore (RFC 8342 section 5.3.4).

What running holds is intended, what the model fills in is default. What a state provider adds under a node that can
be configured is system, or what the provider says with the attribute itself; it goes for everything below. System
state, which cannot be configured, has no origin.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from lxml import etree

from rkmp.datastore.schema import NodeKind, Schema, SchemaNode
from rkmp.netconf.namespaces import ORIGIN

ORIGIN_ATTRIBUTE = f"{{{ORIGIN}}}origin"


class Origin(Enum):
    """The identities of ietf-origin that a value in use can have here (RFC 8342 section 5.3.4)."""

    INTENDED = "intended"
    DYNAMIC = "dynamic"
    SYSTEM = "system"
    LEARNED = "learned"
    DEFAULT = "default"
    UNKNOWN = "unknown"


def set_origin(element: etree._Element, origin: Origin) -> None:
    """Have an element that a state provider adds, and what is below it, be of this origin."""
    element.set(ORIGIN_ATTRIBUTE, origin.value)


def annotate(
    schema: Schema,
    tree: etree._Element,
    configured: Collection[etree._Element],
    defaults: Collection[etree._Element],
) -> None:
    """Give the nodes of ``tree`` their origins; an element without the attribute has that of the one around it.

    ``configured`` are the elements that running has, ``defaults`` the leaves that the model filled in.
    """
    walk = _Annotation(schema.prefix_of(ORIGIN), configured, defaults)
    for element in tree:
        node = schema.top.get(str(element.tag))
        if node is not None:
            walk.annotate(element, node, None, inherits=False)


@dataclass(frozen=True, slots=True)
class _Annotation:
    prefix: str
    configured: Collection[etree._Element]
    defaults: Collection[etree._Element]

    def annotate(self, element: etree._Element, node: SchemaNode, above: str | None, *, inherits: bool) -> None:
        """Annotate ``element`` and what is below; ``inherits`` where the one around it was added by a provider."""
        given = element.attrib.pop(ORIGIN_ATTRIBUTE, None)
        if not node.config:
            etree.strip_attributes(element, ORIGIN_ATTRIBUTE)
            return
        is_configured = element in self.configured
        is_structural = node.kind is NodeKind.CONTAINER and not node.presence
        if is_configured:
            own: str | None = self._value(Origin.INTENDED.value)
        elif element in self.defaults:
            own = self._value(Origin.DEFAULT.value)
        elif given is not None:
            own = self._value(str(given))
        elif inherits or is_structural:
            # RFC 8342 5.3.4: a container without presence has no origin of its own.
            own = above
        else:
            own = self._value(Origin.SYSTEM.value)
        if own is not None and own != above:
            element.set(ORIGIN_ATTRIBUTE, own)
        added = not is_configured and (inherits or given is not None or not is_structural)
        for child in element:
            below = node.data_children.get(str(child.tag))
            if below is not None:
                self.annotate(child, below, own, inherits=added)

    def _value(self, name: str) -> str:
        return f"{self.prefix}:{name}"


@dataclass(frozen=True, slots=True)
class Sieve:
    """The filters of get-data that look at one node at a time (RFC 8526 section 3.1.1): config and origin.

    ``config`` is None for both kinds. ``origins`` are (module, name) of identities, None for any origin at all; a
    ``negated`` sieve lets everything else through. Ancestors and keys of what passes stay.
    """

    schema: Schema
    config: bool | None = None
    origins: frozenset[tuple[str, str]] | None = None
    negated: bool = False

    def apply(self, tree: etree._Element) -> None:
        """Take away what does not pass; origins are annotated as ``annotate`` does."""
        if self.config is None and self.origins is None:
            return
        for element in list(tree):
            node = self.schema.top.get(str(element.tag))
            if node is not None and not self._stays(element, node, None):
                tree.remove(element)

    def _stays(self, element: etree._Element, node: SchemaNode, above: str | None) -> bool:
        origin = element.get(ORIGIN_ATTRIBUTE) or above
        inside = False
        for child in list(element.iterchildren(etree.Element)):
            below = node.data_children.get(str(child.tag))
            if below is None or below.tag in node.keys:
                continue
            if self._stays(child, below, origin):
                inside = True
            else:
                element.remove(child)
        # A container without presence is there for what is in it (RFC 7950 7.5.1).
        is_structural = node.kind is NodeKind.CONTAINER and not node.presence
        return inside or (not is_structural and self._passes(node, origin))

    def _passes(self, node: SchemaNode, origin: str | None) -> bool:
        if self.config is not None and node.config is not self.config:
            return False
        if self.origins is None or not node.config:
            return True
        return self._is_among(origin) is not self.negated

    def _is_among(self, origin: str | None) -> bool:
        """Whether an origin is, or is derived from, one that is asked for; without one it is unknown."""
        name = Origin.UNKNOWN.value if origin is None else origin.rpartition(":")[2]
        identity = self.schema.identities.get(("ietf-origin", name))
        mine = {("ietf-origin", name), *(identity.ancestors if identity is not None else ())}
        return self.origins is not None and not mine.isdisjoint(self.origins)


def limit_depth(schema: Schema, selected: Collection[etree._Element], depth: int) -> None:
    """Leave ``depth`` levels of each selected node, itself the first; the keys of entries stay (RFC 8526 section 4)."""
    for element in selected:
        node = schema.node_of(element)
        if node is not None:
            _limit(element, node, depth)


def _limit(element: etree._Element, node: SchemaNode, depth: int) -> None:
    for child in list(element.iterchildren(etree.Element)):
        below = node.data_children.get(str(child.tag))
        if below is None or below.tag in node.keys:
            continue
        if depth == 1:
            element.remove(child)
        else:
            _limit(child, below, depth - 1)

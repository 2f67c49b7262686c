"""Operational state for ``<get>``: configuration in use, with the state that providers add (RFC 6241 section 7.7).

Providers are registered by the tag of a top-level node and called only when the request can select that node. It
must not know messages or sessions.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

from lxml import etree

from rkmp.datastore.schema import Schema
from rkmp.datastore.with_defaults import defaults_of
from rkmp.netconf.namespaces import base
from rkmp.netconf.origin import ORIGIN_ATTRIBUTE, annotate

StateProvider: TypeAlias = "Callable[[etree._Element], None]"
"""Adds state below ``root``, a copy of running that holds the provider's own top-level node at most once.

The node is there already where it has configuration; the provider adds to it, or appends it. Values that name
identities or paths are written with the prefixes of the schema (``Schema.prefix_of``), and no others: prefixes that
an element declares itself may be dropped. Called on the event loop, so it must be quick and must not wait.
What it adds under a node that can be configured is taken for the system's, unless `rkmp.netconf.origin.set_origin`
says otherwise.
"""

EntryNames: TypeAlias = "Collection[tuple[str, tuple[str, ...]]]"
"""Entries of lists right below a top-level node: the tag of the list, and the values of the keys."""

EntryProvider: TypeAlias = "Callable[[etree._Element, EntryNames], None]"
"""Does for some entries what a `StateProvider` does for all: ``root`` has just these, where they are configuration.

It adds all of its state that is in no list as well.
"""

Selects = Callable[[str], bool]
"""Says whether a request can select the top-level node with this tag."""


class OperationalState:
    """The providers, and trees made of running and what they add."""

    def __init__(self) -> None:
        self._providers: dict[str, list[StateProvider]] = {}
        self._of_entries: dict[str, list[EntryProvider | None]] = {}
        self._on_request: set[str] = set()

    def register(
        self,
        tag: str,
        provider: StateProvider,
        *,
        on_request: bool = False,
        of_entries: EntryProvider | None = None,
    ) -> None:
        """Have ``provider`` add state to the top-level node ``tag`` (Clark notation); several may, in this order.

        ``of_entries`` does so for some entries, where it costs less than for all.

        State that is ``on_request`` is there for a filter that names it and not otherwise: it has no YANG module,
        and a client that checks what it gets against the announced modules would choke on it.
        """
        self._providers.setdefault(tag, []).append(provider)
        self._of_entries.setdefault(tag, []).append(of_entries)
        if on_request:
            self._on_request.add(tag)

    def selects_by_default(self, tag: str) -> bool:
        """Return whether a request without a filter selects the top-level node ``tag``."""
        return tag not in self._on_request

    def build(self, running: etree._Element, selects: Selects) -> etree._Element:
        """Return a new tree of the selected top-level nodes of ``running``, whose own nodes are left alone."""
        root = _copy_of(running, selects)
        self._provide(root, selects)
        # Where values come from is not for <get>.
        etree.strip_attributes(root, ORIGIN_ATTRIBUTE)
        return root

    def build_entries(self, configured: etree._Element, entries: Mapping[str, EntryNames]) -> etree._Element | None:
        """Return some entries by top-level node, with their state and the state beside their lists.

        ``configured`` has just what running has of them. None where a provider cannot be asked for some.
        """
        root = self._entries(configured, entries)
        if root is not None:
            etree.strip_attributes(root, ORIGIN_ATTRIBUTE)
        return root

    def _entries(self, configured: etree._Element, entries: Mapping[str, EntryNames]) -> etree._Element | None:
        root = _copy_of(configured, lambda tag: tag in entries)
        for tag, names in entries.items():
            for provider in self._of_entries.get(tag, ()):
                if provider is None:
                    return None
                provider(root, names)
        return root

    def in_use(self, schema: Schema, running: etree._Element) -> etree._Element:
        """Return the operational datastore (RFC 8342 section 5.3): all values in use, annotated with their origins."""
        root = _copy_of(running, self.selects_by_default)
        # Held for as long as the walk takes, so that an element that a provider adds cannot be taken for one of them.
        configured = set(root.iter(etree.Element))
        self._provide(root, self.selects_by_default)
        annotate(schema, root, configured, set(defaults_of(schema).complete(root)))
        return root

    def values_in_use(self, schema: Schema, running: etree._Element, selects: Selects) -> etree._Element:
        """Return the top-level nodes of the operational datastore that are selected, without origins.

        Which defaults of theirs are in use must not hang on what is not selected.
        """
        root = _copy_of(running, selects)
        self._provide(root, selects)
        defaults_of(schema).complete(root)
        etree.strip_attributes(root, ORIGIN_ATTRIBUTE)
        return root

    def entries_in_use(
        self, schema: Schema, configured: etree._Element, entries: Mapping[str, EntryNames]
    ) -> etree._Element | None:
        """Return some entries of the operational datastore by top-level node, with state beside their lists.

        ``configured`` has just what running has of them. None where a provider cannot be asked for some.
        """
        root = self._entries(configured, entries)
        if root is None:
            return None
        defaults_of(schema).complete(root)
        for element in list(root):
            if element.tag not in entries:
                root.remove(element)
        etree.strip_attributes(root, ORIGIN_ATTRIBUTE)
        return root

    def _provide(self, root: etree._Element, selects: Selects) -> None:
        for tag, providers in self._providers.items():
            if selects(tag):
                for provider in providers:
                    provider(root)


def _copy_of(running: etree._Element, selects: Selects) -> etree._Element:
    root = etree.Element(base("config"), nsmap=dict(running.nsmap))
    for element in running:
        if selects(str(element.tag)):
            root.append(copy.deepcopy(element))
    return root

"""Instance paths of nodes whose layout is known, in the schema's prefixes (RFC 6241 4.3 error-path, RFC 7950 9.13).

The same text as ``instance_path`` gives, an order of magnitude faster and also for a node that has left its tree:
paths name rows on disk and edits of large changes.
"""

from __future__ import annotations

from lxml import etree

from rkmp.datastore.instance_path import InstancePath
from rkmp.datastore.layout import Layout
from rkmp.datastore.xpath.syntax import quoted


def step_text(element: etree._Element, layout: Layout) -> str:
    """The last step of the path of ``element``: its name with the predicates that tell it from its siblings."""
    if layout.is_list:
        children = layout.children
        predicates = [
            f"[{children[key].name}={quoted(leaf.text or '')}]"
            for key in layout.keys
            for leaf in element.iterchildren(key)
        ]
        return layout.name + "".join(predicates)
    if layout.is_leaf_list:
        return f"{layout.name}[.={quoted(element.text or '')}]"
    return layout.name


def path_text(element: etree._Element, layout: Layout, parent: etree._Element | None = None) -> str:
    """The path of ``element``; ``parent`` is the element that it was under, where it is in no tree any more."""
    steps = [step_text(element, layout)]
    above = layout.parent
    at = element.getparent() if parent is None else parent
    while above is not None and above.parent is not None and at is not None:
        steps.append(step_text(at, above))
        at, above = at.getparent(), above.parent
    steps.append("")
    return "/".join(reversed(steps))


def path_below(entry: etree._Element, layout: Layout, leaf: Layout) -> InstancePath:
    """The path of a leaf below ``entry``, with containers only between them, whether or not it is there."""
    names = []
    step: Layout | None = leaf
    while step is not None and step is not layout:
        names.append(step.name)
        step = step.parent
    return InstancePath("/".join([path_text(entry, layout), *reversed(names)]), namespaces_of(leaf))


def namespaces_of(layout: Layout) -> dict[str, str]:
    """The prefixes that the path of an instance of ``layout`` uses."""
    bound: dict[str, str] = {}
    step: Layout | None = layout
    while step is not None and step.parent is not None:
        bound[step.name.partition(":")[0]] = step.node.namespace
        step = step.parent
    return bound


def path_of(element: etree._Element, layout: Layout, parent: etree._Element | None = None) -> InstancePath:
    """The path of ``element`` with its namespaces; ``parent`` as for ``path_text``. The root's path is ``/``."""
    if layout.parent is None:
        return InstancePath("/", {})
    return InstancePath(path_text(element, layout, parent), namespaces_of(layout))

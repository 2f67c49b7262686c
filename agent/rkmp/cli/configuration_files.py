"""Configuration in a file, as XML, JSON (RFC 7951) or YAML, and where in the file each of its nodes is.

YAML is the same data as JSON in another notation. Both name modules where XML names namespaces; which namespace a
module has is the agent's to say. What a value means is the agent's business as well: it is handed on as text.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from lxml import etree

from rkmp.cli.exit_status import USAGE
from rkmp.cli.session import NETCONF
from rkmp.errors import CommandError

Modules = Callable[[], Mapping[str, str]]
"""Returns the namespaces of the agent's modules, by name."""

DEEPEST = 100
"""Levels of nesting; no module comes near."""

_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_WRAPPERS = ("config", "data")
_ESCAPE = re.compile(r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|.)")
_IDENTITY = re.compile(r"([A-Za-z_][\w.-]*):[A-Za-z_][\w.-]*", re.ASCII)
_STEP = re.compile(r"""/(?:[\w.-]+:)?([\w.-]+)((?:\[(?:[^\]"']|"[^"]*"|'[^']*')*\])*)""")
_KEY = re.compile(r"""\[(?:[\w.-]+:)?([\w.-]+|\.)\s*=\s*(?:"([^"]*)"|'([^']*)')\]""")


@dataclass(frozen=True, slots=True)
class ConfigurationFile:
    """A file that could be read: ``content`` is the ``config`` of XML, or the data of the other two."""

    path: Path
    content: etree._Element | yaml.MappingNode

    def config(self, modules: Modules) -> etree._Element:
        """Return it as an RFC 6241 ``config`` element whose parts know their lines; raises :class:`CommandError`."""
        if isinstance(self.content, etree._Element):
            return self.content
        config = etree.Element(f"{{{NETCONF}}}config", nsmap={"nc": NETCONF})
        _Writer(self.path, modules()).append_all(config, self.content, None)
        return config

    def place_of(self, config: etree._Element, path: str | None) -> str:
        """Return the file and the line of the node that an agent's error is about, as far as ``path`` leads."""
        element, found = config, None
        for step in _STEP.finditer(path or ""):
            name, keys = step[1], [(key[1], key[2] or key[3] or "") for key in _KEY.finditer(step[2])]
            below = next((child for child in element.iterchildren("*") if _is_meant(child, name, keys)), None)
            if below is None:
                break
            element = found = below
        return str(self.path) if found is None or found.sourceline is None else f"{self.path} line {found.sourceline}"


def read_configuration(path: Path) -> ConfigurationFile:
    """Read a file, ``-`` for standard input; raises :class:`CommandError` where it cannot be read or is none of these.

    XML holds a top-level data node of the agent's modules, or a ``config`` (or ``data``) element with several.
    """
    try:
        if str(path) == "-":
            path, text = Path("standard input"), sys.stdin.buffer.read()
        else:
            text = path.read_bytes()
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}", USAGE) from error
    match path.suffix.lower(), text.lstrip()[:1]:
        case (".json", _) | (_, b"{"):
            return ConfigurationFile(path, _from_json(path, text))
        case (".xml", _) | (_, b"<" | b""):
            return ConfigurationFile(path, _config_of(_from_xml(path, text), path))
        case _:
            return ConfigurationFile(path, _from_yaml(path, _decoded(path, text)))


def _from_xml(path: Path, text: bytes) -> etree._Element:
    parser = etree.XMLParser(remove_comments=True, remove_pis=True, resolve_entities=False, no_network=True)
    try:
        return etree.fromstring(text, parser)
    except etree.XMLSyntaxError as error:
        raise CommandError(f"{path} line {error.lineno}: {error.msg}", USAGE) from error


def _config_of(root: etree._Element, path: Path) -> etree._Element:
    tops = list(root) if etree.QName(root).localname in _WRAPPERS else [root]
    # Values may hold prefixes that the root has bound.
    config = etree.Element(f"{{{NETCONF}}}config", nsmap={**root.nsmap, "nc": NETCONF})
    if not tops:
        raise CommandError(f"{path} holds no configuration", USAGE)
    config.extend(tops)
    return config


def _from_json(path: Path, text: bytes) -> yaml.MappingNode:
    decoded = _decoded(path, text)
    try:
        json.loads(decoded)
    except json.JSONDecodeError as error:
        raise CommandError(f"{path} line {error.lineno}: {error.msg}", USAGE) from error
    except RecursionError as error:
        raise CommandError(f"{path} is nested too deeply", USAGE) from error
    # JSON is YAML, so that every value has a line, but for tabs, which its strings cannot hold, and for characters
    # beyond the basic plane, which it writes as two halves.
    return _from_yaml(path, _ESCAPE.sub(_joined, decoded.replace("\t", " ")))


def _joined(escape: re.Match[str]) -> str:
    if escape[1] is None:
        return escape[0]
    return (bytes.fromhex(escape[1]) + bytes.fromhex(escape[2])).decode("utf-16-be", "replace")


def _from_yaml(path: Path, text: str) -> yaml.MappingNode:
    try:
        _require_plain(path, text)
        root = yaml.compose(text, _LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" line {mark.line + 1}"
        raise CommandError(f"{path}{where}: {getattr(error, 'problem', None) or 'this is no YAML'}", USAGE) from error
    if isinstance(root, yaml.MappingNode) and len(root.value) == 1:
        name, value = root.value[0]
        if isinstance(name, yaml.ScalarNode) and name.value.rpartition(":")[2] in _WRAPPERS:
            root = value
    if not isinstance(root, yaml.MappingNode) or not root.value:
        raise CommandError(f"{path} holds no configuration: modules and their data are expected by name", USAGE)
    return root


def _require_plain(path: Path, text: str) -> None:
    """Refuse what would not end well: a few lines that repeat a part by reference, and nesting without end."""
    depth = 0
    for event in yaml.parse(text, _LOADER):
        line = 0 if event.start_mark is None else event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise CommandError(f"{path} line {line}: aliases are not understood", USAGE)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise CommandError(f"{path} line {line}: it is nested too deeply", USAGE)


def _decoded(path: Path, text: bytes) -> str:
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text[: error.start].count(b"\n") + 1
        raise CommandError(f"{path} line {line}: this is not UTF-8", USAGE) from error


class _Writer:
    """Turns data that names modules into elements that have namespaces."""

    def __init__(self, path: Path, modules: Mapping[str, str]) -> None:
        self._path = path
        self._modules = modules

    def append_all(self, parent: etree._Element, node: yaml.MappingNode, module: str | None) -> None:
        """Append what ``node`` holds; members without a module's name are of ``module``."""
        seen: dict[str, list[etree._Element]] = {}
        annotations = []
        for name, value in node.value:
            if not isinstance(name, yaml.ScalarNode):
                raise self._error(name, "this is no name")
            if name.value in seen:
                raise self._error(name, "this name is there twice")
            seen[name.value] = []
            if name.value.startswith("@"):
                annotations.append((name, value))
                continue
            for each in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                seen[name.value].append(self._append(parent, name, name.value, each, module))
        for name, value in annotations:
            if name.value == "@":
                if module is None:
                    raise self._error(name, "metadata is of data, and here is none")
                self._annotate(parent, value)
            else:
                self._annotate_members(parent, name, value, seen.get(name.value[1:]), module)

    def _annotate_members(
        self,
        parent: etree._Element,
        name: yaml.ScalarNode,
        value: yaml.Node,
        found: list[etree._Element] | None,
        module: str | None,
    ) -> None:
        """Give metadata to leaves (RFC 7952 5.2.2), one that is only to be deleted included, or to a leaf-list's."""
        if found is None:
            empty = yaml.ScalarNode("tag:yaml.org,2002:null", "", name.start_mark, name.end_mark)
            found = [self._append(parent, name, name.value[1:], empty, module)]
        given = value.value if isinstance(value, yaml.SequenceNode) else [value]
        if len(given) > len(found):
            raise self._error(value, "there is more metadata than data")
        for element, each in zip(found, given, strict=False):
            if not (isinstance(each, yaml.ScalarNode) and self._text(each) is None):
                self._annotate(element, each)

    def _annotate(self, element: etree._Element, node: yaml.Node) -> None:
        """Turn metadata (RFC 7952) into attributes, as ``ietf-netconf:operation`` into that of RFC 6241 7.2."""
        if not isinstance(node, yaml.MappingNode):
            raise self._error(node, "metadata is an object")
        for name, value in node.value:
            if not (isinstance(name, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode)):
                raise self._error(name, "metadata has names and plain values")
            module, _, local = name.value.rpartition(":")
            if not module:
                raise self._error(name, f"{local} does not say which module it is of: write MODULE:{local}")
            try:
                element.set(f"{{{self._namespace(name, module)}}}{local}", self._text(value) or "")
            except ValueError:
                raise self._error(name, "this has characters that XML does not have") from None

    def _append(
        self, parent: etree._Element, name: yaml.ScalarNode, called: str, value: yaml.Node, outer: str | None
    ) -> etree._Element:
        """Append an element that is ``called`` by what stands at ``name``, and return it."""
        prefix, _, local = called.rpartition(":")
        module = prefix or outer
        if module is None:
            raise self._error(name, f"{local} does not say which module it is of: write MODULE:{local}")
        namespace = self._namespace(name, module)
        # An identity without a module's name is of the leaf's module.
        bindings: dict[str | None, str] = {None: namespace}
        text = self._text(value) if isinstance(value, yaml.ScalarNode) else None
        identity = _IDENTITY.fullmatch(text or "")
        if identity is not None and identity[1] in self._modules:
            bindings[identity[1]] = self._modules[identity[1]]
        try:
            element = etree.SubElement(parent, f"{{{namespace}}}{local}", nsmap=bindings)
            element.text = text
        except ValueError:
            raise self._error(name, "this has characters that XML does not have") from None
        # lxml has a setter, which its stubs do not know.
        element.sourceline = _line(value) if isinstance(value, yaml.MappingNode) else _line(name)  # type: ignore[misc]
        if isinstance(value, yaml.MappingNode):
            self.append_all(element, value, module)
        elif not isinstance(value, yaml.ScalarNode):
            raise self._error(value, "a list inside of a list")
        return element

    def _text(self, value: yaml.ScalarNode) -> str | None:
        if not value.style and value.value in ("", "~", "null"):
            return None
        text: str = value.value
        return text

    def _namespace(self, node: yaml.Node, module: str) -> str:
        namespace = NETCONF if module == "ietf-netconf" else self._modules.get(module)
        if namespace is None:
            raise self._error(node, f"the agent has no module {module}")
        return namespace

    def _error(self, node: yaml.Node, what: str) -> CommandError:
        return CommandError(f"{self._path} line {_line(node)}: {what}", USAGE)


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1 if node.start_mark is not None else 0


def _is_meant(element: etree._Element, name: str, keys: list[tuple[str, str]]) -> bool:
    if etree.QName(element).localname != name:
        return False
    values = {etree.QName(child).localname: child.text or "" for child in element.iterchildren("*")}
    return all(values.get(key) == value or (key == "." and element.text == value) for key, value in keys)

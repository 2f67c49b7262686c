"""XPath as YANG uses it: expressions compiled against a schema and evaluated by libxml2 (RFC 7950 sections 6.4, 10).

An ``Expression`` is written where it is found in a module, and bound once the schema is whole: names get their
namespaces, ``current()`` and the root become variables, YANG's functions are attached. Conditions and paths of the
model and NETCONF's ``:xpath`` filters are the same class.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lxml import etree

from rkmp.datastore.xpath.analysis import Analysis
from rkmp.datastore.xpath.syntax import NotANodeSet, Syntax, XPathSyntaxError, parse, render

if TYPE_CHECKING:
    from rkmp.datastore.schema.nodes import Schema, SchemaNode
    from rkmp.datastore.xpath.functions import YangFunctions


_COMPILED = ("_compiled", "_condition")


class Expression:
    """One XPath expression.

    ``text`` is as written, ``prefixes`` those in scope there, ``default_namespace`` what unprefixed names belong to
    and ``identity_namespace`` what unprefixed identities do: the module in whose text it stands (RFC 7950 10.4.1).
    After ``bind``: ``reads`` holds the schema nodes that can change the outcome, ``selects`` those that a node-set
    result can hold, ``exact`` whether ``reads`` is known to be all of them.
    """

    __slots__ = (
        "_compiled",
        "_condition",
        "_extensions",
        "_namespaces",
        "_rewritten",
        "_uses_current",
        "_uses_root",
        "default_namespace",
        "exact",
        "identity_namespace",
        "prefixes",
        "reads",
        "selects",
        "syntax",
        "text",
    )

    def __init__(
        self,
        text: str,
        prefixes: Mapping[str, str],
        default_namespace: str | None,
        identity_namespace: str | None = None,
    ) -> None:
        """Raises XPathSyntaxError."""
        self.text = text
        self.prefixes = prefixes
        self.default_namespace = default_namespace
        self.identity_namespace = identity_namespace
        self.syntax: Syntax = parse(text)
        self.reads: frozenset[SchemaNode] = frozenset()
        self.selects: frozenset[SchemaNode] = frozenset()
        self.exact = False
        self._rewritten = ""
        self._namespaces: dict[str, str] = {}
        self._extensions: dict[tuple[str | None, str], Any] = {}
        self._uses_current = False
        self._uses_root = False
        self._compiled: etree.XPath | None = None
        self._condition: etree.XPath | None = None

    def __repr__(self) -> str:
        return f"<Expression {self.text}>"

    def __getstate__(self) -> dict[str, Any]:
        """All but what libxml2 holds, which is compiled again when it is first needed."""
        return {name: getattr(self, name) for name in self.__slots__ if name not in _COMPILED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self._compiled = self._condition = None

    def bind(self, schema: Schema, functions: YangFunctions, context: Iterable[SchemaNode]) -> None:
        """Compile against a whole schema, for context nodes that are instances of ``context``.

        Raises XPathSyntaxError for what only a schema can tell: unbound prefixes, unknown functions and identities.
        """
        analysis = Analysis(schema, self.prefixes, self.default_namespace, self.identity_namespace, frozenset(context))
        tree, self.selects = analysis.rewrite(self.syntax)
        self.reads = frozenset(analysis.reads)
        self.exact = analysis.exact
        self._rewritten = render(tree)
        self._namespaces = analysis.used_namespaces
        self._extensions = functions.extensions(analysis.functions)
        self._uses_current = "$current" in self._rewritten
        self._uses_root = "$root" in self._rewritten
        self._compiled = self._evaluator(self._rewritten)
        self._condition = None

    @property
    def used_namespaces(self) -> Mapping[str, str]:
        """The namespaces of the names in the expression, by the prefixes that it is evaluated with."""
        return self._namespaces

    def _ready(self) -> etree.XPath:
        if self._compiled is None:
            if not self._rewritten:
                raise RuntimeError(f"{self!r} is not bound to a schema")
            self._compiled = self._evaluator(self._rewritten)
        return self._compiled

    def _evaluator(self, text: str) -> etree.XPath:
        try:
            return etree.XPath(
                text, namespaces=self._namespaces, extensions=self._extensions, regexp=False, smart_strings=False
            )
        except etree.XPathError as error:
            raise XPathSyntaxError(f"{self.text!r} cannot be compiled: {error}") from error

    def _variables(self, context: etree._Element, root: etree._Element) -> dict[str, Any]:
        variables: dict[str, Any] = {}
        if self._uses_current:
            variables["current"] = context
        if self._uses_root:
            variables["root"] = root
        return variables

    def evaluate(self, context: etree._Element, root: etree._Element) -> Any:
        """The value as libxml2 gives it: a list (node-set), str, float or bool.

        ``root`` is the element above the top-level data nodes, which stands for the root node of XPath.
        Raises XPathSyntaxError when an argument has a type that cannot be converted (XPath 1.0 section 3.2).
        """
        compiled = self._ready()
        try:
            return compiled(context, **self._variables(context, root))
        except (etree.XPathError, TypeError) as error:
            raise XPathSyntaxError(f"{self.text!r} cannot be evaluated: {error}") from error

    def select(self, context: etree._Element, root: etree._Element) -> list[etree._Element]:
        """The elements of a node-set result, in document order; raises NotANodeSet when it is none."""
        result = self.evaluate(context, root)
        if not isinstance(result, list):
            raise NotANodeSet(f"{self.text!r} does not select nodes")
        return [node for node in result if isinstance(node, etree._Element)]

    def holds(self, context: etree._Element, root: etree._Element) -> bool:
        """The value converted to a boolean (XPath 1.0 section 4.3)."""
        if self._condition is None:
            self._ready()
            self._condition = self._evaluator(f"boolean({self._rewritten})")
        try:
            return bool(self._condition(context, **self._variables(context, root)))
        except (etree.XPathError, TypeError) as error:
            raise XPathSyntaxError(f"{self.text!r} cannot be evaluated: {error}") from error


__all__ = ["Expression", "NotANodeSet", "XPathSyntaxError", "parse"]

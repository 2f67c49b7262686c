"""What the schema says about modules rather than nodes: their descriptions, prefixes, namespaces and identities.

Follows RFC 7950 sections 5.6.5 (which modules are implemented), 6.4.1 (prefixes in scope) and 7.18 (identities), and
RFC 8525 (what ietf-yang-library tells of a module).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from rkmp.datastore.schema.modules import ParsedModules, Statement, module_name
from rkmp.datastore.schema.nodes import Identity, Module, Submodule

# (module name, identity name)
IdentityKey = tuple[str, str]


class Inventory:
    """The modules of one schema.

    ``modules`` are all of them by name, ``nsmap`` binds a unique prefix to each namespace, ``identities`` are all that
    are defined. ``identity_values`` gives for each that may be the value of an identityref the namespace and name that
    it is written with, and its canonical text.
    """

    def __init__(self, parsed: ParsedModules) -> None:
        self._parsed = parsed
        self._prefixes_of: dict[Statement, dict[str, str]] = {}
        self.modules = _modules(parsed)
        self.nsmap = _unique_prefixes(self.modules.values())
        self._bound = {namespace: prefix for prefix, namespace in self.nsmap.items()}
        self.identities: dict[IdentityKey, Identity] = {}
        self.identity_values: dict[IdentityKey, tuple[tuple[str, str], str]] = {}
        for statement in (identity for module in parsed.statements.values() for identity in module.search("identity")):
            name, identity = _identity_key(statement)
            self.identities[name, identity] = Identity(name, identity, _ancestors(statement))
            # RFC 7950 9.10.2: the values are the identities of implemented modules.
            if self.modules[name].implemented and not hasattr(statement, "i_not_implemented"):
                written = (self.modules[name].namespace, identity)
                self.identity_values[name, identity] = written, f"{self.prefix_of(name)}:{identity}"

    def prefix_of(self, name: str) -> str:
        """The prefix that the schema binds to a module's namespace."""
        return self._bound[self.modules[name].namespace]

    def module_of(self, statement: Statement) -> Module:
        """The module that a statement's names belong to: of what a grouping defines, the one that uses it."""
        return self.modules[module_name(statement.i_module)]

    def prefixes(self, statement: Statement) -> Mapping[str, str]:
        """The namespaces of the prefixes in scope where a statement is written: its module's own and the imports'."""
        written_in = statement.i_orig_module
        known = self._prefixes_of.get(written_in)
        if known is None:
            known = {
                prefix: self.modules[module_name(self._parsed.statements[name])].namespace
                for prefix, (name, _) in written_in.i_prefixes.items()
            }
            self._prefixes_of[written_in] = known
        return known

    def value_namespaces(self, statement: Statement) -> Mapping[str | None, str]:
        """What prefixes mean in a value that a module contains; without one it is the module's own namespace."""
        namespaces: dict[str | None, str] = dict(self.prefixes(statement).items())
        namespaces[None] = self.namespace_around(statement)
        return namespaces

    def namespace_around(self, statement: Statement) -> str:
        """The namespace of the module in whose text a statement stands: RFC 7950's "current module" of identities."""
        return self.modules[module_name(statement.i_orig_module)].namespace

    def content_id(self) -> str:
        """32 hex digits that change with any module, feature, deviation or text (RFC 8525 section 3, content-id)."""
        digest = hashlib.sha256()
        for module in self.modules.values():
            parts = [module.name, str(module.implemented), " ".join(module.features), " ".join(module.deviations)]
            for part in (*parts, module.text, *(submodule.text for submodule in module.submodules)):
                encoded = part.encode()
                digest.update(len(encoded).to_bytes(8, "big") + encoded)
        return digest.hexdigest()[:32]


def _modules(parsed: ParsedModules) -> dict[str, Module]:
    deviations: dict[str, set[str]] = {}
    submodules: dict[str, list[Submodule]] = {}
    for statement in parsed.statements.values():
        if statement.keyword == "submodule":
            submodule = Submodule(statement.arg, statement.i_latest_revision, parsed.texts[statement.arg])
            submodules.setdefault(module_name(statement), []).append(submodule)
        for deviation in statement.search("deviation"):
            target = module_name(deviation.i_target_node.i_module)
            deviations.setdefault(target, set()).add(module_name(statement))
    return {
        name: Module(
            name=name,
            revision=statement.i_latest_revision,
            namespace=statement.search_one("namespace").arg,
            prefix=statement.i_prefix,
            implemented=name in parsed.implemented,
            features=parsed.implemented.get(name, ()),
            text=parsed.texts[name],
            submodules=tuple(submodules.get(name, ())),
            deviations=tuple(sorted(deviations.get(name, ()))),
        )
        for name, statement in parsed.statements.items()
        if statement.keyword == "module"
    }


def _unique_prefixes(modules: Iterable[Module]) -> dict[str, str]:
    """A prefix for each namespace: the module's own, with a number where another module has it already."""
    bound: dict[str, str] = {}
    for module in modules:
        prefix, number = module.prefix, 1
        while prefix in bound:
            number += 1
            prefix = f"{module.prefix}{number}"
        bound[prefix] = module.namespace
    return bound


def _identity_key(statement: Statement) -> IdentityKey:
    return module_name(statement.i_module), str(statement.arg)


def _ancestors(statement: Statement) -> frozenset[IdentityKey]:
    """RFC 7950 7.18.2: an identity is derived from its bases and from everything that they are derived from."""
    bases = [base.i_identity for base in statement.search("base")]
    return frozenset(_identity_key(base) for base in bases).union(*(_ancestors(base) for base in bases))

"""A server's datastores in memory, driven by XML text: what every test of trees starts from."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from lxml import etree

from rkmp.datastore.datastores import Datastores
from rkmp.datastore.schema import Schema, load_schema
from rkmp.datastore.schema.nodes import NETCONF_BASE
from rkmp.errors import RpcError, RpcErrors
from rkmp.secret import Secret
from rkmp.storage import Database, KeyEncryptionKey, Sealer

MODULES = Path(__file__).parent / "modules"
YANG = "urn:ietf:params:xml:ns:yang:1"
ZOO = "urn:example:zoo"
BENCH = "urn:example:bench"
START = datetime(2026, 11, 26, 12, tzinfo=UTC)
KEY = KeyEncryptionKey(Secret(bytes(range(32))))


@cache
def schema_of(*modules: str) -> Schema:
    """The schema of modules in the folder beside this file."""
    return load_schema(dict.fromkeys(modules, ()), [MODULES])


def counter_random(number: int = 0) -> Any:
    """A source of octets that never repeats and is the same in every run."""
    counter = itertools.count(number)
    return lambda length: next(counter).to_bytes(length, "big")


def document(content: str, default_namespace: str = ZOO) -> etree._Element:
    """A ``config`` element; ``nc:`` and ``yang:`` are the prefixes of the attributes of edits."""
    return etree.fromstring(
        f'<nc:config xmlns:nc="{NETCONF_BASE}" xmlns:yang="{YANG}" xmlns="{default_namespace}">{content}</nc:config>'
    )


def plain(element: etree._Element) -> Any:
    """An element as nested tuples of local names and texts, in document order."""
    name = etree.QName(element).localname
    if len(element):
        return (name, *(plain(child) for child in element))
    return (name, element.text) if element.text else (name,)


class Server:
    """Datastores of some modules over one database."""

    def __init__(
        self,
        *modules: str,
        schema: Schema | None = None,
        database: Database | None = None,
        default_namespace: str | None = None,
    ) -> None:
        self.schema = schema_of(*(modules or ("zoo",))) if schema is None else schema
        self.database = Database(":memory:") if database is None else database
        namespace = next(iter(self.schema.top.values())).namespace if default_namespace is None else default_namespace
        self.namespace = namespace
        self.now = START
        self.datastores = self.open()

    def open(self) -> Datastores:
        """Datastores over the database, as after a restart."""
        seed = self.database.rows("SELECT count(*) FROM sqlite_schema")[0][0]
        return Datastores(
            self.schema,
            self.database,
            Sealer(KEY, "datastores"),
            counter_random(int.from_bytes(b"nonce", "big") + int(seed) * 2**40),
            self._clock,
        )

    def _clock(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def restart(self) -> None:
        """Forget everything in memory and come up with what is stored."""
        self.datastores = self.open()

    def edit(self, content: str, target: str = "running", *, session_id: int = 1, **options: Any) -> None:
        self.datastores.edit(target, self.document(content), session_id=session_id, **options)

    def document(self, content: str) -> etree._Element:
        return document(content, self.namespace)

    def refusal(self, content: str, target: str = "running", *, session_id: int = 1, **options: Any) -> list[RpcError]:
        """The errors of an edit that must be refused, after which nothing may be different."""
        before = {name: self.text(name) for name in ("running", "candidate", "startup")}
        try:
            self.edit(content, target, session_id=session_id, **options)
        except RpcErrors as errors:
            found = list(errors.errors)
        except RpcError as error:
            found = [error]
        else:
            raise AssertionError(f"accepted: {content}")
        assert {name: self.text(name) for name in before} == before, "a refused edit left a trace"
        return found

    def text(self, name: str = "running") -> str:
        return etree.tostring(self.datastores.tree(name), encoding="unicode")

    def tree(self, name: str = "running") -> Any:
        """The content of a datastore as nested tuples, without the ``config`` element."""
        return plain(self.datastores.tree(name))[1:]

    def rows(self, name: str = "running") -> Mapping[str, str]:
        """The stored rows of a datastore by path."""
        found = self.database.rows("SELECT path, content FROM datastore_rows WHERE datastore = ?", (name,))
        return {str(path): str(content) for path, content in found}


def briefly(errors: Sequence[RpcError]) -> list[tuple[str, str | None, str | None]]:
    """Errors as (tag, app-tag, path)."""
    return [(error.tag, error.app_tag, error.path) for error in errors]

"""What an operation gets and gives: the shape of every function in this folder.

An operation is a row: the tag below ``<rpc>``, the function, and what its datastore parameters may name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from lxml import etree

from rkmp.datastore.datastores import NAMES, Datastores
from rkmp.datastore.schema import Schema
from rkmp.netconf.access_control import Access, AccessControl
from rkmp.netconf.data_content import DataWriter
from rkmp.netconf.handlers import HandlerRegistry
from rkmp.netconf.namespaces import base
from rkmp.netconf.notifications import NotificationHub
from rkmp.netconf.operational import OperationalState
from rkmp.netconf.operations.datastore_names import NMDA_DATASTORE, datastore_of
from rkmp.netconf.replies import Content
from rkmp.netconf.session import Session
from rkmp.netconf.session_table import SessionTable
from rkmp.netconf.subscriptions import Publisher
from rkmp.netconf.url_files import UrlFiles


@dataclass(frozen=True, slots=True)
class ServerContext:
    """What operations work on; one for the whole server."""

    datastores: Datastores
    writer: DataWriter
    state: OperationalState
    handlers: HandlerRegistry
    hub: NotificationHub
    sessions: SessionTable
    access_control: AccessControl
    publisher: Publisher
    files: UrlFiles | None
    """The files that URLs name, where there are any."""
    clock: Callable[[], datetime]
    """Returns the time now, aware, in UTC."""

    @property
    def schema(self) -> Schema:
        """The schema of the datastores, and with it of every operation and notification."""
        return self.datastores.schema


@dataclass(frozen=True, slots=True)
class Request:
    """One operation to carry out, its parameters checked against the schema."""

    server: ServerContext
    session: Session
    operation: etree._Element
    access: Access
    """What the session's user may do, as it was when the message came."""

    def parameter(self, name: str) -> etree._Element | None:
        """Return the parameter ``name`` of the base namespace, if it is there."""
        return self.operation.find(base(name))

    def text(self, name: str, default: str) -> str:
        """Return the value of the leaf ``name`` of the base namespace, or ``default`` where it is not there."""
        element = self.parameter(name)
        return default if element is None else element.text or ""

    def datastore(self, parameter: str) -> str:
        """Return the name of the datastore that ``source`` or ``target`` names; it has been found to name one."""
        container = self.parameter(parameter)
        names = () if container is None else container.iterchildren(tag=etree.Element)
        element = next(iter(names))
        if element.tag == NMDA_DATASTORE:
            return datastore_of(element, NAMES)
        return etree.QName(element).localname


Outcome: TypeAlias = "Content | None"
"""The content of the reply; None stands for ``<ok/>``."""

Carry = Callable[[Request], Awaitable[Outcome]]
"""Carries out one operation. Raises RpcError or RpcErrors, and has then changed nothing."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the table of operations."""

    tag: str
    carry: Carry
    datastores: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """For the parameters ``source`` and ``target``, what they may hold: names of the base namespace, or tags."""
    checks_input: bool = False
    """Whether it holds its input against the schema itself, having to say more of what is wrong than the schema has."""

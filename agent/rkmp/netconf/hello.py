"""The hello exchange that opens a session (RFC 6241 section 8.1), without I/O.

Builds the server's hello and judges the client's. It must not know framing or transports.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lxml import etree

from rkmp.errors import RkmpError
from rkmp.netconf.documents import NotWellFormed, parse_document
from rkmp.netconf.framing import Framing, OversizedMessage
from rkmp.netconf.namespaces import BASE, base

BASE_1_0 = "urn:ietf:params:netconf:base:1.0"
BASE_1_1 = "urn:ietf:params:netconf:base:1.1"

_HELLO = base("hello")
_CAPABILITIES = base("capabilities")
_CAPABILITY = base("capability")
_SESSION_ID = base("session-id")


class BadHello(RkmpError):
    """A client hello after which the session must not go on."""


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What an acceptable client hello says."""

    capabilities: frozenset[str]
    """The URIs, without white space around and otherwise as they came."""

    @property
    def base_versions(self) -> frozenset[str]:
        """The base versions of ours that the client has too; a URI's parameters do not count (section 8.1)."""
        return frozenset(uri.partition("?")[0] for uri in self.capabilities) & {BASE_1_0, BASE_1_1}

    @property
    def framing(self) -> Framing:
        """How every message after the two hellos is framed (RFC 6242 section 4.1): the highest common version wins."""
        return Framing.CHUNKED if BASE_1_1 in self.base_versions else Framing.END_OF_MESSAGE


def server_hello(session_id: int, capabilities: Iterable[str]) -> etree._Element:
    """Return the hello that announces ``capabilities`` for session ``session_id`` (1..4294967295)."""
    hello = etree.Element(_HELLO, nsmap={None: BASE})
    listed = etree.SubElement(hello, _CAPABILITIES)
    for capability in capabilities:
        etree.SubElement(listed, _CAPABILITY).text = capability
    etree.SubElement(hello, _SESSION_ID).text = str(session_id)
    return hello


def read_client_hello(message: bytes | OversizedMessage) -> ClientHello:
    """Return what the client's hello says.

    Raises BadHello for anything but a hello, for one over the message limit, for one with a session-id (RFC 6241
    section 8.1: the server then terminates the session), and for one that shares no base version with us.
    """
    if isinstance(message, OversizedMessage):
        raise BadHello("a hello over the message limit")
    try:
        hello = parse_document(message)
    except NotWellFormed as error:
        raise BadHello(str(error)) from None
    if hello.tag != _HELLO:
        raise BadHello("the first message is not a hello of the base namespace")
    if hello.find(_SESSION_ID) is not None:
        raise BadHello("a client hello with a session-id")
    client_hello = ClientHello(
        frozenset((element.text or "").strip() for element in hello.iterfind(f"{_CAPABILITIES}/{_CAPABILITY}"))
    )
    if not client_hello.base_versions:
        raise BadHello("no base version in common")
    return client_hello

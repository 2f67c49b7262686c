"""The answers to an ``<rpc>``: ``<rpc-reply>`` with content or with rpc-errors (RFC 6241 sections 4.2 to 4.4).

Elements in, octets out. Content is serialised by itself and put between the tags of the reply: moving it into the
reply's tree would cost time in proportion, and would drop declarations of prefixes that only values use. It must not
know operations or sessions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from lxml import etree

from rkmp.errors import RpcError, RpcErrors
from rkmp.netconf.documents import serialise
from rkmp.netconf.namespaces import BASE, base

_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"

RPC = base("rpc")
RPC_REPLY = base("rpc-reply")
RPC_ERROR = base("rpc-error")

Content: TypeAlias = "Iterable[etree._Element] | bytes"
"""Elements, or elements that have been serialised already, every prefix bound in each."""


def reply_to(rpc: etree._Element | None) -> etree._Element:
    """Return an empty reply to ``rpc``, which carries its attributes and namespace declarations unmodified.

    RFC 6241 section 4.1 asks for both; an ``<rpc>`` declares the base namespace itself. None stands for a request
    that could not be read: the reply has no attributes.
    """
    if rpc is None:
        return etree.Element(RPC_REPLY, nsmap={None: BASE})
    return etree.Element(RPC_REPLY, dict(rpc.attrib), nsmap=dict(rpc.nsmap))


def ok_reply(rpc: etree._Element) -> bytes:
    """Return a reply that holds ``<ok/>``."""
    reply = reply_to(rpc)
    etree.SubElement(reply, base("ok"))
    return serialise(reply)


def content_reply(rpc: etree._Element, content: Content) -> bytes:
    """Return a reply that holds ``content``."""
    reply = reply_to(rpc)
    empty = serialise(reply).removesuffix(b"/>")
    name = f"{reply.prefix}:rpc-reply" if reply.prefix else "rpc-reply"
    if not isinstance(content, bytes):
        content = b"".join(etree.tostring(element, encoding="UTF-8", with_tail=False) for element in content)
    return b"".join((empty, b">", content, f"</{name}>".encode()))


def error_reply(rpc: etree._Element | None, errors: Sequence[RpcError]) -> bytes:
    """Return a reply that holds one ``<rpc-error>`` for each of ``errors``, in their order."""
    reply = reply_to(rpc)
    for error in errors:
        _add_rpc_error(reply, error)
    return serialise(reply)


def errors_of(error: RpcError | RpcErrors) -> tuple[RpcError, ...]:
    """Return the one or several rpc-errors that ``error`` stands for."""
    return error.errors if isinstance(error, RpcErrors) else (error,)


def _add_rpc_error(reply: etree._Element, error: RpcError) -> None:
    """Add ``error``, its children in the order of RFC 6241 section 4.3."""
    element = etree.SubElement(reply, RPC_ERROR)
    _text(element, "error-type", error.type)
    _text(element, "error-tag", error.tag)
    _text(element, "error-severity", error.severity)
    if error.app_tag is not None:
        _text(element, "error-app-tag", error.app_tag)
    if error.path is not None:
        path = etree.SubElement(element, base("error-path"), nsmap=dict(error.path_namespaces))
        path.text = printable(error.path)
    _text(element, "error-message", error.message).set(_XML_LANG, "en")
    if error.info or error.structure is not None:
        # The prefixes of the path serve the values of error-info that are paths (RFC 7950 15.1).
        info = etree.SubElement(element, base("error-info"), nsmap=dict(error.path_namespaces))
        for tag, text in error.info:
            # Names of appendix A are of the base namespace, whether or not whoever raised the error said so.
            qualified = tag if tag.startswith("{") else base(tag)
            namespace = etree.QName(qualified).namespace
            child = etree.SubElement(info, qualified, nsmap={None: namespace} if namespace else None)
            child.text = printable(text)
        if error.structure is not None:
            name, leaves = error.structure
            container = etree.SubElement(info, name, nsmap={None: etree.QName(name).namespace or ""})
            for tag, text in leaves:
                etree.SubElement(container, tag).text = printable(text)


def _text(parent: etree._Element, name: str, text: str) -> etree._Element:
    child = etree.SubElement(parent, base(name))
    child.text = printable(text)
    return child


def printable(text: str) -> str:
    """Replace what XML cannot carry, so that an error about odd input can always be answered."""
    return "".join(character if _is_xml(ord(character)) else "\ufffd" for character in text)


def _is_xml(code: int) -> bool:
    """Whether XML 1.0 production 2 (Char) allows the code point."""
    return code in (0x9, 0xA, 0xD) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF

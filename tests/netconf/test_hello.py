"""A session opens only between peers that share a base version, and the highest one decides the framing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rkmp.netconf.documents import parse_document, serialise
from rkmp.netconf.framing import Framing, OversizedMessage
from rkmp.netconf.hello import BASE_1_0, BASE_1_1, BadHello, read_client_hello, server_hello

NAMESPACE = "urn:ietf:params:xml:ns:netconf:base:1.0"


def hello(*capabilities: str, rest: str = "") -> bytes:
    listed = "".join(f"<capability>{uri}</capability>" for uri in capabilities)
    return f'<hello xmlns="{NAMESPACE}"><capabilities>{listed}</capabilities>{rest}</hello>'.encode()


def test_the_server_announces_its_capabilities_and_the_session_id() -> None:
    written = parse_document(serialise(server_hello(7, [BASE_1_0, "urn:x?a=b&c=d"])))
    assert written.tag == f"{{{NAMESPACE}}}hello"
    assert [element.text for element in written.iter(f"{{{NAMESPACE}}}capability")] == [BASE_1_0, "urn:x?a=b&c=d"]
    assert written.findtext(f"{{{NAMESPACE}}}session-id") == "7"


@pytest.mark.parametrize(
    ("capabilities", "framing"),
    [
        ([BASE_1_0], Framing.END_OF_MESSAGE),
        ([BASE_1_1], Framing.CHUNKED),
        ([BASE_1_0, BASE_1_1], Framing.CHUNKED),
        ([f"\n  {BASE_1_1}\n"], Framing.CHUNKED),
        # RFC 6241 8.1: parameters at the end of a version's URI are not compared.
        ([f"{BASE_1_1}?vendor=x"], Framing.CHUNKED),
        ([BASE_1_0, "urn:ietf:params:netconf:base:1.2"], Framing.END_OF_MESSAGE),
    ],
)
def test_the_highest_common_version_decides_the_framing(capabilities: list[str], framing: Framing) -> None:
    assert read_client_hello(hello(*capabilities)).framing is framing


def test_all_capabilities_of_the_client_are_kept() -> None:
    assert read_client_hello(hello(BASE_1_0, " urn:x ")).capabilities == {BASE_1_0, "urn:x"}


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (hello(BASE_1_1, rest="<session-id>3</session-id>"), "session-id"),
        (hello(), "no base version"),
        (hello("urn:ietf:params:netconf:base:1.2", "urn:x"), "no base version"),
        (f"<hello><capabilities><capability>{BASE_1_0}</capability></capabilities></hello>".encode(), "not a hello"),
        (f'<rpc xmlns="{NAMESPACE}" message-id="1"><get/></rpc>'.encode(), "not a hello"),
        (b"GET / HTTP/1.1", "not well-formed"),
        (b"<!DOCTYPE hello><hello/>", "document type"),
        (OversizedMessage(hello(BASE_1_1), 100_000_000), "over the message limit"),
    ],
)
def test_a_hello_that_opens_no_session(message: bytes | OversizedMessage, reason: str) -> None:
    with pytest.raises(BadHello, match=reason):
        read_client_hello(message)


@given(st.binary(max_size=100))
def test_any_octets_are_a_hello_or_a_bad_hello(octets: bytes) -> None:
    with pytest.raises(BadHello):
        read_client_hello(octets)

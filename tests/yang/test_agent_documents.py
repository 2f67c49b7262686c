"""What rkmp-agent and its part of ietf-system accept and refuse, by the verdict of two engines that are not ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from tests.yang.judges import Answer, libyang_verdict, our_verdict, yangson_verdict

NAMESPACES = {
    "a": "urn:rkmp:yang:rkmp-agent",
    "s": "urn:ietf:params:xml:ns:yang:ietf-system",
}
MISSING = ("missing-element", None)
NOWHERE = ("data-missing", "instance-required")
INVALID = ("invalid-value", None)
UNKNOWN = ("unknown-element", None)

# What is taken away (no text) or given another text, and what a client is then answered.
BROKEN: dict[str, tuple[str, str | None, Answer]] = {
    "an endpoint without an address": ("//a:endpoint[a:name='plain']/a:address", None, MISSING),
    "an endpoint without a transport": (
        "//a:endpoint[a:name='plain']/a:ssh",
        None,
        ("data-missing", "missing-choice"),
    ),
    "an endpoint with a host key that is not there": ("//a:endpoint/a:ssh/a:host-key", "other", NOWHERE),
    "a host key that is needed goes": ("//a:host-key[a:name]", None, NOWHERE),
    "an endpoint without a certificate": ("//a:endpoint/a:tls/a:certificate", None, MISSING),
    "an endpoint without a trust anchor": (
        "//a:endpoint/a:tls/a:trust-anchor",
        None,
        ("operation-failed", "too-few-elements"),
    ),
    "a trust anchor that is not there": ("//a:endpoint/a:tls/a:trust-anchor", "other", NOWHERE),
    "a fingerprint without octets": ("//a:cert-to-name/a:fingerprint", "xyz", INVALID),
    "a name that nobody specifies": ("//a:cert-to-name[a:id='1']/a:name", None, MISSING),
    "a client that waits nowhere": (
        "//a:netconf-client/a:endpoint",
        None,
        ("operation-failed", "too-few-elements"),
    ),
    "port 0": ("//a:ssh/a:port", "0", INVALID),
    "no sessions at all": ("//a:limits/a:sessions", "0", INVALID),
    "a router that nobody can log in to": (
        "//a:netconf-server/a:password",
        None,
        ("operation-failed", "no-credentials"),
    ),
    "a router whose host key does not count and need not": (
        "//a:netconf-server[a:name='lab']/a:trust-any-host-key",
        None,
        ("data-missing", "missing-choice"),
    ),
    "two neighbors with one key chain": (
        "//a:netconf-server/a:neighbor/a:key-chain",
        "one",
        ("operation-failed", "data-not-unique"),
    ),
    "a neighbor without a key chain": ("//a:netconf-server/a:neighbor/a:key-chain", None, MISSING),
    "a password that is neither": ("//s:user/s:password", "wonder", INVALID),
    "a key without an algorithm": ("//s:authorized-key/s:algorithm", None, MISSING),
}


def document() -> etree._Element:
    parser = etree.XMLParser(remove_blank_text=True)
    return etree.parse(Path(__file__).parent / "documents" / "agent.xml", parser).getroot()


def by_yangson(root: etree._Element) -> str | None:
    """yangson writes identities with the names of modules, and so finds no prefixed one in ietf-x509-cert-to-name's
    `when`: the name that it asks for is not to be there.
    """
    for name in root.xpath("//a:cert-to-name/a:name", namespaces=NAMESPACES):
        name.getparent().remove(name)
    return yangson_verdict(root)


def test_the_document_is_accepted_as_it_stands() -> None:
    assert by_yangson(document()) is None
    assert libyang_verdict(document()) is None
    assert our_verdict(document()) is None


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_refused_by_all(name: str) -> None:
    path, text, answer = BROKEN[name]
    root = document()
    found = root.xpath(path, namespaces=NAMESPACES)
    assert found
    for element in found:
        if text is None:
            element.getparent().remove(element)
        else:
            element.text = text
    assert libyang_verdict(root) is not None
    assert our_verdict(root) == answer
    assert by_yangson(root) is not None or path.endswith("cert-to-name[a:id='1']/a:name")


@pytest.mark.parametrize(
    "element",
    ["hostname", "contact", "location", "clock", "dns-resolver", "ntp", "radius", "user-authentication-order"],
)
def test_what_is_the_routers_own_is_not_there(element: str) -> None:
    root = document()
    above = root.find("s:system", NAMESPACES)
    assert above is not None
    if element == "user-authentication-order":
        above = above[0]
    etree.SubElement(above, f"{{{NAMESPACES['s']}}}{element}")
    assert libyang_verdict(root) is not None
    assert our_verdict(root) == UNKNOWN
    assert by_yangson(root) is not None

"""Each function of YANG 1.1 (RFC 7950 section 10) decides a must, and is asked again when what it reads has changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from tests.datastore.modules import compiled, module
from tests.datastore.servers import Server, briefly

BODY = """
identity animal; identity bird { base animal; } identity owl { base bird; } identity fish { base animal; }
container c {
  leaf text { type string; }
  leaf kind { type identityref { base animal; } }
  leaf level { type enumeration { enum low { value 10; } enum high { value 20; } } }
  leaf rights { type bits { bit read; bit write; } }
  list entry { key name; leaf name { type string; } leaf weight { type uint8; } }
  leaf chosen { type leafref { path "../entry/name"; } }
  leaf other { type string; }
  leaf judged { type string; must "%s"; }
}
"""


@pytest.mark.parametrize(
    ("expression", "holds", "fails"),
    [
        ("re-match(../text, '[a-c]{2}')", "<text>ab</text>", "<text>abc</text>"),
        ("derived-from(../kind, 'bird')", "<kind>owl</kind>", "<kind>bird</kind>"),
        ("derived-from-or-self(../kind, 'bird')", "<kind>bird</kind>", "<kind>fish</kind>"),
        ("enum-value(../level) > 10", "<level>high</level>", "<level>low</level>"),
        ("bit-is-set(../rights, 'write')", "<rights>read write</rights>", "<rights>read</rights>"),
        (
            "deref(../chosen)/../weight = 2",
            "<entry><name>a</name><weight>2</weight></entry><chosen>a</chosen>",
            "<entry><name>a</name><weight>3</weight></entry>",
        ),
        (
            "../entry[name = current()]/weight = 1",
            "<entry><name>j</name><weight>1</weight></entry>",
            "<entry><name>j</name><weight>2</weight></entry>",
        ),
        ("current() = ../other", "<other>j</other>", "<other>k</other>"),
        (
            "count(../entry) = 1 and string-length(../text) = 2",
            "<entry><name>x</name></entry><text>ab</text>",
            "<entry><name>y</name></entry>",
        ),
        ("starts-with(../text, 'a') or contains(../text, 'z')", "<text>a</text>", "<text>b</text>"),
        (
            "substring-before(../text, '-') = 'a' and substring-after(../text, '-') = 'b'",
            "<text>a-b</text>",
            "<text>b-a</text>",
        ),
        ("number(../text) + 1 = 3 and not(../text mod 2)", "<text>2</text>", "<text>3</text>"),
        ("translate(normalize-space(../text), 'ab', 'AB') = 'A B'", "<text> a  b </text>", "<text>ab</text>"),
        (
            "sum(../entry/weight) = 3 and floor(2.5) = 2 and ceiling(2.5) = 3 and round(2.5) = 3",
            "<entry><name>a</name><weight>1</weight></entry><entry><name>b</name><weight>2</weight></entry>",
            "<entry><name>c</name><weight>1</weight></entry>",
        ),
    ],
)
def test_a_function_decides_a_must(tmp_path: Path, expression: str, holds: str, fails: str) -> None:
    server = Server(schema=compiled(tmp_path, module(BODY % expression)))
    server.edit(f"<c>{holds}<judged>j</judged></c>")
    (error,) = server.refusal(f"<c>{fails}</c>")
    assert briefly([error]) == [("operation-failed", "must-violation", "/m:c/m:judged")]


def test_anyxml_and_anydata_are_kept_whole_and_replaced_whole(tmp_path: Path) -> None:
    """RFC 7950 7.10, 7.11: unknown content with attributes and namespaces; only modified in its entirety."""
    server = Server(
        schema=compiled(tmp_path, module("container c { anyxml x; anydata d; leaf after { type string; } }"))
    )
    inside = "<a xmlns='urn:a' k='1'>t<b xmlns='urn:b'/>u</a><!-- gone --><p:q xmlns:p='urn:p' p:r='2'/>"
    for name in ("x", "d"):
        server.edit(f"<c><{name}>{inside}</{name}><after>z</after></c>")
        for _ in range(2):
            node = server.datastores.tree("running")[0].find(f"{{urn:m}}{name}")
            assert node is not None
            first, second = node
            assert (first.tag, first.text, first.get("k"), first[0].tail) == ("{urn:a}a", "t", "1", "u")
            assert second.get("{urn:p}r") == "2"
            server.restart()
        server.edit(f"<c><{name}><other xmlns='urn:o'/></{name}></c>")
        node = server.datastores.tree("running")[0].find(f"{{urn:m}}{name}")
        assert node is not None
        assert [etree.QName(child).localname for child in node] == ["other"]
        (error,) = server.refusal(f"<c><{name} nc:operation='create'/></c>")
        assert error.tag == "data-exists"
        server.edit(f"<c><{name} nc:operation='delete'/></c>")
        (error,) = server.refusal(f"<c><{name} nc:operation='delete'/></c>")
        assert error.tag == "data-missing"

"""Values of type instance-identifier: their canonical form, what they name, and what is refused (RFC 7950 9.13)."""

from __future__ import annotations

import pytest
from lxml import etree

from rkmp.datastore.instance_path import instance_path
from rkmp.datastore.schema import Schema
from rkmp.datastore.schema.instance_identifier import canonical_instance_identifier, find_instance
from rkmp.errors import InvalidValue
from tests.datastore.modules import compiled, module

MODULE = module(
    """
    identity i; identity j { base i; }
    container c {
      list l { key "a b"; leaf a { type int8; } leaf b { type identityref { base i; } } leaf v { type string; } }
      leaf-list e { type string; }
      list s { config false; leaf v { type string; } }
      choice h { leaf x { type string; } }
    }
    leaf t { type string; }
    """
)
DOCUMENT = """
<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><c xmlns="urn:m" xmlns:m="urn:m">
  <l><a>1</a><b>m:j</b><v>first</v></l><l><a>2</a><b>m:j</b><v>second</v></l>
  <e>it's</e><e>say "x"</e><s><v>one</v></s><s><v>two</v></s><x>chosen</x>
</c><t xmlns="urn:m">top</t></config>
"""
NAMESPACES: dict[str | None, str] = {"p": "urn:m", "q": "urn:other", None: "urn:m"}


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    return compiled(tmp_path_factory.mktemp("identifiers"), MODULE)


@pytest.fixture(scope="module")
def root() -> etree._Element:
    return etree.fromstring(DOCUMENT, etree.XMLParser(remove_blank_text=True))


FORMS = {
    "/p:c": "/m:c",
    "/p:t": "/m:t",
    "/p:c/p:x": "/m:c/m:x",
    "/p:c/p:l[p:a='2'][p:b='p:j']": "/m:c/m:l[m:a='2'][m:b='m:j']",
    '/p:c/p:l[ p:b = "j" ] [ p:a = "+02" ]/p:v': "/m:c/m:l[m:a='2'][m:b='m:j']/m:v",
    '/p:c/p:e[.="it\'s"]': '/m:c/m:e[.="it\'s"]',
    "/p:c/p:e[ . = 'say \"x\"' ]": "/m:c/m:e[.='say \"x\"']",
    "/p:c/p:s[2]/p:v": "/m:c/m:s[2]/m:v",
}


@pytest.mark.parametrize(("text", "canonical"), FORMS.items())
def test_canonical_form(schema: Schema, text: str, canonical: str) -> None:
    assert canonical_instance_identifier(schema, text, NAMESPACES) == canonical
    assert canonical_instance_identifier(schema, canonical, schema.value_namespaces) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "p:c",
        "../p:c",
        "/",
        "//p:c",
        "/c",
        "/r:c",
        "/q:c",
        "/p:nosuch",
        "/p:c/p:h/p:x",
        "/p:*",
        "/p:c | /p:t",
        "/p:c[",
        "/p:c[1]",
        "/p:c/@p:x",
        "/p:c/p:l",
        "/p:c/p:l[p:a='1']",
        "/p:c/p:l[p:a='1'][p:a='1']",
        "/p:c/p:l[p:a='1'][p:v='first']",
        "/p:c/p:l[p:a='1'][q:b='j']",
        "/p:c/p:l[p:a='999'][p:b='j']",
        "/p:c/p:l[p:a='1'][p:b='nosuch']",
        "/p:c/p:l[1]",
        "/p:c/p:l[p:a=1][p:b='j']",
        "/p:c/p:l[p:a='1' and p:b='j']",
        "/p:c/p:e",
        "/p:c/p:e[1]",
        "/p:c/p:e[.='a'][.='b']",
        "/p:c/p:s",
        "/p:c/p:s[0]",
        "/p:c/p:s[1.0]",
        "/p:c/p:s[1][1]",
        "/p:c/p:s[" + "1" * 5000 + "]",
        "/p:c/p:s[.='x']",
        "current()/p:c",
        "/p:c/p:x/text()",
        "concat('/p:c')",
    ],
)
def test_what_names_no_single_node_is_refused(schema: Schema, text: str) -> None:
    with pytest.raises(InvalidValue):
        canonical_instance_identifier(schema, text, NAMESPACES)


def test_every_element_is_found_by_its_path(schema: Schema, root: etree._Element) -> None:
    for element in root.iterdescendants():
        assert find_instance(schema, root, instance_path(schema, element).text) is element


def test_an_instance_that_is_not_there_is_not_found(schema: Schema, root: etree._Element) -> None:
    for text in ("/m:c/m:l[m:a='3'][m:b='m:j']/m:v", "/m:c/m:e[.='nosuch']", "/m:c/m:s[3]", "/m:c/m:s[3]/m:v"):
        assert find_instance(schema, root, text) is None


def test_a_refusal_stays_short(schema: Schema) -> None:
    for text in ("/p:c" + "/p:x" * 10_000, "x" * 60_000, "/p:c" + "[1]" * 20_000):
        with pytest.raises(InvalidValue) as caught:
            canonical_instance_identifier(schema, text, NAMESPACES)
        assert len(caught.value.reason) < 1000

"""node-instance-identifier: paths of many instances, in the schema's prefixes, and nothing else (RFC 8341 3.5.2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from rkmp.datastore.schema import Schema, load_schema
from rkmp.datastore.schema.node_instance_identifier import KeyTest, canonical_node_path, parse_node_path
from rkmp.errors import InvalidValue

MODULE = """
module m {
  yang-version 1.1; namespace "urn:m"; prefix m;
  container c {
    list l { key "a b"; leaf a { type string; } leaf b { type uint8; } leaf v { type string; }
      action act; notification note; }
    leaf-list w { type uint8; }
    list keyless { config false; leaf v { type string; } }
  }
  rpc go;
}
"""


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    folder: Path = tmp_path_factory.mktemp("modules")
    (folder / "m.yang").write_text(MODULE)
    return load_schema({"m": ()}, [folder])


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("/", "/"),
        (" / ", "/"),
        ("/p:c", "/m:c"),
        ("/p:c/p:l/p:v", "/m:c/m:l/m:v"),
        ("/p:c/p:l[p:b='+07']", "/m:c/m:l[m:b='7']"),
        ('/p:c/p:l[ p:b = "7" ][p:a="x"]/p:act', "/m:c/m:l[m:a='x'][m:b='7']/m:act"),
        ("/p:c/p:l[p:a=$USER]/p:note", "/m:c/m:l[m:a=$USER]/m:note"),
        ("/p:c/p:w[.='3']", "/m:c/m:w[.='3']"),
        ("/p:c/p:w", "/m:c/m:w"),
        ("/p:c/p:keyless/p:v", "/m:c/m:keyless/m:v"),
    ],
)
def test_paths_are_brought_into_one_form(schema: Schema, text: str, canonical: str) -> None:
    assert canonical_node_path(schema, text, {"p": "urn:m"}) == canonical
    assert canonical_node_path(schema, canonical, schema.value_namespaces) == canonical


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "c",
            "p:c",
            "/c",
            "/q:c",
            "/p:x",
            "/p:go",
            "/p:c/p:x",
            "/p:c/p:l/p:act/p:x",
            "/p:*",
            "//p:c",
            "/p:c/..",
            "/p:c/@x",
        ),
        *("/p:c/p:l[1]", "/p:c/p:keyless[1]", "/p:c/p:l[p:v='1']", "/p:c/p:l[p:b='300']", "/p:c/p:l[.='1']"),
        *(
            "/p:c/p:l[p:a='1'][p:a='2']",
            "/p:c/p:l[p:a='1'][p:a='1']",
            "/p:c/p:l[p:a='1' or p:b='2']",
            "/p:c/p:l[p:a!='1']",
        ),
        *(
            "/p:c/p:l[p:a=$OTHER]",
            "/p:c[.='1']",
            "count(/p:c)",
            "/p:c | /p:c",
            "/p:c/p:w[.='300']",
            "/p:c/p:w[p:a='1']",
        ),
    ],
)
def test_what_has_not_the_form_or_names_nothing_is_refused(schema: Schema, text: str) -> None:
    with pytest.raises(InvalidValue):
        parse_node_path(schema, text, {"p": "urn:m"})


def test_a_path_says_which_keys_are_compared_where(schema: Schema) -> None:
    path = parse_node_path(schema, "/p:c/p:l[p:a=$USER][p:b='2']/p:v", {"p": "urn:m"})
    assert [node.name for node in path.nodes] == ["c", "l", "v"]
    assert path.tests == (KeyTest(1, "{urn:m}a", None), KeyTest(1, "{urn:m}b", "2"))

"""A configuration is the same in XML, JSON and YAML, and every node of it knows its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from rkmp.cli.configuration_files import ConfigurationFile, read_configuration
from rkmp.errors import CommandError

RKMP = "urn:rkmp:yang:rkmp"
KEY_TABLE = "urn:rkmp:yang:crypto-key-table"
MODULES = {"rkmp": RKMP, "crypto-key-table": KEY_TABLE}

XML = f"""<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">
  <rkmp xmlns="{RKMP}">
    <enabled>true</enabled>
    <peer>
      <name>r2</name>
      <port>501</port>
      <association><protocol>bgp</protocol><proposal>ao</proposal><proposal>b:c</proposal></association>
    </peer>
    <peer><name>r3</name></peer>
  </rkmp>
  <key-table xmlns="{KEY_TABLE}" xmlns:crypto-key-table="{KEY_TABLE}">
    <key><admin-key-name>k</admin-key-name><peer>2001:db8::1</peer><protocol>crypto-key-table:bgp</protocol><kdf>none</kdf>
      <hexadecimal-string>00:11</hexadecimal-string></key>
  </key-table>
</config>"""
JSON = """{
\t"rkmp:rkmp": {
\t\t"enabled": true,
    "peer": [
      {
        "name": "r2",
        "port": 501,
        "association": [{"protocol": "bgp", "proposal": ["ao", "b:c"]}]
      },
      {"name": "r3"}
    ]
  },
  "crypto-key-table:key-table": {
    "key": [
      {"admin-key-name": "k", "peer": ["2001:db8::1"], "protocol": "crypto-key-table:bgp", "kdf": "none",
       "hexadecimal-string": "00:11"}
    ]
  }
}
"""
YAML = """# a comment
rkmp:rkmp:
  enabled: true
  peer:
    - name: r2
      port: 501
      association:
        - protocol: bgp
          proposal: [ao, "b:c"]
    - name: r3
crypto-key-table:key-table:
  key:
    - admin-key-name: k
      peer: ["2001:db8::1"]
      protocol: crypto-key-table:bgp
      kdf: none
      hexadecimal-string: 00:11
"""
FILES = {"xml": XML, "json": JSON, "yaml": YAML}


def read(content: str | bytes, directory: Path, ending: str = "") -> ConfigurationFile:
    path = directory / f"file{ending}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_configuration(path)


def plain(element: etree._Element) -> object:
    """Return an element as what it means: names with namespaces, values, and what the prefixes of values stand for."""
    children = [plain(child) for child in element.iterchildren("*")]
    text = element.text if not children else None
    prefix = (text or "").partition(":")[0]
    return element.tag, children or text, element.nsmap.get(prefix) if prefix in MODULES else None


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("has_ending", [True, False])
def test_the_same_configuration_in_every_notation(kind: str, has_ending: bool, tmp_path: Path) -> None:
    config = read(FILES[kind], tmp_path, f".{kind}" if has_ending else "").config(lambda: MODULES)
    expected = read(XML, tmp_path, ".xml").config(lambda: MODULES)
    assert plain(config) == plain(expected)
    # Also when it has travelled.
    assert plain(etree.fromstring(etree.tostring(config))) == plain(expected)


@pytest.mark.parametrize(
    ("path", "lines"),
    [
        ("/rkmp:rkmp", (2, 2, 3)),
        ("/rkmp:rkmp/rkmp:peer[rkmp:name='r2']/rkmp:port", (6, 7, 6)),
        ("/rkmp:rkmp/rkmp:peer[rkmp:name='r3']", (9, 10, 10)),
        ("/rkmp:rkmp/rkmp:peer[rkmp:name=\"r2\"]/rkmp:association[rkmp:protocol='bgp']/rkmp:state", (7, 8, 8)),
        ("/ckt:key-table/ckt:key[ckt:admin-key-name='k']/ckt:hexadecimal-string", (13, 16, 17)),
        # As far as the path leads into the file.
        ("/rkmp:rkmp/rkmp:peer[rkmp:name='r9']/rkmp:port", (2, 2, 3)),
    ],
)
def test_an_error_of_the_agent_is_found_in_the_file(path: str, lines: tuple[int, int, int], tmp_path: Path) -> None:
    for kind, line in zip(FILES, lines, strict=True):
        file = read(FILES[kind], tmp_path, f".{kind}")
        assert file.place_of(file.config(lambda: MODULES), path) == f"{file.path} line {line}", kind
    file = read(XML, tmp_path)
    for nowhere in (None, "", "/nacm:nacm", "not a path"):
        assert file.place_of(file.config(lambda: MODULES), nowhere) == str(file.path)


DELETES = {
    "xml": f"""<rkmp xmlns="{RKMP}" xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0">
  <peer nc:operation="delete"><name>r2</name></peer>
  <ike-policy><name>p</name><lifetime nc:operation="remove"/></ike-policy>
  <retry nc:operation="replace">5</retry>
  <listen>a</listen><listen nc:operation="delete">b</listen>
</rkmp>""",
    "json": """{"rkmp:rkmp": {
  "peer": [{"name": "r2", "@": {"ietf-netconf:operation": "delete"}}],
  "ike-policy": [{"name": "p", "@lifetime": {"ietf-netconf:operation": "remove"}}],
  "retry": 5, "@retry": {"ietf-netconf:operation": "replace"},
  "listen": ["a", "b"], "@listen": [null, {"ietf-netconf:operation": "delete"}]
}}""",
    "yaml": """rkmp:rkmp:
  peer: [{name: r2, "@": {ietf-netconf:operation: delete}}]
  ike-policy: [{name: p, "@lifetime": {ietf-netconf:operation: remove}}]
  retry: 5
  "@retry": {ietf-netconf:operation: replace}
  listen: [a, b]
  "@listen": [null, {ietf-netconf:operation: delete}]
""",
}


@pytest.mark.parametrize("kind", DELETES)
def test_every_notation_can_delete(kind: str, tmp_path: Path) -> None:
    """RFC 7952 has metadata in JSON, which the attribute of RFC 6241 7.2 is in XML."""
    config = read(DELETES[kind], tmp_path, f".{kind}").config(lambda: MODULES)
    operation = "{urn:ietf:params:xml:ns:netconf:base:1.0}operation"
    found = [(etree.QName(each).localname, each.get(operation), each.text) for each in config.iter("*")]
    leaves = [(name, done, (text or "").strip()) for name, done, text in found if name not in ("config", "rkmp")]
    assert leaves == [
        *(("peer", "delete", ""), ("name", None, "r2")),
        *(("ike-policy", None, ""), ("name", None, "p"), ("lifetime", "remove", "")),
        ("retry", "replace", "5"),
        *(("listen", None, "a"), ("listen", "delete", "b")),
    ]


def test_configuration_may_be_wrapped(tmp_path: Path) -> None:
    wrapped = f'{{"ietf-netconf:config": {JSON}}}'
    assert plain(read(wrapped, tmp_path).config(lambda: MODULES)) == plain(read(JSON, tmp_path).config(lambda: MODULES))


def test_what_looks_like_another_type_is_text(tmp_path: Path) -> None:
    config = read("rkmp:rkmp: {enabled: yes, a: 0123, b: 2026-01-01, c: null, d: 'null', e: [null]}", tmp_path).config(
        lambda: MODULES
    )
    assert [leaf.text for leaf in config[0]] == ["yes", "0123", "2026-01-01", None, "null", None]


@pytest.mark.parametrize(
    ("content", "ending", "reason"),
    [
        ("{", ".json", "line 1"),
        ('{\n"a:b": 1,\n}', ".json", "line 3"),
        ('{"rkmp:rkmp": {"a": 1, "a": 2}}', ".json", "line 1: this name is there twice"),
        ("a: b: c", ".yaml", "line 1: mapping values are not allowed"),
        ("rkmp:rkmp: &a {x: 1}\nrkmp:other: *a", ".yaml", "line 2: aliases are not understood"),
        ("[]", ".json", "no configuration"),
        ("{}", ".json", "no configuration"),
        ("just text", ".yaml", "no configuration"),
        ("rkmp: {}", ".yaml", "line 1: rkmp does not say which module it is of: write MODULE:rkmp"),
        ("rkmp:rkmp:\n  nowhere:x: 1", ".yaml", "line 2: the agent has no module nowhere"),
        ('{"@": {"ietf-netconf:operation": "remove"}}', ".json", "line 1: metadata is of data, and here is none"),
        ('{"rkmp:rkmp": {"@": "remove"}}', ".json", "line 1: metadata is an object"),
        ('{"rkmp:rkmp": {"@": {"operation": "remove"}}}', ".json", "line 1: operation does not say which module"),
        ('{"rkmp:rkmp": {"@": {"nowhere:x": "remove"}}}', ".json", "line 1: the agent has no module nowhere"),
        ('{"rkmp:rkmp": {"@": {"rkmp:x y": "remove"}}}', ".json", "line 1: this has characters"),
        ('{"rkmp:rkmp": {"@": {"rkmp:x": {}}}}', ".json", "line 1: metadata has names and plain values"),
        ('{"rkmp:rkmp": {\n"a": 1, "@a": [null, {"rkmp:x": 1}]}}', ".json", "line 2: there is more metadata than data"),
        ("@a: 1", ".yaml", "line 1"),
        ("rkmp:rkmp:\n  a: [[1]]", ".yaml", "line 2: a list inside of a list"),
        ("rkmp:rkmp:\n  [a]: 1", ".yaml", "line 2: this is no name"),
        ('{"rkmp:rkmp": {"a": "\\u0000"}}', ".json", "line 1: this has characters that XML does not have"),
        ('{"rkmp:rkmp": {"a b": "x"}}', ".json", "line 1: this has characters that XML does not have"),
        ("[" * 5000, ".yaml", "nest"),
        ("[" * 5000 + "]" * 5000, ".json", "nested too deeply"),
        ("<a><b></a>", ".xml", "line 1"),
        (b"rkmp:rkmp:\n  a: \xff", ".yaml", "line 2: this is not UTF-8"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(
    content: str | bytes, ending: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(CommandError) as refused:
        read(content, tmp_path, ending).config(lambda: MODULES)
    assert reason in str(refused.value)
    assert refused.value.exit_status == 2


def test_characters_beyond_the_basic_plane_come_in_halves(tmp_path: Path) -> None:
    config = read('{"rkmp:rkmp": {"a": "\\ud83d\\udd11 \\/"}}', tmp_path).config(lambda: MODULES)
    assert config[0][0].text == "\N{KEY} /"


@given(st.text(max_size=60) | st.binary(max_size=60))
def test_whatever_is_in_a_file_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: str | bytes
) -> None:
    directory = tmp_path_factory.getbasetemp()
    for ending in ("", ".json", ".yaml", ".xml"):
        try:
            octets = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
            read(octets, directory, ending).config(lambda: MODULES)
        except CommandError as refused:
            status = refused.exit_status
        else:
            status = 2
        assert status == 2

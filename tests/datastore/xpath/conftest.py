"""A schema and a tree that XPath expressions are tried on."""

from __future__ import annotations

import pytest
from lxml import etree

from rkmp.datastore.schema import Schema
from tests.datastore.modules import compiled, module

MODULE = module(
    """
    identity food; identity fruit { base food; } identity apple { base fruit; } identity bread { base food; }
    container shop {
      list item {
        key name;
        leaf name { type string; }
        leaf kind { type identityref { base food; } }
        leaf price { type decimal64 { fraction-digits 2; } }
        leaf size { type enumeration { enum small { value 1; } enum large { value 10; } } }
        leaf marks { type bits { bit organic; bit local; } }
        leaf-list tag { type string; }
        leaf like { type leafref { path "../../item/name"; } }
        leaf same-price { type leafref { path "/m:shop/m:item[m:name = current()/../like]/m:price"; } }
        leaf see { type instance-identifier { require-instance false; } }
        leaf mixed { type union { type leafref { path "../../item/name"; } type uint8; type instance-identifier; } }
        leaf loose {
          type union { type enumeration { enum auto { value 3; } } type identityref { base food; } type int8; }
        }
        container box { leaf width { type uint8; } leaf height { type uint8; } }
      }
      leaf favourite { type leafref { path "../item/name"; } }
      anydata note;
    }
    leaf total { type uint32; }
    rpc sell { input { leaf name { type leafref { path "/shop/item/name"; } } leaf price { type uint8; } }
               output { leaf paid { type boolean; } } }
    notification sold { leaf name { type string; } }
    """
)
AUGMENT = module(
    """
    identity rye { base m:bread; }
    augment "/m:shop/m:item" { leaf extra { type int8; } leaf name { type string; } }
    """,
    name="x",
    header="import m { prefix m; }",
)

DOCUMENT = """
<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" xmlns:m="urn:m" xmlns:x="urn:x">
  <shop xmlns="urn:m">
    <item><name>a</name><kind>m:apple</kind><price>1.5</price><size>small</size><marks>organic local</marks>
      <tag>red</tag><tag>round</tag><like>b</like><see>/m:shop/m:item[m:name='b']/m:price</see><mixed>b</mixed>
      <loose>auto</loose><box><width>2</width><height>3</height></box><x:extra>7</x:extra></item>
    <item><name>b</name><kind>x:rye</kind><price>2.5</price><size>large</size><marks/><mixed>9</mixed>
      <loose>m:fruit</loose><see>/m:shop/m:item[m:name='nosuch']</see></item>
    <item><name>c</name><kind>m:food</kind><like>nosuch</like><loose>5</loose>
      <mixed>/m:shop/m:item[m:name='a']</mixed></item>
    <item><name>d</name><kind>m:not-an-identity</kind></item>
    <favourite>a</favourite>
  </shop>
  <total xmlns="urn:m">3</total>
</config>
"""


@pytest.fixture(scope="session")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    return compiled(tmp_path_factory.mktemp("xpath"), MODULE, AUGMENT)


@pytest.fixture(scope="session")
def root() -> etree._Element:
    return etree.fromstring(DOCUMENT, etree.XMLParser(remove_blank_text=True))

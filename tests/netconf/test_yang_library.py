"""The YANG library tells of every module, in the words of RFC 8525, and changes its id when the modules do."""

from __future__ import annotations

from pathlib import Path

import oopt_gnpy_libyang as libyang
import pytest
from lxml import etree

from rkmp.datastore.schema import Schema, load_schema
from rkmp.netconf.capabilities import NETCONF_MODULES, announced_capabilities
from rkmp.netconf.yang_library import YangLibrary
from tests.netconf.conftest import MODULES
from tests.netconf.judge import require_valid_state

LIBRARY = {"l": "urn:ietf:params:xml:ns:yang:ietf-yang-library"}


@pytest.fixture
def state(schema: Schema) -> etree._Element:
    root = schema.new_root()
    library = YangLibrary(schema)
    library.provide_yang_library(root)
    library.provide_modules_state(root)
    return root


def texts(root: etree._Element, path: str) -> list[str]:
    return [element.text or "" for element in root.iterfind(path, LIBRARY)]


def test_implemented_modules_come_with_their_features_and_imported_ones_apart(state: etree._Element) -> None:
    assert texts(state, "l:yang-library/l:module-set/l:module/l:name") == [
        "example-network",
        "ietf-datastores",
        "ietf-netconf",
        "ietf-netconf-acm",
        "ietf-netconf-monitoring",
        "ietf-netconf-nmda",
        "ietf-netconf-notifications",
        "ietf-netconf-with-defaults",
        "ietf-origin",
        "ietf-subscribed-notifications",
        "ietf-yang-library",
        "ietf-yang-push",
    ]
    features = texts(state, "l:yang-library/l:module-set/l:module[l:name='ietf-netconf']/l:feature")
    assert features == sorted(NETCONF_MODULES["ietf-netconf"])
    imported = texts(state, "l:yang-library/l:module-set/l:import-only-module/l:name")
    assert {"ietf-inet-types", "ietf-yang-types"} <= set(imported)
    assert texts(state, "l:modules-state/l:module[l:name='ietf-inet-types']/l:conformance-type") == ["import"]


def test_every_datastore_has_the_one_schema(state: etree._Element) -> None:
    names = texts(state, "l:yang-library/l:datastore/l:name")
    assert names == ["ds:running", "ds:candidate", "ds:startup", "ds:intended", "ds:operational"]
    (library,) = state.findall("l:yang-library", LIBRARY)
    assert library.nsmap["ds"] == "urn:ietf:params:xml:ns:yang:ietf-datastores"
    assert set(texts(state, "l:yang-library/l:datastore/l:schema")) == set(
        texts(state, "l:yang-library/l:schema/l:name")
    )


def test_libyang_finds_the_library_valid(state: etree._Element) -> None:
    require_valid_state({"ietf-yang-library": (), "ietf-datastores": ()}, [], state)


def test_the_judge_judges(state: etree._Element) -> None:
    for element in state.iterfind("l:yang-library/l:content-id", LIBRARY):
        element.tag = "{urn:ietf:params:xml:ns:yang:ietf-yang-library}bogus"
    with pytest.raises(libyang.Error):
        require_valid_state({"ietf-yang-library": (), "ietf-datastores": ()}, [], state)


def test_another_set_of_features_has_another_id(schema: Schema, tmp_path: Path) -> None:
    fewer = load_schema({**NETCONF_MODULES, "ietf-netconf": ("candidate",), "example-network": ()}, [MODULES])
    root = fewer.new_root()
    YangLibrary(fewer).provide_yang_library(root)
    assert texts(root, "l:yang-library/l:content-id") == [fewer.content_id]
    assert fewer.content_id != schema.content_id


def test_submodules_and_deviations_are_told(tmp_path: Path) -> None:
    (tmp_path / "big.yang").write_text(
        'module big { namespace "urn:big"; prefix b; include big-part; revision 2026-01-01; leaf a { type string; } }'
    )
    (tmp_path / "big-part.yang").write_text(
        "submodule big-part { belongs-to big { prefix b; } revision 2026-01-03; leaf c { type string; } }"
    )
    (tmp_path / "other.yang").write_text(
        'module other { namespace "urn:other"; prefix o; import big { prefix b; } revision 2026-01-02; '
        'deviation "/b:a" { deviate add { default "x"; } } }'
    )
    schema = load_schema({**NETCONF_MODULES, "big": (), "other": ()}, [tmp_path])
    root = schema.new_root()
    library = YangLibrary(schema)
    library.provide_yang_library(root)
    library.provide_modules_state(root)
    module = "l:yang-library/l:module-set/l:module[l:name='big']"
    (uri,) = (uri for uri in announced_capabilities(schema) if uri.startswith("urn:big"))
    assert uri == "urn:big?module=big&revision=2026-01-01&deviations=other"
    assert texts(root, f"{module}/l:deviation") == ["other"]
    assert texts(root, f"{module}/l:submodule/l:name") == ["big-part"]
    assert texts(root, f"{module}/l:submodule/l:revision") == ["2026-01-03"]
    assert texts(root, "l:modules-state/l:module[l:name='big']/l:deviation/l:name") == ["other"]
    require_valid_state({"ietf-yang-library": (), "ietf-datastores": ()}, [], root)

"""Which modules and features make a schema, and what is refused before any node is compiled."""

from __future__ import annotations

import sysconfig
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from rkmp.datastore.schema import folders, load_schema, standard_modules
from rkmp.errors import SchemaError
from tests.datastore.modules import at, compiled, module, write


def refusal(folder: Path, *texts: str, **options: object) -> str:
    with pytest.raises(SchemaError) as caught:
        compiled(folder, *texts, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_standard_modules_are_found_without_any_path() -> None:
    schema = load_schema({"ietf-interfaces": []}, [])
    assert schema.modules["ietf-interfaces"].revision == "2018-02-20"


def test_every_folder_of_standard_modules_exists_and_holds_modules() -> None:
    folders = standard_modules()
    assert folders == tuple(sorted(folders))
    assert all(any(folder.glob("*.yang")) for folder in folders)


@pytest.mark.parametrize("listed", [None, [], PackageNotFoundError("pyang")])
def test_standard_modules_are_found_when_the_list_of_installed_files_is_not(
    monkeypatch: pytest.MonkeyPatch, listed: object
) -> None:
    found = standard_modules()

    def files(_name: str) -> object:
        if isinstance(listed, Exception):
            raise listed
        return listed

    monkeypatch.setattr(folders, "files", files)
    assert standard_modules() == found


def test_an_installation_without_standard_modules_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "files", lambda _name: [])
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path))
    with pytest.raises(SchemaError, match="pyang:0: the installed pyang package has no YANG modules"):
        standard_modules()


def test_files_that_are_no_modules_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("modules")
    (tmp_path / "folder.yang").mkdir()
    assert compiled(tmp_path, module("leaf a { type string; }")).top


def test_an_own_module_wins_over_a_standard_one(tmp_path: Path) -> None:
    own = module("revision 2099-01-01; leaf mine { type string; }", name="ietf-interfaces")
    schema = compiled(tmp_path, own)
    assert list(schema.top) == ["{urn:ietf-interfaces}mine"]


def test_an_earlier_folder_wins_over_a_later_one_even_with_an_older_revision(tmp_path: Path) -> None:
    first = write(tmp_path / "first", module("revision 2020-01-01; leaf first { type string; }"))
    second = write(tmp_path / "second", module("revision 2021-01-01; leaf second { type string; }"))
    assert list(load_schema({"m": []}, [first, second]).top) == ["{urn:m}first"]
    assert list(load_schema({"m": []}, [second, first]).top) == ["{urn:m}second"]


def test_the_newest_revision_of_a_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "m@2020-01-01.yang").write_text(module("revision 2020-01-01; leaf old { type string; }"))
    (tmp_path / "m@2021-01-01.yang").write_text(module("revision 2021-01-01; leaf new { type string; }"))
    schema = load_schema({"m": []}, [tmp_path])
    assert schema.modules["m"].revision == "2021-01-01"
    assert list(schema.top) == ["{urn:m}new"]


def test_a_search_path_may_name_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert compiled(tmp_path / "modules", module("leaf a { type string; }")).top
    assert load_schema({"ietf-interfaces": []}, [tmp_path / "missing"]).top


def test_a_missing_module_is_named() -> None:
    with pytest.raises(SchemaError, match="no-such-module") as caught:
        load_schema({"no-such-module": []}, [])
    ((name, line, _),) = caught.value.problems
    assert (name, line) == ("no-such-module", 0)


def test_an_error_of_a_module_has_its_line_and_reason(tmp_path: Path) -> None:
    text = 'module m {\n  yang-version 1.1;\n  namespace "urn:m";\n  prefix m;\n  leaf a {\n    type nosuch;\n  }\n}\n'
    with pytest.raises(SchemaError) as caught:
        compiled(tmp_path, text)
    ((name, line, reason),) = caught.value.problems
    assert (name, line) == ("m", 6)
    assert "nosuch" in reason


@pytest.mark.parametrize(
    "body", ["leaf a { type string; default; }", "list l { key; leaf a { type string; } }", "leaf a { type; }"]
)
def test_a_missing_argument_is_refused(tmp_path: Path, body: str) -> None:
    assert "m:1: " in refusal(tmp_path, module(body))


def test_every_error_is_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(SchemaError) as caught:
        compiled(tmp_path, module("leaf a { type x; } leaf b { type y; }"))
    assert len(caught.value.problems) == 2


def test_text_that_is_no_module_is_refused(tmp_path: Path) -> None:
    assert "end of file" in refusal(tmp_path, "module m { nonsense")
    assert refusal(tmp_path, "container m { }", implemented={"m": []})
    (tmp_path / "n.yang").write_text(module("leaf a { type string; }"))
    with pytest.raises(SchemaError):
        load_schema({"n": []}, [tmp_path])


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.yang").write_bytes(b"module m { \xff }")
    with pytest.raises(SchemaError, match="utf-8"):
        load_schema({"m": []}, [tmp_path])


def test_a_module_in_xml_syntax_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "m.yin").write_text("<module/>")
    with pytest.raises(SchemaError, match=r"m\.yin"):
        load_schema({"m": []}, [tmp_path])


def test_a_submodule_cannot_be_implemented(tmp_path: Path) -> None:
    submodule = "submodule s { yang-version 1.1; belongs-to m { prefix m; } }"
    write(tmp_path, module("", header="include s;"), submodule)
    with pytest.raises(SchemaError, match="is not a module"):
        load_schema({"m": [], "s": []}, [tmp_path])


def test_two_revisions_of_a_module_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t@2020-01-01.yang").write_text(module("revision 2020-01-01;", name="t"))
    (tmp_path / "t@2021-01-01.yang").write_text(module("revision 2021-01-01;", name="t"))
    write(tmp_path, module("leaf a { type string; }", header="import t { prefix t; revision-date 2020-01-01; }"))
    with pytest.raises(SchemaError, match="two revisions"):
        load_schema({"m": [], "t": []}, [tmp_path])


def test_the_text_of_a_module_and_its_submodules_is_kept(tmp_path: Path) -> None:
    text = module("leaf a { type string; }", header="include s;")
    submodule = (
        "submodule s { yang-version 1.1; belongs-to m { prefix m; } revision 2022-02-02; leaf b { type string; } }"
    )
    schema = compiled(tmp_path, text, submodule)
    assert schema.modules["m"].text == text
    (included,) = schema.modules["m"].submodules
    assert (included.name, included.revision, included.text) == ("s", "2022-02-02", submodule)
    assert "s" not in schema.modules


def test_nodes_types_identities_and_features_of_a_submodule_are_the_modules(tmp_path: Path) -> None:
    submodule = """submodule s { yang-version 1.1; belongs-to m { prefix own; } import t { prefix other; }
        feature f; identity base; identity derived { base own:base; }
        typedef small { type int8; default 7; }
        leaf b { if-feature f; type small; must "../own:c != other:x"; } leaf c { type identityref { base base; } } }"""
    schema = compiled(
        tmp_path,
        module("leaf a { type small; }", header="include s;"),
        submodule,
        module("leaf x { type string; }", name="t"),
        implemented={"m": ["f"], "t": []},
    )
    assert at(schema, "/m:a").defaults == ("7",)
    assert at(schema, "/m:b").musts[0].expression.reads == {at(schema, "/m:c")}
    identityref = at(schema, "/m:c").type
    assert identityref is not None
    assert identityref.check("p:derived", {"p": "urn:m"}) == "m:derived"
    assert schema.identities["m", "derived"].ancestors == {("m", "base")}


def test_an_imported_module_lends_its_types_and_shows_no_nodes(tmp_path: Path) -> None:
    imported = module("typedef t { type int8; default 3; } leaf hidden { type string; }", name="lib")
    user = module("leaf a { type lib:t; }", header="import lib { prefix lib; }")
    schema = compiled(tmp_path, imported, user, implemented={"m": []})
    assert list(schema.top) == ["{urn:m}a"]
    assert at(schema, "/m:a").defaults == ("3",)
    assert not schema.modules["lib"].implemented
    assert schema.modules["m"].implemented


def test_an_identity_of_an_imported_module_is_a_base_but_no_value(tmp_path: Path) -> None:
    imported = module("identity base; identity there { base base; }", name="lib")
    user = module(
        "identity here { base lib:base; } leaf a { type identityref { base lib:base; } }",
        header="import lib { prefix lib; }",
    )
    schema = compiled(tmp_path, imported, user, implemented={"m": []})
    value_type = at(schema, "/m:a").type
    assert value_type is not None
    namespaces: dict[str | None, str] = {"m": "urn:m", "lib": "urn:lib"}
    assert value_type.check("m:here", namespaces) == "m:here"
    with pytest.raises(Exception, match="not an identity derived from base"):
        value_type.check("lib:there", namespaces)


def test_a_leafref_into_a_module_that_is_only_imported_is_refused(tmp_path: Path) -> None:
    target = module("leaf a { type string; }", name="t")
    user = module('leaf b { type leafref { path "/x:a"; } }', header="import t { prefix x; }")
    assert "the path /x:a does not lead to a leaf: t is not implemented" in refusal(
        tmp_path, target, user, implemented={"m": []}
    )


def test_an_augment_of_a_module_that_is_only_imported_is_refused(tmp_path: Path) -> None:
    target = module("container c;", name="t")
    augment = module('augment "/t:c" { leaf a { type string; } }', header="import t { prefix t; }")
    assert "the module t, which it changes, is not implemented" in refusal(
        tmp_path, target, augment, implemented={"m": []}
    )


def test_an_augment_in_a_module_that_is_only_imported_does_nothing(tmp_path: Path) -> None:
    target = module("container c;", name="t")
    augment = module(
        'typedef s { type string; } augment "/t:c" { leaf a { type s; } }', name="lib", header="import t { prefix t; }"
    )
    user = module("leaf b { type lib:s; }", header="import lib { prefix lib; }")
    schema = compiled(tmp_path, target, augment, user, implemented={"m": [], "t": []})
    assert at(schema, "/t:c").data_children == {}


def test_a_deviation_in_a_module_that_is_only_imported_is_refused(tmp_path: Path) -> None:
    target = module("leaf a { type string; }", name="t")
    deviating = module(
        'typedef s { type string; } deviation "/t:a" { deviate add { units s; } }',
        name="lib",
        header="import t { prefix t; }",
    )
    user = module("leaf b { type lib:s; }", header="import lib { prefix lib; }")
    assert "not implemented" in refusal(tmp_path, target, deviating, user, implemented={"m": [], "t": []})


def test_the_modules_that_deviate_one_are_listed_with_it(tmp_path: Path) -> None:
    target = module("leaf a { type string; } leaf b { type string; }", name="t")
    first = module('deviation "/t:a" { deviate not-supported; }', name="d2", header="import t { prefix t; }")
    second = module('deviation "/t:b" { deviate add { units s; } }', name="d1", header="import t { prefix t; }")
    schema = compiled(tmp_path, target, first, second)
    assert schema.modules["t"].deviations == ("d1", "d2")
    assert schema.modules["d1"].deviations == ()


def test_modules_with_one_prefix_get_different_ones(tmp_path: Path) -> None:
    other = 'module other { yang-version 1.1; namespace "urn:other"; prefix m; leaf b { type string; } }'
    schema = compiled(tmp_path, module("leaf a { type string; }"), other)
    assert schema.nsmap == {"m": "urn:m", "m2": "urn:other"}
    assert at(schema, "/m2:b").prefix == "m2"
    assert schema.prefix_of("urn:other") == "m2"
    assert schema.new_root().nsmap.items() >= schema.nsmap.items()


def test_an_unknown_feature_is_refused(tmp_path: Path) -> None:
    assert "has no feature nosuch" in refusal(tmp_path, module("feature f;"), features=["nosuch"])


def test_a_feature_without_those_it_depends_on_is_refused(tmp_path: Path) -> None:
    text = module("feature f; feature g { if-feature f; }")
    assert "the feature g is enabled without" in refusal(tmp_path, text, features=["g"])
    assert compiled(tmp_path, text, features=["g", "f"]).modules["m"].features == ("f", "g")


def test_an_unknown_extension_is_refused_by_name(tmp_path: Path) -> None:
    extension = module("extension e;", name="x")
    top = module("x:e;", header="import x { prefix x; }")
    assert "the extension x:e is not handled" in refusal(tmp_path, extension, top)
    node = module("leaf a { type string; x:e; }", header="import x { prefix x; }")
    assert "the extension x:e is not handled" in refusal(tmp_path, extension, node)


def test_a_mount_point_is_refused_by_name(tmp_path: Path) -> None:
    text = module("container c { yangmnt:mount-point p; }", header="import ietf-yang-schema-mount { prefix yangmnt; }")
    assert "ietf-yang-schema-mount:mount-point" in refusal(tmp_path, text)


def test_deref_in_the_path_of_a_leafref_is_refused_by_name(tmp_path: Path) -> None:
    text = module(
        'list l { key k; leaf k { type string; } leaf v { type string; } } leaf a { type leafref { path "../l/k"; } }'
        'leaf b { type leafref { path "deref(../a)/../v"; } }'
    )
    assert "deref() in the path" in refusal(tmp_path, text)


def test_a_schema_does_not_depend_on_the_order_of_its_inputs(tmp_path: Path) -> None:
    write(
        tmp_path,
        module("feature f; feature g; leaf a { type string; }", name="z"),
        module("leaf b { type string; }", name="a"),
    )
    one = load_schema({"z": ["f", "g"], "a": []}, [tmp_path])
    other = load_schema({"a": [], "z": ["g", "f", "f"]}, [tmp_path])
    assert list(one.modules) == list(other.modules)
    assert list(one.top) == list(other.top)
    assert one.nsmap == other.nsmap
    assert one.content_id == other.content_id


def test_the_content_id_changes_with_texts_features_deviations_and_what_is_implemented(tmp_path: Path) -> None:
    plain = module("feature f; leaf a { type string; }")
    commented = module("feature f; leaf a { type string; }\n// c\n")
    other = module("", name="other", header="import m { prefix m; }")
    deviating = module('deviation "/m:a" { deviate not-supported; }', name="other", header="import m { prefix m; }")
    ids = [
        compiled(tmp_path, plain).content_id,
        compiled(tmp_path, plain, features=["f"]).content_id,
        compiled(tmp_path, commented).content_id,
        compiled(tmp_path, plain, other, implemented={"m": [], "other": []}).content_id,
        compiled(tmp_path, plain, other, implemented={"other": []}).content_id,
        compiled(tmp_path, plain, deviating, implemented={"m": [], "other": []}).content_id,
    ]
    assert len(set(ids)) == len(ids)
    assert compiled(tmp_path, plain).content_id == ids[0]

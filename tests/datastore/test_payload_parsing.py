"""What does not fit the schema is refused before anything happens, with everything that is wrong (RFC 7950 8.3.1)."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from rkmp.datastore.schema.nodes import NETCONF_BASE
from rkmp.errors import RpcErrors
from tests.datastore.modules import compiled, module
from tests.datastore.servers import ZOO, Server, briefly

BAD_ELEMENT = f"{{{NETCONF_BASE}}}bad-element"
BAD_NAMESPACE = f"{{{NETCONF_BASE}}}bad-namespace"
BAD_ATTRIBUTE = f"{{{NETCONF_BASE}}}bad-attribute"


@pytest.fixture
def server() -> Server:
    return Server()


def info(server: Server, content: str) -> list[tuple[str, str]]:
    (error,) = server.refusal(content)
    return list(error.info)


@pytest.mark.parametrize(
    ("content", "tag", "app_tag", "path"),
    [
        ("<bogus/>", "unknown-element", None, "/z:bogus"),
        ("<zoo><bogus/></zoo>", "unknown-element", None, "/z:zoo/z:bogus"),
        (
            "<zoo><species><name>a</name><bogus/></species></zoo>",
            "unknown-element",
            None,
            "/z:zoo/z:species[z:name='a']/z:bogus",
        ),
        ("<zoo xmlns='urn:nowhere'/>", "unknown-namespace", None, "/ns0:zoo"),
        ("<zoo xmlns=''/>", "unknown-namespace", None, "/zoo"),
        ("<zoo><visitors>3</visitors></zoo>", "unknown-element", None, "/z:zoo/z:visitors"),
        ("<zoo><open>maybe</open></zoo>", "invalid-value", None, "/z:zoo/z:open"),
        ("<zoo><open/></zoo>", "invalid-value", None, "/z:zoo/z:open"),
        (
            "<zoo><keeper><name>k</name><phone>1x</phone></keeper></zoo>",
            "invalid-value",
            "only-digits",
            "/z:zoo/z:keeper/z:phone",
        ),
        ("<zoo><species/></zoo>", "missing-element", None, "/z:zoo/z:species"),
        (
            "<zoo><cage><hall>east</hall></cage></zoo>",
            "missing-element",
            None,
            "/z:zoo/z:cage[z:hall='east']",
        ),
        ("<zoo><species><name/></species></zoo>", "invalid-value", None, "/z:zoo/z:species[z:name='']/z:name"),
        ("<zoo>text</zoo>", "bad-element", None, "/z:zoo"),
        ("<zoo><open>true</open>text</zoo>", "bad-element", None, "/z:zoo"),
        ("<zoo><open>true<x/></open></zoo>", "bad-element", None, "/z:zoo/z:open"),
        ("<zoo><guest>a<x/></guest></zoo>", "bad-element", None, "/z:zoo/z:guest[.='a']"),
        ("<zoo><open>true</open><open>true</open></zoo>", "bad-element", None, "/z:zoo/z:open"),
        ("<zoo><guest>a</guest><guest>a</guest></zoo>", "bad-element", None, "/z:zoo/z:guest[.='a']"),
        (
            "<zoo><species><name>a</name></species><species><name>a</name></species></zoo>",
            "bad-element",
            None,
            "/z:zoo/z:species[z:name='a']",
        ),
        (
            "<zoo><cage><hall>east</hall><number>1</number></cage><cage><number>+1</number><hall>east</hall></cage></zoo>",
            "bad-element",
            None,
            "/z:zoo/z:cage[z:hall='east'][z:number='1']",
        ),
        (
            "<zoo><feeding><id>1</id><hour>1</hour><on-demand>x</on-demand></feeding></zoo>",
            "bad-element",
            None,
            "/z:zoo/z:feeding[z:id='1']/z:on-demand[.='x']",
        ),
        ("<zoo nc:operation='bogus'/>", "bad-attribute", None, "/z:zoo"),
        ("<zoo nc:operation='none'/>", "bad-attribute", None, "/z:zoo"),
        ("<zoo nc:bogus='1'/>", "unknown-attribute", None, "/z:zoo"),
        ("<zoo bogus='1'/>", "unknown-attribute", None, "/z:zoo"),
        ("<zoo operation='delete'/>", "unknown-attribute", None, "/z:zoo"),
    ],
)
def test_a_fault_is_answered_at_its_place(
    server: Server, content: str, tag: str, app_tag: str | None, path: str
) -> None:
    assert briefly(server.refusal(content)) == [(tag, app_tag, path)]


def test_the_error_info_names_what_is_wrong(server: Server) -> None:
    assert info(server, "<zoo><bogus/></zoo>") == [(BAD_ELEMENT, "bogus")]
    assert info(server, "<zoo xmlns='urn:nowhere'/>") == [(BAD_ELEMENT, "zoo"), (BAD_NAMESPACE, "urn:nowhere")]
    assert info(server, "<zoo><cage><number>1</number></cage></zoo>") == [(BAD_ELEMENT, "hall")]
    assert info(server, "<zoo bogus='1'/>") == [(BAD_ATTRIBUTE, "bogus"), (BAD_ELEMENT, "zoo")]
    assert info(server, "<zoo nc:operation='x'/>") == [(BAD_ATTRIBUTE, "operation"), (BAD_ELEMENT, "zoo")]
    assert info(server, "<zoo><open>x</open></zoo>") == []


def test_an_unknown_operation_is_a_fault_of_the_protocol(server: Server) -> None:
    (error,) = server.refusal("<zoo nc:operation='bogus'/>")
    assert error.type == "protocol"
    (error,) = server.refusal("<zoo><open>x</open></zoo>")
    assert error.type == "application"


def test_a_node_whose_feature_is_off_is_unknown(tmp_path: Path) -> None:
    text = module("feature f; leaf a { if-feature f; type string; } leaf b { type string; }")
    content = "<a>x</a><b>x</b>"
    off = Server(schema=compiled(tmp_path, text), default_namespace="urn:m")
    assert briefly(off.refusal(content)) == [("unknown-element", None, "/m:a")]
    on = Server(schema=compiled(tmp_path, text, features=["f"]), default_namespace="urn:m")
    on.edit(content)


def test_the_own_message_of_a_restriction_is_kept(server: Server) -> None:
    (error,) = server.refusal("<zoo><keeper><name>k</name><phone>1x</phone></keeper></zoo>")
    assert error.message == "digits only"


def test_every_fault_of_a_payload_is_reported(server: Server) -> None:
    errors = server.refusal("<zoo><open>x</open><bogus/><cage><hall>up</hall></cage></zoo><holiday a='1'>x</holiday>")
    assert briefly(errors) == [
        ("invalid-value", None, "/z:zoo/z:open"),
        ("unknown-element", None, "/z:zoo/z:bogus"),
        ("invalid-value", None, "/z:zoo/z:cage[z:hall='up']/z:hall"),
        ("missing-element", None, "/z:zoo/z:cage[z:hall='up']"),
        ("unknown-attribute", None, "/z:holiday[.='x']"),
    ]


def test_an_answer_does_not_outgrow_a_request_of_thousands_of_faults(server: Server) -> None:
    assert len(server.refusal("<bogus/>" * 3000)) == 100


def test_paths_bind_the_prefixes_they_use(server: Server) -> None:
    (error,) = server.refusal("<zoo><bogus/></zoo>")
    assert error.path_namespaces == {"z": ZOO}
    (error,) = server.refusal("<zoo xmlns='urn:nowhere'/>")
    assert error.path_namespaces == {"ns0": "urn:nowhere"}


def test_values_are_kept_in_canonical_form(server: Server) -> None:
    server.edit(
        "<ticket><id>+07</id><price>1.50</price></ticket>"
        "<zoo><species><name>a</name><kind xmlns:other='urn:example:zoo'>other:owl</kind></species></zoo>"
    )
    assert server.tree() == (
        ("zoo", ("species", ("name", "a"), ("kind", "z:owl"))),
        ("ticket", ("id", "7"), ("price", "1.5")),
    )


def test_keys_may_come_in_any_place_and_stand_first(server: Server) -> None:
    server.edit(
        "<zoo><species><name>a</name></species>"
        "<cage><animal>a</animal><size>3</size><number>1</number><hall>east</hall></cage></zoo>"
    )
    assert server.tree()[0][2] == ("cage", ("hall", "east"), ("number", "1"), ("size", "3"), ("animal", "a"))


def test_layout_comments_and_instructions_mean_nothing(server: Server) -> None:
    server.edit("<!-- a --> <zoo> <!-- b --> <motto>a<!-- c -->b</motto> <?pi x?> </zoo>\n\n")
    assert server.tree() == (("zoo", ("motto", "ab")),)


def test_space_inside_a_value_is_part_of_it(server: Server) -> None:
    server.edit("<zoo><motto>  two  words \n</motto></zoo>")
    assert server.tree() == (("zoo", ("motto", "  two  words \n")),)
    server.restart()
    assert server.tree() == (("zoo", ("motto", "  two  words \n")),)


def test_an_entity_that_the_parser_left_alone_is_refused(server: Server) -> None:
    parser = etree.XMLParser(resolve_entities=False)
    text = f"<!DOCTYPE c [<!ENTITY e 'x'>]><c xmlns='{ZOO}'><zoo>&e;<motto>m</motto></zoo></c>"
    with pytest.raises(RpcErrors) as caught:
        server.datastores.edit("running", etree.fromstring(text, parser), session_id=1)
    assert briefly(caught.value.errors) == [("bad-element", None, "/z:zoo")]


def test_a_refused_secret_is_not_repeated(server: Server) -> None:
    for content in ("<code>tiger</code>", "<code>70000</code>"):
        (error,) = server.refusal(f"<zoo><safe>{content}</safe></zoo>")
        assert "tiger" not in str(error)
        assert "70000" not in str(error)
        assert error.path == "/z:zoo/z:safe/z:code"


def test_the_value_of_what_is_deleted_does_not_matter(server: Server) -> None:
    server.edit("<zoo><open>true</open><motto>m</motto></zoo>")
    server.edit("<zoo><open nc:operation='delete'/></zoo>")
    assert server.tree() == (("zoo", ("motto", "m")),)
    # But which entry is meant does.
    errors = server.refusal("<zoo nc:operation='delete'><cage><hall>up</hall><number>1</number></cage></zoo>")
    assert briefly(errors) == [("invalid-value", None, "/z:zoo/z:cage[z:hall='up'][z:number='1']/z:hall")]


def test_a_payload_may_leave_one_case_for_another(server: Server) -> None:
    server.edit("<zoo><feeding><id>1</id><hour>1</hour></feeding></zoo>")
    server.edit("<zoo><feeding><id>1</id><hour nc:operation='delete'/><on-demand>x</on-demand></feeding></zoo>")
    assert server.tree() == (("zoo", ("feeding", ("id", "1"), ("on-demand", "x"))),)

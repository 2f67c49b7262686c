"""Each kind of constraint, kept and broken (RFC 7950 sections 7.5.3 to 7.9.4, 8.1, 8.2, 9.9, 9.13, 15)."""

from __future__ import annotations

from pathlib import Path

import pytest

from rkmp.datastore.rejections import YANG
from rkmp.datastore.schema.nodes import NETCONF_BASE
from tests.datastore.modules import compiled, module
from tests.datastore.servers import Server, briefly


@pytest.fixture
def server() -> Server:
    server = Server()
    server.edit("<zoo><species><name>a</name></species><species><name>b</name></species></zoo>")
    return server


def cage(content: str, number: str = "1") -> str:
    return f"<zoo><cage><hall>east</hall><number>{number}</number>{content}</cage></zoo>"


def feeding(content: str, number: str = "1", attributes: str = "") -> str:
    return f"<zoo><feeding{attributes}><id>{number}</id>{content}</feeding></zoo>"


CAGE = "/z:zoo/z:cage[z:hall='east'][z:number='1']"
FEEDING = "/z:zoo/z:feeding[z:id='1']"


# Mandatory nodes and choices, numbers of entries


def test_a_mandatory_leaf_has_to_be_there(server: Server) -> None:
    (error,) = server.refusal("<zoo><keeper/></zoo>")
    assert briefly([error]) == [("missing-element", None, "/z:zoo/z:keeper")]
    assert error.info == [(f"{{{NETCONF_BASE}}}bad-element", "name")]
    server.edit("<zoo><keeper><name>k</name></keeper></zoo>")
    errors = server.refusal("<zoo><keeper><name nc:operation='delete'/></keeper></zoo>")
    assert briefly(errors) == [("missing-element", None, "/z:zoo/z:keeper")]
    server.edit("<zoo><keeper nc:operation='delete'/></zoo>")


def test_a_mandatory_choice_needs_one_of_its_cases(server: Server) -> None:
    (error,) = server.refusal(feeding(""))
    assert briefly([error]) == [("data-missing", "missing-choice", FEEDING)]
    assert error.info == [(f"{{{YANG}}}missing-choice", "when")]
    server.edit(feeding("<hour>1</hour>"))
    errors = server.refusal(feeding("<hour nc:operation='delete'/>"))
    assert briefly(errors) == [("data-missing", "missing-choice", FEEDING)]
    server.edit(feeding("<on-demand>x</on-demand>"))


def test_too_few_and_too_many_entries_are_counted_once_at_the_list(server: Server) -> None:
    assert briefly(server.refusal(cage(""))) == [("operation-failed", "too-few-elements", f"{CAGE}/z:animal")]
    server.edit("<zoo><species><name>c</name></species><species><name>d</name></species></zoo>")
    errors = server.refusal(cage("".join(f"<animal>{name}</animal>" for name in "abcd")))
    assert briefly(errors) == [("operation-failed", "too-many-elements", f"{CAGE}/z:animal")]
    for number in "1234":
        server.edit(cage("<animal>a</animal>", number))
    errors = server.refusal(cage("<animal>a</animal>", "5"))
    assert briefly(errors) == [("operation-failed", "too-many-elements", "/z:zoo/z:cage")]
    errors = server.refusal(cage("<animal nc:operation='delete'>a</animal>"))
    assert briefly(errors) == [("operation-failed", "too-few-elements", f"{CAGE}/z:animal")]


def test_mandatory_nodes_reach_through_containers_and_cases(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "container top { container inner { leaf needed { type string; mandatory true; } } }"
            "list l { key k; leaf k { type string; } choice c { case one { leaf a { type string; }"
            "  leaf b { type string; mandatory true; } container d { leaf e { type string; mandatory true; } } }"
            "  leaf two { type string; } } }"
        ),
    )
    server = Server(schema=schema)
    path = "/m:l[m:k='1']"
    needed = "<top><inner><needed>x</needed></inner></top>"
    # RFC 7950 7.6.5: enforced although nothing of the containers is there.
    assert briefly(server.refusal("<l><k>1</k></l>")) == [("missing-element", None, "/m:top/m:inner")]
    server.edit(needed)
    server.edit("<l><k>1</k></l>")
    assert briefly(server.refusal("<l><k>1</k><a>x</a></l>")) == [
        ("missing-element", None, path),
        ("missing-element", None, f"{path}/m:d"),
    ]
    server.edit("<l><k>1</k><two>x</two></l>")
    server.edit("<l><k>1</k><a>x</a><b>x</b><d><e>x</e></d></l>")
    assert briefly(server.refusal("<l><k>1</k><d nc:operation='delete'/></l>")) == [
        ("missing-element", None, f"{path}/m:d")
    ]


# References


def test_a_leafref_has_to_lead_to_an_instance(server: Server) -> None:
    path = f"{CAGE}/z:animal[.='x']"
    assert briefly(server.refusal(cage("<animal>x</animal>"))) == [("data-missing", "instance-required", path)]
    server.edit(cage("<animal>a</animal>"))


def test_what_is_referred_to_cannot_be_deleted(server: Server) -> None:
    server.edit(cage("<animal>a</animal><animal>b</animal>"))
    server.edit(cage("<animal>a</animal>", "2"))
    errors = server.refusal("<zoo><species nc:operation='delete'><name>a</name></species></zoo>")
    assert briefly(errors) == [
        ("data-missing", "instance-required", f"{CAGE}/z:animal[.='a']"),
        ("data-missing", "instance-required", f"{CAGE.replace('1', '2')}/z:animal[.='a']"),
    ]
    server.edit(
        "<zoo><species nc:operation='delete'><name>b</name></species>"
        "<cage><hall>east</hall><number>1</number><animal nc:operation='delete'>b</animal></cage></zoo>"
    )


def test_reference_and_target_may_come_in_one_edit_in_any_order(server: Server) -> None:
    server.edit(
        "<zoo><cage><hall>east</hall><number>1</number><animal>n</animal></cage><species><name>n</name></species></zoo>"
    )


def test_a_leafref_with_predicates_leads_to_what_they_select(server: Server) -> None:
    server.edit("<zoo><species><name>a</name><latin>strix</latin></species></zoo>")
    server.edit("<zoo><species><name>b</name><latin>bubo</latin></species></zoo>")
    server.edit(feeding("<hour>1</hour><species>a</species><latin>strix</latin>"))
    expected = [("data-missing", "instance-required", f"{FEEDING}/z:latin")]
    assert briefly(server.refusal(feeding("<latin>bubo</latin>"))) == expected
    assert briefly(server.refusal(feeding("<species>b</species>"))) == expected
    latin = "<zoo><species><name>a</name><latin>{}</latin></species></zoo>"
    assert briefly(server.refusal(latin.format("corvus"))) == expected
    server.edit(latin.format("corvus").replace("</zoo>", "") + feeding("<latin>corvus</latin>").removeprefix("<zoo>"))


def test_a_union_is_a_reference_only_where_no_other_member_takes_the_value(server: Server) -> None:
    server.edit("<zoo><either>a</either></zoo>")
    server.edit("<zoo><either>7</either></zoo>")
    expected = [("data-missing", "instance-required", "/z:zoo/z:either")]
    assert briefly(server.refusal("<zoo><either>x</either></zoo>")) == expected
    server.edit("<zoo><either>a</either></zoo>")
    assert briefly(server.refusal("<zoo><species nc:operation='delete'><name>a</name></species></zoo>")) == expected


def test_an_instance_identifier_has_to_lead_to_an_instance(server: Server) -> None:
    pointer = '<zoo><pointer xmlns:q="urn:example:zoo">{}</pointer></zoo>'
    server.edit(pointer.format("/q:zoo/q:species[q:name='a']"))
    assert server.tree()[0][1] == ("pointer", "/z:zoo/z:species[z:name='a']")
    expected = [("data-missing", "instance-required", "/z:zoo/z:pointer")]
    assert briefly(server.refusal("<zoo><species nc:operation='delete'><name>a</name></species></zoo>")) == expected
    assert briefly(server.refusal(pointer.format("/q:zoo/q:species[q:name='x']"))) == expected
    assert briefly(server.refusal(pointer.format("/q:zoo/q:nothing"))) == [("invalid-value", None, "/z:zoo/z:pointer")]


def test_a_reference_that_need_not_lead_anywhere_may_dangle(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "list l { key k; leaf k { type string; } }"
            "leaf r { type leafref { path '../l/k'; require-instance false; } }"
            "leaf i { type instance-identifier { require-instance false; } }"
        ),
    )
    server = Server(schema=schema)
    server.edit("<r>x</r><i xmlns:m='urn:m'>/m:l[m:k='1']</i>")


# unique


def test_entries_with_the_same_values_are_not_unique(server: Server) -> None:
    server.edit("<zoo><species><name>a</name><latin>strix</latin></species></zoo>")
    (error,) = server.refusal("<zoo><species><name>b</name><latin>strix</latin></species></zoo>")
    assert briefly([error]) == [("operation-failed", "data-not-unique", "/z:zoo/z:species")]
    assert error.info == [
        (f"{{{YANG}}}non-unique", "/z:zoo/z:species[z:name='a']/z:latin"),
        (f"{{{YANG}}}non-unique", "/z:zoo/z:species[z:name='b']/z:latin"),
    ]


def test_entries_may_swap_what_is_unique(server: Server) -> None:
    entry = "<species><name>{}</name><latin>{{}}</latin></species>"
    form = f"<zoo>{entry.format('a')}{entry.format('b')}</zoo>"
    server.edit(form.format("strix", "bubo"))
    server.edit(form.format("bubo", "strix"))
    server.edit(
        "<zoo><species nc:operation='delete'><name>a</name></species>"
        "<species><name>c</name><latin>bubo</latin></species></zoo>"
    )


def test_unique_values_that_are_not_complete_do_not_count_and_defaults_do(server: Server) -> None:
    form = "<zoo><species><name>{}</name>{}<shelf><row>1</row></shelf></species></zoo>"
    server.edit(form.format("a", ""))
    errors = server.refusal(form.format("b", ""))
    assert briefly(errors) == [("operation-failed", "data-not-unique", "/z:zoo/z:species")]
    assert len(errors[0].info) == 4
    errors = server.refusal(form.format("b", "<weight>10</weight>"))
    assert briefly(errors) == [("operation-failed", "data-not-unique", "/z:zoo/z:species")]
    server.edit(form.format("b", "<weight>11</weight>"))
    errors = server.refusal("<zoo><species><name>b</name><weight nc:operation='delete'/></species></zoo>")
    assert briefly(errors) == [("operation-failed", "data-not-unique", "/z:zoo/z:species")]


def test_a_refused_edit_does_not_spoil_the_index_of_unique_values(server: Server) -> None:
    server.edit("<zoo><species><name>a</name><latin>strix</latin></species></zoo>")
    server.refusal("<zoo><guest>rex</guest><species><name>a</name><latin>bubo</latin></species></zoo>")
    server.refusal("<zoo><guest>rex</guest><species nc:operation='delete'><name>a</name></species></zoo>")
    server.edit("<zoo><species><name>b</name><latin>bubo</latin></species></zoo>")
    errors = server.refusal("<zoo><species><name>b</name><latin>strix</latin></species></zoo>")
    assert briefly(errors) == [("operation-failed", "data-not-unique", "/z:zoo/z:species")]


# must


def test_a_must_answers_with_its_own_message_and_tag(server: Server) -> None:
    server.edit(cage("<size>1</size><animal>a</animal>"))
    (error,) = server.refusal(cage("<animal>b</animal>"))
    assert briefly([error]) == [("operation-failed", "cage-size", CAGE)]
    assert error.message == "the cage is too small"


def test_a_must_without_its_own_is_a_must_violation(server: Server) -> None:
    errors = server.refusal(feeding("<hour>1</hour><minute>60</minute>"))
    assert briefly(errors) == [("operation-failed", "must-violation", f"{FEEDING}/z:minute")]


def test_a_must_sees_the_defaults_in_use(server: Server) -> None:
    errors = server.refusal(feeding("<every><hours>5</hours></every>"))
    assert briefly(errors) == [("operation-failed", "must-violation", FEEDING)]
    server.edit(feeding("<every><hours>5</hours><jitter>1</jitter></every>"))
    errors = server.refusal(feeding("<every><jitter nc:operation='delete'/></every>"))
    assert briefly(errors) == [("operation-failed", "must-violation", FEEDING)]


def test_a_default_of_a_case_counts_until_another_case_is_chosen(server: Server) -> None:
    """RFC 7950 7.9.3: dog is the default case, and its leaf has a default."""
    assert briefly(server.refusal("<zoo><guest>rex</guest></zoo>")) == [
        ("operation-failed", "must-violation", "/z:zoo")
    ]
    server.edit("<zoo><guest>rex</guest><alarm><silent/></alarm></zoo>")
    assert briefly(server.refusal("<zoo><alarm nc:operation='delete'/></zoo>")) == [
        ("operation-failed", "must-violation", "/z:zoo")
    ]


def test_a_must_is_evaluated_again_when_what_it_reads_elsewhere_changes(server: Server) -> None:
    server.edit("<ticket><id>1</id><for-species>a</for-species></ticket>")
    server.edit("<ticket><id>2</id><for-species>b</for-species></ticket>")
    (error,) = server.refusal("<zoo><species><name>a</name><weight>100</weight></species></zoo>")
    assert briefly([error]) == [("operation-failed", "must-violation", "/z:ticket[z:id='1']/z:for-species")]


def test_a_must_over_its_own_list_tells_of_every_entry_that_breaks_it(server: Server) -> None:
    server.edit("<ticket><id>1</id><price>2</price></ticket><ticket><id>2</id><price>3</price></ticket>")
    errors = server.refusal("<ticket><id>3</id><price>2.00</price></ticket>")
    assert sorted(briefly(errors)) == [
        ("operation-failed", "same-price", "/z:ticket[z:id='1']"),
        ("operation-failed", "same-price", "/z:ticket[z:id='3']"),
    ]


# when


def test_content_under_a_false_condition_is_an_unknown_element(server: Server) -> None:
    assert briefly(server.refusal("<zoo><night>loud</night></zoo>")) == [("unknown-element", None, "/z:zoo/z:night")]
    assert briefly(server.refusal("<quota><limit>1</limit></quota>")) == [("unknown-element", None, "/z:quota")]


def test_condition_and_node_may_come_in_one_edit(server: Server) -> None:
    server.edit("<zoo><night>loud</night><open>false</open><night-guard>g</night-guard></zoo>")
    server.edit("<quota><limit>1</limit></quota><name>big</name>")


def test_nodes_go_when_their_condition_turns_false(server: Server) -> None:
    server.edit("<zoo><night>loud</night><open>false</open><night-guard>g</night-guard></zoo>")
    paths: list[str] = []
    server.datastores.on_commit(lambda _, edits: paths.extend(f"{edit.kind.value} {edit.path.text}" for edit in edits))
    server.edit("<zoo><open>true</open></zoo>")
    assert sorted(paths) == ["changed /z:zoo/z:open", "deleted /z:zoo/z:night", "deleted /z:zoo/z:night-guard"]


def test_nodes_that_the_request_gives_content_to_do_not_go_silently(server: Server) -> None:
    server.edit("<zoo><night>loud</night><open>false</open></zoo>")
    errors = server.refusal("<zoo><open>true</open><night>loud</night></zoo>")
    assert briefly(errors) == [("unknown-element", None, "/z:zoo/z:night")]
    errors = server.refusal("<zoo><open>true</open><night>quiet</night></zoo>")
    assert briefly(errors) == [("unknown-element", None, "/z:zoo/z:night")]
    server.edit("<zoo><open>true</open><night nc:operation='delete'/></zoo>")


def test_a_mandatory_node_is_needed_only_where_its_condition_holds(server: Server) -> None:
    server.edit(cage("<animal>a</animal>"))
    (error,) = server.refusal(cage("<locked>true</locked>"))
    assert briefly([error]) == [("missing-element", None, CAGE)]
    server.edit(cage("<locked>true</locked><key-holder>k</key-holder>"))
    server.edit(cage("<locked>false</locked>"))
    assert server.tree()[0][-1][-2] == ("locked", "false"), "the key holder went with the lock"
    (error,) = server.refusal("<name>big</name>")
    assert briefly([error]) == [("missing-element", None, "/z:quota")]
    server.edit("<name>small</name>")


def test_conditions_hang_on_each_other_in_the_order_of_reference(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "leaf a { type string; }"
            "leaf b { when \"../a = 'on'\"; type string; }"
            "leaf c { when '../b'; type string; }"
            "leaf d { when 'not(../b)'; type string; }"
        ),
    )
    server = Server(schema=schema)
    server.edit("<a>on</a><b>x</b><c>x</c>")
    # d may come, since b goes first; c goes after b.
    server.edit("<a>off</a><d>x</d>")
    assert server.tree() == (("a", "off"), ("d", "x"))
    server.edit("<a>on</a>")
    server.edit("<b>x</b>")
    assert server.tree() == (("a", "on"), ("b", "x"))


def test_conditions_of_uses_augment_choice_and_case_count(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "leaf on { type boolean; default false; }"
            "grouping g { leaf used { type string; } }"
            "container top { presence p; uses g { when \"../on = 'true'\"; } "
            "  choice c { when \"../on = 'true'\"; mandatory true; leaf chosen { type string; } "
            "    case two { when \"../on = 'maybe'\"; leaf never { type string; } } } }"
            "augment '/top' { when \"../on = 'true'\"; leaf augmented { type string; mandatory true; } }"
        ),
    )
    server = Server(schema=schema)
    server.edit("<top/>")
    for name in ("used", "chosen", "augmented", "never"):
        assert briefly(server.refusal(f"<top><{name}>x</{name}></top>"))[0] == (
            "unknown-element",
            None,
            f"/m:top/m:{name}",
        )
    assert sorted(briefly(server.refusal("<on>true</on>"))) == [
        ("data-missing", "missing-choice", "/m:top"),
        ("missing-element", None, "/m:top"),
    ]
    server.edit("<on>true</on><top><used>x</used><chosen>x</chosen><augmented>x</augmented></top>")
    server.edit("<on nc:operation='delete'/>")
    assert server.tree() == (("top",),)


def test_a_default_under_a_false_condition_is_not_in_use(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "leaf on { type boolean; }"
            "container c { leaf x { when \"../../on = 'true'\"; type uint8; default 5; } "
            "  leaf y { type uint8; must 'not(../x) or . < ../x'; } }"
        ),
    )
    server = Server(schema=schema)
    server.edit("<c><y>9</y></c>")
    assert briefly(server.refusal("<on>true</on>")) == [("operation-failed", "must-violation", "/m:c/m:y")]
    server.edit("<c><y>4</y></c>")
    server.edit("<on>true</on>")
    assert briefly(server.refusal("<c><y>9</y></c>")) == [("operation-failed", "must-violation", "/m:c/m:y")]


def test_a_must_on_what_is_only_there_in_effect_is_evaluated(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path,
        module(
            "leaf limit { type uint8; }"
            "container c { must 'not(../limit) or d < ../limit'; leaf d { type uint8; default 5; must '. != 7'; } }"
        ),
    )
    server = Server(schema=schema)
    assert briefly(server.refusal("<limit>5</limit>")) == [("operation-failed", "must-violation", "/m:c")]
    server.edit("<limit>5</limit><c><d>4</d></c>")
    assert briefly(server.refusal("<c><d nc:operation='delete'/></c>")) == [
        ("operation-failed", "must-violation", "/m:c")
    ]


def test_the_context_of_an_expression_is_the_first_of_one(tmp_path: Path) -> None:
    schema = compiled(
        tmp_path, module("list l { key k; leaf k { type string; } must 'position() = 1 and last() = 1 and k'; }")
    )
    Server(schema=schema).edit("<l><k>1</k></l><l><k>2</k></l>")


def test_a_dangling_instance_identifier_that_may_dangle_dereferences_to_nothing(tmp_path: Path) -> None:
    """RFC 7950 10.3.1; libyang calls it an error."""
    schema = compiled(
        tmp_path,
        module(
            "leaf i { type instance-identifier { require-instance false; } must 'not(deref(.))'; }"
            "leaf x { type string; }"
        ),
    )
    server = Server(schema=schema)
    server.edit("<i xmlns:m='urn:m'>/m:x</i>")
    assert briefly(server.refusal("<x>1</x>")) == [("operation-failed", "must-violation", "/m:i")]


def test_several_faults_are_reported_together(server: Server) -> None:
    errors = server.refusal(
        "<zoo><keeper/><cage><hall>east</hall><number>1</number><animal>x</animal></cage>"
        "<feeding><id>1</id></feeding><guest>rex</guest></zoo>"
    )
    assert sorted(error.app_tag or error.tag for error in errors) == [
        "instance-required",
        "missing-choice",
        "missing-element",
        "must-violation",
    ]

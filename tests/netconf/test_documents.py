"""Only well-formed UTF-8 XML without a document type gets in, and nothing outside the message is ever read."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rkmp.netconf.documents import NotWellFormed, parse_document, root_of_prefix, serialise

ENTITY_BOMB = b"""<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>
<rpc>&c;</rpc>"""


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"   ",
        b"<rpc>",
        b"<rpc></rcp>",
        b"<rpc/><rpc/>",
        b"not XML at all",
        b"<rpc>\x00</rpc>",
        b"<rpc>\xff\xfe</rpc>",
        b"<rpc>&undefined;</rpc>",
        b'<rpc a="1" a="2"/>',
        b"<p:rpc/>",
        b"<?xml version='1.0'",
        b"<!-- a comment and no more",
        "<rpc>ü</rpc>".encode("utf-16"),
        b'<?xml version="1.0" encoding="ISO-8859-1"?><rpc>\xfc</rpc>',
        b"<a>" * 400 + b"</a>" * 400,
    ],
    ids=repr,
)
def test_what_is_not_a_utf_8_document_is_refused(octets: bytes) -> None:
    with pytest.raises(NotWellFormed):
        parse_document(octets)


@pytest.mark.parametrize(
    "octets",
    [
        ENTITY_BOMB,
        b"<!DOCTYPE rpc><rpc/>",
        b"<!-- before --> <?pi?> <!DOCTYPE rpc SYSTEM 'http://127.0.0.1:9/x.dtd'><rpc/>",
        b'<!DOCTYPE rpc [<!ENTITY x SYSTEM "file:///etc/hostname">]><rpc a="&x;"/>',
        b"\xef\xbb\xbf<!DOCTYPE rpc><rpc/>",
    ],
)
def test_a_document_type_declaration_is_refused_before_it_is_parsed(octets: bytes) -> None:
    with pytest.raises(NotWellFormed, match="document type"):
        parse_document(octets)


def test_external_entities_are_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("do not tell")
    document = f'<!DOCTYPE r [<!ENTITY x SYSTEM "{secret.as_uri()}">]><r>&x;</r>'
    with pytest.raises(NotWellFormed) as caught:
        parse_document(document.encode())
    assert "do not tell" not in str(caught.value)


def test_the_refusal_does_not_repeat_the_message() -> None:
    with pytest.raises(NotWellFormed) as caught:
        parse_document(b"<rpc><keystring>hunter2</keystrin></rpc>")
    assert "hunter2" not in str(caught.value)
    assert "keystrin" not in str(caught.value)


def test_comments_and_processing_instructions_vanish_without_splitting_text() -> None:
    root = parse_document(b"<?xml version='1.0' encoding='UTF-8'?><!-- a --><r>on<!-- b -->e<?pi?></r><!-- c -->")
    assert len(root) == 0
    assert "".join(root.itertext()) == "one"
    assert root.text == "one"


def test_a_byte_order_mark_and_white_space_around_are_taken() -> None:
    assert parse_document(b"\xef\xbb\xbf<r/>").tag == "r"
    assert parse_document(b"\n\n <?xml version='1.0'?><r/>\n").tag == "r"


def test_a_document_of_twenty_megabytes_parses() -> None:
    assert len(parse_document(b"<r>" + b"<leaf>some text</leaf>" * 1_000_000 + b"</r>")) == 1_000_000


def test_the_root_of_a_cut_document_still_has_its_attributes() -> None:
    root = root_of_prefix(b"<?xml version='1.0'?><rpc xmlns='urn:x' message-id='7'><edit-config><conf")
    assert root is not None
    assert root.get("message-id") == "7"
    assert root_of_prefix(b"<rpc message-id='7") is None
    assert root_of_prefix(b"not XML") is None
    assert root_of_prefix(ENTITY_BOMB) is None


@given(st.binary(max_size=100))
def test_any_octets_give_a_document_or_a_refusal(octets: bytes) -> None:
    root_of_prefix(octets)
    with contextlib.suppress(NotWellFormed):
        parse_document(octets)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=50))
def test_serialised_text_never_holds_the_end_of_message_mark(text: str) -> None:
    root = parse_document(b"<r/>")
    root.text = "]]>]]>" + text + "]]>"
    root.set("a", "]]>]]>")
    octets = serialise(root)
    assert b"]]>]]>" not in octets
    assert parse_document(octets).text == root.text

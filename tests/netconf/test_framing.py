"""Framing takes octets in any pieces, holds a bounded amount, and knows when the two sides are out of step."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rkmp.netconf.framing import (
    KEPT_PREFIX,
    FrameDecoder,
    Framing,
    FramingError,
    OversizedMessage,
    frame,
)


def decoder(framing: Framing, limit: int = 1000) -> FrameDecoder:
    made = FrameDecoder(limit)
    made.framing = framing
    return made


def messages_of(made: FrameDecoder, *pieces: bytes) -> list[bytes | OversizedMessage]:
    found: list[bytes | OversizedMessage] = []
    for piece in pieces:
        made.receive(piece)
        while (message := made.next_message()) is not None:
            found.append(message)
    return found


def octet_by_octet(octets: bytes) -> list[bytes]:
    return [octets[index : index + 1] for index in range(len(octets))]


# RFC 6242 section 4.2, the example that its text spells out.
RFC_6242_EXAMPLE = (
    b'\n#4\n<rpc\n#18\n message-id="102"\n\n#79\n     xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">\n'
    b"  <close-session/>\n</rpc>\n##\n"
)
RFC_6242_MESSAGE = (
    b'<rpc message-id="102"\n     xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">\n  <close-session/>\n</rpc>'
)


def test_chunks_of_the_rfc_example_join_to_its_message() -> None:
    assert messages_of(decoder(Framing.CHUNKED), RFC_6242_EXAMPLE) == [RFC_6242_MESSAGE]


def test_chunks_may_come_one_octet_at_a_time() -> None:
    assert messages_of(decoder(Framing.CHUNKED), *octet_by_octet(RFC_6242_EXAMPLE)) == [RFC_6242_MESSAGE]


@pytest.mark.parametrize("framing", list(Framing))
@given(contents=st.lists(st.binary(min_size=1, max_size=60), max_size=6), cuts=st.lists(st.integers(0, 500)))
def test_messages_come_out_as_they_went_in_wherever_the_stream_is_cut(
    framing: Framing, contents: list[bytes], cuts: list[int]
) -> None:
    contents = [content.replace(b"]]>]]>", b"").rstrip(b"]>") or b"x" for content in contents]
    stream = b"".join(frame(content, framing) for content in contents)
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    pieces = [stream[begin:end] for begin, end in itertools.pairwise(edges)]
    made = decoder(framing)
    assert messages_of(made, *pieces) == contents
    assert not made.within_message


@pytest.mark.parametrize(
    "octets",
    [
        b"x",
        b"\nx",
        b"\n#0\n",
        b"\n#01\na\n##\n",
        b"\n#-1\n",
        b"\n#+1\na\n##\n",
        b"\n#1 \na\n##\n",
        b"\n#x\n",
        b"\n#\n",
        b"\n###\n",
        b"\n##\n",
        b"\n#4294967296\n",
        b"\n#99999999999\n",
        b"\n#12345678901",
        b"\r\n#1\na\n##\n",
        b"\n#1\nab\n##\n",
        b"<rpc/>]]>]]>",
    ],
)
@pytest.mark.parametrize("pieces", [lambda octets: [octets], octet_by_octet], ids=["at once", "octet by octet"])
def test_what_is_no_chunk_is_a_framing_error(octets: bytes, pieces: object) -> None:
    assert callable(pieces)
    with pytest.raises(FramingError):
        messages_of(decoder(Framing.CHUNKED), *pieces(octets))


def test_a_bad_header_is_known_before_it_is_complete() -> None:
    made = decoder(Framing.CHUNKED)
    made.receive(b"\n#0")
    with pytest.raises(FramingError):
        made.next_message()


@given(st.binary(max_size=200))
def test_any_octets_give_messages_or_a_framing_error(octets: bytes) -> None:
    for framing in Framing:
        try:
            messages_of(decoder(framing), octets)
        except FramingError:
            assert framing is Framing.CHUNKED


@pytest.mark.parametrize("framing", list(Framing))
def test_a_message_over_the_limit_is_skipped_and_the_next_one_is_read(framing: Framing) -> None:
    made = decoder(framing, limit=10_000)
    big = b"<rpc message-id='1'>" + b"x" * 50_000
    stream = frame(big, framing) + frame(b"<next/>", framing)
    pieces = [stream[begin : begin + 777] for begin in range(0, len(stream), 777)]
    assert messages_of(made, *pieces) == [OversizedMessage(big[:KEPT_PREFIX], len(big)), b"<next/>"]


@pytest.mark.parametrize("framing", list(Framing))
def test_a_message_of_exactly_the_limit_is_taken(framing: Framing) -> None:
    assert messages_of(decoder(framing, limit=100), frame(b"x" * 100, framing)) == [b"x" * 100]
    (over,) = messages_of(decoder(framing, limit=100), frame(b"x" * 101, framing))
    assert over == OversizedMessage(b"x" * 101, 101)


def test_a_huge_chunk_header_reserves_nothing_and_its_octets_are_not_kept() -> None:
    made = decoder(Framing.CHUNKED, limit=1000)
    made.receive(b"\n#4294967295\n")
    for _ in range(100):
        made.receive(b"x" * 10_000)
        assert made.next_message() is None
        assert len(made._message) <= KEPT_PREFIX
        assert made.unread_octets == 0
    assert made.within_message


def test_white_space_after_the_delimiter_begins_no_message() -> None:
    made = decoder(Framing.END_OF_MESSAGE)
    assert messages_of(made, b"<hello/>]]>]]>\r\n") == [b"<hello/>"]
    assert not made.within_message
    made.receive(b"<")
    assert made.within_message


def test_framing_changes_for_the_octets_that_follow_the_hello() -> None:
    made = FrameDecoder()
    made.receive(b"<hello/>]]>]]>\n#3\n<a/\n#1\n>\n##\n")
    assert made.next_message() == b"<hello/>"
    made.framing = Framing.CHUNKED
    assert made.next_message() == b"<a/>"


def test_many_small_messages_cost_time_in_proportion() -> None:
    # 40,000 messages in one piece: quadratic work would take minutes and meet the suite's time-out.
    assert len(messages_of(decoder(Framing.CHUNKED), frame(b"x", Framing.CHUNKED) * 40_000)) == 40_000
    assert len(messages_of(decoder(Framing.END_OF_MESSAGE), b"x]]>]]>" * 40_000)) == 40_000


@pytest.mark.parametrize("framing", list(Framing))
def test_a_message_over_the_limit_is_skipped_octet_by_octet(framing: Framing) -> None:
    stream = frame(b"x" * 50, framing) + frame(b"<next/>", framing)
    skipped, following = messages_of(decoder(framing, limit=10), *octet_by_octet(stream))
    assert isinstance(skipped, OversizedMessage)
    assert skipped.length == 50
    assert (b"x" * 50).startswith(skipped.prefix)
    assert following == b"<next/>"

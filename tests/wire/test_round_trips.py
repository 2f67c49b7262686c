"""Whatever a message can hold comes back as it was; whatever arrives is read or refused, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rkmp.wire import (
    DEFAULT_CODE_POINTS,
    KNOWN_PAYLOAD_TYPES,
    CodePoints,
    Message,
    Payload,
    PayloadType,
    ProtocolId,
    RkmpProposal,
    RoutingProtocolSelector,
    SecurityAssociation,
    TcpAoTransform,
    TrafficSelectorsInitiator,
    UnknownSelector,
    UnrecognisedTransform,
    WireError,
    parse_payloads,
    serialise_payloads,
)
from tests.wire.strategies import PAYLOADS, SEALED_PAYLOADS, messages, payload_chains


def test_every_known_payload_type_is_generated() -> None:
    assert PAYLOADS.keys() | SEALED_PAYLOADS.keys() == KNOWN_PAYLOAD_TYPES


@given(messages())
def test_messages_come_back_as_they_were(message: Message) -> None:
    octets = message.to_bytes()
    assert Message.parse(octets) == message
    assert Message.parse(octets).to_bytes() == octets


@given(payload_chains)
def test_the_inside_of_an_encrypted_payload_comes_back_as_it_was(payloads: tuple[Payload, ...]) -> None:
    first_payload, octets = serialise_payloads(payloads)
    assert parse_payloads(first_payload, octets) == payloads
    assert first_payload == (payloads[0].payload_type if payloads else PayloadType.NONE)


@pytest.mark.parametrize("payload_type", sorted(PAYLOADS.keys() | SEALED_PAYLOADS.keys()))
@given(data=st.data())
def test_every_payload_reads_its_own_octets(payload_type: int, data: st.DataObject) -> None:
    payload = data.draw((PAYLOADS | SEALED_PAYLOADS)[payload_type])
    assert payload.payload_type == payload_type
    message = Message(b"initiatr", b"respondr", 37, 1, (payload,))
    assert Message.parse(message.to_bytes()) == message


def check_refusal(error: WireError, octets: bytes) -> None:
    """A refusal says where in the input it was found, and why."""
    assert 0 <= error.offset <= len(octets)
    assert error.reason


def read_or_refuse(octets: bytes) -> None:
    """Parse; what is accepted differs from what comes out again only in reserved bits, which are cleared."""
    try:
        message = Message.parse(octets)
    except WireError as error:
        check_refusal(error, octets)
        return
    again = message.to_bytes()
    assert len(again) == len(octets)
    assert all(out & ~into == 0 for out, into in zip(again, octets, strict=True))
    assert Message.parse(again) == message


@given(st.binary(max_size=200))
@example(b"")
@example(bytes(28))
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    read_or_refuse(octets)


@given(st.integers(0, 255), st.binary(max_size=200))
def test_any_inside_is_read_or_refused(first_payload: int, octets: bytes) -> None:
    try:
        payloads = parse_payloads(first_payload, octets)
    except WireError as error:
        check_refusal(error, octets)
    else:
        assert len(serialise_payloads(payloads)[1]) == len(octets)


@given(st.sampled_from(sorted(KNOWN_PAYLOAD_TYPES)), st.binary(max_size=80))
def test_any_body_of_a_known_payload_is_read_or_refused(payload_type: int, body: bytes) -> None:
    length = 28 + 4 + len(body)
    header = b"initiatr" + bytes(8) + bytes((payload_type, 0x20, 34, 0x08)) + bytes(4) + length.to_bytes(4)
    read_or_refuse(header + bytes(2) + (4 + len(body)).to_bytes(2) + body)


@given(messages(), st.data())
def test_a_mutated_message_is_read_or_refused(message: Message, data: st.DataObject) -> None:
    octets = bytearray(message.to_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    read_or_refuse(bytes(octets))


@given(messages(), st.data())
def test_a_truncated_message_is_refused(message: Message, data: st.DataObject) -> None:
    octets = message.to_bytes()
    cut = octets[: data.draw(st.integers(0, len(octets) - 1))]
    with pytest.raises(WireError):
        Message.parse(cut)
    # Also when the header's length agrees with what is left: only octets of an opaque last field can go unmissed.
    if len(cut) >= 28:
        read_or_refuse(cut[:24] + len(cut).to_bytes(4) + cut[28:])


@given(messages(), st.binary(min_size=1, max_size=8))
def test_octets_after_the_end_are_refused(message: Message, surplus: bytes) -> None:
    with pytest.raises(WireError):
        Message.parse(message.to_bytes() + surplus)


OTHER_CODE_POINTS = CodePoints(tcp_ao_protocol=230, ldp_discovery_protocol=231, traffic_selector_type=250)


def test_code_points_decide_what_is_rkmp() -> None:
    transform = TcpAoTransform(7, 1, 1, ignore_tcp_options=True)
    message = Message(
        b"initiatr",
        b"respondr",
        35,
        1,
        (
            SecurityAssociation((RkmpProposal(1, 230, b"", (transform,)),)),
            TrafficSelectorsInitiator((RoutingProtocolSelector(1, 250),)),
        ),
    )
    octets = message.to_bytes()
    assert Message.parse(octets, OTHER_CODE_POINTS) == message
    elsewhere = Message.parse(octets, DEFAULT_CODE_POINTS)
    assert elsewhere.payloads == (
        SecurityAssociation((RkmpProposal(1, 230, b"", (UnrecognisedTransform(bytes((7, 1, 1, 0x80))),)),)),
        TrafficSelectorsInitiator((UnknownSelector(250, b"", 1),)),
    )
    assert elsewhere.to_bytes() == octets


@pytest.mark.parametrize(
    "numbers",
    [
        {"tcp_ao_protocol": ProtocolId.ESP},
        {"tcp_ao_protocol": 256},
        {"ldp_discovery_protocol": 0},
        {"tcp_ao_protocol": 202},
        {"traffic_selector_type": 7},
        {"traffic_selector_type": 256},
    ],
)
def test_code_points_that_mean_something_else_are_refused(numbers: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"not free|cannot mean both"):
        CodePoints(**numbers)

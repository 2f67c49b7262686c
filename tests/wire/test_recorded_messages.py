"""Messages of another implementation: read as what they are, written as they were, mutated and still no surprise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rkmp.wire import (
    Encrypted,
    ExchangeType,
    Header,
    KeyExchange,
    Message,
    Nonce,
    Notify,
    NotifyType,
    SecurityAssociation,
    Transform,
    TransformType,
)
from tests.wire.test_round_trips import read_or_refuse
from tests.wire.transcripts import CONVERSATIONS, MESSAGES, Conversation

PROPOSALS = [conversation.proposal for conversation in CONVERSATIONS]


@pytest.mark.parametrize("octets", MESSAGES)
def test_recorded_messages_are_written_as_they_were(octets: bytes) -> None:
    message = Message.parse(octets)
    assert message.to_bytes() == octets
    assert Header.parse(octets).length == len(octets)


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=PROPOSALS)
def test_recorded_conversations_are_read_as_what_they_are(conversation: Conversation) -> None:
    exchanges = []
    for request, response in conversation.messages:
        asked, answered = Message.parse(request), Message.parse(response)
        assert (asked.is_initiator, asked.is_response) == (True, False)
        assert (answered.is_initiator, answered.is_response) == (False, True)
        assert (asked.message_id, asked.exchange_type) == (answered.message_id, answered.exchange_type)
        exchanges.append((asked.exchange_type, asked.message_id))
    assert exchanges == [
        (ExchangeType.IKE_SA_INIT, 0),
        (ExchangeType.IKE_AUTH, 1),
        (ExchangeType.CREATE_CHILD_SA, 2),
        (ExchangeType.INFORMATIONAL, 3),
        (ExchangeType.INFORMATIONAL, 0),
    ]


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=PROPOSALS)
def test_a_recorded_ike_sa_init_holds_what_it_should(conversation: Conversation) -> None:
    request = Message.parse(conversation.messages[0][0])
    association, key_exchange, nonce, *others = request.payloads
    assert isinstance(association, SecurityAssociation)
    assert isinstance(key_exchange, KeyExchange)
    assert isinstance(nonce, Nonce)
    methods = [
        transform.transform_id
        for transform in association.proposals[0].transforms
        if isinstance(transform, Transform) and transform.transform_type == TransformType.KE
    ]
    assert methods == [key_exchange.method]
    assert NotifyType.NAT_DETECTION_SOURCE_IP in {other.notify_type for other in others if isinstance(other, Notify)}
    for later in conversation.messages[1:]:
        for octets in later:
            (sealed,) = Message.parse(octets).payloads
            assert isinstance(sealed, Encrypted)
            assert octets.endswith(sealed.body)


@given(st.sampled_from(MESSAGES), st.data())
def test_mutated_recordings_are_read_or_refused(octets: bytes, data: st.DataObject) -> None:
    mutated = bytearray(octets)
    for _ in range(data.draw(st.integers(1, 6))):
        # The headers are where a mutation can do something.
        mutated[data.draw(st.integers(16, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    read_or_refuse(bytes(mutated))


@given(st.sampled_from(MESSAGES), st.data())
def test_recordings_with_a_piece_cut_out_or_repeated_are_read_or_refused(octets: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(28, len(octets)))
    end = data.draw(st.integers(start, len(octets)))
    for spliced in (octets[:start] + octets[end:], octets[:end] + octets[start:]):
        read_or_refuse(spliced)
        read_or_refuse(spliced[:24] + len(spliced).to_bytes(4) + spliced[28:])


@pytest.mark.parametrize("octets", MESSAGES[:2])
def test_every_octet_of_a_recording_may_be_any(octets: bytes) -> None:
    for position in range(len(octets)):
        for value in (0x00, 0x01, 0x7F, 0x80, 0xFF, octets[position] ^ 1):
            read_or_refuse(octets[:position] + bytes((value,)) + octets[position + 1 :])

"""Which IKE SA a datagram is for, and which datagrams leave: the engine's side that faces the network.

RFC 7296 2.1, 2.5, 2.6, 2.21.4 and 3.1. An IKE SA is found by our SPI; the repetition of a first message by the SPI,
the address and the listener that it came with. What belongs to nobody is answered within limits, or dropped and
counted. Nothing that the network brings is raised.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from rkmp.engine.admission import Admission
from rkmp.engine.configuration import Listener
from rkmp.engine.containment import contained
from rkmp.engine.conversation import Conversation
from rkmp.engine.datagrams import (
    NAT_KEEPALIVE,
    NON_ESP_MARKER,
    Address,
    OutgoingDatagram,
    needs_marker,
    opening_path,
    without_marker,
)
from rkmp.engine.peer import Peer
from rkmp.engine.policy import ConversationPolicy
from rkmp.engine.statistics import EngineStatistic, added_up
from rkmp.errors import WireError
from rkmp.ike import ChildRequest, IkeSa, IkeSettings, Path, Role, stateless
from rkmp.ike.addressing import is_opening_request
from rkmp.ike.observation import Observer
from rkmp.instant import Random
from rkmp.wire import MAJOR_VERSION, Header, PayloadType

Candidates = Callable[[str, str], Sequence[Peer]]
"""Given an address and the name of a listener, returns the peers that may call from there."""


class Switchboard:
    """Every IKE SA there is, whoever began it; ``candidates`` finds the peers that may begin one."""

    def __init__(self, random: Random, candidates: Candidates, observer: Observer | None = None) -> None:
        self._random = random
        self._observer = observer
        self._candidates = candidates
        self._admission = Admission(random)
        self._conversations: dict[bytes, Conversation] = {}
        self._by_spi: dict[bytes, Conversation] = {}
        self._spis_of: dict[bytes, tuple[bytes, ...]] = {}
        self._by_opening: dict[tuple[bytes, str, str], Conversation] = {}
        self._opening_of: dict[bytes, tuple[bytes, str, str]] = {}
        self._count: Counter[str] = Counter()
        self._outgoing: list[OutgoingDatagram] = []

    # -- what comes in -------------------------------------------------------------------------------------------

    def receive(self, data: bytes, listener: str, path: Path, now: float) -> Conversation | None:
        """Hand a datagram to its IKE SA and return that, so that its events can be dealt with."""
        self._count[EngineStatistic.DATAGRAMS_IN] += 1
        if data == NAT_KEEPALIVE:
            return None
        message, is_marked = without_marker(data)
        try:
            header = Header.parse(message)
        except WireError:
            self._count[EngineStatistic.DROPPED_NOT_IKE] += 1
            return None
        conversation = self._find(header, listener, path.remote)
        if conversation is None:
            if not is_opening_request(header) or header.major_version != MAJOR_VERSION:
                self._answer_stranger(message, is_marked, listener, path, now)
                return None
            return self._admit(message, header, is_marked, listener, path, now)
        if conversation.remote[0] != path.remote[0]:
            self._count[EngineStatistic.DROPPED_OTHER_ADDRESS] += 1
            return None
        is_hint = header.is_response and header.first_payload == PayloadType.NOTIFY
        if is_hint and stateless.hints_at_lost_state(message):
            conversation.doubt(now)
        self.contain(conversation, lambda: conversation.receive(message, path, now, is_marked=is_marked), now)
        return conversation

    def handle_timer(self, key: bytes, now: float) -> Conversation | None:
        """Let the IKE SA that is named ``key`` do what is due, and return it."""
        conversation = self._conversations.get(key)
        if conversation is not None:
            policy = conversation.ike_policy
            self.contain(conversation, lambda: conversation.handle_timer(policy, now), now)
        return conversation

    def contain(self, conversation: Conversation, deed: Callable[[], object], now: float) -> bool:
        """Do something with an IKE SA and return whether all is well; a fault of ours ends that one IKE SA only."""
        address, port = conversation.remote
        if contained(deed, f"the IKE SA with {address} port {port} is given up"):
            return True
        self.count(EngineStatistic.INTERNAL_ERRORS)
        conversation.is_mute = True
        conversation.ike_sa.abandon("an internal error, which the log describes", now)
        return False

    def count(self, statistic: EngineStatistic) -> None:
        """Count what happened elsewhere in the engine."""
        self._count[statistic] += 1

    def _find(self, header: Header, listener: str, remote: Address) -> Conversation | None:
        if is_opening_request(header):
            return self._by_opening.get((header.initiator_spi, remote[0], listener))
        return self._by_spi.get(header.responder_spi if header.is_initiator else header.initiator_spi)

    def _admit(
        self, message: bytes, header: Header, is_marked: bool, listener: str, path: Path, now: float
    ) -> Conversation | None:
        """Return state for a first message, unless its sender has to be known better first."""
        remote = path.remote
        candidates = self._candidates(remote[0], listener)
        if not candidates:
            self._count[EngineStatistic.DROPPED_UNKNOWN_ADDRESS] += 1
            return None
        refusal = self._admission.refusal(remote[0])
        if refusal is not None:
            self._count[refusal] += 1
            return None
        challenge = self._admission.challenge(message, remote, now)
        if challenge is not None:
            self._count[EngineStatistic.COOKIES_SENT] += 1
            self._send(listener, path, challenge, is_marked)
            return None
        policy = ConversationPolicy(candidates)
        ike_sa = IkeSa.respond(_settings_for(candidates), policy, self._random, path, self._observer)
        policy.ike_sa = ike_sa.local_spi
        conversation = Conversation(ike_sa, policy, listener, path, role=Role.RESPONDER, marked=is_marked, began_at=now)
        self._add(conversation)
        opening = (header.initiator_spi, remote[0], listener)
        self._by_opening[opening] = conversation
        self._opening_of[conversation.key] = opening
        self._admission.begin(conversation.key, remote[0])
        self.contain(conversation, lambda: conversation.receive(message, path, now, is_marked=is_marked), now)
        return conversation

    def _answer_stranger(self, message: bytes, is_marked: bool, listener: str, path: Path, now: float) -> None:
        is_old = Header.parse(message).major_version == MAJOR_VERSION
        self._count[EngineStatistic.DROPPED_UNKNOWN_SPI if is_old else EngineStatistic.DROPPED_WRONG_VERSION] += 1
        # RFC 7296 1.5 and 2.5 let us answer anybody; we answer where a peer is configured, so as to be no mirror.
        answer = stateless.answer_unknown(message) if self._candidates(path.remote[0], listener) else None
        if answer is not None and self._may_answer(path, now):
            self._send(listener, path, answer, is_marked)

    def _may_answer(self, path: Path, now: float) -> bool:
        """Return whether an error goes out, and count it as sent or kept back."""
        may_answer = self._admission.may_answer(path.remote[0], now)
        self._count[EngineStatistic.ERRORS_SENT if may_answer else EngineStatistic.ERRORS_SUPPRESSED] += 1
        return may_answer

    # -- what goes out -------------------------------------------------------------------------------------------

    def open(
        self, peer: Peer, request: ChildRequest | None, listener: Listener, remote: Address, now: float
    ) -> Conversation:
        """Begin an IKE SA with ``peer``."""
        policy = ConversationPolicy((), peer)
        path = opening_path(listener, remote)
        ike_sa = IkeSa.initiate(peer.settings, policy, self._random, request, now, path, self._observer)
        policy.ike_sa = ike_sa.local_spi
        wanted = peer.configuration.non_esp_marker
        marked = needs_marker(path) if wanted is None else wanted
        conversation = Conversation(
            ike_sa, policy, listener.name, path, role=Role.INITIATOR, marked=marked, began_at=now
        )
        self._add(conversation)
        return conversation

    def flush(self, conversation: Conversation, now: float) -> None:
        """Take what ``conversation`` has to send; it is forgotten when it is over."""
        datagrams, (path, marked) = conversation.ike_sa.datagrams(), conversation.way_out()
        # Before the message leaves that tells the peer of a new SPI.
        self._index(conversation)
        # What refuses an IKE_SA_INIT is about no IKE SA of ours, and anybody may have asked for it.
        is_refusal = conversation.is_refused_opening and bool(datagrams)
        if not conversation.is_mute and not (is_refusal and not self._may_answer(path, now)):
            for data in datagrams:
                self._send(conversation.listener, path, data, marked)
            keepalive_at = conversation.keepalive_at
            if datagrams:
                conversation.said_at = now
            elif keepalive_at is not None and keepalive_at <= now:
                self._send(conversation.listener, path, NAT_KEEPALIVE, is_marked=False)
                conversation.said_at = now
        if conversation.ike_sa.is_closed or conversation.established is not None:
            self._admission.end(conversation.key)
        if conversation.ike_sa.is_finished:
            self._forget(conversation)

    def datagrams(self) -> list[OutgoingDatagram]:
        """Return what is to be sent since the last call, in this order."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def get(self, key: bytes) -> Conversation | None:
        """Return the IKE SA that is named ``key``."""
        return self._conversations.get(key)

    def half_open(self) -> list[Conversation]:
        """Return the IKE SAs whose peer is not known yet."""
        return [self._conversations[key] for key in self._admission.spis() if key in self._conversations]

    def all(self) -> list[Conversation]:
        """Return every IKE SA."""
        return list(self._conversations.values())

    def statistics(self) -> Counter[str]:
        """Return the counters of this room and of all IKE SAs that there were, and how many there are."""
        total = added_up(self._count, (conversation.ike_sa for conversation in self._conversations.values()))
        total[EngineStatistic.HALF_OPEN_IKE_SAS] = self._admission.half_open
        total[EngineStatistic.IKE_SAS] = sum(conversation.is_open for conversation in self._conversations.values())
        return total

    def _send(self, listener: str, path: Path, data: bytes, is_marked: bool) -> None:
        self._count[EngineStatistic.DATAGRAMS_OUT] += 1
        data = NON_ESP_MARKER + data if is_marked else data
        self._outgoing.append(OutgoingDatagram(listener, path.local, path.remote, data))

    def _add(self, conversation: Conversation) -> None:
        self._conversations[conversation.key] = conversation
        self._index(conversation)

    def _index(self, conversation: Conversation) -> None:
        """See that messages find ``conversation`` by every SPI of ours; around a rekeying there is more than one."""
        before, now = self._spis_of.get(conversation.key, ()), conversation.ike_sa.local_spis
        if now == before or conversation.key not in self._conversations:
            return
        for spi in before:
            del self._by_spi[spi]
        for spi in now:
            self._by_spi[spi] = conversation
        self._spis_of[conversation.key] = now

    def _forget(self, conversation: Conversation) -> None:
        if self._conversations.pop(conversation.key, None) is None:
            return
        for spi in self._spis_of.pop(conversation.key):
            del self._by_spi[spi]
        opening = self._opening_of.pop(conversation.key, None)
        if opening is not None:
            self._by_opening.pop(opening, None)
        self._count = added_up(self._count, [conversation.ike_sa])
        if conversation.owner is not None:
            owner = conversation.owner
            owner.ike_statistics = added_up(owner.ike_statistics, [conversation.ike_sa])


def _settings_for(candidates: Sequence[Peer]) -> IkeSettings:
    """Return the settings of an IKE SA of which nobody knows yet which of ``candidates`` is the peer.

    They allow whatever one of them allows, what all allow before the rest; those of the peer itself take their place
    once it has said who it is, and what was negotiated has to be among them (:class:`~rkmp.ike.RemoteAuthentication`).
    """
    of_each = [peer.settings for peer in candidates]
    if len(of_each) == 1:
        return of_each[0]
    proposals = dict.fromkeys(proposal for each in of_each for proposal in each.proposals)
    common_first = sorted(proposals, key=lambda proposal: not all(proposal in each.proposals for each in of_each))
    sizes = [each.datagram_size for each in of_each if each.datagram_size is not None]
    return replace(
        of_each[0],
        proposals=tuple(common_first),
        fragmentation=any(each.fragmentation for each in of_each),
        datagram_size=min(sizes, default=None),
        childless=any(each.childless for each in of_each),
    )

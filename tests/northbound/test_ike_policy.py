"""What an ike-policy says is what two routers do: on the wire, and in the state that their operators read."""

from __future__ import annotations

from collections import Counter

import pytest

from rkmp.errors import RpcError, RpcErrors
from rkmp.ike.addressing import MARKER
from rkmp.wire import ExchangeType, Header
from tests.northbound.agents import Agent, World
from tests.northbound.test_agents import R1, R2, configuration, established
from tests.northbound.world import NAMESPACES, rkmp

SUITE = """
  <encryption>aes-gcm-16-256</encryption><prf>hmac-sha2-384</prf><key-exchange>curve25519</key-exchange>"""


class Wire(World):
    """A world that keeps what its routers send, as pairs of source and datagram."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[str, bytes]] = []
        self._seen_as: dict[str, str] = {}

    def translate(self, address: str, seen_as: str) -> None:
        """Have a translator before ``address``, which others see as another one."""
        self._seen_as[address] = seen_as

    def send(self, source: tuple[str, int], destination: tuple[str, int], data: bytes) -> None:
        self.sent.append((source[0], data.removeprefix(MARKER)))
        inside = {seen: address for address, seen in self._seen_as.items()}
        source = (self._seen_as.get(source[0], source[0]), source[1])
        super().send(source, (inside.get(destination[0], destination[0]), destination[1]), data)

    def requests(self, address: str) -> Counter[int]:
        """Return how many requests of each exchange type ``address`` has sent, fragments of one being one."""
        headers = [Header.parse(data) for source, data in self.sent if source == address]
        seen = {(h.initiator_spi, h.exchange_type, h.message_id) for h in headers if not h.is_response}
        return Counter(exchange_type for _, exchange_type, _ in seen)

    def longest(self, address: str) -> int:
        """Return the octets of the longest datagram that ``address`` has sent after IKE_SA_INIT."""
        return max(
            len(data)
            for source, data in self.sent
            if source == address and Header.parse(data).exchange_type != ExchangeType.IKE_SA_INIT
        )


def two_routers(of_r1: str = "", of_r2: str | None = None, *, seconds: float = 2.0) -> tuple[Wire, Agent, Agent]:
    """Return r1, which opens, and r2, with these contents of their ike-policies (by default the same)."""
    world = Wire()
    r1, r2 = world.agent("r1", R1), world.agent("r2", R2)
    for agent, policy in ((r1, of_r1), (r2, of_r1 if of_r2 is None else of_r2)):
        agent.edit(rkmp(f"<ike-policy><name>p</name>{policy}</ike-policy>"))
    r2.edit(configuration("r2", "r1", R1, initiate="never"))
    r1.edit(configuration("r1", "r2", R2))
    world.run(seconds)
    return world, r1, r2


def additional(agent: Agent) -> list[str]:
    found = agent.get().xpath("r:rkmp/r:peer/r:ike-sa/r:additional-key-exchange", namespaces=NAMESPACES)
    return [leaf.text for leaf in found]


def proposal(number: int, content: str = "", suite: str = SUITE) -> str:
    return f"<proposal><number>{number}</number>{suite}{content}</proposal>"


def test_without_proposals_ml_kem_is_done_where_both_know_it() -> None:
    world, r1, r2 = two_routers()
    assert established(r1, "r2")
    assert established(r2, "r1")
    assert additional(r1) == additional(r2) == ["ml-kem-768"]
    assert world.requests(R1)[ExchangeType.IKE_INTERMEDIATE] == 1


@pytest.mark.parametrize("is_old", ["r1", "r2"])
def test_a_peer_that_knows_no_additional_key_exchange_is_no_obstacle(is_old: str) -> None:
    policies = ("", proposal(1)) if is_old == "r2" else (proposal(1), "")
    world, r1, r2 = two_routers(*policies)
    assert established(r1, "r2")
    assert established(r2, "r1")
    assert additional(r1) == additional(r2) == []
    assert not world.requests(R1)[ExchangeType.IKE_INTERMEDIATE]


def test_several_additional_key_exchanges_are_done_in_order() -> None:
    further = """<additional-key-exchange>ml-kem-1024</additional-key-exchange>
      <further-key-exchange><number>7</number><method>ecp384</method></further-key-exchange>
      <further-key-exchange><number>2</number><method>ml-kem-1024</method><method>ml-kem-768</method></further-key-exchange>
    """
    world, r1, r2 = two_routers(proposal(1, further))
    assert established(r1, "r2")
    assert additional(r1) == additional(r2) == ["ml-kem-1024", "ml-kem-768", "ecp384"]
    assert world.requests(R1)[ExchangeType.IKE_INTERMEDIATE] == 3


def test_ml_kem_can_be_the_only_key_exchange() -> None:
    alone = SUITE.replace("curve25519", "ml-kem-768")
    world, r1, r2 = two_routers(proposal(1, suite=alone))
    assert established(r1, "r2")
    assert r2.text("r:rkmp/r:peer/r:ike-sa/r:key-exchange") == "ml-kem-768"
    assert world.requests(R1)[ExchangeType.IKE_INTERMEDIATE] == 0


def test_an_optional_key_exchange_is_left_out_where_the_other_side_wants_none() -> None:
    optional = "".join(f"<additional-key-exchange>{name}</additional-key-exchange>" for name in ("ml-kem-768", "none"))
    _, r1, r2 = two_routers(proposal(1, optional), proposal(1))
    assert established(r1, "r2")
    assert additional(r1) == additional(r2) == []


def test_without_a_proposal_in_common_both_operators_read_why() -> None:
    required = "<additional-key-exchange>ml-kem-768</additional-key-exchange>"
    _, r1, r2 = two_routers(proposal(1, required), proposal(1), seconds=10)
    for agent, peer in ((r1, "r2"), (r2, "r1")):
        assert "no IKE proposal in common" in (agent.association(peer, "last-error") or "")


def test_proposals_are_offered_in_the_order_of_their_numbers_and_the_responder_chooses_by_its_own() -> None:
    cbc = """<encryption>aes-cbc-256</encryption><integrity>hmac-sha2-256-128</integrity><prf>hmac-sha2-256</prf>
      <key-exchange>ecp256</key-exchange>"""
    _, r1, r2 = two_routers(proposal(9) + proposal(2, suite=cbc), proposal(1) + proposal(200, suite=cbc))
    assert r1.text("r:rkmp/r:peer/r:ike-sa/r:encryption") == "aes-gcm-16-256"
    assert r2.text("r:rkmp/r:peer/r:ike-sa/r:key-exchange") == "curve25519"
    _, r1, _ = two_routers(proposal(9) + proposal(2, suite=cbc), proposal(3, suite=cbc) + proposal(200))
    assert r1.text("r:rkmp/r:peer/r:ike-sa/r:encryption") == "aes-cbc-256"
    assert r1.text("r:rkmp/r:peer/r:ike-sa/r:integrity") == "hmac-sha2-256-128"


@pytest.mark.parametrize("methods", [("ml-kem-768", "ml-kem-768"), ("ecp384", "ecp384")])
def test_a_proposal_from_which_nobody_could_choose_is_refused_where_it_stands(methods: tuple[str, str]) -> None:
    agent = World().agent("r1", R1)
    content = f"""<additional-key-exchange>{methods[0]}</additional-key-exchange>
      <further-key-exchange><number>2</number><method>{methods[1]}</method></further-key-exchange>"""
    with pytest.raises(RpcError, match="must not repeat a method") as refusal:
        agent.edit(rkmp(f"<ike-policy><name>p</name>{proposal(1, content)}</ike-policy>"))
    assert refusal.value.path is not None
    assert "rkmp:proposal[rkmp:number='1']" in refusal.value.path


def test_a_second_additional_key_exchange_needs_a_first() -> None:
    agent = World().agent("r1", R1)
    content = "<further-key-exchange><number>2</number><method>ml-kem-768</method></further-key-exchange>"
    with pytest.raises(RpcErrors, match="is the first of the additional"):
        agent.edit(rkmp(f"<ike-policy><name>p</name>{proposal(1, content)}</ike-policy>"))


def test_long_messages_travel_in_fragments_of_the_size_that_is_configured() -> None:
    udp_and_ip = 20 + 8
    world, r1, _ = two_routers("<datagram-size>400</datagram-size>", "")
    assert established(r1, "r2")
    assert world.longest(R1) <= 400 - udp_and_ip
    assert 400 - udp_and_ip < world.longest(R2) <= 576 - udp_and_ip
    assert int(r1.text("r:rkmp/r:statistics/r:fragmented") or 0) >= 1


@pytest.mark.parametrize("is_off", ["r1", "r2"])
def test_either_side_can_turn_fragmentation_off(is_off: str) -> None:
    off = "<fragmentation>false</fragmentation>"
    world, r1, _ = two_routers(*((off, "") if is_off == "r1" else ("", off)))
    assert established(r1, "r2")
    assert world.longest(R1) > 1184
    assert r1.text("r:rkmp/r:statistics/r:fragmented") is None


def test_forced_to_be_childless_an_ike_sa_comes_first_and_each_key_in_an_exchange_of_its_own() -> None:
    world, r1, r2 = two_routers("<childless>force</childless>", "")
    assert established(r1, "r2")
    assert established(r2, "r1")
    assert world.requests(R1)[ExchangeType.CREATE_CHILD_SA] == 1
    world, r1, _ = two_routers("")
    assert world.requests(R1)[ExchangeType.CREATE_CHILD_SA] == 0


def test_a_peer_that_never_is_childless_is_given_up_by_one_that_always_is() -> None:
    _, r1, _ = two_routers("<childless>force</childless>", "<childless>never</childless>", seconds=10)
    assert "does not support an IKE SA without a key" in (r1.association("r2", "last-error") or "")
    _, r1, _ = two_routers("", "<childless>never</childless>")
    assert established(r1, "r2")


@pytest.mark.parametrize("closes", ["r1", "r2"])
def test_either_side_may_close_the_ike_sa_and_keep_the_keys(closes: str) -> None:
    close = "<retain-ike-sa>false</retain-ike-sa>"
    world, r1, r2 = two_routers(*((close, "") if closes == "r1" else ("", close)), seconds=8)
    for agent, peer in ((r1, "r2"), (r2, "r1")):
        assert agent.text("r:rkmp/r:peer/r:ike-sa/r:state") in (None, "closed")
        assert established(agent, peer)
        assert len(agent.key_rows()) == 1
        assert [event["peer"] for event in agent.heard("ike-sa-down")] == [peer]
    assert world.requests(R1 if closes == "r1" else R2)[ExchangeType.INFORMATIONAL] >= 1


def test_a_retained_ike_sa_stays() -> None:
    _, r1, _ = two_routers("<retain-ike-sa>true</retain-ike-sa>", seconds=20)
    assert r1.text("r:rkmp/r:peer/r:ike-sa/r:state") == "established"
    assert r1.heard("ike-sa-down") == []


def test_an_ike_sa_that_is_replaced_has_its_additional_key_exchanges_again() -> None:
    world, r1, r2 = two_routers("<lifetime>60</lifetime>")
    before = r1.text("r:rkmp/r:peer/r:ike-sa/r:local-spi")
    world.run(58)
    assert r1.text("r:rkmp/r:peer/r:ike-sa/r:local-spi") != before
    assert additional(r1) == additional(r2) == ["ml-kem-768"]
    assert (world.requests(R1) + world.requests(R2))[ExchangeType.IKE_FOLLOWUP_KE] >= 1
    assert len(r1.key_rows()) == 1


@pytest.mark.parametrize(("policy", "is_keyed"), [("", False), ("<nat>allow</nat>", True)])
def test_keys_for_translated_addresses_are_refused_unless_the_policy_allows_them(
    policy: str, *, is_keyed: bool
) -> None:
    world = Wire()
    translated = "198.51.100.7"
    r1, r2 = world.agent("r1", R1), world.agent("r2", R2)
    world.translate(R1, translated)
    for agent in (r1, r2):
        agent.edit(rkmp(f"<ike-policy><name>p</name>{policy}</ike-policy>"))
    r2.edit(configuration("r2", "r1", translated, initiate="never"))
    r1.edit(configuration("r1", "r2", R2))
    world.run(3)
    assert established(r1, "r2") is established(r2, "r1") is is_keyed
    if not is_keyed:
        assert "address is translated" in (r1.association("r2", "last-error") or "")
        assert "address is translated" in (r2.association("r1", "last-error") or "")
    assert (r1.text("r:rkmp/r:peer/r:ike-sa/r:nat-local"), r2.text("r:rkmp/r:peer/r:ike-sa/r:nat-remote")) == (
        "true",
        "true",
    )

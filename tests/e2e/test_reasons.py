"""What keeps two routers from a key is told apart: in state, in notifications, and by ``rkmp show``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from lxml import etree
from ncclient.manager import Manager

from tests.e2e.agents import NAMESPACES, RKMP, AgentProcess, peer_configuration, wait_for

AUTHENTICATION_FAILURE = "authentication-failure"
NEGOTIATION_FAILURE = "negotiation-failure"
OTHER_CODE_POINTS = "<code-points><tcp-ao-protocol-id>211</tcp-ao-protocol-id></code-points>"


@dataclass(frozen=True)
class Case:
    """A broken pair: how r1 and r2 differ, and what r1's operator must read; ``r2`` is None where it is not there."""

    r1: dict[str, Any]
    r2: dict[str, Any] | None
    says: str
    notification: str


CASES = {
    "wrong PSK": Case(
        {"psk": "one secret of our own"}, {"psk": "another secret altogether"}, "pre-shared key", AUTHENTICATION_FAILURE
    ),
    "disjoint proposals": Case({"proposal": "sha1-only"}, {"proposal": "aes-only"}, "transform", NEGOTIATION_FAILURE),
    "other code points": Case({"top": OTHER_CODE_POINTS}, {}, "code point", NEGOTIATION_FAILURE),
    "unreachable peer": Case({}, None, "no answer", NEGOTIATION_FAILURE),
}


class Listener:
    """A subscribed session and what it has heard: the last event of each name, as XML."""

    def __init__(self, session: Manager) -> None:
        self._session: Any = session
        self.heard: dict[str, str] = {}
        session.create_subscription()

    def has_heard(self, name: str) -> bool:
        while (notification := self._session.take_notification(block=False)) is not None:
            event = notification.notification_ele[1]
            self.heard[etree.QName(event).localname] = etree.tostring(event, encoding="unicode")
        return name in self.heard


def last_errors(agent: AgentProcess, session: Manager) -> list[str]:
    data = agent.get(session, f'<rkmp xmlns="{RKMP}"><peer/></rkmp>')
    return [str(text) for text in data.xpath("//rkmp:association/rkmp:last-error/text()", namespaces=NAMESPACES)]


@pytest.mark.parametrize("name", CASES)
def test_the_operator_reads_why(pair: tuple[AgentProcess, AgentProcess], name: str) -> None:
    case = CASES[name]
    r1, r2 = pair
    if case.r2 is None:
        r2.kill()
    else:
        with r2.connect() as two:
            config = peer_configuration("r2", "r1", port=r1.ike_port, initiate="never", **case.r2)
            two.edit_config(target="running", config=config)
    with r1.connect() as one, r1.connect() as session:
        listener = Listener(session)
        one.edit_config(target="running", config=peer_configuration("r1", "r2", port=r2.ike_port, **case.r1))
        wait_for("an error is reported", lambda: bool(last_errors(r1, one)))
        [error] = last_errors(r1, one)
        assert case.says in error
        assert not [other for other, rival in CASES.items() if other != name and rival.says in error]
        wait_for(case.notification, lambda: listener.has_heard(case.notification))
        assert case.says in listener.heard[case.notification]
        shown = r1.run_client("show", "peers")
        assert shown.returncode == 0, shown.stderr
        assert case.says in shown.stdout


def test_the_side_that_is_called_reads_who_failed_and_why(pair: tuple[AgentProcess, AgentProcess]) -> None:
    """AUTHENTICATION_FAILED tells the caller little, by design; the operator of the called side reads all."""
    r1, r2 = pair
    with r1.connect() as one, r2.connect() as two, r2.connect() as session:
        listener = Listener(session)
        config = peer_configuration("r2", "r1", port=r1.ike_port, initiate="never")
        two.edit_config(target="running", config=config)
        config = peer_configuration("r1", "r2", port=r2.ike_port, local_identity="stranger.example.net")
        one.edit_config(target="running", config=config)
        wait_for(AUTHENTICATION_FAILURE, lambda: listener.has_heard(AUTHENTICATION_FAILURE))
        stranger = listener.heard.pop(AUTHENTICATION_FAILURE)
        assert "stranger.example.net" in stranger
        assert "127.0.0.1" in stranger
        config = peer_configuration("r1", "r2", port=r2.ike_port, psk="another secret altogether")
        one.edit_config(target="running", config=config)
        wait_for("the wrong key is told", lambda: listener.has_heard(AUTHENTICATION_FAILURE))
        assert "r1.example.net" in listener.heard[AUTHENTICATION_FAILURE]
        assert "pre-shared key" in listener.heard[AUTHENTICATION_FAILURE]

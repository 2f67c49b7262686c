"""Drawings of what two engines say and do in a simulation, put into the pages that explain it.

A page has a line ``<!-- drawing: NAME -->`` before each drawing; what stands between is written by hand.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from rkmp.crypto.suites import HYBRID_IKE_PROPOSALS
from rkmp.engine import Engine, IkePolicy, Initiate, Listener
from rkmp.ike.observation import ObservedMessage
from rkmp.ike.vendor_id import announced_code_points
from rkmp.keytable import KeyRow, KeyTable, fingerprint
from rkmp.wire import (
    Delete,
    ExchangeType,
    Notify,
    NotifyType,
    Payload,
    PayloadType,
    ProtocolId,
    RkmpProposal,
    RoutingProtocolSelector,
    SecurityAssociation,
    TrafficSelectorsInitiator,
    TrafficSelectorsResponder,
    VendorId,
)
from tests.engine.configurations import BGP, LISTENER, MSDP, NAMES, configuration, peer
from tests.engine.simulation import Router, Simulation
from tests.ike.watching import Watch

EXPLANATION = Path(__file__).parents[3] / "docs" / "explanation"

_PLACE = re.compile(r"<!-- drawing: ([a-z-]+) -->\n```mermaid\n.*?```\n", re.DOTALL)
_POLICY = IkePolicy("p", proposals=HYBRID_IKE_PROPOSALS, liveness_interval=0)
_COLUMNS = 44
"""As wide as a line may be over an arrow: wider drawings are shrunk until nobody can read them."""
_TOGETHER = "\0"
_NOTATION = {PayloadType.ID_I: "IDi", PayloadType.ID_R: "IDr", PayloadType.TS_I: "TSi", PayloadType.TS_R: "TSr"}
"""RFC 7296's, where it is not the name."""


def page_of(name: str) -> Callable[[], str]:
    """Return what makes the text of a page of the explanation, its drawings made anew."""
    return partial(_page, EXPLANATION / name)


def _page(path: Path) -> str:
    return _PLACE.sub(
        lambda place: f"<!-- drawing: {place[1]} -->\n```mermaid\n{DRAWINGS[place[1]]()}```\n",
        path.read_text(encoding="utf-8"),
    )


def names_in(name: str) -> list[str]:
    """Return the drawings that a page has, in its order."""
    return _PLACE.findall((EXPLANATION / name).read_text(encoding="utf-8"))


class _Watched(Router):
    """A router whose messages are kept."""

    def __init__(self, name: str, seed: int) -> None:
        self.watch = Watch()
        super().__init__(name, seed)

    def _boot(self) -> None:
        self.key_table = KeyTable(self._database, self._sealer, self.random.randbytes)
        listener = Listener(LISTENER, self.address)
        self.engine = Engine(self.key_table, self.random.randbytes, default_listener=listener, observer=self.watch)


class _Story:
    """What happens between r1, who begins, and r2: messages as r1 knows them, and what each does with which key."""

    def __init__(self, *protocols: int, **lifetimes: int) -> None:
        self.r1 = _Watched("r1", 1)
        self.simulation = Simulation(1)
        self.simulation.routers["r1"] = self.r1
        for name, other, initiate in (("r2", "r1", Initiate.NEVER), ("r1", "r2", Initiate.ON_DEMAND)):
            wanted = peer(other, protocols, initiate=initiate, **lifetimes)
            self.simulation.configure(name, configuration(name, [wanted], policy=_POLICY))
        self.lines: list[str] = []
        self._told = 0
        self._uses: dict[str, str] = {}
        self._keys: list[str] = []

    def run(self, seconds: float) -> None:
        """Let time pass and tell what happens."""
        self.simulation.run_until(self._listen, seconds)

    def drawing(self) -> str:
        """Return what was told since the last drawing."""
        lines, self.lines = self.lines, []
        return "sequenceDiagram\n" + "".join(f"    {line}\n" for line in lines)

    def _listen(self) -> bool:
        for message in self.r1.watch.messages[self._told :]:
            self.lines.append(_arrow(message))
        self._told = len(self.r1.watch.messages)
        for name, router in self.simulation.routers.items():
            use = self._use(router)
            if use and use != self._uses.get(name):
                self._uses[name] = use
                self.lines.append(f"Note over {name}: {use}")
        return False

    def _use(self, router: Router) -> str:
        """Return what a router does with the keys for BGP."""
        other = "r2" if router.name == "r1" else "r1"
        now = self.simulation.now
        rows = router.key_table.rows_for(self.simulation[other].address, NAMES[BGP])
        accepted = [self._called(row) for row in rows if router.accepted(other, BGP, row.local_key_name, now)]
        sending = router.sending(other, BGP, now)
        if sending is None:
            return ""
        return f"accepts {' and '.join(sorted(accepted))},<br/>sends with {self._called(sending)}"

    def _called(self, row: KeyRow) -> str:
        if (found := fingerprint(row.key)) not in self._keys:
            self._keys.append(found)
        return f"key {self._keys.index(found) + 1}"


# One message


def _arrow(message: ObservedMessage) -> str:
    ends = ("r1", "r2") if message.is_outgoing else ("r2", "r1")
    line = "-->>" if message.is_response else "->>"
    kind = "response" if message.is_response else "request"
    # The words of one payload stay together.
    payloads = ", ".join(_payload(payload).replace(" ", _TOGETHER) for payload in message.payloads) or "empty"
    rows = textwrap.wrap(payloads, _COLUMNS, break_long_words=False, break_on_hyphens=False)
    pieces = f" in {message.datagrams} fragments" if message.datagrams > 1 else ""
    name = ExchangeType(message.exchange_type).name
    return f"{ends[0]}{line}{ends[1]}: {name} {kind}{pieces}<br/>{'<br/>'.join(rows).replace(_TOGETHER, ' ')}"


def _payload(payload: Payload) -> str:
    match payload:
        case Notify(notify_type=NotifyType() as kind):
            return f"N({kind.name})"
        case VendorId() if announced_code_points((payload,)) is not None:
            return "V(RKMP)"
        case SecurityAssociation(proposals=(RkmpProposal(), *_)):
            return "SA for TCP-AO"
        case SecurityAssociation():
            return "SA"
        case TrafficSelectorsInitiator() | TrafficSelectorsResponder():
            return f"{_name(payload)} for {', '.join(map(_selector, payload.selectors))}"
        case Delete(protocol_id=protocol):
            return "D for the IKE SA" if protocol == ProtocolId.IKE else "D for TCP-AO"
    return _name(payload)


def _name(payload: Payload) -> str:
    kind = payload.payload_type
    return _NOTATION.get(kind, kind.name) if isinstance(kind, PayloadType) else str(kind)


def _selector(selector: object) -> str:
    assert isinstance(selector, RoutingProtocolSelector)
    return NAMES[selector.routing_protocol].upper()


# The drawings


def _opening() -> str:
    story = _Story(BGP)
    story.run(10)
    return story.drawing()


def _second_protocol() -> str:
    story = _Story(BGP, MSDP)
    story.run(10)
    lines = story.drawing().splitlines(keepends=True)
    return lines[0] + "".join(line for line in lines if "CREATE_CHILD_SA" in line)


def _rollover() -> str:
    story = _Story(BGP, key_lifetime=600, rollover_lead=100, overlap=60)
    story.run(10)
    story.drawing()
    story.run(585)
    return story.drawing()


DRAWINGS: Mapping[str, Callable[[], str]] = {
    "opening": _opening,
    "second-protocol": _second_protocol,
    "rollover": _rollover,
}
"""Every drawing, by the name that a page gives it."""

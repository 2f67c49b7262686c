"""What tables say of the agent's data."""

from __future__ import annotations

import io

from lxml import etree
from rich.console import Console

from rkmp.cli.show import show

RKMP = "urn:rkmp:yang:rkmp"
AGENT = "urn:rkmp:yang:rkmp-agent"
CONSUMER = f"""<consumer xmlns="{AGENT}"><kind>bird</kind><name>main</name><state>awaiting-peer</state>
  <accepted-key>k1</accepted-key><accepted-key>k2</accepted-key><preferred-key>k2</preferred-key>
  <sending-key>k1</sending-key><last-step>prefer</last-step><last-step-key>k2</last-step-key></consumer>"""


class Agent:
    """Answers a question for state as a session does."""

    def __init__(self, consumers: str) -> None:
        self._data = f"""<data><rkmp xmlns="{RKMP}"><peer><name>r2</name><association><protocol>bgp</protocol>
          <state>established</state>{consumers}</association></peer></rkmp></data>"""

    def get(self, *_filters: etree._Element) -> etree._Element:
        return etree.fromstring(self._data)


def shown(consumers: str) -> list[list[str]]:
    output = io.StringIO()
    console = Console(file=output, width=200, color_system=None)
    show(Agent(consumers), "associations", console, as_json=False, as_xml=False)  # type: ignore[arg-type]
    return [line.split() for line in output.getvalue().splitlines()]


def test_associations_are_shown_with_who_uses_their_keys() -> None:
    lines = shown(CONSUMER)
    place = lines.index(["Consumers", "of", "their", "keys"])
    assert " ".join(lines[place + 1]) == "PEER PROTOCOL CONSUMER STATE SENDS WITH ACCEPTS LAST STEP LAST ERROR"
    assert " ".join(lines[place + 2]) == "r2 bgp bird main awaiting-peer k1 k1, k2 prefer k2 -"


def test_without_consumers_there_is_no_table_of_them() -> None:
    assert ["Consumers", "of", "their", "keys"] not in shown("")
    assert any(line[:2] == ["r2", "bgp"] for line in shown(""))

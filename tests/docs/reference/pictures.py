"""Pictures of what two whole agents do on a virtual clock, made by what the client draws for its users."""

from __future__ import annotations

from datetime import timedelta

from lxml import etree

from rkmp.cli.documents import to_dictionary
from rkmp.cli.lifetimes import axis_of, sessions
from rkmp.cli.timeline_picture import picture
from rkmp.cli.views import KEYS, PEERS
from tests.northbound.agents import World
from tests.northbound.test_agents import TCP_AO
from tests.northbound.world import rkmp

_HOURS = 23
"""Of the pictures: most of a day, so that the first key has been replaced."""
_ASSOCIATIONS = (
    "<association><protocol>bgp</protocol><proposal>ao</proposal></association>",
    "<association><protocol>msdp</protocol><proposal>ao</proposal><key-lifetime>43200</key-lifetime></association>",
)


def timeline() -> str:
    """Return the SVG that ``rkmp keys timeline --svg`` makes at r1, 23 hours after its first key."""
    world = World()
    r1, r2 = (world.agent(name, address) for name, address in (("r1", "192.0.2.1"), ("r2", "192.0.2.2")))
    for agent, other in ((r2, r1), (r1, r2)):
        agent.edit(rkmp(_configuration(agent.name, other.name, other.address)))
    world.run(timedelta(hours=_HOURS).total_seconds())
    state = r1.get()
    for top in state:
        if top.tag not in (KEYS[0], PEERS[0]):
            state.remove(top)
    found = sessions(to_dictionary(state))
    drawing: str = etree.tostring(picture(found, axis_of(found, world.wall())), pretty_print=True, encoding="unicode")
    return drawing


def _configuration(name: str, other: str, address: str) -> str:
    return f"""<local-identity><type>fqdn</type><value>{name}.example.net</value></local-identity>
    <credentials><pre-shared-key><name>k</name><secret><keystring>secret</keystring></secret></pre-shared-key>
    </credentials>{TCP_AO}
    <ike-policy><name>p</name><liveness-interval>0</liveness-interval></ike-policy>
    <peer><name>{other}</name><address>{address}</address><ike-policy>p</ike-policy>
      <authentication><local><method>psk</method><pre-shared-key>k</pre-shared-key></local>
        <remote><identity><type>fqdn</type><value>{other}.example.net</value></identity><method>psk</method>
          <pre-shared-key>k</pre-shared-key></remote></authentication>
      {"".join(_ASSOCIATIONS)}</peer>"""

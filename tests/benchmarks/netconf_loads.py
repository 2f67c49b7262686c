"""The two lists that NETCONF servers are measured with. An entry of either has twelve leaves.

``PLAIN`` is a list with a must, a leafref and no engine behind it, as netopeer2 had none. ``PEERS`` are the peers of
our own module, whose leafrefs, musts and conditions are more, and which an engine carries out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.e2e.agents import NETCONF, RKMP

BENCH = "urn:example:bench"


@dataclass(frozen=True, slots=True)
class Load:
    """A list ``peer`` with the key ``name`` and a leaf ``description`` in the container ``top`` of a module.

    ``surroundings`` is what entries refer to, and goes with ``owned``, the top-level nodes. ``leaves`` is what is in an
    entry besides the two.
    """

    module: str
    namespace: str
    top: str
    owned: tuple[str, ...]
    surroundings: str
    leaves: Callable[[int], str]

    def name(self, number: int) -> str:
        """The key of an entry."""
        return f"peer-{number:06}"

    def description(self, number: int) -> str:
        """The value of the leaf that is no key."""
        return f"router {number:06} of the benchmark"

    def entry(self, number: int, operation: str | None = None) -> str:
        """An entry, with an operation of edit-config where one is given."""
        attribute = f' xmlns:nc="{NETCONF}" nc:operation="{operation}"' if operation else ""
        inside = f"<name>{self.name(number)}</name>"
        if operation != "delete":
            inside += f"<description>{self.description(number)}</description>{self.leaves(number)}"
        return f"<peer{attribute}>{inside}</peer>"

    def around(self, content: str) -> str:
        """``content`` in the container."""
        return f'<{self.top} xmlns="{self.namespace}">{content}</{self.top}>'

    def subtree(self, content: str) -> str:
        """A filter for what is in the container."""
        return f'<filter type="subtree">{self.around(content)}</filter>'

    def xpath(self, predicate: str) -> str:
        """A filter for the entries that meet a predicate on a leaf."""
        path = f"/b:{self.top}/b:peer[b:{predicate}]"
        return f'<filter type="xpath" xmlns:b="{self.namespace}" select="{path}"/>'

    @property
    def everything(self) -> str:
        """A filter for all that is loaded."""
        nodes = "".join(f'<{name} xmlns="{self.namespace}"/>' for name in self.owned)
        return f'<filter type="subtree">{nodes}</filter>'

    @property
    def removal(self) -> str:
        """The content of an edit that takes all of it away."""
        remove = f'xmlns:nc="{NETCONF}" nc:operation="remove"'
        return "".join(f'<{name} xmlns="{self.namespace}" {remove}/>' for name in self.owned)


def _plain_leaves(number: int) -> str:
    address = f"{number >> 16}.{number >> 8 & 255}.{number & 255}"
    return (
        "<enabled>true</enabled><mtu>1500</mtu><local-address>192.0.2.1</local-address>"
        f"<remote-address>10.{address}</remote-address><remote-id>peer{number:06}.example.net</remote-id>"
        "<mode>tunnel</mode><profile>default</profile><rekey-min>3600</rekey-min><rekey-max>7200</rekey-max>"
        "<priority>7</priority>"
    )


def _peer_leaves(number: int) -> str:
    return (
        f"<address>10.{number >> 16}.{number >> 8 & 255}.{number & 255}</address><port>500</port>"
        "<initiate>never</initiate><ike-policy>p</ike-policy><authentication>"
        "<local><method>psk</method><pre-shared-key>k</pre-shared-key></local>"
        f"<remote><identity><type>fqdn</type><value>peer-{number:06}.example.net</value></identity>"
        "<method>psk</method><pre-shared-key>k</pre-shared-key></remote></authentication>"
    )


PLAIN = Load(
    module="bench",
    namespace=BENCH,
    top="peers",
    owned=("peers", "profiles"),
    surroundings=f'<profiles xmlns="{BENCH}"><profile><name>default</name></profile></profiles>',
    leaves=_plain_leaves,
)
PEERS = Load(
    module="rkmp",
    namespace=RKMP,
    top="rkmp",
    owned=("rkmp",),
    surroundings=(
        f'<rkmp xmlns="{RKMP}"><local-identity><type>fqdn</type><value>benchmark.example.net</value></local-identity>'
        "<credentials><pre-shared-key><name>k</name><secret><keystring>a secret of a benchmark</keystring></secret>"
        "</pre-shared-key></credentials><ike-policy><name>p</name></ike-policy></rkmp>"
    ),
    leaves=_peer_leaves,
)

"""A whole configuration is valid for us when it is valid for libyang and for yangson.

Documents are put together from random edits without regard for constraints, over a module that has every kind of
constraint and over the agent's own modules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from rkmp.datastore.data_tree import DataTree
from rkmp.datastore.editing import Editor
from rkmp.datastore.marks import Operation
from rkmp.datastore.payload import parse_payload
from rkmp.datastore.schema import load_schema
from rkmp.datastore.validation import Validator
from rkmp.errors import RpcError, RpcErrors
from tests.datastore.documents import LibyangJudge, YangsonJudge
from tests.datastore.generated import payloads
from tests.datastore.servers import MODULES, document, schema_of
from tests.datastore.test_incremental_validation import FULL

OUR_MODULES = Path(__file__).parents[2] / "yang"
ROUTER = """
<rkmp xmlns="urn:rkmp:yang:rkmp">
  <local-identity><type>fqdn</type><value>r1.example.net</value></local-identity>
  <credentials><pre-shared-key><name>a</name><secret><keystring>secret</keystring></secret></pre-shared-key></credentials>
  <listen><name>a</name><address>192.0.2.1</address></listen>
  <ike-policy><name>a</name></ike-policy>
  <ike-policy><name>b</name><proposal><number>1</number><encryption>aes-gcm-16-128</encryption>
    <prf>hmac-sha2-256</prf><key-exchange>curve25519</key-exchange></proposal></ike-policy>
  <proposal><name>a</name>
    <transform><name>a</name><auth-alg>hmac-sha-1-96</auth-alg><kdf>kdf-hmac-sha1</kdf></transform>
    <transform><name>b</name><send-id>1</send-id><auth-alg>aes-128-cmac-96</auth-alg><kdf>kdf-aes-128-cmac</kdf></transform>
  </proposal>
  <proposal><name>b</name>
    <transform><name>a</name><send-id>1</send-id><auth-alg>hmac-sha-1-96</auth-alg><kdf>kdf-hmac-sha1</kdf></transform>
  </proposal>
  <peer><name>a</name><address>192.0.2.2</address><ike-policy>a</ike-policy>
    <authentication>
      <local><method>psk</method><pre-shared-key>a</pre-shared-key></local>
      <remote><method>psk</method><pre-shared-key>a</pre-shared-key></remote>
    </authentication>
    <association><protocol>bgp</protocol><proposal>a</proposal></association>
  </peer>
  <peer><name>b</name><address>192.0.2.2</address><port>501</port><ike-policy>b</ike-policy>
    <authentication>
      <local><method>psk</method><pre-shared-key>a</pre-shared-key></local>
      <remote><method>psk</method><pre-shared-key>a</pre-shared-key></remote>
    </authentication>
    <association><protocol>bgp</protocol><proposal>b</proposal><overlap>30</overlap></association>
  </peer>
</rkmp>
<key-table xmlns="urn:rkmp:yang:crypto-key-table">
  <key><admin-key-name>a</admin-key-name><local-key-name>01</local-key-name><peer-key-name>02</peer-key-name>
    <peer>192.0.2.2</peer><protocol>bgp</protocol><kdf>hmac-sha-1</kdf><alg-id>hmac-sha-1-96</alg-id>
    <keystring>secret</keystring></key>
</key-table>
"""


class Court:
    """Ours and the judges, over one schema."""

    def __init__(self, modules: Mapping[str, Sequence[str]], folder: Path) -> None:
        self.schema = load_schema(modules, [folder]) if folder != MODULES else schema_of(*modules)
        self.validator = Validator(self.schema)
        self.judges: dict[str, LibyangJudge | YangsonJudge] = {
            "libyang": LibyangJudge(self.schema, folder),
            "yangson": YangsonJudge(self.schema, folder),
        }

    def tree(self, *edits: str) -> DataTree:
        """What edits make, each as far as it gets."""
        tree = DataTree(self.validator.layouts)
        for content in edits:
            try:
                payload = parse_payload(tree.layouts, document(content), Operation.MERGE)
                Editor(tree, payload, collect=True).carry_out(Operation.MERGE)
            except (RpcError, RpcErrors):
                continue
        return tree

    def require_one_verdict(self, tree: DataTree) -> None:
        ours = [str(error) for error in self.validator.check(tree)]
        for name, judge in self.judges.items():
            if name == "yangson" and _has_guest_and_alarm(tree):
                continue
            theirs = judge.objections(tree.root)
            text = etree.tostring(tree.root, encoding="unicode", pretty_print=True)
            assert bool(ours) == bool(theirs), f"ours: {ours}, {name}: {theirs}, of {text}"


def _has_guest_and_alarm(tree: DataTree) -> bool:
    """What yangson 1.7 gets wrong: it takes a default of the default case for in use beside another case's nodes."""
    zoo = "{urn:example:zoo}"
    return tree.root.find(f"{zoo}zoo/{zoo}alarm") is not None and tree.root.find(f"{zoo}zoo/{zoo}guest") is not None


ZOO = Court({"zoo": ()}, MODULES)
OURS = Court({"rkmp": (), "crypto-key-table": ()}, OUR_MODULES)
STANDARD = Court(
    {
        "ietf-interfaces": ("arbitrary-names", "pre-provisioning", "if-mib"),
        "iana-if-type": (),
        "ietf-ip": ("ipv4-non-contiguous-netmasks", "ipv6-privacy-autoconf"),
        "ietf-netconf-acm": (),
        "ietf-key-chain": ("hex-key-string", "accept-tolerance", "independent-send-accept-lifetime"),
        "ietf-system": ("authentication", "local-users", "ntp", "ntp-udp-port", "radius", "timezone-name"),
        "iana-crypt-hash": ("crypt-hash-sha-256",),
        "ietf-routing": ("router-id", "multiple-ribs"),
        "ietf-ipv4-unicast-routing": (),
        "ietf-ipv6-unicast-routing": (),
    },
    OUR_MODULES,
)


@pytest.mark.parametrize(("court", "content"), [(ZOO, FULL), (OURS, ROUTER), (ZOO, "")], ids=["zoo", "ours", "empty"])
def test_the_documents_to_start_from_are_valid(court: Court, content: str) -> None:
    tree = court.tree(content)
    assert court.validator.check(tree) == []
    court.require_one_verdict(tree)


def test_a_default_of_the_default_case_is_not_in_use_beside_another_case() -> None:
    """RFC 7950 7.9.3: a must that asks whether dog is rex is satisfied, since alarm is there. yangson differs."""
    tree = ZOO.tree("<zoo><alarm><code>1</code></alarm><guest>rex</guest></zoo>")
    assert ZOO.validator.check(tree) == []
    assert ZOO.judges["libyang"].objections(tree.root) == []


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(("", FULL)), payloads(ZOO.schema), payloads(ZOO.schema))
def test_all_have_one_verdict_on_every_kind_of_constraint(start: str, first: str, second: str) -> None:
    ZOO.require_one_verdict(ZOO.tree(start, first, second))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(("", ROUTER)), payloads(OURS.schema), payloads(OURS.schema))
def test_all_have_one_verdict_on_our_modules(start: str, first: str, second: str) -> None:
    OURS.require_one_verdict(OURS.tree(start, first, second))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(payloads(STANDARD.schema), payloads(STANDARD.schema), payloads(STANDARD.schema))
def test_all_have_one_verdict_on_standard_modules(first: str, second: str, third: str) -> None:
    STANDARD.require_one_verdict(STANDARD.tree(first, second, third))

"""A change of running becomes one change of the engine and the key table, whole or not at all, by list entry."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from lxml import etree

from rkmp.crypto.certificate_paths import TrustAnchors
from rkmp.crypto.signature_keys import KeyType
from rkmp.crypto.suites import HYBRID_IKE_PROPOSALS, IkeProposal
from rkmp.datastore.datastores import Datastores
from rkmp.datastore.marks import Operation
from rkmp.engine.configuration import (
    AssociationConfiguration,
    AtExpiry,
    CertificateName,
    Childless,
    EngineConfiguration,
    IkePolicy,
    Initiate,
    Listener,
    NatPolicy,
    PeerConfiguration,
    PpkConfiguration,
    PpkName,
    PreSharedKeyName,
    ProposalConfiguration,
    SecurityProtocol,
    TransformConfiguration,
    TrustAnchorNames,
)
from rkmp.errors import EngineRefusal, RpcError
from rkmp.ike import Identity, IdentityPattern, Retransmission
from rkmp.ike.purposes import LDP_DISCOVERY
from rkmp.keytable import Direction, KeyRow, Lifetime
from rkmp.netconf.handlers import Handler
from rkmp.netconf.operational import EntryNames, EntryProvider, StateProvider
from rkmp.northbound import Northbound
from rkmp.secret import Secret
from rkmp.storage import IN_MEMORY, Database, KeyEncryptionKey, Sealer
from rkmp.wire import (
    DEFAULT_CODE_POINTS,
    AuthAlg,
    CodePoints,
    EncryptionId,
    IntegrityId,
    Kdf,
    KeyExchangeId,
    LdpAuthAlg,
    PrfId,
)
from tests.crypto.keys import pem_of, private_key
from tests.northbound.world import NOON, FakeEngine, Running, document, key_table, memory_table, rkmp, schema

R2 = "<peer><name>r2</name>{}</peer>"


@pytest.fixture
def running() -> Running:
    """The full document, in force."""
    running = Running()
    running.change(document("full"))
    running.engine.calls.clear()
    return running


def test_a_whole_document_becomes_the_configuration_of_the_engine(running: Running) -> None:
    sha1 = TransformConfiguration("t1", AuthAlg.HMAC_SHA_1_96, Kdf.HMAC_SHA1, send_id=1)
    assert running.configuration == EngineConfiguration(
        enabled=True,
        listeners={
            "loopback": Listener("loopback", "192.0.2.1", 500, 4501),
            "loopback6": Listener("loopback6", "2001:db8::1", 500),
        },
        code_points=CodePoints(211, 212, 242),
        require_vendor_id=False,
        private_algorithms={(241, 242): "hmac-sha-256-128"},
        local_identity=Identity.parse("fqdn", "r1.example.net"),
        certificates=running.configuration.certificates,
        trust_anchors=running.configuration.trust_anchors,
        revocation_lists=running.configuration.revocation_lists,
        expiry_warnings=(timedelta(days=7), timedelta(hours=1)),
        ppks={
            "q": PpkConfiguration(b"\x02r1-r3", Secret(b"a long post-quantum pre-shared key")),
            "r": PpkConfiguration(b"\x02r1-r4", Secret(bytes.fromhex("aabbccdd"))),
        },
        pre_shared_keys={"k": Secret(b"a long shared secret"), "l": Secret(bytes.fromhex("0011223344556677"))},
        ike_policies={
            "p": IkePolicy(
                name="p",
                proposals=(
                    IkeProposal(
                        encryption=((EncryptionId.AES_GCM_16, 256), (EncryptionId.AES_GCM_16, 128)),
                        integrity=(),
                        prf=(PrfId.HMAC_SHA2_384, PrfId.HMAC_SHA2_256),
                        key_exchange=(KeyExchangeId.CURVE25519, KeyExchangeId.ECP_384),
                        additional_key_exchanges=(
                            (KeyExchangeId.ML_KEM_1024, KeyExchangeId.NONE),
                            (KeyExchangeId.ML_KEM_768, KeyExchangeId.ML_KEM_1024),
                            (KeyExchangeId.ECP_521,),
                        ),
                    ),
                    IkeProposal(
                        encryption=((EncryptionId.AES_CBC, 256),),
                        integrity=(IntegrityId.HMAC_SHA2_256_128,),
                        prf=(PrfId.HMAC_SHA2_256,),
                        key_exchange=(KeyExchangeId.ECP_256,),
                    ),
                ),
                lifetime=3600,
                retain_ike_sa=False,
                retransmission=Retransmission(0.5, 2.0, 4),
                liveness_interval=0,
                fragmentation=False,
                datagram_size=1400,
                childless=Childless.NEVER,
                nat=NatPolicy.ALLOW,
                allow_sha1=True,
            )
        },
        proposals={
            "ao": ProposalConfiguration(
                "ao",
                (
                    sha1,
                    TransformConfiguration("t2", AuthAlg.HMAC_SHA_1_96, Kdf.HMAC_SHA1, True, 2),
                ),
            ),
            "aes": ProposalConfiguration(
                "aes", (TransformConfiguration("t1", AuthAlg.AES_128_CMAC_96, Kdf.AES_128_CMAC, send_id=3),)
            ),
            "private": ProposalConfiguration("private", (TransformConfiguration("t1", 241, 242),)),
            "hellos": ProposalConfiguration(
                "hellos",
                (
                    TransformConfiguration("t1", LdpAuthAlg.HMAC_SHA_256, 0, send_id=70000),
                    TransformConfiguration("t2", LdpAuthAlg.HMAC_SHA_512, 0),
                ),
                SecurityProtocol.LDP_DISCOVERY,
            ),
        },
        peers={
            "r2": PeerConfiguration(
                name="r2",
                address="192.0.2.2",
                ike_policy="p",
                local_authentication=PreSharedKeyName("k"),
                remote_authentication=PreSharedKeyName("l"),
                associations={
                    1: AssociationConfiguration(
                        protocol=1,
                        neighbor="192.0.2.22",
                        proposals=("aes", "ao"),
                        key_lifetime=600,
                        rollover_lead=300,
                        overlap=300,
                        perfect_forward_secrecy=True,
                        at_expiry=AtExpiry.EXTEND,
                        longest_extension=3600,
                    ),
                    241: AssociationConfiguration(protocol=241, neighbor="192.0.2.2", proposals=("ao",), enabled=False),
                },
                listener="loopback",
                non_esp_marker=True,
                initiate=Initiate.ON_DEMAND,
                remote_identity=Identity.parse("key-id", "0a0b0c"),
                accepted_identities=(
                    IdentityPattern.parse("key-id", "0a0b*"),
                    IdentityPattern.parse("fqdn", "*.pop3.example.net"),
                ),
            ),
            "r3": PeerConfiguration(
                name="r3",
                address="2001:db8::3",
                ike_policy="p",
                local_authentication=CertificateName("own"),
                remote_authentication=TrustAnchorNames(("root",)),
                ppk=PpkName("q", is_mandatory=True),
                associations={
                    2: AssociationConfiguration(protocol=2, neighbor="2001:db8::3", proposals=("private", "ao")),
                    LDP_DISCOVERY: AssociationConfiguration(
                        protocol=LDP_DISCOVERY, neighbor="2001:db8::3", proposals=("hellos",)
                    ),
                },
                listener="loopback6",
                initiate=Initiate.IMMEDIATELY,
            ),
        },
    )


def test_certificates_and_trust_anchors_are_loaded_once(running: Running) -> None:
    own, (root,) = running.configuration.certificates["own"], running.configuration.trust_anchors["root"]
    assert own.names.host_names == {"r1.example.net"}
    assert own.private_key.key_type is KeyType.ED25519
    assert TrustAnchors([root]).verify(own.payloads, datetime(2026, 6, 1, tzinfo=UTC)).names == own.names
    running.change(rkmp(R2.format("<port>501</port>")))
    assert running.configuration.certificates["own"] is own


OTHER_KEY = pem_of(private_key(KeyType.ED25519, 7)).reveal().decode()


@pytest.mark.parametrize(
    ("edit", "leaf", "says"),
    [
        (
            f"<certificate><name>own</name><private-key>{OTHER_KEY}</private-key></certificate>",
            "certificate[rkmp:name='own']/rkmp:chain",
            "does not belong to the first certificate",
        ),
        (
            "<certificate><name>own</name><private-key>nothing</private-key></certificate>",
            "certificate[rkmp:name='own']/rkmp:private-key",
            "no PEM at all",
        ),
        (
            "<certificate><name>own</name><chain>nothing</chain></certificate>",
            "certificate[rkmp:name='own']/rkmp:chain",
            "no certificate in the PEM text",
        ),
        (
            f"<trust-anchor><name>root</name><certificate>{OTHER_KEY}</certificate></trust-anchor>",
            "trust-anchor[rkmp:name='root']/rkmp:certificate",
            "no certificate in the PEM text",
        ),
    ],
    ids=["other-key", "no-key", "no-chain", "no-anchor"],
)
def test_credentials_that_cannot_be_used_are_refused_where_they_are(
    running: Running, edit: str, leaf: str, says: str
) -> None:
    with pytest.raises(RpcError) as refusal:
        running.change(rkmp(f"<credentials>{edit}</credentials>"))
    assert refusal.value.tag == "invalid-value"
    assert refusal.value.path == f"/rkmp:rkmp/rkmp:credentials/rkmp:{leaf}"
    assert says in refusal.value.message
    assert OTHER_KEY not in refusal.value.message


def test_defaults_fill_what_the_shortest_document_leaves_out() -> None:
    running = Running()
    running.change(document("router"))
    configuration = running.configuration
    assert (configuration.enabled, configuration.require_vendor_id) == (True, True)
    assert configuration.code_points == DEFAULT_CODE_POINTS
    assert configuration.ike_policies == {"p": IkePolicy("p", HYBRID_IKE_PROPOSALS)}
    peer = configuration.peers["r2"]
    assert (peer.enabled, peer.port, peer.listener) == (True, 500, None)
    assert peer.associations == {1: AssociationConfiguration(1, "192.0.2.2", ("ao",))}


def test_a_document_becomes_the_manual_rows_of_the_key_table(running: Running) -> None:
    def at(month: int, day: int, hour: int = 0) -> datetime:
        return datetime(2026, month, day, hour, tzinfo=UTC)

    assert running.key_table.get("spring") == KeyRow(
        admin_key_name="spring",
        local_key_name="0a",
        peer_key_name="0b",
        peers=("192.0.2.7", "r7.example.net"),
        protocol="bgp",
        ignore_tcp_options=True,
        kdf="hmac-sha-1",
        alg_id="hmac-sha-1-96",
        key=Secret(bytes(range(20))),
        direction=Direction.BOTH,
        send_lifetime=Lifetime(at(3, 1), at(6, 1)),
        accept_lifetime=Lifetime(at(2, 28, 23), at(6, 1, 1)),
        interfaces=("eth0", "eth1"),
    )
    private = running.key_table.get("private")
    assert private is not None
    assert (private.protocol, private.kdf, private.alg_id) == ("250", "none", "aes-128-cmac")
    assert private.key == Secret(b"sixteen octets!!")
    assert private.interfaces == ("all",)
    always = Lifetime(datetime.min.replace(tzinfo=UTC), None)
    assert (private.send_lifetime, private.accept_lifetime) == (always, always)


def test_only_the_touched_entry_is_read_again(running: Running) -> None:
    before = running.configuration
    running.change(rkmp(R2.format("<port>501</port>")))
    after = running.configuration
    assert after.peers["r2"].port == 501
    assert after.peers["r3"] is before.peers["r3"]
    assert after.proposals is before.proposals
    assert after.pre_shared_keys is before.pre_shared_keys


def test_what_does_not_concern_the_engine_does_not_reach_it(running: Running) -> None:
    running.change(rkmp(R2.format("<description>moved</description>")))
    running.change(key_table("<key><admin-key-name>spring</admin-key-name><direction>in</direction></key>"))
    assert running.engine.calls == []


@pytest.mark.parametrize(
    ("edit", "field", "name"),
    [
        ('<peer nc:operation="delete"><name>r3</name></peer>', "peers", "r3"),
        ('<proposal nc:operation="delete"><name>aes</name></proposal>', "proposals", "aes"),
        ('<listen nc:operation="delete"><name>loopback</name></listen>', "listeners", "loopback"),
        ('<ike-policy nc:operation="delete"><name>p</name></ike-policy>', "ike_policies", "p"),
        (
            '<credentials><pre-shared-key nc:operation="delete"><name>k</name></pre-shared-key></credentials>',
            "pre_shared_keys",
            "k",
        ),
        (
            '<credentials><certificate nc:operation="delete"><name>own</name></certificate></credentials>',
            "certificates",
            "own",
        ),
        (
            '<credentials><trust-anchor nc:operation="delete"><name>root</name></trust-anchor></credentials>',
            "trust_anchors",
            "root",
        ),
        ('<credentials><ppk nc:operation="delete"><name>q</name></ppk></credentials>', "ppks", "q"),
    ],
)
def test_a_deleted_entry_is_gone(running: Running, edit: str, field: str, name: str) -> None:
    assert name in getattr(running.configuration, field)
    running.change(rkmp(edit))
    assert name not in getattr(running.configuration, field)


def test_an_entry_that_is_replaced_is_read_as_it_is_now(running: Running) -> None:
    entry = "<address>192.0.2.99</address>"
    running.change(rkmp(f'<listen nc:operation="replace"><name>loopback</name>{entry}</listen>'))
    assert running.configuration.listeners["loopback"] == Listener("loopback", "192.0.2.99")


def test_a_deleted_container_takes_its_entries_along(running: Running) -> None:
    running.change(rkmp('<credentials nc:operation="delete"/>'))
    assert running.configuration.pre_shared_keys == {}
    assert set(running.configuration.peers) == {"r2", "r3"}


def test_an_empty_document_leaves_nothing(running: Running) -> None:
    running.change(document("router"), operation=Operation.REPLACE)
    assert set(running.configuration.peers) == {"r2"}
    assert running.key_table.rows() == ()
    running.change(etree.Element("config"), operation=Operation.REPLACE)
    assert running.configuration == EngineConfiguration()


def test_changes_one_by_one_amount_to_the_same_as_all_at_once(running: Running) -> None:
    for edit in (
        R2.format('<initiate>never</initiate><listen nc:operation="delete"/>'),
        R2.format('<association nc:operation="delete"><protocol>241</protocol></association>'),
        R2.format("<association><protocol>pcep</protocol><proposal>ao</proposal></association>"),
        '<proposal><name>ao</name><transform nc:operation="delete"><name>t2</name></transform></proposal>',
        "<local-identity><value>r9.example.net</value></local-identity>",
        "<code-points><require-vendor-id>true</require-vendor-id></code-points>",
        "<ike-policy><name>p</name><retransmission><tries>9</tries></retransmission></ike-policy>",
        "<enabled>false</enabled>",
    ):
        running.change(rkmp(edit))
    at_once = Running()
    copy = etree.fromstring(etree.tostring(running.tree.root))
    at_once.change(copy)
    assert running.configuration == at_once.configuration


def test_keys_change_one_by_one(running: Running) -> None:
    before = running.key_table.get("private")
    running.change(key_table("<key><admin-key-name>spring</admin-key-name><direction>in</direction></key>"))
    spring = running.key_table.get("spring")
    assert spring is not None
    assert spring.direction is Direction.IN
    assert running.key_table.get("private") is before
    running.change(key_table('<key nc:operation="delete"><admin-key-name>spring</admin-key-name></key>'))
    assert [row.admin_key_name for row in running.key_table.rows()] == ["hello", "private"]


def test_addresses_are_read_in_one_form_whatever_way_they_are_written(running: Running) -> None:
    running.change(rkmp("<peer><name>r3</name><address>2001:DB8:0:0::3</address></peer>"))
    assert running.configuration.peers["r3"].address == "2001:db8::3"
    entry = "<key><admin-key-name>spring</admin-key-name><peer>2001:DB8::7</peer><peer>2001:db8:0::7</peer></key>"
    running.change(key_table(entry))
    spring = running.key_table.get("spring")
    assert spring is not None
    assert spring.peers == ("192.0.2.7", "r7.example.net", "2001:db8::7")


# Refusals: with a path, and nothing half-applied.


def test_the_engine_s_refusal_has_the_path_of_the_peer() -> None:
    engine = FakeEngine()
    running = Running(engine)
    running.change(document("full"))
    before = running.configuration
    engine.refusal = EngineRefusal("cannot be", peer="r2", protocol="bgp")
    with pytest.raises(RpcError) as refused:
        running.prepare(rkmp(R2.format("<port>501</port>")))
    assert (refused.value.tag, refused.value.message) == ("operation-failed", "cannot be")
    assert refused.value.path == "/rkmp:rkmp/rkmp:peer[rkmp:name='r2']/rkmp:association[rkmp:protocol='bgp']"
    assert refused.value.path_namespaces == {"rkmp": "urn:rkmp:yang:rkmp"}
    assert running.configuration is before
    engine.refusal = EngineRefusal("cannot listen")
    with pytest.raises(RpcError) as refused:
        running.prepare(rkmp("<enabled>false</enabled>"))
    assert refused.value.path == "/rkmp:rkmp"


def test_a_clash_of_keys_is_refused_before_the_engine_hears_of_the_change(running: Running) -> None:
    rows = running.key_table.rows()
    edit = rkmp(R2.format("<port>501</port>"))
    twin = document("full")[1]
    for name, value in (("admin-key-name", "twin"), ("peer-key-name", "0c")):
        for leaf in twin[0].iterchildren(f"{{*}}{name}"):
            leaf.text = value
    twin.remove(twin[1])
    edit.append(twin)
    with pytest.raises(RpcError) as refused:
        running.prepare(edit)
    assert refused.value.tag == "operation-failed"
    assert refused.value.path == "/ckt:key-table"
    assert "twin" in refused.value.message
    assert running.engine.calls == []
    assert running.key_table.rows() == rows


@pytest.mark.parametrize(
    ("edit", "path"),
    [
        (
            "<local-identity><type>ipv4</type><value>300.0.2.1</value></local-identity>",
            "/rkmp:rkmp/rkmp:local-identity/rkmp:value",
        ),
        (
            R2.format(
                "<authentication><remote><identity><type>ipv6</type><value>1:2</value></identity></remote>"
                "</authentication>"
            ),
            "/rkmp:rkmp/rkmp:peer[rkmp:name='r2']/rkmp:authentication/rkmp:remote/rkmp:identity/rkmp:value",
        ),
    ],
)
def test_an_identity_that_cannot_be_is_an_invalid_value(running: Running, edit: str, path: str) -> None:
    with pytest.raises(RpcError) as refused:
        running.prepare(rkmp(edit))
    assert (refused.value.tag, refused.value.path) == ("invalid-value", path)


def test_a_day_that_no_month_has_is_an_invalid_value(running: Running) -> None:
    edit = "<send-lifetime><start>2026-02-30T00:00:00Z</start></send-lifetime>"
    with pytest.raises(RpcError) as refused:
        running.prepare(key_table(f"<key><admin-key-name>spring</admin-key-name>{edit}</key>"))
    assert refused.value.tag == "invalid-value"
    assert refused.value.path == ("/ckt:key-table/ckt:key[ckt:admin-key-name='spring']/ckt:send-lifetime/ckt:start")


def test_a_key_of_the_wrong_length_is_refused_with_its_path_and_not_shown(running: Running) -> None:
    entry = "<keystring>too short to be</keystring>"
    with pytest.raises(RpcError) as refused:
        running.prepare(key_table(f"<key><admin-key-name>private</admin-key-name>{entry}</key>"))
    assert refused.value.tag == "operation-failed"
    assert refused.value.path == "/ckt:key-table/ckt:key[ckt:admin-key-name='private']"
    assert "too short to be" not in str(refused.value)


def test_an_aborted_change_changes_nothing(running: Running) -> None:
    before, rows = running.configuration, running.key_table.rows()
    edit = rkmp(R2.format("<port>501</port>"))
    edit.extend(key_table('<key nc:operation="delete"><admin-key-name>spring</admin-key-name></key>'))
    prepared = running.prepare(edit)
    prepared.abort()
    running.tree.roll_back()
    assert running.engine.calls == [("prepare",), ("abort",)]
    assert running.northbound.current is before
    assert running.key_table.rows() == rows
    running.change(rkmp(R2.format("<port>502</port>")))
    assert running.configuration.peers["r2"].port == 502


def test_keys_are_in_force_before_the_engine_is_told(running: Running) -> None:
    order: list[tuple[object, ...]] = []
    running.key_table.subscribe(lambda event: order.append((type(event).__name__,)))
    edit = rkmp(R2.format("<port>501</port>"))
    edit.extend(key_table('<key nc:operation="delete"><admin-key-name>spring</admin-key-name></key>'))
    prepared = running.prepare(edit)
    assert order == []
    running.engine.calls = order
    prepared.apply()
    assert order == [("KeyRemoved",), ("apply",)]


# The start: the engine is configured in any case, so that it listens and tidies up.


def test_an_agent_without_configuration_configures_its_engine_once() -> None:
    running = Running()
    running.northbound.start()
    running.northbound.start()
    assert running.engine.calls == [("prepare",), ("apply",)]
    assert running.configuration == EngineConfiguration()


def test_an_agent_with_keys_alone_configures_its_engine_too() -> None:
    running = Running()
    running.change(key_table(etree.tostring(document("full")[1][0], encoding="unicode")))
    assert running.engine.calls == [("prepare",), ("apply",)]
    assert running.key_table.get("spring") is not None


class NoServer:
    """A NETCONF server that nobody asks anything."""

    def provide_state(self, tag: str, provider: StateProvider, *, of_entries: EntryProvider | None = None) -> None: ...

    def handle(self, path: Sequence[str], handler: Handler) -> None: ...

    def publish(self, event_time: datetime, event: etree._Element) -> None: ...

    def tell_state_changes(self, tag: str, excepted: Collection[tuple[str, ...]] = ()) -> None: ...

    def state_changed(self, tag: str, entries: EntryNames | None = None) -> None: ...


def test_an_engine_that_cannot_start_keeps_no_manual_key_from_the_table() -> None:
    sealer = Sealer(KeyEncryptionKey(Secret(bytes(32))), "datastore")
    datastores = Datastores(schema(), Database(IN_MEMORY), sealer, os.urandom, lambda: NOON)
    datastores.edit("running", document("full"), session_id=1)
    table = memory_table()
    engine = FakeEngine(refusal=EngineRefusal("cannot listen"))
    northbound = Northbound(datastores, engine, table, NoServer(), lambda: NOON)
    with pytest.raises(EngineRefusal, match="cannot listen"):
        northbound.start()
    assert table.get("spring") is not None
    engine.refusal = None
    northbound.start()
    assert engine.calls == [("prepare",), ("apply",)]
    assert table.get("spring") is not None


def test_a_start_that_the_engine_refuses_can_be_tried_again() -> None:
    engine = FakeEngine(refusal=EngineRefusal("cannot listen"))
    running = Running(engine)
    with pytest.raises(RpcError, match="cannot listen"):
        running.northbound.start()
    engine.refusal = None
    running.northbound.start()
    assert engine.calls == [("prepare",), ("apply",)]

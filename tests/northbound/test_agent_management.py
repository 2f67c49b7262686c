"""How the agent is managed follows configuration; what cannot be used is refused, and nobody is locked out."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import asyncssh
import pytest
from cryptography.hazmat.primitives import hashes
from lxml import etree

from rkmp.crypto.crypt_hash import hash_password
from rkmp.datastore.datastores import Datastores
from rkmp.datastore.schema import Schema, SchemaNode, load_schema
from rkmp.datastore.schema.types import StringType
from rkmp.engine.configuration import DEFAULT_EXPIRY_WARNINGS
from rkmp.errors import InvalidValue, RpcError, RpcErrors
from rkmp.netconf import NETCONF_MODULES, MapType, ServerLimits, TlsIdentity
from rkmp.netconf.accounts import Accounts
from rkmp.netconf.call_home import CalledClient, Caller, StartWith
from rkmp.netconf.doors import DoorSettings, DoorStatus, SshIdentity
from rkmp.netconf.rpc_content import check_content
from rkmp.northbound import MODULES, AgentManagement, protect_passwords
from rkmp.northbound.agent_names import AGENT_NAMESPACE, SYSTEM_NAMESPACE, AgentNames, SystemNames
from rkmp.northbound.certificates import Certificates, NetconfCertificates
from rkmp.northbound.names import Rkmp
from rkmp.northbound.password_type import AT_ONCE, PER_SECOND, CryptHashType
from rkmp.secret import Secret
from rkmp.storage import IN_MEMORY, Database, KeyEncryptionKey, Sealer
from tests.netconf.certificates import AUTHORITY, SERVER, issue
from tests.northbound.world import NETCONF, REPOSITORY

NOW = datetime.now(UTC)
HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
HOST_KEY_PEM = HOST_KEY.export_private_key().decode()


def public_key(kind: str = "ssh-ed25519") -> str:
    return asyncssh.generate_private_key(kind).export_public_key().decode().split()[1]


@dataclass
class FakeManagement:
    """Notes what it is told."""

    limits: ServerLimits = field(default_factory=ServerLimits)
    doors: Sequence[DoorSettings] = ()
    clients: Sequence[CalledClient] = ()
    accounts: Accounts = field(default_factory=dict)
    told: int = 0
    certificates: Certificates = field(default_factory=dict)
    warnings: tuple[timedelta, ...] = ()

    def limit(self, limits: ServerLimits) -> None:
        self.limits = limits

    def open_doors(self, doors: Sequence[DoorSettings]) -> None:
        self.doors, self.told = doors, self.told + 1

    def door_status(self, name: str) -> tuple[DoorStatus, str | None]:
        return (DoorStatus.FAILED, "address in use") if name == "bad" else (DoorStatus.LISTENING, None)

    def call_clients(self, clients: Sequence[CalledClient]) -> None:
        self.clients, self.told = clients, self.told + 1

    def caller(self, name: str) -> Caller | None:
        found = next((client for client in self.clients if client.name == name), None)
        return None if found is None else Caller(found, lambda _: None)  # type: ignore[arg-type, return-value]

    def locked_out(self, accounts: Accounts) -> str | None:
        return "ops" if "ops" in accounts and not accounts["ops"].can_log_in else None

    def admit(self, accounts: Accounts) -> None:
        self.accounts = accounts

    def watch(self, certificates: Certificates, warnings: tuple[timedelta, ...]) -> None:
        self.certificates, self.warnings = certificates, warnings


_SCHEMA: list[Schema] = []


def schema() -> Schema:
    if not _SCHEMA:
        compiled = load_schema({**NETCONF_MODULES, **MODULES}, [REPOSITORY / "yang"])
        _SCHEMA.append(protect_passwords(compiled, os.urandom))
    return _SCHEMA[0]


class World:
    def __init__(self) -> None:
        sealer = Sealer(KeyEncryptionKey(Secret(bytes(32))), "datastore")
        self.database = Database(IN_MEMORY)
        self.datastores = Datastores(schema(), self.database, sealer, os.urandom, lambda: datetime.now(UTC))
        self.management = FakeManagement()
        self.subscriber = AgentManagement(schema(), self.management, lambda: NOW)
        self.datastores.subscribe(self.subscriber)

    def edit(self, *tops: str) -> None:
        config = etree.fromstring(f'<config xmlns="{NETCONF}" xmlns:nc="{NETCONF}">{"".join(tops)}</config>')
        self.datastores.edit("running", config, session_id=1)

    def refused(self, *tops: str) -> RpcError:
        before = etree.tostring(self.datastores.tree("running"))
        with pytest.raises((RpcError, RpcErrors)) as refusal:
            self.edit(*tops)
        assert etree.tostring(self.datastores.tree("running")) == before
        error = refusal.value
        return error.errors[0] if isinstance(error, RpcErrors) else error  # type: ignore[return-value]


@pytest.fixture
def world() -> World:
    return World()


def agent(content: str) -> str:
    return f'<agent xmlns="{AGENT_NAMESPACE}"><netconf>{content}</netconf></agent>'


def users(content: str) -> str:
    return f'<system xmlns="{SYSTEM_NAMESPACE}"><authentication>{content}</authentication></system>'


def user(name: str, content: str) -> str:
    return users(f"<user><name>{name}</name>{content}</user>")


def authorized_key(algorithm: str, data: str) -> str:
    return (
        f"<authorized-key><name>k</name><algorithm>{algorithm}</algorithm><key-data>{data}</key-data></authorized-key>"
    )


HOST_KEYS = f"<host-key><name>own</name><private-key>{HOST_KEY_PEM}</private-key></host-key>"
CERTIFICATES = f"""
    <certificate><name>own</name><chain>{SERVER.pem.decode()}</chain>
      <private-key>{SERVER.private_key.reveal().decode()}</private-key></certificate>
    <trust-anchor><name>ca</name><certificate>{AUTHORITY.pem.decode()}</certificate></trust-anchor>"""
CERT_TO_NAME = "urn:ietf:params:xml:ns:yang:ietf-x509-cert-to-name"
FINGERPRINT = AUTHORITY.fingerprint.hex(":")
TLS = f"""<tls><certificate>own</certificate><trust-anchor>ca</trust-anchor>
    <cert-to-name><id>20</id><fingerprint>{FINGERPRINT}</fingerprint>
      <map-type xmlns:x="{CERT_TO_NAME}">x:specified</map-type>
      <name>everybody</name></cert-to-name>
    <cert-to-name><id>3</id><fingerprint>{FINGERPRINT.upper()}</fingerprint>
      <map-type xmlns:x="{CERT_TO_NAME}">x:san-any</map-type></cert-to-name></tls>"""
ENDPOINTS = f"""
    <endpoint><name>plain</name><address>127.0.0.1</address><ssh/></endpoint>
    <endpoint><name>bad</name><address>::</address><ssh><port>8300</port><host-key>own</host-key></ssh></endpoint>
    <endpoint><name>off</name><enabled>false</enabled><address>127.0.0.1</address><ssh/></endpoint>
    <endpoint><name>secure</name><address>127.0.0.1</address>{TLS}</endpoint>"""
CALL_HOME = """<call-home><netconf-client><name>noc</name>
    <endpoint><name>b</name><address>noc-b.example.net</address><ssh/></endpoint>
    <endpoint><name>a</name><address>192.0.2.1</address><ssh><port>9999</port></ssh></endpoint>
    <periodic><period>5</period></periodic>
    <reconnect-strategy><start-with>last-connected</start-with><max-attempts>7</max-attempts><max-wait>30</max-wait>
    </reconnect-strategy></netconf-client>
    <netconf-client><name>off</name><enabled>false</enabled>
    <endpoint><name>a</name><address>192.0.2.1</address><ssh/></endpoint></netconf-client></call-home>"""
LIMITS = """<limits><sessions>7</sessions><sessions-per-user>3</sessions-per-user><hello-timeout>9</hello-timeout>
    <idle-timeout>600</idle-timeout><message-size>70000</message-size><login-timeout>8</login-timeout>
    <pending-logins>5</pending-logins><keepalive-interval>4</keepalive-interval><failed-logins>2</failed-logins>
    <failed-login-interval>90</failed-login-interval></limits>"""
EVERYTHING = agent(HOST_KEYS + CERTIFICATES + ENDPOINTS + CALL_HOME + LIMITS)


def test_the_doors_are_those_of_configuration(world: World) -> None:
    world.edit(EVERYTHING)
    doors = {door.name: door for door in world.management.doors}
    assert doors.keys() == {"plain", "bad", "secure"}
    assert doors["plain"] == DoorSettings("plain", "127.0.0.1", 830, SshIdentity())
    assert (doors["bad"].address, doors["bad"].port) == ("::", 8300)
    identity = doors["bad"].identity
    assert isinstance(identity, SshIdentity)
    assert [asyncssh.import_private_key(key.reveal()).public_data for key in identity.host_keys] == [
        HOST_KEY.public_data
    ]
    secure = doors["secure"].identity
    assert isinstance(secure, TlsIdentity)
    assert doors["secure"].port == 6513
    assert [(each.map_type, each.name) for each in secure.cert_to_name] == [
        (MapType.SAN_ANY, None),
        (MapType.SPECIFIED, "everybody"),
    ]
    assert {each.fingerprint for each in secure.cert_to_name} == {AUTHORITY.fingerprint}


def test_certificates_are_shown_and_watched(world: World) -> None:
    world.edit(agent(CERTIFICATES + "<expiry-warning>60</expiry-warning><expiry-warning>3600</expiry-warning>"))
    assert world.management.certificates == {
        (AgentNames.CERTIFICATE, "own"): SERVER.certificate,
        (AgentNames.TRUST_ANCHOR, "ca"): AUTHORITY.certificate,
    }
    assert world.management.warnings == (timedelta(hours=1), timedelta(minutes=1))
    root = copy.deepcopy(world.datastores.tree("running"))
    world.subscriber.provide(root)
    own, anchor = (root.find(f".//{tag}") for tag in (AgentNames.CERTIFICATE, AgentNames.TRUST_ANCHOR))
    assert own is not None
    assert anchor is not None
    assert own.findtext(AgentNames.SUBJECT) == SERVER.certificate.subject.rfc4514_string()
    assert anchor.findtext(AgentNames.FINGERPRINT) == AUTHORITY.certificate.fingerprint(hashes.SHA256()).hex()
    left = int((SERVER.certificate.not_valid_after_utc - NOW).total_seconds())
    assert own.findtext(AgentNames.SECONDS_LEFT) == str(left)


def test_certificates_are_told_of_as_the_model_says_by_default(world: World) -> None:
    world.edit(agent(CERTIFICATES))
    assert world.management.warnings == DEFAULT_EXPIRY_WARNINGS


def test_a_certificate_is_told_of_before_it_expires_and_at_its_end(caplog: pytest.LogCaptureFixture) -> None:
    published: list[tuple[datetime, etree._Element]] = []
    certificates = NetconfCertificates(lambda at, element: published.append((at, element)))
    end, hour = SERVER.certificate.not_valid_after_utc, timedelta(hours=1)
    entry = AgentNames.CERTIFICATE, "own"
    certificates.watch({entry: SERVER.certificate}, (hour,), end - 2 * hour)
    assert published == []
    moments = []
    while (moment := certificates.next_change) is not None:
        moments.append(moment)
        certificates.handle_time(moment)
    assert moments == [end - hour, end]
    assert [(at, element.findtext(AgentNames.SECONDS_LEFT)) for at, element in published] == [
        (end - hour, "3600"),
        (end, "0"),
    ]
    modules = schema()
    for _, element in published:
        assert element.tag == AgentNames.CERTIFICATE_EXPIRING
        check_content(modules, modules.notifications[str(element.tag)], element, canonicalise=False)
        assert element.findtext(AgentNames.CERTIFICATE) == "own"
    assert [record.getMessage().split(" (")[0] for record in caplog.records] == ["the NETCONF certificate own"] * 2
    assert "expires in 3600 seconds" in caplog.text


def test_the_clients_to_call_are_those_of_configuration(world: World) -> None:
    world.edit(EVERYTHING)
    (client,) = world.management.clients
    assert [(each.name, each.address, each.port) for each in client.endpoints] == [
        ("b", "noc-b.example.net", 4334),
        ("a", "192.0.2.1", 9999),
    ]
    assert (client.period, client.start_with, client.max_attempts, client.max_wait) == (
        300.0,
        StartWith.LAST_CONNECTED,
        7,
        30.0,
    )


def test_limits_are_those_of_configuration_and_else_the_defaults_of_the_model(world: World) -> None:
    world.edit(EVERYTHING)
    limits = world.management.limits
    assert (limits.sessions, limits.sessions_per_user) == (7, 3)
    assert (limits.session.hello_timeout, limits.session.idle_timeout, limits.session.message_octets) == (9, 600, 70000)
    transport = limits.transport
    assert (transport.login_timeout, transport.pending_logins, transport.keepalive_interval) == (8, 5, 4)
    assert (transport.failed_logins, transport.failed_login_interval) == (2, 90)
    world.edit(agent('<limits nc:operation="delete"/>'))
    # What the model says and what a server has without any configuration is the same.
    assert world.management.limits == ServerLimits()


def test_what_does_not_change_is_not_told_again(world: World) -> None:
    world.edit(EVERYTHING)
    told = world.management.told
    world.edit(agent("<limits><sessions>9</sessions></limits>"))
    assert world.management.told == told
    assert world.management.limits.sessions == 9
    world.edit(agent('<endpoint nc:operation="delete"><name>plain</name></endpoint>'))
    assert [door.name for door in world.management.doors] == ["bad", "secure"]


def test_a_restart_comes_up_with_what_was_configured(world: World) -> None:
    world.edit(EVERYTHING, user("alice", "<password>$0$wonder</password>"))
    later = FakeManagement()
    world.datastores.replay(AgentManagement(schema(), later, lambda: NOW))
    assert later.doors == world.management.doors
    assert later.limits == world.management.limits
    assert later.accounts == world.management.accounts


BAD_KEY = "<host-key><name>bad</name><private-key>no key</private-key></host-key>"
OTHERS_KEY = issue("other").private_key.reveal().decode()
OWN = "certificate[rkmpa:name='own']"
CA = "trust-anchor[rkmpa:name='ca']"


@pytest.mark.parametrize(
    ("content", "entry", "leaf"),
    [
        (BAD_KEY, "host-key[rkmpa:name='bad']", "private-key"),
        (CERTIFICATES.replace(SERVER.private_key.reveal().decode(), OTHERS_KEY), OWN, "chain"),
        (CERTIFICATES.replace(SERVER.pem.decode(), "no certificate"), OWN, "chain"),
        (CERTIFICATES.replace(AUTHORITY.pem.decode(), "no certificate"), CA, "certificate"),
        (CERTIFICATES.replace(AUTHORITY.pem.decode(), "\u00e9"), CA, "certificate"),
    ],
    ids=["host key", "private key of another", "chain", "trust anchor", "trust anchor that is not ASCII"],
)
@pytest.mark.parametrize("around", ["", ENDPOINTS + HOST_KEYS], ids=["unused", "in use"])
def test_keys_and_certificates_that_cannot_be_used_are_refused_with_a_path(
    world: World, content: str, entry: str, leaf: str, around: str
) -> None:
    error = world.refused(agent(content + (around if "<certificate>" in content else "")))
    assert error.tag == "invalid-value"
    assert error.path == f"/rkmpa:agent/rkmpa:netconf/rkmpa:{entry}/rkmpa:{leaf}"
    assert "error" not in error.message
    assert world.management.doors == ()


def test_state_says_how_it_stands(world: World) -> None:
    world.edit(EVERYTHING)
    root = world.datastores.tree("running")
    copy = etree.fromstring(etree.tostring(root))
    world.subscriber.provide(copy)

    def found(path: str, leaf: str) -> dict[str, str]:
        entries = copy.iterfind("/".join(f"{{{AGENT_NAMESPACE}}}{step}" for step in path.split("/")))
        return {
            entry.findtext(AgentNames.NAME) or "": entry.findtext(f"{{{AGENT_NAMESPACE}}}{leaf}") or ""
            for entry in entries
        }

    endpoint = "agent/netconf/endpoint"
    listening = {"plain": "listening", "bad": "failed", "off": "disabled", "secure": "listening"}
    assert found(endpoint, "status") == listening
    assert found(endpoint, "last-error")["bad"] == "address in use"
    client = "agent/netconf/call-home/netconf-client"
    assert found(client, "status") == {"noc": "connecting", "off": "disabled"}
    assert found("agent/netconf/host-key", "algorithm") == {"own": "ssh-ed25519"}
    assert found("agent/netconf/host-key", "fingerprint") == {"own": HOST_KEY.get_fingerprint()}


def test_the_table_of_names_and_the_modules_have_the_same_names() -> None:
    def below(node: SchemaNode) -> set[str]:
        return {node.tag, *(each.tag for each in node.descendants())}

    names = {*map(str, AgentNames)}
    netconf = schema().node_at((AgentNames.AGENT, AgentNames.NETCONF))
    assert netconf is not None
    # Whether it is there makes no difference: it is the default.
    assert below(netconf) - names == {f"{{{AGENT_NAMESPACE}}}persistent"}
    events = (node for node in schema().notifications.values() if node.namespace == AGENT_NAMESPACE)
    consumer = schema().node_at((Rkmp.RKMP, Rkmp.PEER, Rkmp.ASSOCIATION, AgentNames.CONSUMER))
    assert consumer is not None
    assert names <= below(schema().top[AgentNames.AGENT]).union(*map(below, (*events, consumer)))
    assert {*map(str, SystemNames)} == below(schema().top[SystemNames.SYSTEM])


# Users


def test_local_users_are_those_of_configuration(world: World) -> None:
    ed25519, rsa = public_key(), public_key("ssh-rsa")
    world.edit(
        user(
            "alice",
            f"<authorized-key><name>laptop</name><algorithm>ssh-ed25519</algorithm><key-data>{ed25519}</key-data>"
            f"</authorized-key><authorized-key><name>old</name><algorithm>rsa-sha2-512</algorithm>"
            f"<key-data>{rsa}</key-data></authorized-key>",
        )
    )
    account = world.management.accounts["alice"]
    assert account.authorized_keys == (f"ssh-ed25519 {ed25519}", f"ssh-rsa {rsa}")
    assert account.password_hash is None


def test_a_password_in_clear_text_is_hashed_before_anything_keeps_it(world: World) -> None:
    world.edit(user("alice", "<password>$0$wonder</password>"))
    leaf = world.datastores.tree("running").find(f".//{SystemNames.PASSWORD}")
    assert leaf is not None
    assert (leaf.text or "").startswith("$6$")
    assert world.management.accounts["alice"].password_hash == Secret((leaf.text or "").encode())
    assert b"wonder" not in b"".join(repr(row).encode() for row in world.database.rows("SELECT * FROM datastore_rows"))


def test_a_hash_is_kept_as_it_is_and_sealed(world: World) -> None:
    text = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"
    world.edit(user("alice", f"<password>{text}</password>"))
    assert world.management.accounts["alice"].password_hash == Secret(text.encode())
    stored = b"".join(repr(row).encode() for row in world.database.rows("SELECT * FROM datastore_rows"))
    assert b"alice" in stored
    assert b"svn8UoSV" not in stored


@pytest.mark.parametrize(
    "content",
    [
        "<password>wonder</password>",
        "<password>$0$</password>",
        "<password>$1$abcdefgh$" + "a" * 22 + "</password>",
        f"<password>$6$rounds=99999999$salt${'a' * 86}</password>",
        authorized_key("ssh-ed25519", "AAAA"),
        authorized_key("ssh-rsa", public_key()),
    ],
    ids=["no hash", "empty", "MD5", "too many rounds", "no key", "another algorithm"],
)
def test_what_can_open_no_account_is_refused(world: World, content: str) -> None:
    error = world.refused(user("alice", content))
    assert error.tag == "invalid-value"
    assert "wonder" not in str(error)
    assert "alice" not in world.management.accounts


def test_many_passwords_in_clear_text_at_once_are_refused() -> None:
    now = 100.0
    kind = CryptHashType(StringType(), os.urandom, lambda: now)

    def is_taken() -> bool:
        try:
            return kind.check("$0$x", {}).startswith("$6$")
        except InvalidValue as refusal:
            return "at once" not in refusal.reason

    assert [is_taken() for _ in range(AT_ONCE + 2)] == [True] * AT_ONCE + [False] * 2
    now += 2 / PER_SECOND
    assert [is_taken() for _ in range(3)] == [True, True, False]
    # Hashes cost nothing.
    made = hash_password(Secret(b"x"), os.urandom)
    assert kind.check(made, {}) == made


def test_the_last_administrator_cannot_be_locked_out(world: World) -> None:
    key = authorized_key("ssh-ed25519", public_key())
    error = world.refused(user("ops", ""))
    assert (error.tag, error.app_tag) == ("operation-failed", "last-administrator")
    assert error.path == "/sys:system/sys:authentication/sys:user[sys:name='ops']"
    assert "ops" in error.message
    world.edit(user("ops", key))
    error = world.refused(user("ops", '<authorized-key nc:operation="delete"><name>k</name></authorized-key>'))
    assert error.app_tag == "last-administrator"
    assert world.management.accounts["ops"].authorized_keys
    world.edit(
        user("ops", '<authorized-key nc:operation="delete"><name>k</name></authorized-key><password>$0$x</password>')
    )

"""Who a peer may be, by what it proves that, and which certificates of ours it is shown: between whole agents."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from lxml import etree

from rkmp.crypto.signature_keys import KeyType
from rkmp.errors import RpcError, RpcErrors
from tests.crypto.authorities import Extensions, Holder, host, make, make_authority, usage
from tests.northbound.agents import BEGINNING, Agent, World
from tests.northbound.test_agents import R1, R2, TCP_AO, established
from tests.northbound.world import rkmp

DAY = timedelta(days=1)
SPAN: dict[str, Any] = {"not_before": BEGINNING - DAY, "not_after": BEGINNING + 365 * DAY}
ROOT, OTHER_ROOT = make_authority("root", **SPAN), make_authority("other root", key_number=5, **SPAN)
NAME = "CN=r1,O=Example,C=XX"
DN = x509.Name(
    [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "XX"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"),
        x509.NameAttribute(NameOID.COMMON_NAME, "r1"),
    ]
)


def router(name: str, issuer: Holder = ROOT, *, alternatives: Extensions | None = None, **options: Any) -> Holder:
    """Return the certificate of a router and its key."""
    extensions = (*(alternatives or (host(f"{name}.example.net"),)), usage(sign=True))
    return make(name, issuer, extensions=extensions, **{"key_number": 1, **SPAN, **options})


def pem_of(holder: Holder) -> str:
    return holder.handle.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def certificate(name: str, *chain: Holder) -> str:
    """Return an entry of ``certificate``."""
    pems = "".join(holder.pem.decode() for holder in chain)
    key = f"<private-key>{pem_of(chain[0])}</private-key>"
    return f"<certificate><name>{name}</name><chain>{pems}</chain>{key}</certificate>"


def anchor(name: str, holder: Holder) -> str:
    return f"<trust-anchor><name>{name}</name><certificate>{holder.pem.decode()}</certificate></trust-anchor>"


def crl(issuer: Holder, *serial_numbers: int, signer: Holder | None = None) -> str:
    """Return an entry of ``revocation-list`` that ``issuer`` has signed, or ``signer`` in its name."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(BEGINNING - DAY)
        .next_update(BEGINNING + DAY)
    )
    for number in serial_numbers:
        revoked = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(BEGINNING - DAY).build()
        builder = builder.add_revoked_certificate(revoked)
    pem = builder.sign((signer or issuer).handle, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    return (
        f"<revocation-list><name>{issuer.certificate.subject.rfc4514_string()}</name><crl>{pem}</crl></revocation-list>"
    )


PSK_ENTRY = (
    "<pre-shared-key><name>k</name><secret><keystring>a long shared secret</keystring></secret></pre-shared-key>"
)
PSK = "<method>psk</method><pre-shared-key>k</pre-shared-key>"
BY_CERTIFICATE = "<method>certificate</method><certificate>own</certificate>"
BY_ANCHOR = "<method>certificate</method><trust-anchor>root</trust-anchor>"


def configuration(
    name: str,
    peer: str,
    address: str,
    *,
    credentials: str = PSK_ENTRY,
    identity: tuple[str, str] | None = None,
    local: str = PSK,
    remote: str = PSK,
    remote_identity: tuple[str, str] | None = None,
    accepted: str = "",
    initiate: str = "on-demand",
) -> etree._Element:
    """Return the whole configuration of a router with one peer."""
    kind, value = identity or ("fqdn", f"{name}.example.net")
    remote_kind, remote_value = remote_identity or ("fqdn", f"{peer}.example.net")
    return rkmp(
        f"""
        <local-identity><type>{kind}</type><value>{value}</value></local-identity>
        <credentials>{credentials}</credentials>
        <ike-policy><name>p</name><proposal><number>1</number><encryption>aes-gcm-16-256</encryption>
          <prf>hmac-sha2-256</prf><key-exchange>curve25519</key-exchange></proposal></ike-policy>{TCP_AO}
        <peer><name>{peer}</name><address>{address}</address><initiate>{initiate}</initiate><ike-policy>p</ike-policy>
          <authentication>
            <local>{local}</local>
            <remote><identity><type>{remote_kind}</type><value>{remote_value}</value></identity>{accepted}{remote}</remote>
          </authentication>
          <association><protocol>bgp</protocol><proposal>ao</proposal></association></peer>"""
    )


def accepted_identity(kind: str, value: str) -> str:
    return f"<accepted-identity><type>{kind}</type><value>{value}</value></accepted-identity>"


def two_routers(of_r1: dict[str, Any], of_r2: dict[str, Any]) -> tuple[World, Agent, Agent]:
    """Return r1, which opens, and r2, after they have met."""
    world = World()
    r1, r2 = world.agent("r1", R1), world.agent("r2", R2)
    r2.edit(configuration("r2", "r1", R1, initiate="never", **of_r2))
    r1.edit(configuration("r1", "r2", R2, **of_r1))
    world.run(3)
    return world, r1, r2


def why_not(agent: Agent, peer: str) -> str:
    return agent.association(peer, "last-error") or ""


# -- several identities, and patterns --------------------------------------------------------------------------------

CASES = [
    ("fqdn", "r1.pop3.example.net", "*.pop3.example.net", "*.pop4.example.net"),
    ("fqdn", "r1.pop3.example.net", "R1.pop3.example.net", "*.example.net"),
    ("rfc822", "r1@example.net", "*@example.net", "*@example.org"),
    ("dn", NAME, "*,O=EXAMPLE,C=XX", "*,O=Other,C=XX"),
    ("key-id", "0a0b0c", "0a0b*", "0a0c*"),
    ("ipv4", "192.0.2.1", "192.0.2.0/30", "192.0.2.4/30"),
    ("ipv6", "2001:db8::1", "2001:db8::/64", "2001:db8:1::/64"),
]


@pytest.mark.parametrize(("kind", "own", "fits", "differs"), CASES)
def test_a_peer_may_have_what_identity_is_accepted_and_no_other(kind: str, own: str, fits: str, differs: str) -> None:
    of_r1 = {"identity": (kind, own)}
    _, r1, r2 = two_routers(of_r1, {"accepted": accepted_identity("fqdn", "x.example") + accepted_identity(kind, fits)})
    assert established(r1, "r2")
    assert r2.text("r:rkmp/r:peer/r:ike-sa/r:remote-identity") is not None
    _, r1, r2 = two_routers(of_r1, {"accepted": accepted_identity(kind, differs)})
    assert not established(r1, "r2")
    assert "unknown identity" in why_not(r2, "r1")


def test_the_identity_of_the_peer_still_does_beside_accepted_ones() -> None:
    _, r1, _ = two_routers({}, {"accepted": accepted_identity("fqdn", "*.pop3.example.net")})
    assert established(r1, "r2")


def test_an_initiator_holds_the_responder_to_the_list_as_well() -> None:
    of_r2 = {"identity": ("fqdn", "r9.example.net")}
    _, r1, _ = two_routers({"accepted": accepted_identity("fqdn", "*.example.net")}, of_r2)
    assert established(r1, "r2")
    _, r1, _ = two_routers({"accepted": accepted_identity("fqdn", "*.example.org")}, of_r2)
    assert "unknown identity" in why_not(r1, "r2")


def test_an_identity_that_is_not_accepted_any_more_has_to_go() -> None:
    world, r1, r2 = two_routers(
        {"identity": ("fqdn", "r7.example.net")}, {"accepted": accepted_identity("fqdn", "*.example.net")}
    )
    assert established(r1, "r2")
    gone = '<accepted-identity nc:operation="delete"><type>fqdn</type><value>*.example.net</value></accepted-identity>'
    r2.edit(rkmp(f"<peer><name>r1</name><authentication><remote>{gone}</remote></authentication></peer>"))
    world.run(2)
    assert [event["peer"] for event in r2.heard("ike-sa-down")] == ["r1"]
    r1.driver.initiate("r2")
    world.run(2)
    assert [event["identity"] for event in r2.heard("authentication-failure")] == ["r7.example.net"]
    assert len(r2.key_rows()) == 1


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("fqdn", "r*.example.net"),
        ("fqdn", "*."),
        ("rfc822", "*"),
        ("dn", "*O=x"),
        ("key-id", "*"),
        ("ipv4", "192.0.2.1/24"),
    ],
)
def test_what_is_no_pattern_is_refused_where_it_stands(kind: str, value: str) -> None:
    agent = World().agent("r2", R2)
    with pytest.raises(RpcError) as refusal:
        agent.edit(configuration("r2", "r1", R1, accepted=accepted_identity(kind, value)))
    assert refusal.value.tag == "invalid-value"
    assert (refusal.value.path or "").endswith("/rkmp:value")


# -- certificates ----------------------------------------------------------------------------------------------------


def alternatives(*names: x509.GeneralName) -> Extensions:
    return ((x509.SubjectAlternativeName(names), False),)


NAMES: dict[str, tuple[str, Extensions]] = {
    "fqdn": ("r1.example.net", (host("R1.example.net"),)),
    "ipv4": ("192.0.2.1", alternatives(x509.IPAddress(ip_address("192.0.2.1")))),
    "rfc822": ("r1@example.net", alternatives(x509.RFC822Name("r1@example.net"))),
    "dn": (NAME, (host("elsewhere.example"),)),
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_certificate_has_to_name_the_identity_whatever_its_type(kind: str) -> None:
    value, extensions = NAMES[kind]
    own = router("r1", alternatives=extensions, subject=DN)
    of_r1 = {"credentials": PSK_ENTRY + certificate("own", own), "local": BY_CERTIFICATE, "identity": (kind, value)}
    of_r2 = {"credentials": PSK_ENTRY + anchor("root", ROOT), "remote": BY_ANCHOR, "remote_identity": (kind, value)}
    _, r1, r2 = two_routers(of_r1, of_r2)
    assert established(r1, "r2")
    # A different method on each side: r2 proves itself by the pre-shared key.
    assert r2.text("r:rkmp/r:peer/r:ike-sa/r:auth-method") == "certificate"
    assert r1.text("r:rkmp/r:peer/r:ike-sa/r:auth-method") == "psk"


def test_a_key_id_is_in_no_certificate_not_even_as_a_pattern() -> None:
    agent = World().agent("r2", R2)
    with pytest.raises(RpcError, match="key-id is never in a certificate"):
        agent.edit(
            configuration(
                "r2",
                "r1",
                R1,
                credentials=PSK_ENTRY + anchor("root", ROOT),
                remote=BY_ANCHOR,
                accepted=accepted_identity("key-id", "0a*"),
            )
        )


@pytest.mark.parametrize(
    "key_type",
    [KeyType.RSA, KeyType.ECDSA_P384, KeyType.ECDSA_P521, KeyType.ED25519, KeyType.ML_DSA_65],
)
def test_keys_of_every_kind_sign(key_type: KeyType) -> None:
    own = router("r1", key_type=key_type, key_number=0)
    of_r1 = {"credentials": PSK_ENTRY + certificate("own", own), "local": BY_CERTIFICATE}
    _, r1, _ = two_routers(of_r1, {"credentials": PSK_ENTRY + anchor("root", ROOT), "remote": BY_ANCHOR})
    assert established(r1, "r2")


@pytest.mark.parametrize(("domain", "is_accepted"), [("example.net", True), ("example.org", False)])
def test_an_authority_vouches_for_the_names_that_it_may_alone(domain: str, *, is_accepted: bool) -> None:
    constraints = (x509.NameConstraints([x509.DNSName(domain)], None), True)
    authority = make_authority("constrained", ROOT, key_number=2, more=(constraints,), **SPAN)
    chain = (router("r1", authority), authority)
    of_r1 = {"credentials": PSK_ENTRY + certificate("own", *chain), "local": BY_CERTIFICATE}
    _, r1, r2 = two_routers(of_r1, {"credentials": PSK_ENTRY + anchor("root", ROOT), "remote": BY_ANCHOR})
    assert established(r1, "r2") is is_accepted
    assert is_accepted or "no trust anchor vouches for" in why_not(r2, "r1")


@pytest.mark.parametrize("opens", ["r1", "r2"])
@pytest.mark.parametrize("trusted", ["root", "other root"])
def test_of_several_certificates_that_one_is_shown_which_the_peer_asks_for(trusted: str, opens: str) -> None:
    """r1 has one from each of two authorities, and knows one of these from its chain, the other as a trust anchor."""
    own, other = router("r1"), router("r1", OTHER_ROOT, key_number=3)
    credentials = PSK_ENTRY + certificate("own", own, ROOT) + certificate("other", other) + anchor("other", OTHER_ROOT)
    of_r1: dict[str, Any] = {"credentials": credentials, "local": f"{BY_CERTIFICATE}<certificate>other</certificate>"}
    believed = ROOT if trusted == "root" else OTHER_ROOT
    of_r2: dict[str, Any] = {"credentials": PSK_ENTRY + anchor("root", believed), "remote": BY_ANCHOR}
    world = World()
    r1, r2 = world.agent("r1", R1), world.agent("r2", R2)
    r2.edit(configuration("r2", "r1", R1, initiate="on-demand" if opens == "r2" else "never", **of_r2))
    r1.edit(configuration("r1", "r2", R2, initiate="on-demand" if opens == "r1" else "never", **of_r1))
    world.run(5)
    assert established(r1, "r2")
    assert established(r2, "r1")


def test_each_of_several_certificates_has_to_name_us() -> None:
    credentials = certificate("own", router("r1")) + certificate("other", router("r7", key_number=3))
    agent = World().agent("r1", R1)
    with pytest.raises(RpcError, match=r"certificate other, .* does not name our identity"):
        agent.edit(
            configuration(
                "r1",
                "r2",
                R2,
                credentials=PSK_ENTRY + credentials,
                local=f"{BY_CERTIFICATE}<certificate>other</certificate>",
            )
        )


def test_a_certificate_for_the_method_is_needed() -> None:
    agent = World().agent("r1", R1)
    with pytest.raises(RpcErrors, match="certificate"):
        agent.edit(configuration("r1", "r2", R2, local="<method>certificate</method>"))


# -- revocation ------------------------------------------------------------------------------------------------------

SERIAL_NUMBER = 0x1D
"""Of every certificate that tests make."""


def with_revocation(*lists: str) -> tuple[World, Agent, Agent]:
    """Return two routers of which r1 shows a certificate of an authority in the middle, and r2 knows ``lists``."""
    middle = make_authority("middle", ROOT, key_number=2, **SPAN)
    of_r1 = {"credentials": PSK_ENTRY + certificate("own", router("r1", middle), middle), "local": BY_CERTIFICATE}
    of_r2 = {"credentials": PSK_ENTRY + anchor("root", ROOT) + "".join(lists), "remote": BY_ANCHOR}
    return two_routers(of_r1, of_r2)


MIDDLE = make_authority("middle", ROOT, key_number=2, **SPAN)


@pytest.mark.parametrize("revoked_by", [MIDDLE, ROOT], ids=["router", "authority"])
def test_a_revoked_certificate_is_accepted_from_nobody(revoked_by: Holder) -> None:
    _, r1, r2 = with_revocation(crl(revoked_by, SERIAL_NUMBER))
    assert not established(r1, "r2")
    assert "revoked certificate" in why_not(r2, "r1")
    assert "2026-02-28" in why_not(r2, "r1")
    entry = "r:rkmp/r:credentials/r:revocation-list/r:"
    assert r2.text(f"{entry}revoked") == "1"
    assert r2.text(f"{entry}next-update") == "2026-03-02T12:00:00Z"
    counter = "r:rkmp/r:peer/r:statistics/r:authentication-failed-revoked-certificate"
    assert int(r2.text(counter) or 0) >= 1


def test_a_list_counts_where_the_issuer_has_signed_it_alone() -> None:
    _, r1, _ = with_revocation(crl(MIDDLE, SERIAL_NUMBER, signer=OTHER_ROOT))
    assert established(r1, "r2")
    _, r1, _ = with_revocation(crl(MIDDLE, SERIAL_NUMBER + 1), crl(OTHER_ROOT, SERIAL_NUMBER))
    assert established(r1, "r2")


def test_a_list_that_comes_later_ends_the_ike_sa_and_keeps_the_key() -> None:
    world, r1, r2 = with_revocation()
    assert established(r1, "r2")
    r2.edit(rkmp(f"<credentials>{crl(MIDDLE, SERIAL_NUMBER)}</credentials>"))
    world.run(1)
    (event,) = r2.heard("ike-sa-down")
    assert "was revoked on" in event["reason"]
    assert len(r2.key_rows()) == 1
    assert established(r2, "r1")


def test_what_is_no_list_is_refused_where_it_stands() -> None:
    agent = World().agent("r2", R2)
    with pytest.raises(RpcError, match="revocation list is malformed") as refusal:
        agent.edit(
            rkmp("<credentials><revocation-list><name>x</name><crl>nonsense</crl></revocation-list></credentials>")
        )
    assert (refusal.value.path or "").endswith("rkmp:revocation-list[rkmp:name='x']/rkmp:crl")


# -- expiry ----------------------------------------------------------------------------------------------------------


def test_warnings_come_when_the_operator_wants_them_and_the_state_counts_down() -> None:
    short = router("r1", not_after=BEGINNING + 3 * DAY)
    warn = "<expiry-warning>172800</expiry-warning><expiry-warning>3600</expiry-warning>"
    credentials = PSK_ENTRY + certificate("own", short) + warn
    of_r2 = {"credentials": PSK_ENTRY + anchor("root", ROOT), "remote": BY_ANCHOR}
    world, r1, r2 = two_routers({"credentials": credentials, "local": BY_CERTIFICATE}, of_r2)
    assert r1.heard("certificate-expiring") == []
    # The default of the other side: seven days are less than is left.
    assert [event["peer"] for event in r2.heard("certificate-expiring")] == ["r1"]
    entry = "r:rkmp/r:credentials/r:certificate/r:seconds-left"
    assert int(r1.text(entry) or 0) == 3 * 86_400 - 3
    world.run(3 * 86_400 + 10)
    heard = r1.heard("certificate-expiring")
    assert [event["seconds-left"] for event in heard] == ["172800", "3600", "0"]
    assert r1.text(entry) == "0"

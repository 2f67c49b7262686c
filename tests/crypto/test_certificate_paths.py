"""Which certificates of a peer lead to a trust anchor, with OpenSSL as the judge, and which chains are remembered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from hypothesis import given, settings
from hypothesis import strategies as st

from rkmp.crypto.certificate_paths import (
    MAXIMUM_RECEIVED,
    TrustAnchors,
    VerifiedChain,
    VerifiedChains,
    load_trust_anchors,
)
from rkmp.crypto.certificates import CertificateFault, CertificateRejected
from rkmp.crypto.signature_keys import CredentialError, KeyType
from tests.crypto.authorities import AT, DAY, Extensions, Holder, host, make, make_authority, name_of, purposes, usage
from tests.crypto.judges import approves
from tests.crypto.keys import private_key, weak_rsa_handle

IPSEC_IKE = "1.3.6.1.5.5.7.3.17"
IKE_INTERMEDIATE = "1.3.6.1.5.5.8.2.2"
ANY = "2.5.29.37.0"
SERVER, CLIENT, CODE_SIGNING = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.3"

NAMES = (
    x509.SubjectAlternativeName(
        [
            x509.DNSName("router.branch.example"),
            x509.IPAddress(ip_address("192.0.2.7")),
            x509.RFC822Name("noc@branch.example"),
        ]
    ),
    False,
)
UNKNOWN_CRITICAL = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)

FAMILIES = (KeyType.RSA, KeyType.ECDSA_P256, KeyType.ECDSA_P384, KeyType.ED25519, KeyType.ED448, KeyType.ML_DSA_65)
EDWARDS = (KeyType.ED25519, KeyType.ED448)


@dataclass(frozen=True, slots=True)
class Presented:
    """What is trusted, and what a peer sends, its own certificate first."""

    anchors: Sequence[Holder]
    received: Sequence[Holder]
    at: datetime = AT
    ignore_extended_key_usage: bool = False
    others: Sequence[bytes] = field(default=())

    def verify(self) -> VerifiedChain:
        anchors = TrustAnchors(
            [anchor.certificate for anchor in self.anchors], ignore_extended_key_usage=self.ignore_extended_key_usage
        )
        return anchors.verify([*(holder.der for holder in self.received), *self.others], self.at)

    def convinces_openssl(self, folder: Path) -> bool:
        files = (folder / "anchors", folder / "others", folder / "own")
        for file, holders in zip(files, (self.anchors, self.received[1:], self.received[:1]), strict=True):
            file.write_bytes(b"".join(holder.pem for holder in holders))
        untrusted = ["-untrusted", str(files[1])] if self.received[1:] else []
        seconds = str(int(self.at.timestamp()))
        command = ["openssl", "verify", "-attime", seconds, "-partial_chain", "-CAfile", str(files[0])]
        return approves(*command, *untrusted, str(files[2]))


class Pki:
    """An authority, one below it and what a router gets from that, all of one type of key."""

    def __init__(self, key_type: KeyType, *, root_more: Extensions = (), branch_more: Extensions = ()) -> None:
        self.key_type = key_type
        self.root = make_authority("root", key_type=key_type, more=root_more)
        self.branch = self.authority("branch", self.root, 1, more=branch_more)
        self.router = self.issue("router", self.branch)

    def authority(self, common_name: str, issuer: Holder | None, number: int, **arguments: object) -> Holder:
        return make_authority(common_name, issuer, key_type=self.key_type, key_number=number, **arguments)  # type: ignore[arg-type]

    def issue(self, common_name: str, issuer: Holder, extensions: Extensions = (NAMES,), **arguments: object) -> Holder:
        return make(common_name, issuer, key_type=self.key_type, key_number=9, extensions=extensions, **arguments)  # type: ignore[arg-type]


def constraints(
    permitted: Sequence[x509.GeneralName] | None = None, excluded: Sequence[x509.GeneralName] | None = None
) -> tuple[x509.NameConstraints, bool]:
    return x509.NameConstraints(permitted, excluded), True


# -- chains that both have to accept ---------------------------------------------------------------------------------


def directly_issued(pki: Pki) -> Presented:
    return Presented([pki.root], [pki.issue("router", pki.root)])


def by_a_branch(pki: Pki) -> Presented:
    return Presented([pki.root], [pki.router, pki.branch])


def in_any_order_and_twice(pki: Pki) -> Presented:
    lower = pki.authority("lower", pki.branch, 2)
    stranger = pki.authority("stranger", None, 3)
    return Presented(
        [pki.root], [pki.issue("router", lower), stranger, pki.branch, lower, pki.branch, pki.root, stranger]
    )


def with_a_branch_as_anchor(pki: Pki) -> Presented:
    return Presented([pki.branch], [pki.router])


def with_several_anchors(pki: Pki) -> Presented:
    return Presented([pki.authority("other", None, 4), pki.root, pki.root], [pki.router, pki.branch])


def with_an_anchor_of_the_same_name(pki: Pki) -> Presented:
    return Presented([pki.authority("root", None, 4), pki.root], [pki.router, pki.branch])


def with_renewed_authorities(pki: Pki) -> Presented:
    old_root = pki.authority("root", None, 0, not_after=AT - DAY)
    old_branch = pki.authority("branch", old_root, 1, not_after=AT - DAY)
    return Presented([old_root, pki.root], [pki.router, old_branch, pki.branch])


def trusted_as_it_is(pki: Pki) -> Presented:
    router = make("router", key_type=pki.key_type, extensions=(NAMES,))
    return Presented([router], [router])


def trusted_as_it_is_under_an_unknown_authority(pki: Pki) -> Presented:
    return Presented([pki.router], [pki.router])


def with_as_many_authorities_as_allowed(pki: Pki) -> Presented:
    upper = pki.authority("upper", pki.root, 2, path_length=1)
    lower = pki.authority("lower", upper, 3, path_length=0)
    return Presented([pki.root], [pki.issue("router", lower), lower, upper])


def without_key_usages(pki: Pki) -> Presented:
    root = make("root", key_type=pki.key_type, extensions=((x509.BasicConstraints(True, None), True),))
    return Presented([root], [make("router", root, key_type=pki.key_type, key_number=9)])


def on_its_last_second(pki: Pki) -> Presented:
    return Presented([pki.root], [pki.router, pki.branch], at=AT + 10 * DAY)


def on_its_first_second(pki: Pki) -> Presented:
    return Presented([pki.root], [pki.router, pki.branch], at=AT - 10 * DAY)


# -- chains that both have to refuse ---------------------------------------------------------------------------------


def without_the_branch(pki: Pki) -> Presented:
    return Presented([pki.root], [pki.router])


def under_another_anchor(pki: Pki) -> Presented:
    return Presented([pki.authority("root", None, 4)], [pki.router, pki.branch])


def with_the_root_sent_but_not_trusted(pki: Pki) -> Presented:
    return Presented([pki.authority("other", None, 4)], [pki.router, pki.branch, pki.root])


def self_signed(pki: Pki) -> Presented:
    return Presented([pki.root], [make("router", key_type=pki.key_type, extensions=(NAMES,))])


def after_it_expired(pki: Pki) -> Presented:
    return Presented([pki.root], [pki.issue("router", pki.root, not_after=AT - DAY)])


def before_it_is_valid(pki: Pki) -> Presented:
    return Presented([pki.root], [pki.issue("router", pki.root, not_before=AT + DAY)])


def after_the_branch_expired(pki: Pki) -> Presented:
    branch = pki.authority("branch", pki.root, 1, not_after=AT - DAY)
    return Presented([pki.root], [pki.issue("router", branch), branch])


def after_the_root_expired(pki: Pki) -> Presented:
    root = pki.authority("root", None, 0, not_after=AT - DAY)
    return Presented([root], [pki.issue("router", root)])


def by_another_router(pki: Pki) -> Presented:
    return Presented([pki.root], [pki.issue("imposter", pki.router), pki.router, pki.branch])


def by_one_that_says_it_is_no_authority(pki: Pki) -> Presented:
    none = pki.issue("branch", pki.root, [(x509.BasicConstraints(False, None), True), usage(certify=True)])
    return Presented([pki.root], [pki.issue("router", none), none])


def by_one_that_may_not_certify(pki: Pki) -> Presented:
    none = pki.issue("branch", pki.root, [(x509.BasicConstraints(True, None), True), usage(sign=True)])
    return Presented([pki.root], [pki.issue("router", none), none])


def with_more_authorities_than_allowed(pki: Pki) -> Presented:
    upper = pki.authority("upper", pki.root, 2, path_length=0)
    lower = pki.authority("lower", upper, 3)
    return Presented([pki.root], [pki.issue("router", lower), lower, upper])


def with_more_authorities_than_the_root_allows(pki: Pki) -> Presented:
    root = pki.authority("root", None, 0, path_length=0)
    branch = pki.authority("branch", root, 1)
    return Presented([root], [pki.issue("router", branch), branch])


def with_a_critical_extension_that_nobody_knows(pki: Pki) -> Presented:
    return Presented([pki.root], [pki.issue("router", pki.root, [NAMES, UNKNOWN_CRITICAL])])


def with_a_critical_extension_above_that_nobody_knows(pki: Pki) -> Presented:
    branch = pki.authority("branch", pki.root, 1, more=[UNKNOWN_CRITICAL])
    return Presented([pki.root], [pki.issue("router", branch), branch])


def outside_of_the_permitted_names(pki: Pki) -> Presented:
    pki = Pki(pki.key_type, branch_more=[constraints([x509.DNSName("elsewhere.example")])])
    return Presented([pki.root], [pki.router, pki.branch])


def outside_of_the_permitted_addresses(pki: Pki) -> Presented:
    pki = Pki(pki.key_type, root_more=[constraints([x509.IPAddress(ip_network("198.51.100.0/24"))])])
    return Presented([pki.root], [pki.router, pki.branch])


def outside_of_the_permitted_mail_addresses(pki: Pki) -> Presented:
    pki = Pki(pki.key_type, branch_more=[constraints([x509.RFC822Name("elsewhere.example")])])
    return Presented([pki.root], [pki.router, pki.branch])


def inside_of_the_excluded_names(pki: Pki) -> Presented:
    pki = Pki(pki.key_type, branch_more=[constraints(None, [x509.DNSName("branch.example")])])
    return Presented([pki.root], [pki.router, pki.branch])


def inside_of_the_excluded_addresses(pki: Pki) -> Presented:
    pki = Pki(pki.key_type, branch_more=[constraints(None, [x509.IPAddress(ip_network("192.0.2.0/24"))])])
    return Presented([pki.root], [pki.router, pki.branch])


Case = Callable[[Pki], Presented]

ACCEPTED: tuple[Case, ...] = (
    directly_issued,
    by_a_branch,
    in_any_order_and_twice,
    with_a_branch_as_anchor,
    with_several_anchors,
    with_an_anchor_of_the_same_name,
    with_renewed_authorities,
    trusted_as_it_is,
    trusted_as_it_is_under_an_unknown_authority,
    with_as_many_authorities_as_allowed,
    without_key_usages,
    on_its_last_second,
    on_its_first_second,
)
REFUSED: tuple[Case, ...] = (
    without_the_branch,
    under_another_anchor,
    with_the_root_sent_but_not_trusted,
    self_signed,
    after_it_expired,
    before_it_is_valid,
    after_the_branch_expired,
    after_the_root_expired,
    by_another_router,
    by_one_that_says_it_is_no_authority,
    by_one_that_may_not_certify,
    with_more_authorities_than_allowed,
    with_more_authorities_than_the_root_allows,
    with_a_critical_extension_that_nobody_knows,
    with_a_critical_extension_above_that_nobody_knows,
    outside_of_the_permitted_names,
    outside_of_the_permitted_addresses,
    outside_of_the_permitted_mail_addresses,
    inside_of_the_excluded_names,
    inside_of_the_excluded_addresses,
)
# OpenSSL looks at one anchor of a name only, and takes a certificate for expired on the second that RFC 5280 4.1.2.5
# still includes.
DISPUTED: tuple[Case, ...] = (with_an_anchor_of_the_same_name, on_its_last_second)
FAULTS: dict[Case, CertificateFault] = {
    after_it_expired: CertificateFault.EXPIRED,
    before_it_is_valid: CertificateFault.NOT_YET_VALID,
}


@pytest.mark.parametrize("key_type", FAMILIES)
@pytest.mark.parametrize("case", ACCEPTED)
def test_a_chain_that_leads_to_an_anchor_is_accepted(case: Case, key_type: KeyType) -> None:
    presented = case(Pki(key_type))
    chain = presented.verify()
    assert chain.certificates[0] == presented.received[0].certificate
    assert chain.certificates[-1] in [anchor.certificate for anchor in presented.anchors]
    assert chain.public_key.handle == presented.received[0].handle.public_key()
    assert chain.is_valid(presented.at)


@pytest.mark.parametrize("key_type", FAMILIES)
@pytest.mark.parametrize("case", REFUSED)
def test_a_chain_that_leads_to_none_is_refused(case: Case, key_type: KeyType) -> None:
    with pytest.raises(CertificateRejected) as refusal:
        case(Pki(key_type)).verify()
    assert refusal.value.fault is FAULTS.get(case, CertificateFault.UNTRUSTED)


@pytest.mark.parametrize("key_type", [KeyType.ECDSA_P256, KeyType.ED25519])
@pytest.mark.parametrize("case", [case for case in (*ACCEPTED, *REFUSED) if case not in DISPUTED])
def test_openssl_is_of_the_same_opinion(case: Case, key_type: KeyType, tmp_path: Path) -> None:
    assert case(Pki(key_type)).convinces_openssl(tmp_path) == (case in ACCEPTED)


# -- name constraints ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "permitted",
    [
        [x509.DNSName("branch.example"), x509.IPAddress(ip_network("192.0.2.0/24")), x509.RFC822Name("branch.example")],
        [x509.DNSName("example")],
        [x509.UniformResourceIdentifier("elsewhere.example")],
    ],
)
def test_names_within_their_constraints_are_accepted(permitted: list[x509.GeneralName], tmp_path: Path) -> None:
    pki = Pki(KeyType.ECDSA_P256, branch_more=[constraints(permitted)])
    presented = Presented([pki.root], [pki.router, pki.branch])
    presented.verify()
    assert presented.convinces_openssl(tmp_path)


@pytest.mark.parametrize("critical", [True, False])
@pytest.mark.parametrize("excluded", [True, False])
def test_constraints_on_directory_names_are_refused(critical: bool, excluded: bool) -> None:
    names = [x509.DirectoryName(name_of("branch"))]
    extension = x509.NameConstraints(None, names) if excluded else x509.NameConstraints(names, None)
    pki = Pki(KeyType.ECDSA_P256, branch_more=[(extension, critical)])
    with pytest.raises(CertificateRejected, match="directory"):
        Presented([pki.root], [pki.router, pki.branch]).verify()


@pytest.mark.parametrize("key_type", EDWARDS)
def test_name_constraints_and_edwards_keys_are_too_much(key_type: KeyType) -> None:
    pki = Pki(key_type, branch_more=[constraints([x509.DNSName("example")])])
    with pytest.raises(CertificateRejected, match="has an Edwards key and name constraints"):
        Presented([pki.root], [pki.router, pki.branch]).verify()


# -- key usage and extended key usage (RFC 4945 5.1.3.2 and 5.1.3.12) ------------------------------------------------


@pytest.mark.parametrize("key_type", [KeyType.ECDSA_P256, KeyType.ED25519])
@pytest.mark.parametrize(
    ("key_usage", "accepted"),
    [
        (usage(sign=True), True),
        (usage(commit=True), True),
        (usage(sign=True, certify=True), True),
        (usage(certify=True), False),
        (usage(), False),
    ],
)
def test_a_key_usage_has_to_allow_signatures(
    key_usage: tuple[x509.KeyUsage, bool], accepted: bool, key_type: KeyType
) -> None:
    pki = Pki(key_type)
    presented = Presented([pki.root], [pki.issue("router", pki.root, [NAMES, key_usage])])
    if accepted:
        presented.verify()
    else:
        with pytest.raises(CertificateRejected, match="does not allow signatures") as refusal:
            presented.verify()
        assert refusal.value.fault is CertificateFault.WRONG_USAGE


@pytest.mark.parametrize("key_type", [KeyType.ECDSA_P256, KeyType.ED25519])
@pytest.mark.parametrize("on_authority", [True, False])
@pytest.mark.parametrize(
    ("dotted", "accepted"),
    [
        ([IPSEC_IKE], True),
        ([IKE_INTERMEDIATE], True),
        ([ANY], True),
        ([CODE_SIGNING, IPSEC_IKE], True),
        ([SERVER, CLIENT], False),
        ([CODE_SIGNING], False),
    ],
)
def test_an_extended_key_usage_has_to_allow_ike(
    dotted: list[str], accepted: bool, on_authority: bool, key_type: KeyType
) -> None:
    extension = purposes(*dotted)
    pki = Pki(key_type, branch_more=[extension] if on_authority else [])
    router = pki.router if on_authority else pki.issue("router", pki.branch, [NAMES, extension])
    if accepted:
        Presented([pki.root], [router, pki.branch]).verify()
    else:
        with pytest.raises(CertificateRejected, match="extended key usage") as refusal:
            Presented([pki.root], [router, pki.branch]).verify()
        assert refusal.value.fault is (CertificateFault.UNTRUSTED if on_authority else CertificateFault.WRONG_USAGE)
    Presented([pki.root], [router, pki.branch], ignore_extended_key_usage=True).verify()


# -- keys ------------------------------------------------------------------------------------------------------------


def test_a_weak_key_is_refused_in_every_place(tmp_path: Path) -> None:
    weak = weak_rsa_handle()
    root = make_authority("root")
    router = make("router", root, key_type=KeyType.RSA, handle=weak, extensions=(NAMES,))
    with pytest.raises(CertificateRejected, match="1024 bits") as refusal:
        Presented([root], [router]).verify()
    assert refusal.value.fault is CertificateFault.UNSUITABLE_KEY
    branch = make_authority("branch", root, key_type=KeyType.RSA, handle=weak)
    with pytest.raises(CertificateRejected, match="too weak"):
        Presented([root], [make("router", branch, extensions=(NAMES,)), branch]).verify()
    with pytest.raises(CredentialError, match="1024 bits"):
        TrustAnchors([make_authority("root", key_type=KeyType.RSA, handle=weak).certificate])


@pytest.mark.parametrize("leaf_type", KeyType)
def test_authorities_may_have_other_kinds_of_keys_than_routers(leaf_type: KeyType) -> None:
    for key_type in FAMILIES:
        root = make_authority("root", key_type=key_type)
        router = make("router", root, key_type=leaf_type, key_number=9, extensions=(NAMES,))
        assert Presented([root], [router]).verify().public_key == private_key(leaf_type, 9).public_key


@pytest.mark.parametrize("upper", [KeyType.ECDSA_P256, KeyType.ED25519])
def test_edwards_authorities_do_not_mix_with_others(upper: KeyType) -> None:
    lower = KeyType.ED25519 if upper is KeyType.ECDSA_P256 else KeyType.ECDSA_P256
    root = make_authority("root", key_type=upper)
    branch = make_authority("branch", root, key_type=lower, key_number=1)
    router = make("router", branch, extensions=(NAMES,))
    with pytest.raises(CertificateRejected) as refusal:
        Presented([root], [router, branch]).verify()
    assert refusal.value.fault is CertificateFault.UNTRUSTED


def test_the_verifier_still_knows_no_edwards_authorities() -> None:
    # Should this fail, the verifier has learnt what certificate_paths does by itself, which can then go.
    root = make_authority("root", key_type=KeyType.ED25519)
    router = make("router", root, extensions=(NAMES, (x509.AuthorityKeyIdentifier(b"x", None, None), False)))
    verifier = PolicyBuilder().store(Store([root.certificate])).time(AT).build_client_verifier()
    with pytest.raises(VerificationError, match="Forbidden public key algorithm"):
        verifier.verify(router.certificate, [])


def test_a_forged_signature_is_refused() -> None:
    for key_type in FAMILIES:
        pki = Pki(key_type)
        for place in (0, 1):
            received = [pki.router.der, pki.branch.der]
            received[place] = received[place][:-1] + bytes((received[place][-1] ^ 1,))
            with pytest.raises(CertificateRejected):
                TrustAnchors([pki.root.certificate]).verify(received, AT)


# -- what is sent ----------------------------------------------------------------------------------------------------


def test_no_certificate_is_no_proof() -> None:
    with pytest.raises(CertificateRejected, match="sent no certificate") as refusal:
        Presented([make_authority("root")], []).verify()
    assert refusal.value.fault is CertificateFault.UNTRUSTED


def test_too_many_certificates_are_refused() -> None:
    pki = Pki(KeyType.ECDSA_P256)
    Presented([pki.root], [pki.router, *[pki.branch] * (MAXIMUM_RECEIVED - 1)]).verify()
    with pytest.raises(CertificateRejected, match=f"sent {MAXIMUM_RECEIVED + 1} certificates") as refusal:
        Presented([pki.root], [pki.router, *[pki.branch] * MAXIMUM_RECEIVED]).verify()
    assert refusal.value.fault is CertificateFault.MALFORMED


def test_what_is_no_certificate_is_passed_over_but_in_the_first_place() -> None:
    pki = Pki(KeyType.ECDSA_P256)
    Presented([pki.root], [pki.router, pki.branch], others=[b"", b"no certificate"]).verify()
    with pytest.raises(CertificateRejected) as refusal:
        TrustAnchors([pki.root.certificate]).verify([b"no certificate", pki.branch.der], AT)
    assert refusal.value.fault is CertificateFault.MALFORMED


def test_the_reason_is_fit_for_a_log() -> None:
    root = make_authority("root")
    router = make("router\n\x1b[31m" + "x" * 50, make_authority("stranger", key_number=1))
    with pytest.raises(CertificateRejected) as refusal:
        Presented([root], [router]).verify()
    assert refusal.value.reason.isprintable()
    assert "router\\n\\x1b[31mx" in refusal.value.reason
    assert "leads to no trust anchor" in refusal.value.reason


@pytest.mark.parametrize("key_type", [KeyType.ECDSA_P256, KeyType.ED25519])
def test_an_issuer_that_is_missing_is_named(key_type: KeyType) -> None:
    pki = Pki(key_type)
    with pytest.raises(CertificateRejected, match="its issuer CN=branch,C=XX is no trust anchor, and the peer sent no"):
        Presented([pki.root], [pki.router]).verify()
    with pytest.raises(CertificateRejected, match="leads to no trust anchor: ") as refusal:
        Presented([make_authority("other")], [pki.router, pki.branch]).verify()
    assert "its issuer" not in refusal.value.reason


@pytest.mark.filterwarnings("ignore:Parsed a serial number which wasn't positive")
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_octets_are_refused_with_the_typed_error(data: st.DataObject) -> None:
    key_type = data.draw(st.sampled_from((KeyType.ECDSA_P256, KeyType.ED25519)))
    pki = _mutable(key_type)
    received = [bytearray(pki.router.der), bytearray(pki.branch.der)]
    which = data.draw(st.integers(0, 1))
    mutated = received[which]
    # The signature is the end of a certificate. Before it stands how many of its last bits do not count: a number that
    # may be too large by as many bits as happen to be zero, and says the same then.
    unused_bits = len(mutated) - len((pki.router, pki.branch)[which].certificate.signature) - 1
    position = data.draw(st.integers(0, len(mutated) - 1).filter(lambda position: position != unused_bits))
    mutated[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CertificateRejected):
        TrustAnchors([pki.root.certificate]).verify([bytes(octets) for octets in received], AT)


_PKIS: dict[KeyType, Pki] = {}


def _mutable(key_type: KeyType) -> Pki:
    if key_type not in _PKIS:
        _PKIS[key_type] = Pki(key_type)
    return _PKIS[key_type]


# -- anchors ---------------------------------------------------------------------------------------------------------


def test_anchors_come_from_pem_texts() -> None:
    pki = Pki(KeyType.ECDSA_P256)
    other = make_authority("other", key_number=4, not_after=AT + DAY)
    anchors = load_trust_anchors([pki.root.pem + other.pem, pki.root.pem])
    assert anchors.certificates == (pki.root.certificate, other.certificate)
    assert anchors.first_to_expire == other.certificate
    assert len(anchors.certificate_request) == 40
    anchors.verify([pki.router.der, pki.branch.der], AT)


def test_there_is_no_trust_without_an_anchor() -> None:
    with pytest.raises(CredentialError, match="at least one"):
        TrustAnchors([])
    with pytest.raises(CredentialError, match="no certificate in the PEM text"):
        load_trust_anchors([b"nothing"])


def test_a_fingerprint_tells_anchors_and_rules_apart() -> None:
    one, other = make_authority("one").certificate, make_authority("other").certificate
    same = {TrustAnchors([one, other]).fingerprint, TrustAnchors([other, one, other]).fingerprint}
    assert len(same) == 1
    different = {
        *same,
        TrustAnchors([one]).fingerprint,
        TrustAnchors([other]).fingerprint,
        TrustAnchors([one, other], ignore_extended_key_usage=True).fingerprint,
    }
    assert len(different) == 4


# -- memory ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def verifications(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """When chains were verified in earnest."""
    times: list[datetime] = []
    verify = TrustAnchors.verify

    def counted(anchors: TrustAnchors, received: Sequence[bytes], at: datetime) -> VerifiedChain:
        times.append(at)
        return verify(anchors, received, at)

    monkeypatch.setattr(TrustAnchors, "verify", counted)
    return times


def test_a_chain_is_verified_once_while_it_is_valid(verifications: list[datetime]) -> None:
    pki = Pki(KeyType.ECDSA_P256)
    anchors, received = TrustAnchors([pki.root.certificate]), [pki.router.der, pki.branch.der]
    chains = VerifiedChains()
    first = chains.verify(anchors, received, AT)
    for at in (AT - 10 * DAY, AT + 10 * DAY, AT):
        assert chains.verify(TrustAnchors([pki.root.certificate]), list(received), at) is first
    assert verifications == [AT]
    assert (first.valid_from, first.valid_until) == (AT - 10 * DAY, AT + 10 * DAY)


@pytest.mark.parametrize("at", [AT + 11 * DAY, AT - 11 * DAY])
def test_a_chain_is_forgotten_when_a_certificate_is_not_valid(at: datetime) -> None:
    pki = Pki(KeyType.ECDSA_P256)
    anchors, received, chains = TrustAnchors([pki.root.certificate]), [pki.router.der, pki.branch.der], VerifiedChains()
    chains.verify(anchors, received, AT)
    with pytest.raises(CertificateRejected):
        chains.verify(anchors, received, at)
    assert len(chains) == 0


def test_a_chain_is_valid_as_long_as_all_its_certificates_are() -> None:
    root = make_authority("root", not_after=AT + 3 * DAY)
    branch = make_authority("branch", root, key_number=1, not_before=AT - DAY)
    router = make("router", branch, key_number=9, extensions=(NAMES,))
    chain = Presented([root], [router, branch]).verify()
    assert (chain.valid_from, chain.valid_until) == (AT - DAY, AT + 3 * DAY)


def test_only_the_same_octets_and_the_same_anchors_are_remembered(verifications: list[datetime]) -> None:
    pki = Pki(KeyType.ECDSA_P256)
    received, chains = [pki.router.der, pki.branch.der], VerifiedChains()
    anchors = TrustAnchors([pki.root.certificate])
    chains.verify(anchors, received, AT)
    chains.verify(anchors, [*received, pki.root.der], AT)
    chains.verify(TrustAnchors([pki.root.certificate, make_authority("x").certificate]), received, AT)
    chains.verify(TrustAnchors([pki.root.certificate], ignore_extended_key_usage=True), received, AT)
    with pytest.raises(CertificateRejected):
        chains.verify(anchors, [received[0], received[1] + b"\0"], AT)
    with pytest.raises(CertificateRejected):
        chains.verify(anchors, [received[0] + received[1]], AT)
    with pytest.raises(CertificateRejected):
        chains.verify(TrustAnchors([make_authority("x").certificate]), received, AT)
    assert len(verifications) == 7
    assert len(chains) == 4


def test_what_was_refused_is_not_remembered(verifications: list[datetime]) -> None:
    pki = Pki(KeyType.ECDSA_P256)
    anchors, chains = TrustAnchors([pki.root.certificate]), VerifiedChains()
    for _ in range(2):
        with pytest.raises(CertificateRejected):
            chains.verify(anchors, [pki.router.der], AT)
    assert len(verifications) == 2
    assert len(chains) == 0


def test_the_chain_that_was_not_asked_for_longest_is_forgotten(verifications: list[datetime]) -> None:
    root = make_authority("root")
    anchors, chains = TrustAnchors([root.certificate]), VerifiedChains(capacity=2)
    one, two, three = (make(f"router {number}", root, extensions=(host("a"),)).der for number in range(3))
    chains.verify(anchors, [one], AT)
    chains.verify(anchors, [two], AT)
    chains.verify(anchors, [one], AT)
    chains.verify(anchors, [three], AT)
    assert len(chains) == 2
    assert len(verifications) == 3
    chains.verify(anchors, [one], AT)
    assert len(verifications) == 3
    chains.verify(anchors, [two], AT)
    assert len(verifications) == 4

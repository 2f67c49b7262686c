"""charon and a router authenticate each other by certificate, or with a post-quantum pre-shared key on top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rkmp.crypto.certificate_paths import TrustAnchors, VerifiedChain
from rkmp.crypto.credentials import CertificateCredential
from rkmp.crypto.signature_keys import KeyType, PrivateKey
from rkmp.ike import (
    AuthenticationFailed,
    AuthenticationFailure,
    AuthenticationMethod,
    Expectations,
    IkeSaEstablished,
    LocalAuthentication,
    OwnCertificate,
    PeerCertificate,
    Ppk,
    PreSharedKey,
    RemoteAuthentication,
)
from rkmp.secret import Secret
from tests.crypto.authorities import Holder, host, make, make_authority, usage
from tests.interop.strongswan.charon import CHARON_NAME, ROUTER_NAME, SECRET, Charon, Connection
from tests.interop.strongswan.conftest import MakeCharon, MakeRouter
from tests.interop.strongswan.policy import FixedPolicy
from tests.interop.strongswan.router import CHARON, ROUTER, Router, settings_for

SUITE = "aes128gcm16-prfsha256-x25519"
SPAN = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
NOW = datetime(2030, 1, 1, tzinfo=UTC)
ROOT = make_authority("root", not_before=SPAN[0], not_after=SPAN[1])
ANCHORS = TrustAnchors([ROOT.certificate])
PSK = PreSharedKey(Secret(SECRET.encode()))
KEY_TYPES = [KeyType.RSA, KeyType.ECDSA_P256, KeyType.ECDSA_P384, KeyType.ECDSA_P521, KeyType.ED25519]


def certificate(name: str, key_type: KeyType, *, end: datetime = SPAN[1]) -> Holder:
    """Return the certificate of ``name``."""
    extensions = (host(name), usage(sign=True))
    number = 1 if name == ROUTER_NAME else 2
    span = {"not_before": SPAN[0], "not_after": end}
    return make(name, ROOT, key_type=key_type, key_number=number, extensions=extensions, **span)  # type: ignore[arg-type]


def own(holder: Holder) -> OwnCertificate:
    """Return the router's certificate as it signs with it."""
    return OwnCertificate(CertificateCredential.of([holder.certificate], PrivateKey.of(holder.handle)))


def verify(received: Sequence[bytes]) -> VerifiedChain:
    """Return the chain to the root."""
    return ANCHORS.verify(received, NOW)


def certified_policy(holder: Holder) -> FixedPolicy:
    """Return the policy of a router with a certificate towards a charon with one."""
    return FixedPolicy(
        LocalAuthentication(ROUTER, own(holder)),
        CHARON,
        RemoteAuthentication(PeerCertificate(verify)),
        Expectations(ANCHORS.certificate_request),
    )


def equip(charon: Charon, holder: Holder) -> None:
    """Give charon its certificate, its key and the root."""
    charon.keep("x509", holder.pem)
    key = holder.handle.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    charon.keep("private", key)
    charon.keep("x509ca", ROOT.pem)


def connection(router: Router, **changes: object) -> Connection:
    """Return a connection in which both sides have certificates, unless ``changes`` say otherwise."""
    base = Connection(SUITE, remote=router.address, childless="force", local_auth="pubkey", remote_auth="pubkey")
    return replace(base, **changes)  # type: ignore[arg-type]


def establish(charon: Charon, router: Router, *, charon_opens: bool) -> IkeSaEstablished:
    """Open an IKE SA from either side."""
    if charon_opens:
        opening = router.attend(charon.initiate())
        assert opening.status == 0, opening.output
    else:
        router.initiate(charon.address)
        router.run(lambda: router.has(IkeSaEstablished))
    router.run(charon.is_established)
    return router.the(IkeSaEstablished)


@pytest.mark.parametrize("key_type", KEY_TYPES, ids=lambda key_type: key_type.value)
@pytest.mark.parametrize("charon_opens", [False, True], ids=["we-open", "charon-opens"])
def test_both_have_certificates(
    charon: Charon, make_router: MakeRouter, key_type: KeyType, *, charon_opens: bool
) -> None:
    router = make_router(settings=settings_for(SUITE), policy=certified_policy(certificate(ROUTER_NAME, key_type)))
    equip(charon, certificate(CHARON_NAME, key_type))
    charon.load(connection(router))
    established = establish(charon, router, charon_opens=charon_opens)
    assert established.remote_chain is not None
    assert established.remote_chain.public_key.key_type is key_type
    router.check_liveness()


@pytest.mark.parametrize("charon_opens", [False, True], ids=["we-open", "charon-opens"])
@pytest.mark.parametrize(("setting", "scheme"), [("yes", "PSS"), ("no", "PKCS1")], ids=["PSS", "PKCS1"])
def test_charon_signs_with_rsa_of_either_kind(
    make_charon: MakeCharon, make_router: MakeRouter, setting: str, scheme: str, *, charon_opens: bool
) -> None:
    charon = make_charon(settings={"rsa_pss": setting})
    router = make_router(settings=settings_for(SUITE), policy=certified_policy(certificate(ROUTER_NAME, KeyType.RSA)))
    equip(charon, certificate(CHARON_NAME, KeyType.RSA))
    charon.load(connection(router))
    establish(charon, router, charon_opens=charon_opens)
    assert f"authentication of '{CHARON_NAME}' (myself) with RSA_EMSA_{scheme}_SHA2_256" in charon.log
    # We sign with PSS, whatever it signs with itself.
    assert f"authentication of '{ROUTER_NAME}' with RSA_EMSA_PSS_SHA2_256_SALT_32 successful" in charon.log
    router.check_liveness()


@pytest.mark.parametrize("charon_opens", [False, True], ids=["we-open", "charon-opens"])
@pytest.mark.parametrize("we_sign", [False, True], ids=["charon-signs", "we-sign"])
def test_one_has_a_certificate_and_the_other_a_pre_shared_key(
    charon: Charon, make_router: MakeRouter, *, charon_opens: bool, we_sign: bool
) -> None:
    policy = certified_policy(certificate(ROUTER_NAME, KeyType.ECDSA_P256))
    if we_sign:
        policy = replace(policy, remote=RemoteAuthentication(PSK), expected=Expectations())
    else:
        policy = replace(policy, local=LocalAuthentication(ROUTER, PSK))
    router = make_router(settings=settings_for(SUITE), policy=policy)
    equip(charon, certificate(CHARON_NAME, KeyType.ECDSA_P256))
    charon.load(connection(router, **{"local_auth" if we_sign else "remote_auth": "psk"}))
    established = establish(charon, router, charon_opens=charon_opens)
    signed, shared = AuthenticationMethod.CERTIFICATE, AuthenticationMethod.PRE_SHARED_KEY
    assert (established.local_method, established.remote_method) == ((signed, shared) if we_sign else (shared, signed))


@pytest.mark.parametrize("key_type", [KeyType.RSA, KeyType.ECDSA_P384], ids=lambda key_type: key_type.value)
@pytest.mark.parametrize("charon_opens", [False, True], ids=["we-open", "charon-opens"])
def test_the_older_methods_towards_a_charon_without_rfc_7427(
    make_charon: MakeCharon, make_router: MakeRouter, key_type: KeyType, *, charon_opens: bool
) -> None:
    charon = make_charon(settings={"signature_authentication": "no"})
    settings = replace(settings_for(SUITE), allow_sha1=True)
    router = make_router(settings=settings, policy=certified_policy(certificate(ROUTER_NAME, key_type)))
    equip(charon, certificate(CHARON_NAME, key_type))
    charon.load(connection(router))
    establish(charon, router, charon_opens=charon_opens)


def test_a_certificate_of_charon_s_that_has_expired(charon: Charon, make_router: MakeRouter) -> None:
    router = make_router(
        settings=settings_for(SUITE), policy=certified_policy(certificate(ROUTER_NAME, KeyType.ED25519))
    )
    # By its own clock charon may use it still.
    equip(charon, certificate(CHARON_NAME, KeyType.ED25519, end=datetime(2029, 1, 1, tzinfo=UTC)))
    charon.load(connection(router))
    router.initiate(charon.address)
    router.run(lambda: router.has(AuthenticationFailed))
    assert router.the(AuthenticationFailed).reason is AuthenticationFailure.CERTIFICATE_EXPIRED
    router.run(charon.is_idle)


def test_charon_does_not_believe_a_certificate_for_another_name(charon: Charon, make_router: MakeRouter) -> None:
    policy = certified_policy(certificate("other.example", KeyType.ECDSA_P256))
    router = make_router(settings=settings_for(SUITE), policy=policy)
    equip(charon, certificate(CHARON_NAME, KeyType.ECDSA_P256))
    charon.load(connection(router))
    router.initiate(charon.address)
    router.run(lambda: router.has(AuthenticationFailed))
    assert router.the(AuthenticationFailed).reason is AuthenticationFailure.REJECTED_BY_PEER


# -- post-quantum pre-shared keys ------------------------------------------------------------------------------------

PPK = Ppk(b"\x02ppk", Secret(b"a post-quantum pre-shared key of both"), is_mandatory=True)


def ppk_policy(ppk: Ppk) -> FixedPolicy:
    """Return the policy of a router that has a PPK as well as a pre-shared key."""
    remote = RemoteAuthentication(PSK, ppk)
    return FixedPolicy(LocalAuthentication(ROUTER, PSK), CHARON, remote, Expectations(ppks=(ppk,)))


@pytest.mark.parametrize("charon_opens", [False, True], ids=["we-open", "charon-opens"])
@pytest.mark.parametrize("required", ["yes", "no"], ids=["required", "optional"])
def test_both_have_a_ppk(charon: Charon, make_router: MakeRouter, *, charon_opens: bool, required: str) -> None:
    policy = ppk_policy(replace(PPK, is_mandatory=required == "yes"))
    router = make_router(settings=settings_for(SUITE), policy=policy)
    own_lines = f"    ppk_id = ppk\n    ppk_required = {required}"
    psk = {"local_auth": "psk", "remote_auth": "psk"}
    charon.load(connection(router, **psk, ppk=PPK.secret.reveal().decode(), own=own_lines))
    assert establish(charon, router, charon_opens=charon_opens).uses_ppk
    router.check_liveness()


@pytest.mark.parametrize("charon_opens", [False, True], ids=["we-open", "charon-opens"])
def test_an_optional_ppk_that_charon_does_not_have(
    charon: Charon, make_router: MakeRouter, *, charon_opens: bool
) -> None:
    router = make_router(settings=settings_for(SUITE), policy=ppk_policy(replace(PPK, is_mandatory=False)))
    charon.load(connection(router, local_auth="psk", remote_auth="psk"))
    assert not establish(charon, router, charon_opens=charon_opens).uses_ppk


def test_an_optional_ppk_that_charon_knows_by_another_name(charon: Charon, make_router: MakeRouter) -> None:
    """Both announce that they have some; the one that we name is none of charon's."""
    policy = ppk_policy(replace(PPK, identifier=b"\x02other", is_mandatory=False))
    router = make_router(settings=settings_for(SUITE), policy=policy)
    charon.load(connection(router, local_auth="psk", remote_auth="psk", ppk_id="another", ppk="secret enough"))
    assert not establish(charon, router, charon_opens=False).uses_ppk

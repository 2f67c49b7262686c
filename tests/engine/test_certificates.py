"""Two engines that know each other by certificate, and what an operator hears of certificates that end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from rkmp.crypto.credentials import CertificateCredential
from rkmp.crypto.revocation import RevocationList
from rkmp.crypto.signature_keys import KeyType, PrivateKey
from rkmp.engine import (
    AuthenticationFailure,
    CertificateExpiring,
    CertificateName,
    EngineConfiguration,
    IkePolicy,
    IkeSaDown,
    Initiate,
    PeerConfiguration,
    PeerStatistic,
    PpkConfiguration,
    PpkName,
    PreSharedKeyName,
    RevocationListOverdue,
    TrustAnchorNames,
    failure_statistic,
)
from rkmp.engine.configuration import DEFAULT_EXPIRY_WARNINGS
from rkmp.engine.expiry_watch import AT_THE_END
from rkmp.errors import EngineRefusal
from rkmp.ike import AuthenticationFailure as Reason
from rkmp.ike import Identity
from rkmp.instant import Instant
from rkmp.secret import Secret
from tests.crypto.authorities import Holder, host, make, make_authority, usage
from tests.engine.simulation import BASE, BGP, Router, Simulation, configuration, peer

DAY = timedelta(days=1)
YEARS: dict[str, Any] = {"not_before": BASE - 100 * DAY, "not_after": BASE + 3000 * DAY}
ROOT = make_authority("root", **YEARS)
OTHER_ROOT = make_authority("another root", key_number=9, **YEARS)
BY_CERTIFICATE: dict[str, Any] = {
    "local_authentication": CertificateName("own"),
    "remote_authentication": TrustAnchorNames(("root",)),
}
PPK = PpkConfiguration(b"\x02ppk", Secret(b"a post-quantum pre-shared key of two routers"))


def certificate(
    name: str, *, issuer: Holder = ROOT, key_type: KeyType = KeyType.ECDSA_P256, end: datetime = BASE + 365 * DAY
) -> CertificateCredential:
    """Return the certificate of router ``name`` and its key."""
    name = f"{name}.example.net"
    extensions = (host(name), usage(sign=True))
    holder = make(
        name, issuer, key_type=key_type, key_number=1, extensions=extensions, not_before=BASE - DAY, not_after=end
    )
    return CertificateCredential.of([holder.certificate], PrivateKey.of(holder.handle))


def certified(
    name: str, peers: Iterable[PeerConfiguration], own: CertificateCredential | None = None, **changes: object
) -> EngineConfiguration:
    """Return the configuration of a router with a certificate."""
    everything: dict[str, Any] = {
        "certificates": {"own": own or certificate(name)},
        "trust_anchors": {"root": (ROOT.certificate,), "other": (OTHER_ROOT.certificate,)},
        "ppks": {"ppk": PPK},
    } | changes
    return configuration(name, peers, **everything)


def meeting(
    own1: CertificateCredential | None = None, own2: CertificateCredential | None = None, **changes: object
) -> Simulation:
    """Return r1 and r2 with certificates; ``changes`` are for both as peers."""
    simulation = Simulation(1)
    wanted = BY_CERTIFICATE | changes
    simulation.configure("r2", certified("r2", [peer("r1", **wanted)], own2))
    simulation.configure("r1", certified("r1", [peer("r2", **wanted)], own1))
    simulation.run(5)
    return simulation


@pytest.mark.parametrize("key_type", [KeyType.RSA, KeyType.ECDSA_P256, KeyType.ED25519], ids=lambda k: k.value)
def test_two_routers_meet_by_certificate(key_type: KeyType) -> None:
    end = BASE + 200 * DAY
    simulation = meeting(certificate("r1", key_type=key_type, end=end))
    assert simulation.agree()
    (ike_sa,) = simulation["r2"].snapshot("r1", simulation.now).ike_sas
    assert (ike_sa.auth_method, ike_sa.certificate_expires_at, ike_sa.uses_ppk) == ("certificate", end, False)


def test_each_side_may_have_a_method_of_its_own() -> None:
    simulation = Simulation(1)
    psk = PreSharedKeyName("k")
    r1 = peer("r1", local_authentication=psk, remote_authentication=TrustAnchorNames(("root",)))
    r2 = peer("r2", local_authentication=CertificateName("own"), remote_authentication=psk)
    simulation.configure("r2", certified("r2", [r1]))
    simulation.configure("r1", certified("r1", [r2]))
    simulation.run(5)
    assert simulation.agree()
    shown = [simulation[a].snapshot(b, simulation.now).ike_sas[0].auth_method for a, b in (("r1", "r2"), ("r2", "r1"))]
    assert shown == ["psk", "certificate"]


@pytest.mark.parametrize(
    ("own", "reason", "says"),
    [
        (certificate("r1", end=BASE - timedelta(hours=1)), Reason.CERTIFICATE_EXPIRED, "certificate expired: "),
        (certificate("r1", issuer=OTHER_ROOT), Reason.CERTIFICATE_UNTRUSTED, "no trust anchor vouches for: "),
    ],
    ids=["expired", "untrusted"],
)
def test_a_certificate_that_will_not_do_is_told_at_the_other_side(
    own: CertificateCredential, reason: Reason, says: str
) -> None:
    simulation = meeting(own)
    (failure, *_) = simulation["r2"].happened(AuthenticationFailure)
    assert isinstance(failure, AuthenticationFailure)
    assert says in failure.reason
    assert failure.identity == "r1.example.net"
    assert simulation["r2"].snapshot("r1", simulation.now).statistics[failure_statistic(reason)] >= 1
    assert not simulation.agree()


def test_a_certificate_that_expires_keeps_the_next_ike_sa_from_being_opened() -> None:
    """Not the keys that were negotiated: those outlive it. The IKE SA itself ends: rekeying it would prove nothing."""
    simulation = Simulation(1)
    wanted = BY_CERTIFICATE | {"key_lifetime": 100_000}
    policy = IkePolicy("p", lifetime=3600, liveness_interval=0)
    own = certificate("r2", end=BASE + DAY)
    answering = wanted | {"initiate": Initiate.NEVER}
    simulation.configure("r2", certified("r2", [peer("r1", **answering)], own, policy=policy))
    simulation.configure("r1", certified("r1", [peer("r2", **wanted)], policy=policy))
    simulation.run(86_000)
    assert simulation.agree()
    assert simulation["r1"].snapshot("r2", simulation.now).statistics[PeerStatistic.IKE_SAS_ESTABLISHED] == 1
    simulation.run(401)
    (down,) = simulation["r1"].happened(IkeSaDown)
    assert isinstance(down, IkeSaDown)
    assert "certificate" in down.reason
    simulation.run(4_000)
    assert any(
        "expired" in event.reason
        for event in simulation["r1"].happened(AuthenticationFailure)
        if isinstance(event, AuthenticationFailure)
    )


def test_another_certificate_means_meeting_anew_and_the_same_one_does_not() -> None:
    simulation = meeting()
    before = simulation["r1"].snapshot("r2", simulation.now).ike_sas[0].local_spi
    same = simulation["r1"].configuration
    simulation.configure("r1", replace(same, proposals=dict(same.proposals)))
    simulation.run(5)
    assert simulation["r1"].snapshot("r2", simulation.now).ike_sas[0].local_spi == before
    simulation.configure("r1", replace(same, certificates={"own": certificate("r1", key_type=KeyType.ED25519)}))
    simulation.run(20)
    assert simulation["r1"].snapshot("r2", simulation.now).ike_sas[0].local_spi != before
    assert simulation.agree()


def test_a_distinguished_name_is_the_same_in_any_string_type() -> None:
    name = Identity.parse("dn", "CN=r1.example.net,C=XX")
    simulation = Simulation(1)
    r1 = peer("r1", **BY_CERTIFICATE, remote_identity=Identity.parse("dn", "CN=R1.example.net,C=XX"))
    simulation.configure("r2", certified("r2", [r1]))
    simulation.configure("r1", certified("r1", [peer("r2", **BY_CERTIFICATE)], local_identity=name))
    simulation.run(5)
    assert simulation.agree()


@pytest.mark.parametrize(("one", "other"), [(True, True), (True, False), (False, True)])
def test_a_ppk_is_used_where_both_have_it(one: bool, other: bool) -> None:
    simulation = Simulation(1)
    simulation.configure("r2", certified("r2", [peer("r1", ppk=PpkName("ppk", is_mandatory=one))]))
    simulation.configure("r1", certified("r1", [peer("r2", ppk=PpkName("ppk", is_mandatory=other))]))
    simulation.run(5)
    assert simulation.agree()
    assert simulation["r1"].snapshot("r2", simulation.now).ike_sas[0].uses_ppk
    assert simulation["r2"].snapshot("r1", simulation.now).ike_sas[0].uses_ppk


def test_a_ppk_that_one_side_insists_on_and_the_other_lacks() -> None:
    simulation = Simulation(1)
    simulation.configure("r2", certified("r2", [peer("r1")]))
    simulation.configure("r1", certified("r1", [peer("r2", ppk=PpkName("ppk", is_mandatory=True))]))
    simulation.run(30)
    error = simulation["r1"].association("r2", BGP, simulation.now).last_error
    assert error is not None
    assert "post-quantum pre-shared key, which is required" in error


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "certificate is missing": ({"local_authentication": CertificateName("x")}, {}, "certificate x is missing"),
    "certificate names somebody else": (
        {"local_authentication": CertificateName("own")},
        {"local_identity": Identity.parse("fqdn", "r7.example.net")},
        "does not name our identity fqdn:r7.example.net",
    ),
    "anchor is missing": ({"remote_authentication": TrustAnchorNames(("x",))}, {}, "trust anchor x is missing"),
    "no anchor": ({"remote_authentication": TrustAnchorNames(())}, {}, "at least one trust anchor"),
    "a key-id in a certificate": (
        {"remote_authentication": TrustAnchorNames(("root",)), "remote_identity": Identity.parse("key-id", "0a")},
        {},
        "a key-id is never in a certificate",
    ),
    "PPK is missing": ({"ppk": PpkName("x", is_mandatory=False)}, {}, "post-quantum pre-shared key x is missing"),
    "PPK is empty": (
        {"ppk": PpkName("ppk", is_mandatory=False)},
        {"ppks": {"ppk": replace(PPK, secret=Secret(b""))}},
        "post-quantum pre-shared key ppk is empty",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_used_is_refused_when_it_is_configured(case: str) -> None:
    of_peer, of_router, says = REFUSED[case]
    simulation = Simulation(1, ("r1",))
    with pytest.raises(EngineRefusal, match=says) as refusal:
        simulation["r1"].engine.prepare(certified("r1", [peer("r2", **of_peer)], **of_router))
    assert refusal.value.peer == "r2"


# -- certificates that end -------------------------------------------------------------------------------------------


WARNINGS = (*DEFAULT_EXPIRY_WARNINGS, AT_THE_END)


def warnings(simulation: Simulation, name: str) -> list[tuple[str | None, str | None, str | None]]:
    """Return whose certificates a router was told about, in order."""
    return [
        (event.certificate, event.trust_anchor, event.peer)
        for event in simulation[name].happened(CertificateExpiring)
        if isinstance(event, CertificateExpiring)
    ]


def test_a_certificate_is_told_of_in_time_and_at_its_end() -> None:
    end = BASE + 31 * DAY
    simulation = Simulation(1, ("r1",))
    simulation.configure("r1", certified("r1", [], certificate("r1", end=end)))
    assert warnings(simulation, "r1") == []
    moments = []
    for _ in WARNINGS:
        seen = len(simulation["r1"].events)
        assert simulation.run_until(lambda seen=seen: len(simulation["r1"].events) > seen, 31 * 86_400)  # type: ignore[misc]
        moments.append(end - simulation["r1"].at(simulation.now).wall)
    assert moments == list(WARNINGS)
    assert warnings(simulation, "r1") == [("own", None, None)] * len(WARNINGS)
    event = simulation["r1"].happened(CertificateExpiring)[-1]
    assert isinstance(event, CertificateExpiring)
    assert (event.subject, event.expires_at) == ("CN=r1.example.net,C=XX", end)
    simulation.run(100 * 86_400)
    assert len(warnings(simulation, "r1")) == len(WARNINGS)


def test_a_civil_clock_that_is_slow_is_waited_for() -> None:
    """It drifts by less than what counts as having been set."""
    engine = Router("r1", 1).engine
    end = BASE + 31 * DAY
    engine.apply(engine.prepare(certified("r1", [], certificate("r1", end=end))), Instant(0.0, BASE))
    due = engine.next_timer() or 0.0
    assert due == pytest.approx(86_400)
    slow = Instant(due, BASE + DAY - timedelta(seconds=0.5))
    engine.handle_timer(slow)
    assert engine.events() == []
    assert engine.next_timer() == pytest.approx(due + 0.5)


def test_what_is_late_already_is_told_once() -> None:
    simulation = Simulation(1, ("r1",))
    wanted = certified("r1", [], certificate("r1", end=BASE + 2 * DAY))
    simulation.configure("r1", wanted)
    simulation.configure("r1", replace(wanted, peers={}))
    assert warnings(simulation, "r1") == [("own", None, None)]


def test_trust_anchors_and_what_peers_have_shown_are_told_of_as_well() -> None:
    old_root = make_authority("old root", key_number=3, not_before=BASE - DAY, not_after=BASE + 5 * DAY)
    simulation = Simulation(1)
    simulation.configure("r2", certified("r2", [peer("r1", **BY_CERTIFICATE)]))
    r1 = certified("r1", [peer("r2", **BY_CERTIFICATE)], certificate("r1", end=BASE + 20 * DAY))
    simulation.configure("r1", replace(r1, trust_anchors={**r1.trust_anchors, "old": (old_root.certificate,)}))
    simulation.run(5)
    assert sorted(warnings(simulation, "r1"), key=str) == [("own", None, None), (None, "old", None)]
    assert warnings(simulation, "r2") == [(None, None, "r1")]


def revocation_list(next_update: datetime | None) -> RevocationList:
    # No builder makes one without a time; the engine is not asked to read it.
    return replace(
        RevocationList.load(
            x509.CertificateRevocationListBuilder()
            .issuer_name(ROOT.certificate.subject)
            .last_update(BASE - DAY)
            .next_update(next_update or BASE)
            .sign(ROOT.handle, hashes.SHA256())
            .public_bytes(Encoding.PEM)
        ),
        next_update=next_update,
    )


def test_a_revocation_list_is_told_of_when_the_next_one_is_due() -> None:
    due = BASE + 3 * DAY
    simulation = Simulation(1, ("r1",))
    lists = {"daily": revocation_list(due), "without a time": revocation_list(None)}
    wanted = certified("r1", [], revocation_lists=lists)
    simulation.configure("r1", wanted)
    assert dict(simulation["r1"].engine.certificate_watch.lists_due()) == {"daily": due}
    simulation.run(3 * 86_400 - 1)
    assert simulation["r1"].happened(RevocationListOverdue) == []
    simulation.run(30 * 86_400)
    told = [RevocationListOverdue("daily", "CN=root,C=XX", due)]
    assert simulation["r1"].happened(RevocationListOverdue) == told
    # One that takes its place is another one.
    simulation.configure("r1", replace(wanted, revocation_lists={"daily": revocation_list(BASE + 60 * DAY)}))
    simulation.run(60 * 86_400)
    told.append(replace(told[0], next_update=BASE + 60 * DAY))
    assert simulation["r1"].happened(RevocationListOverdue) == told


def test_a_certificate_that_has_left_the_configuration_is_not_told_of() -> None:
    simulation = Simulation(1, ("r1",))
    simulation.configure("r1", certified("r1", [], certificate("r1", end=BASE + 40 * DAY)))
    simulation.configure("r1", certified("r1", [], certificates={}))
    simulation.run(60 * 86_400)
    assert warnings(simulation, "r1") == []

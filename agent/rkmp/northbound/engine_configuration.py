"""From the validated subtree ``/rkmp`` to what the engine is configured with, one frozen object for each list entry.

Each function reads one container or entry and nothing outside of it, so that an entry which did not change needs not
be read again. Values that their YANG types admit and that still mean nothing raise RpcError with the leaf's path.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from cryptography import x509

from rkmp.crypto.certificate_paths import TrustAnchors
from rkmp.crypto.certificates import load_certificates
from rkmp.crypto.credentials import CertificateCredential
from rkmp.crypto.revocation import RevocationList
from rkmp.crypto.signature_keys import CredentialError, load_private_key
from rkmp.crypto.suites import (
    ENCRYPTION_BY_NAME,
    HYBRID_IKE_PROPOSALS,
    INTEGRITY_BY_NAME,
    KEY_EXCHANGE_BY_NAME,
    PRF_BY_NAME,
    IkeProposal,
    choose_suite,
    wire_proposals,
)
from rkmp.datastore.defaults import Instance
from rkmp.datastore.schema import Schema
from rkmp.engine.algorithms import NO_KDF
from rkmp.engine.configuration import (
    AssociationConfiguration,
    AtExpiry,
    CertificateName,
    Childless,
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
from rkmp.ike import AuthenticationMethod, Identity, IdentityPattern, Retransmission
from rkmp.ike.post_quantum import PPK_ID_FIXED
from rkmp.northbound.names import Rkmp
from rkmp.northbound.reading import boolean, container, instance_error, invalid_value, number, optional_boolean, value
from rkmp.northbound.values import (
    ADDITIONAL_KEY_EXCHANGES,
    AUTH_ALGORITHMS,
    IGNORE_TCP_OPTIONS,
    LDP_AUTH_ALGORITHMS,
    TCP_AO_KDFS,
    code_point,
    routing_protocol_number,
    secret,
)
from rkmp.secret import Secret
from rkmp.wire import CodePoints


@dataclass(frozen=True, slots=True)
class EntryReaders:
    """What reads each list of ``/rkmp``; the entries of other nodes are read together, as the globals."""

    schema: Schema

    def listener(self, entry: Instance) -> Listener:
        """Read an entry of ``listen``."""
        return Listener(
            name=value(entry, Rkmp.NAME),
            address=address(value(entry, Rkmp.ADDRESS)),
            port=int(value(entry, Rkmp.PORT)),
            nat_port=number(entry, Rkmp.NAT_PORT),
        )

    def pre_shared_key(self, entry: Instance) -> Secret:
        """Read an entry of ``pre-shared-key``."""
        notation = container(entry, Rkmp.SECRET)
        return secret(notation.value(Rkmp.KEYSTRING), notation.value(Rkmp.HEXADECIMAL_STRING))

    def certificate(self, entry: Instance) -> CertificateCredential:
        """Read an entry of ``certificate``. Raises RpcError where it cannot be used."""
        try:
            key = load_private_key(Secret(value(entry, Rkmp.PRIVATE_KEY).encode()))
        except CredentialError as error:
            raise invalid_value(self.schema, entry, Rkmp.PRIVATE_KEY, str(error)) from None
        try:
            return CertificateCredential.of(load_certificates(value(entry, Rkmp.CHAIN).encode()), key)
        except CredentialError as error:
            raise invalid_value(self.schema, entry, Rkmp.CHAIN, str(error)) from None

    def trust_anchor(self, entry: Instance) -> tuple[x509.Certificate, ...]:
        """Read an entry of ``trust-anchor``. Raises RpcError where it cannot be used."""
        try:
            certificates = load_certificates(value(entry, Rkmp.CERTIFICATE).encode())
            TrustAnchors(certificates)
        except CredentialError as error:
            raise invalid_value(self.schema, entry, Rkmp.CERTIFICATE, str(error)) from None
        return certificates

    def revocation_list(self, entry: Instance) -> RevocationList:
        """Read an entry of ``revocation-list``. Raises RpcError where it cannot be used."""
        try:
            return RevocationList.load(value(entry, Rkmp.CRL).encode())
        except CredentialError as error:
            raise invalid_value(self.schema, entry, Rkmp.CRL, str(error)) from None

    def ppk(self, entry: Instance) -> PpkConfiguration:
        """Read an entry of ``ppk``."""
        notation = container(entry, Rkmp.SECRET)
        return PpkConfiguration(
            identifier=bytes((PPK_ID_FIXED,)) + value(entry, Rkmp.ID).encode("ascii"),
            secret=secret(notation.value(Rkmp.KEYSTRING), notation.value(Rkmp.HEXADECIMAL_STRING)),
        )

    def ike_policy(self, entry: Instance) -> IkePolicy:
        """Read an entry of ``ike-policy``."""
        retransmission = container(entry, Rkmp.RETRANSMISSION)
        numbered = {int(value(each, Rkmp.NUMBER)): self._ike_proposal(each) for each in entry.entries(Rkmp.PROPOSAL)}
        return IkePolicy(
            name=value(entry, Rkmp.NAME),
            proposals=tuple(numbered[number] for number in sorted(numbered)) or HYBRID_IKE_PROPOSALS,
            lifetime=int(value(entry, Rkmp.LIFETIME)),
            retain_ike_sa=boolean(entry, Rkmp.RETAIN_IKE_SA),
            retransmission=Retransmission(
                initial_timeout=float(value(retransmission, Rkmp.INITIAL_TIMEOUT)),
                backoff=float(value(retransmission, Rkmp.BACKOFF)),
                tries=int(value(retransmission, Rkmp.TRIES)),
            ),
            liveness_interval=int(value(entry, Rkmp.LIVENESS_INTERVAL)),
            fragmentation=boolean(entry, Rkmp.FRAGMENTATION),
            datagram_size=number(entry, Rkmp.DATAGRAM_SIZE),
            childless=Childless(value(entry, Rkmp.CHILDLESS)),
            nat=NatPolicy(value(entry, Rkmp.NAT)),
            allow_sha1=boolean(entry, Rkmp.ALLOW_SHA1_SIGNATURES),
        )

    def _ike_proposal(self, entry: Instance) -> IkeProposal:
        further = {int(value(each, Rkmp.NUMBER)): each for each in entry.entries(Rkmp.FURTHER_KEY_EXCHANGE)}
        additional = [
            entry.values(Rkmp.ADDITIONAL_KEY_EXCHANGE),
            *(further[number].values(Rkmp.METHOD) for number in sorted(further)),
        ]
        proposal = IkeProposal(
            encryption=tuple(ENCRYPTION_BY_NAME[name] for name in entry.values(Rkmp.ENCRYPTION)),
            integrity=tuple(INTEGRITY_BY_NAME[name] for name in entry.values(Rkmp.INTEGRITY)),
            prf=tuple(PRF_BY_NAME[name] for name in entry.values(Rkmp.PRF)),
            key_exchange=tuple(KEY_EXCHANGE_BY_NAME[name] for name in entry.values(Rkmp.KEY_EXCHANGE)),
            additional_key_exchanges=tuple(
                tuple(ADDITIONAL_KEY_EXCHANGES[name] for name in methods) for methods in additional if methods
            ),
        )
        if choose_suite((proposal,), wire_proposals((proposal,))) is None:
            reason = "nobody could choose from the proposal: additional key exchanges must not repeat a method"
            raise instance_error(self.schema, entry, reason)
        return proposal

    def proposal(self, entry: Instance) -> ProposalConfiguration:
        """Read an entry of ``proposal``."""
        security_protocol = SecurityProtocol(value(entry, Rkmp.SECURITY_PROTOCOL))
        read = _hello_transform if security_protocol is SecurityProtocol.LDP_DISCOVERY else _transform
        return ProposalConfiguration(
            name=value(entry, Rkmp.NAME),
            transforms=tuple(read(each) for each in entry.entries(Rkmp.TRANSFORM)),
            security_protocol=security_protocol,
        )

    def peer(self, entry: Instance) -> PeerConfiguration:
        """Read an entry of ``peer``; ``description`` is the operator's own."""
        authentication = container(entry, Rkmp.AUTHENTICATION)
        local, remote = container(authentication, Rkmp.LOCAL), container(authentication, Rkmp.REMOTE)
        peer_address = address(value(entry, Rkmp.ADDRESS))
        associations = (_association(each, peer_address) for each in entry.entries(Rkmp.ASSOCIATION))
        return PeerConfiguration(
            name=value(entry, Rkmp.NAME),
            address=peer_address,
            ike_policy=value(entry, Rkmp.IKE_POLICY),
            local_authentication=_local_authentication(local),
            remote_authentication=_remote_authentication(remote),
            associations={association.protocol: association for association in associations},
            port=int(value(entry, Rkmp.PORT)),
            enabled=boolean(entry, Rkmp.ENABLED),
            listener=entry.value(Rkmp.LISTEN),
            initiate=Initiate(value(entry, Rkmp.INITIATE)),
            remote_identity=self.identity(remote.container(Rkmp.IDENTITY)),
            accepted_identities=tuple(self._identity_pattern(each) for each in remote.entries(Rkmp.ACCEPTED_IDENTITY)),
            ppk=_ppk(authentication.container(Rkmp.PPK)),
            non_esp_marker=optional_boolean(entry, Rkmp.NON_ESP_MARKER),
        )

    def identity(self, identity: Instance | None) -> Identity | None:
        """Read the presence container of an identity; None where it is absent. Raises RpcError."""
        if identity is None:
            return None
        try:
            return Identity.parse(value(identity, Rkmp.TYPE), value(identity, Rkmp.VALUE))
        except ValueError as error:
            raise invalid_value(self.schema, identity, Rkmp.VALUE, str(error)) from None

    def _identity_pattern(self, entry: Instance) -> IdentityPattern:
        try:
            return IdentityPattern.parse(value(entry, Rkmp.TYPE), value(entry, Rkmp.VALUE))
        except ValueError as error:
            raise invalid_value(self.schema, entry, Rkmp.VALUE, str(error)) from None

    def code_points(self, numbers: Instance) -> CodePoints:
        """Read ``code-points``."""
        return CodePoints(
            tcp_ao_protocol=int(value(numbers, Rkmp.TCP_AO_PROTOCOL_ID)),
            ldp_discovery_protocol=int(value(numbers, Rkmp.LDP_DISCOVERY_PROTOCOL_ID)),
            traffic_selector_type=int(value(numbers, Rkmp.TRAFFIC_SELECTOR_TYPE)),
        )


def private_algorithms(numbers: Instance) -> dict[tuple[int, int], str]:
    """Read the entries of ``private-algorithm``: what pairs of Auth Alg and KDF stand for."""
    return {
        (int(value(each, Rkmp.AUTH_ALG)), int(value(each, Rkmp.KDF))): value(each, Rkmp.ALGORITHM)
        for each in numbers.entries(Rkmp.PRIVATE_ALGORITHM)
    }


def address(text: str) -> str:
    """Return an address as RFC 5952 writes it, so that equal addresses are equal strings.

    Of an IPv4 address the model admits no other form.
    """
    return str(ip_address(text)) if ":" in text else text


def _local_authentication(local: Instance) -> PreSharedKeyName | CertificateName:
    if value(local, Rkmp.METHOD) == AuthenticationMethod.CERTIFICATE.value:
        first, *others = local.values(Rkmp.CERTIFICATE)
        return CertificateName(first, tuple(others))
    return PreSharedKeyName(value(local, Rkmp.PRE_SHARED_KEY))


def _remote_authentication(remote: Instance) -> PreSharedKeyName | TrustAnchorNames:
    if value(remote, Rkmp.METHOD) == AuthenticationMethod.CERTIFICATE.value:
        return TrustAnchorNames(remote.values(Rkmp.TRUST_ANCHOR))
    return PreSharedKeyName(value(remote, Rkmp.PRE_SHARED_KEY))


def _ppk(named: Instance | None) -> PpkName | None:
    if named is None:
        return None
    return PpkName(value(named, Rkmp.NAME), is_mandatory=boolean(named, Rkmp.MANDATORY))


def _transform(entry: Instance) -> TransformConfiguration:
    return TransformConfiguration(
        name=value(entry, Rkmp.NAME),
        auth_alg=code_point(value(entry, Rkmp.AUTH_ALG), AUTH_ALGORITHMS),
        kdf=code_point(value(entry, Rkmp.KDF), TCP_AO_KDFS),
        ignore_tcp_options=IGNORE_TCP_OPTIONS in value(entry, Rkmp.FLAGS).split(),
        send_id=number(entry, Rkmp.SEND_ID),
    )


def _hello_transform(entry: Instance) -> TransformConfiguration:
    return TransformConfiguration(
        name=value(entry, Rkmp.NAME),
        auth_alg=LDP_AUTH_ALGORITHMS[value(entry, Rkmp.AUTH_ALG)],
        kdf=NO_KDF,
        send_id=number(entry, Rkmp.SEND_ID),
    )


def _association(entry: Instance, peer_address: str) -> AssociationConfiguration:
    neighbor = entry.value(Rkmp.NEIGHBOR)
    return AssociationConfiguration(
        protocol=routing_protocol_number(value(entry, Rkmp.PROTOCOL)),
        neighbor=peer_address if neighbor is None else address(neighbor),
        proposals=entry.values(Rkmp.PROPOSAL),
        enabled=boolean(entry, Rkmp.ENABLED),
        key_lifetime=int(value(entry, Rkmp.KEY_LIFETIME)),
        rollover_lead=number(entry, Rkmp.ROLLOVER_LEAD),
        overlap=number(entry, Rkmp.OVERLAP),
        perfect_forward_secrecy=boolean(entry, Rkmp.PERFECT_FORWARD_SECRECY),
        at_expiry=AtExpiry(value(entry, Rkmp.AT_EXPIRY)),
        longest_extension=number(entry, Rkmp.LONGEST_EXTENSION),
    )

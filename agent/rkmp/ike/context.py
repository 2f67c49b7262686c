"""What an IKE SA knows, for its exchanges to read. Only the IKE SA itself writes here, once all is validated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rkmp.crypto.ike_keys import IkeKeys
from rkmp.crypto.intermediate import int_auth
from rkmp.crypto.suites import IkeSuite
from rkmp.ike.announcements import NOTHING_AGREED, Announcements
from rkmp.ike.child_sa import ChildSa
from rkmp.ike.collisions import Nonces
from rkmp.ike.events import Role
from rkmp.ike.identity import Identity
from rkmp.ike.nat_detection import Nat
from rkmp.ike.observation import Observer
from rkmp.ike.path import Path, message_limit
from rkmp.ike.policy import Policy
from rkmp.ike.settings import IkeSettings
from rkmp.instant import Random
from rkmp.value import value
from rkmp.wire import CodePoints

if TYPE_CHECKING:
    from rkmp.ike.exchanges.exchange import Exchange
    from rkmp.ike.rekeying import Rekeying


@value
class IkeSaSecrets:
    """What IKE_SA_INIT, or the rekeying of another IKE SA, brings: the peer's SPI, the suite, the keys and the nonces.

    ``remote_code_points`` are those of the peer's Vendor ID, None if it sent none. ``agreed`` is what both sides
    announced. ``nat`` is what IKE_SA_INIT has shown of address translation, None where it has shown nothing.
    ``key_exchanges_done`` are those after the first, each of which has changed the keys.
    """

    remote_spi: bytes
    suite: IkeSuite
    keys: IkeKeys
    nonce_i: bytes
    nonce_r: bytes
    remote_code_points: CodePoints | None
    agreed: Announcements = NOTHING_AGREED
    nat: Nat | None = None
    key_exchanges_done: int = 0

    @property
    def next_key_exchange(self) -> int | None:
        """The method of the key exchange that is to be done in IKE_INTERMEDIATE; None where all are done."""
        return next(iter(self.suite.additional_key_exchanges[self.key_exchanges_done :]), None)

    @property
    def nonces(self) -> Nonces:
        """Both nonces, for the rule of RFC 7296 2.8.1."""
        return self.nonce_i, self.nonce_r


@dataclass(frozen=True, slots=True)
class Intermediate:
    """What AUTH signs of the IKE_INTERMEDIATE messages of both sides so far (RFC 9242 3.3.2).

    ``of_initiator`` and ``of_responder`` are IntAuth_i and IntAuth_r, ``exchanges`` how many there were.
    """

    of_initiator: bytes = b""
    of_responder: bytes = b""
    exchanges: int = 0

    @property
    def signed_octets(self) -> bytes:
        """IntAuth, empty where there was no such exchange."""
        if not self.exchanges:
            return b""
        # IKE_SA_INIT has Message ID 0, and IKE_AUTH comes after all of these.
        return int_auth(self.of_initiator, self.of_responder, self.exchanges + 1)


NO_INTERMEDIATE = Intermediate()


@dataclass(slots=True)
class Context:
    """The knowledge of one IKE SA.

    SPIs are 8 octets, the remote one all zero until it is known. ``init_request`` and ``init_response`` are the
    IKE_SA_INIT messages as they travelled, which AUTH signs; empty again once it has. ``intermediate`` is what it signs
    of IKE_INTERMEDIATE. ``children`` are keyed by the
    KeyID that we announced; ``being_deleted`` holds the keys of those for which a Delete of ours waits or is under
    way. ``outstanding`` is our exchange under way, ``made_meanwhile`` are the children that the peer has made since it
    was begun, even if they are gone again. ``may_be_disputed``: as responder, IKE_AUTH is the last request that
    was answered, so that the initiator may still complain about it (RFC 7296 2.21.2). ``children_outlive_it``: another
    IKE SA carries on with the children, which all IKE SAs of a lineage share. ``rival`` are the nonces with which the
    peer has rekeyed the IKE SA while we are at it, ``rekeying`` what it has begun and is to go on with. ``path`` is
    where its datagrams travel, as far as anybody has said. ``observer`` watches, if anybody does.
    """

    role: Role
    settings: IkeSettings
    policy: Policy
    random: Random
    local_spi: bytes
    remote_spi: bytes = bytes(8)
    secrets: IkeSaSecrets | None = None
    init_request: bytes = b""
    init_response: bytes = b""
    intermediate: Intermediate = NO_INTERMEDIATE
    local_identity: Identity | None = None
    remote_identity: Identity | None = None
    children: dict[int, ChildSa] = field(default_factory=dict)
    being_deleted: set[int] = field(default_factory=set)
    outstanding: Exchange | None = None
    made_meanwhile: list[ChildSa] = field(default_factory=list)
    may_be_disputed: bool = False
    children_outlive_it: bool = False
    rival: Nonces | None = None
    rekeying: Rekeying | None = None
    path: Path | None = None
    observer: Observer | None = None

    @property
    def is_initiator(self) -> bool:
        """Whether we are the original initiator of the IKE SA."""
        return self.role is Role.INITIATOR

    @property
    def initiator_spi(self) -> bytes:
        """The original initiator's SPI."""
        return self.local_spi if self.is_initiator else self.remote_spi

    @property
    def responder_spi(self) -> bytes:
        """The original responder's SPI."""
        return self.remote_spi if self.is_initiator else self.local_spi

    @property
    def negotiated(self) -> IkeSaSecrets:
        """What IKE_SA_INIT brought; only to be asked for afterwards."""
        if self.secrets is None:
            raise AssertionError("IKE_SA_INIT is not done")
        return self.secrets

    @property
    def peer(self) -> Identity:
        """The authenticated peer; only to be asked for afterwards."""
        if self.remote_identity is None:
            raise AssertionError("the peer is not authenticated")
        return self.remote_identity

    @property
    def send_ids_in_use(self) -> set[int]:
        """The KeyIDs that we have announced, for children there are or by the request under way."""
        announced = self.outstanding.announced_send_ids if self.outstanding is not None else ()
        return {*self.children, *announced}

    @property
    def may_learn_of_children(self) -> bool:
        """Whether our request under way asks for a child, which the peer may have made and we not heard of yet."""
        return self.outstanding is not None and bool(self.outstanding.announced_send_ids)

    @property
    def fragment_limit(self) -> int | None:
        """The octets of a message above which it is sent in fragments; None where the peer knows none."""
        if self.secrets is None or not self.secrets.agreed.fragmentation:
            return None
        return message_limit(self.settings.datagram_size, self.path)

    @property
    def is_rekeying(self) -> bool:
        """Whether our request under way is to rekey the IKE SA."""
        return self.outstanding is not None and self.outstanding.rekeys_ike_sa

    def child_of_peer(self, protocol_id: int, spi: bytes) -> ChildSa | None:
        """Return the child that the peer names by the identifier which it announced for it (G13), or None."""
        for child in self.children.values():
            if (child.security_protocol, child.peer_spi) == (protocol_id, spi):
                return child
        return None

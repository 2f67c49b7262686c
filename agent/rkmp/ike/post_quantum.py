"""Post-quantum pre-shared keys in IKE_AUTH: which keys of the IKE SA are used, and which AUTH counts (RFC 8784).

A PPK is mixed into SK_d, SK_pi and SK_pr once both sides know which it is. Where it is optional the initiator sends
AUTH twice, with the PPK and without, and the responder takes what it can.
"""

from __future__ import annotations

from collections.abc import Sequence

from rkmp.crypto.ike_keys import IkeKeys, ike_keys_with_ppk
from rkmp.ike.authentication import Evidence, NotAuthenticated
from rkmp.ike.context import Context
from rkmp.ike.events import AuthenticationFailure
from rkmp.ike.identity import Identity
from rkmp.ike.occurrence import notify_of
from rkmp.ike.policy import Ppk
from rkmp.wire import Authentication, NotifyType, Payload

PPK_ID_FIXED = 2
"""The type octet with which a PPK_ID begins that is configured at both sides (5.1)."""


def ppk_to_use(context: Context) -> Ppk | None:
    """Return the PPK that we, the initiator, try; None where not both sides have any."""
    if not context.negotiated.agreed.has_ppks:
        return None
    return next(iter(context.policy.expectations().ppks), None)


def keys_with(context: Context, ppk: Ppk | None) -> IkeKeys:
    """Return the keys of the IKE SA, with ``ppk`` in them."""
    secrets = context.negotiated
    return secrets.keys if ppk is None else ike_keys_with_ppk(secrets.suite.prf, secrets.keys, ppk.secret)


def evidence_of_responder(
    context: Context, identity: Identity, ppk: Ppk | None, payloads: Sequence[Payload], proof: Authentication
) -> Evidence:
    """Return what the responder, in its answer with ``proof``, is to be judged by; ``ppk`` is what our request named.

    Raises NotAuthenticated where the responder goes on without a PPK on which we insist.
    """
    if ppk is not None and notify_of(NotifyType.PPK_IDENTITY, payloads) is not None:
        return Evidence(proof, keys_with(context, ppk), uses_ppk=True)
    if ppk is not None and ppk.is_mandatory:
        raise _required(identity, "goes on without the PPK, on which we insist")
    return Evidence(proof, keys_with(context, None), uses_ppk=False)


def evidence_of_initiator(
    context: Context, identity: Identity, ppk: Ppk | None, payloads: Sequence[Payload], proof: Authentication
) -> Evidence:
    """Return what the initiator, in its request with ``proof``, is to be judged by; ``ppk`` is ours with it.

    Section 3, table 1. Raises NotAuthenticated where the two sides have no PPK in common and one insists.
    """
    without = Evidence(proof, keys_with(context, None), uses_ppk=False)
    is_mandatory = ppk is not None and ppk.is_mandatory
    if not context.negotiated.agreed.has_ppks:
        if is_mandatory:
            raise _required(identity, "uses no PPK, and we insist on one")
        return without
    named = notify_of(NotifyType.PPK_IDENTITY, payloads)
    if named is None:
        raise _required(identity, "agreed to use a PPK and names none")
    if ppk is not None and named.data == ppk.identifier:
        return Evidence(proof, keys_with(context, ppk), uses_ppk=True)
    alternative = notify_of(NotifyType.NO_PPK_AUTH, payloads)
    if is_mandatory or alternative is None:
        insists = "we insist on another" if is_mandatory else "insists on it"
        reason = f"{identity} names a PPK that is not configured for it, and {insists}"
        raise NotAuthenticated(AuthenticationFailure.UNKNOWN_PPK, reason, identity)
    return Evidence(Authentication(proof.method, alternative.data), without.keys, uses_ppk=False)


def _required(identity: Identity, what: str) -> NotAuthenticated:
    return NotAuthenticated(AuthenticationFailure.PPK_REQUIRED, f"{identity} {what}", identity)

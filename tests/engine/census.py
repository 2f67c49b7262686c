"""What a router holds of state, and what of it belongs to nothing: for tests that nothing is left behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from rkmp.engine.conversation import Conversation
from rkmp.ike import Role
from tests.engine.simulation import Router


def leaks(router: Router) -> list[str]:
    """Return what the engine holds that no IKE SA, peer or negotiation which goes on accounts for."""
    engine, switchboard = router.engine, router.engine._switchboard
    conversations = switchboard._conversations
    alive = list(conversations.values())
    spis = {spi for conversation in alive for spi in conversation.ike_sa.local_spis}
    half_open = {key for key, each in conversations.items() if _is_half_open(each)}
    admission = switchboard._admission
    owned = {key for peer in engine._peers.values() for key in peer.conversations}
    claims: Mapping[str, Collection[object]] = {
        "SPIs that name nothing, or IKE SAs that nothing names": switchboard._by_spi.keys() ^ spis,
        "SPIs of IKE SAs that are gone": switchboard._spis_of.keys() ^ conversations.keys(),
        "first messages of IKE SAs that are gone": set(switchboard._opening_of) - conversations.keys(),
        "first messages without an IKE SA": set(switchboard._by_opening) ^ set(switchboard._opening_of.values()),
        "IKE SAs counted as half open": admission._half_open.keys() ^ half_open,
        "IKE SAs of peers that are gone from the engine": owned - conversations.keys(),
        "timers of nobody": engine._timers._deadlines.keys() - engine._peers.keys() - conversations.keys(),
        "IKE SAs with something left to say": engine._touched.keys(),
        "peers with something left to do": engine._stirred.keys(),
        "ended IKE SAs without an end to their memory": {
            key for key, each in conversations.items() if each.ike_sa.is_closed and each.ike_sa.next_timer() is None
        },
        "negotiations over IKE SAs that are gone": {
            (peer.name, association.protocol)
            for peer in engine._peers.values()
            for association in peer.associations.values()
            if association.attempt is not None and association.attempt.ike_sa not in conversations
        },
        "keys that wait for IKE SAs that are gone": {
            name
            for peer in engine._peers.values()
            for association in peer.associations.values()
            for name, waiting in association.confirmations.items()
            if waiting.ike_sa not in conversations or association.keys.get(name) is None
        },
    }
    found = [f"{router.name}: {what}: {sorted(map(str, which))}" for what, which in claims.items() if which]
    per_address = Counter(admission._half_open.values())
    if admission._of_address != per_address:
        found.append(f"{router.name}: half-open IKE SAs by address: {admission._of_address}, not {per_address}")
    return found


def holdings(router: Router) -> dict[str, int]:
    """Return how much the engine holds of each kind of state; without peers all of it has to be nothing."""
    engine, switchboard = router.engine, router.engine._switchboard
    return {
        "IKE SAs": len(switchboard._conversations),
        "SPIs": len(switchboard._by_spi) + len(switchboard._spis_of),
        "first messages": len(switchboard._by_opening) + len(switchboard._opening_of),
        "half-open IKE SAs": switchboard._admission.half_open + len(switchboard._admission._of_address),
        "timers": len(engine._timers),
        "things to do": len(engine._touched) + len(engine._stirred),
        "IKE SAs of peers": sum(len(peer.conversations) for peer in engine._peers.values()),
        "negotiations": sum(
            (association.attempt is not None) + len(association.confirmations) + association.is_asked_for
            for peer in engine._peers.values()
            for association in peer.associations.values()
        ),
    }


def at_rest(router: Router) -> list[str]:
    """Return what a router still has under way; together with :func:`leaks` that nothing but what serves is held."""
    engine = router.engine
    found = leaks(router)
    for conversation in engine._switchboard.all():
        tasks = conversation.ike_sa._core.tasks
        if not conversation.is_open or tasks.outstanding is not None or tasks.queued:
            found.append(f"{router.name}: an IKE SA that is {conversation.ike_sa.state.value} and not at rest")
        if len(conversation.ike_sa.local_spis) > 1:
            found.append(f"{router.name}: an IKE SA that others have replaced")
        if conversation.ike_sa._core.collections:
            found.append(f"{router.name}: fragments of a message that never came")
    for peer in engine._peers.values():
        for association in peer.associations.values():
            if association.attempt is not None or association.confirmations or association.is_asked_for:
                found.append(f"{router.name}: a negotiation for {association.protocol}")
    return found


def _is_half_open(conversation: Conversation) -> bool:
    is_answering = conversation.role is Role.RESPONDER
    return is_answering and conversation.established is None and not conversation.ike_sa.is_closed

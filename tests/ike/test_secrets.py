"""What is secret is shown nowhere: not in an event, a repr, a message, nor in an error."""

from __future__ import annotations

import dataclasses
import gc
import traceback

import pytest

from rkmp.ike import ChildKeysEstablished, IkeSa
from rkmp.secret import Secret
from tests.ike.network import LDP, Router, established, pair, request, settle


def secrets_of(router: Router) -> list[bytes]:
    """Return every secret that a router's newest IKE SA and its keys hold."""
    held = [router.psk.reveal(), router.peer_psk.reveal()]
    held += [key.reveal() for _, key in router.keys.values()]
    known = router.ike_sa._core.context.secrets
    assert known is not None
    held += [getattr(known.keys, field.name).reveal() for field in dataclasses.fields(known.keys)]
    return [octets for octets in held if octets]


def shown(value: object) -> str:
    return f"{value!r} {value!s}"


def busy() -> tuple[Router, Router]:
    alice, bob = established()
    alice.ike_sa.rekey_child(10, request(20, 21, pfs=True), 1.0)
    alice.ike_sa.create_child(request(30, 31, protocol=LDP), 1.0)
    alice.collect()
    settle(alice, bob, 1.0)
    assert len(alice.keys) == 3
    return alice, bob


def assert_hidden(texts: list[str], secrets: list[bytes]) -> None:
    text = "\n".join(texts)
    for octets in secrets:
        assert octets.hex() not in text
        assert repr(octets)[2:-1] not in text
        assert str(list(octets)) not in text


def test_events_hold_keys_as_secrets_only() -> None:
    alice, bob = busy()
    secrets = secrets_of(alice) + secrets_of(bob)
    assert_hidden([shown(event) for event in alice.events + bob.events], secrets)
    for event in alice.events + bob.events:
        for field in dataclasses.fields(event):
            value = getattr(event, field.name)
            assert isinstance(value, Secret) == (field.name == "master_key")
    assert all(
        isinstance(event.master_key, Secret) for event in alice.events if isinstance(event, ChildKeysEstablished)
    )


def test_nothing_that_an_ike_sa_consists_of_shows_a_secret() -> None:
    alice, bob = busy()
    secrets = secrets_of(alice) + secrets_of(bob)
    texts = []
    for router in (alice, bob):
        core = router.ike_sa._core
        context = core.context
        texts += [shown(part) for part in (router.ike_sa, core, core.protection, core.tasks, context.secrets)]
        texts += [shown(getattr(context, name)) for name in context.__slots__ if name != "policy"]
    assert_hidden(texts, secrets)


def test_no_secret_travels_in_the_clear() -> None:
    alice, bob = pair()
    alice.initiate(request())
    transcript = settle(alice, bob)
    on_the_wire = b"".join(transcript)
    for octets in secrets_of(alice):
        assert octets not in on_the_wire


def test_a_fault_of_ours_shows_no_secret() -> None:
    alice, bob = busy()
    secrets = secrets_of(alice) + secrets_of(bob)

    def chooses_nonsense(*_: object) -> object:
        raise RuntimeError("a bug in the layer above")

    bob.choose_child = chooses_nonsense  # type: ignore[method-assign, assignment]
    alice.ike_sa.create_child(request(40, 41, protocol=5), 2.0)
    alice.collect()
    with pytest.raises(RuntimeError) as fault:
        bob.receive(alice.sent()[0], 2.0)
    assert_hidden(traceback.format_exception(fault.value), secrets)


def test_a_closed_ike_sa_lets_go_of_its_keys() -> None:
    alice, bob = established()
    known = alice.ike_sa._core.context.secrets
    assert known is not None
    keys = known.keys
    del known
    alice.ike_sa.close("enough", 1.0)
    alice.collect()
    settle(alice, bob, 1.0)
    alice.events.clear()
    gc.collect()
    holders = [holder for holder in gc.get_referrers(keys) if not isinstance(holder, type(gc))]
    assert not any(isinstance(holder, IkeSa) for holder in holders)
    for router in (alice, bob):
        core = router.ike_sa._core
        assert core.protection is None
        assert core.context.secrets is None
        assert core.context.init_request == core.context.init_response == b""
        assert core.context.children == {}

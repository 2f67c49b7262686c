"""Events become lines of the log that an operator can read and nobody outside can forge."""

from __future__ import annotations

import dataclasses
import json
import logging
from datetime import UTC, datetime

import pytest

from rkmp.daemon.event_log import describe, log_engine_event, log_key_event
from rkmp.daemon.log import JsonFormatter
from rkmp.engine import events
from rkmp.engine.association_states import AssociationState
from rkmp.keytable import KeyEvent, KeyExtended, KeyExtensionEnded, KeyRemoved

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_change_of_state_is_one_line() -> None:
    change = events.AssociationStateChange(
        "r2", "bgp", AssociationState.IDLE, AssociationState.NEGOTIATING, "negotiation started"
    )
    assert describe(change) == (
        'association-state-change peer=r2 protocol=bgp before=idle after=negotiating reason="negotiation started"'
    )


def test_octets_are_hexadecimal_and_what_is_absent_is_left_out() -> None:
    assert describe(events.IkeSaDown("r2", bytes(8), "expired")) == (
        "ike-sa-down peer=r2 local-spi=0000000000000000 reason=expired"
    )
    assert describe(events.NegotiationFailure("r2", None, "lost", None)) == "negotiation-failure peer=r2 reason=lost"


def test_what_a_peer_calls_itself_cannot_add_a_line() -> None:
    failure = events.AuthenticationFailure(None, "192.0.2.1", "r2\n2026-01-01 INFO all=well", "no such peer")
    assert "\n" not in describe(failure)
    assert 'identity="r2\\n2026-01-01 INFO all=well"' in describe(failure)


def test_failures_are_warnings_and_answered_requests_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log_engine_event(events.NegotiationFailure("r2", "bgp", "no answer", None), NOW)
    log_engine_event(events.RolloverStarted("r2", "bgp", "key 1", "request"), NOW)
    log_engine_event(events.RequestCompleted(1, "key 2", None), NOW)
    log_key_event(KeyRemoved(NOW, "key 1", "bgp", ("192.0.2.1", "192.0.2.2"), "01", "02", "r2", "replaced"))
    assert [(record.levelname, record.getMessage().split()[0]) for record in caplog.records] == [
        ("WARNING", "negotiation-failure"),
        ("INFO", "rollover-started"),
        ("INFO", "key-removed"),
    ]
    assert 'peers="192.0.2.1,192.0.2.2"' in caplog.text


def test_a_certificate_that_expires_is_a_warning_that_says_when(caplog: pytest.LogCaptureFixture) -> None:
    expires_at = datetime(2026, 4, 1, tzinfo=UTC)
    log_engine_event(events.CertificateExpiring("own", None, None, "CN=r1", expires_at, 86_400), NOW)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    says = (
        'certificate-expiring certificate=own subject="CN=r1" expires-at=2026-04-01T00:00:00+00:00 seconds-left=86400'
    )
    assert record.getMessage() == says


def test_collectors_get_an_event_field_by_field(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log_key_event(KeyRemoved(NOW, "key 1", "bgp", ("192.0.2.1", "192.0.2.2"), "01", "02", "r2", "replaced"))
    log_engine_event(events.AuthenticationFailure(None, "192.0.2.1", "r2\nforged", "no such peer"), NOW)
    removed, failed = (json.loads(JsonFormatter().format(record)) for record in caplog.records)
    assert removed["event"] == "key-removed"
    assert (removed["peers"], removed["peer"]) == (["192.0.2.1", "192.0.2.2"], "r2")
    assert removed["level"] == "info"
    assert (failed["event"], failed["identity"], failed["level"]) == ("authentication-failure", "r2\nforged", "warning")
    assert "peer" not in failed


@pytest.mark.parametrize("kind", [*events.EngineEvent.__subclasses__(), *KeyEvent.__subclasses__()])
def test_no_field_of_an_event_hides_one_of_the_log(kind: type[events.EngineEvent | KeyEvent]) -> None:
    told = {field.name.replace("_", "-") for field in dataclasses.fields(kind)}
    assert not told & {"time", "level", "logger", "message", "traceback", "event"}


def test_every_event_of_the_engine_can_be_described() -> None:
    kinds = events.EngineEvent.__subclasses__()
    assert kinds
    for kind in kinds:
        assert describe(kind(**{field.name: "x" for field in dataclasses.fields(kind)}))


def test_a_key_that_is_used_past_its_lifetime_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    common = (NOW, "key 1", "bgp", ("192.0.2.2",), "01", "02", "r2")
    log_key_event(KeyExtended(*common, since=NOW))
    log_key_event(KeyExtensionEnded(*common))
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert caplog.records[0].getMessage().startswith("key-extended ")

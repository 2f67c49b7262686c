"""Every kind of bad request gets the answer of the RFCs, as ncclient reads it over SSH; and nothing is half done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from lxml import etree
from ncclient.operations import RPCError

from tests.netconf.agents import Fault, fault_of, faults_of, require_ok
from tests.netconf.errors.answers import ANSWERS
from tests.netconf.errors.cases import BASE, CASES, ZOO, edit, get_config, operation, zoo
from tests.netconf.errors.serving import ask, ask_all, client, served


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served() as found:
        yield found


@pytest.fixture(scope="module")
def replies(port: int) -> Mapping[str, etree._Element]:
    with client(port) as session:
        before = etree.tostring(ask(session, get_config())[0])
        found = ask_all(session, CASES)
        assert etree.tostring(ask(session, get_config())[0]) == before
    return found


def test_every_case_has_an_answer() -> None:
    assert CASES.keys() == ANSWERS.keys()


@pytest.mark.parametrize("name", CASES)
def test_the_answer_is_that_of_the_rfc(replies: Mapping[str, etree._Element], name: str) -> None:
    reply = replies[name]
    if ANSWERS[name]:
        assert tuple(faults_of(reply)) == ANSWERS[name]
    else:
        assert [child.tag for child in reply] in ([f"{{{BASE}}}ok"], [f"{{{BASE}}}data"])


def test_messages_are_those_of_the_module_where_it_has_one(replies: Mapping[str, etree._Element]) -> None:
    def message(name: str) -> str | None:
        return replies[name].findtext(f"{{{BASE}}}rpc-error/{{{BASE}}}error-message")

    assert message("pattern with error-message and error-app-tag") == "lower-case letters only"
    assert message("length with error-message") == "two to four characters"
    assert message("must with error-message and error-app-tag") == "the cage is too small"


def test_ncclient_raises_what_we_answer(port: int) -> None:
    with client(port) as session:
        session.raise_mode = 2
        with pytest.raises(RPCError) as refused:
            session.edit_config(
                target="running", config=f'<config xmlns="{BASE}"><zoo xmlns="{ZOO}"><open>1</open></zoo></config>'
            )
    assert (refused.value.tag, refused.value.path) == ("invalid-value", "/z:zoo/z:open")


# What needs a second session


def lock(name: str, verb: str = "lock") -> str:
    return operation(verb, f"<target><{name}/></target>")


DANGLING = zoo("<either>zz</either>").replace("<running/>", "<candidate/>")


def test_locks(port: int) -> None:
    with client(port) as holder, client(port) as other:
        held = (("session-id", holder.session_id),)
        require_ok(ask(holder, lock("running")))
        require_ok(ask(holder, lock("candidate")))
        in_use = Fault("protocol", "in-use", info=held)
        assert fault_of(ask(other, lock("running"))) == Fault("protocol", "lock-denied", info=held)
        assert fault_of(ask(holder, lock("running"))) == Fault("protocol", "lock-denied", info=held)
        for refused in (
            edit(""),
            edit("", target="candidate"),
            operation("commit"),
            operation("discard-changes"),
            operation("copy-config", "<target><running/></target><source><startup/></source>"),
        ):
            assert fault_of(ask(other, refused)) == in_use
        assert fault_of(ask(other, lock("running", "unlock"))) == Fault("protocol", "lock-denied", info=held)
        for name in ("running", "candidate"):
            require_ok(ask(holder, lock(name, "unlock")))
        # Another session's uncommitted changes.
        require_ok(ask(other, zoo("<motto>x</motto>").replace("<running/>", "<candidate/>")))
        assert fault_of(ask(holder, lock("candidate"))).tag == "lock-denied"
        require_ok(ask(other, operation("discard-changes")))


def test_candidates_that_are_not_valid(port: int) -> None:
    with client(port) as session:
        require_ok(ask(session, DANGLING))
        for name in ("commit", "validate"):
            content = "<source><candidate/></source>" if name == "validate" else ""
            fault = fault_of(ask(session, operation(name, content)))
            assert (fault.tag, fault.app_tag, fault.path) == ("data-missing", "instance-required", "/z:zoo/z:either")
        require_ok(ask(session, operation("discard-changes")))


def test_confirmed_commits_of_others(port: int) -> None:
    with client(port) as owner, client(port) as other:
        require_ok(ask(owner, operation("commit", "<confirmed/><persist>token</persist>")))
        wrong = Fault("protocol", "invalid-value", info=(("bad-element", "persist-id"),))
        for content in ("", "<persist-id>bogus</persist-id>"):
            assert fault_of(ask(other, operation("commit", content))) == wrong
            assert fault_of(ask(other, operation("cancel-commit", content))) == wrong
        require_ok(ask(other, operation("cancel-commit", "<persist-id>token</persist-id>")))
        require_ok(ask(owner, operation("commit", "<confirmed/>")))
        fault = fault_of(ask(other, operation("commit")))
        assert (fault.tag, fault.info) == ("in-use", (("session-id", owner.session_id),))
        require_ok(ask(owner, operation("cancel-commit")))


def test_subscribing_twice_and_killing_oneself(port: int) -> None:
    with client(port) as session:
        subscribe = '<create-subscription xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0"/>'
        require_ok(ask(session, subscribe))
        assert fault_of(ask(session, subscribe)) == Fault("protocol", "operation-failed")
        own = operation("kill-session", f"<session-id>{session.session_id}</session-id>")
        fault = fault_of(ask(session, own))
        assert (fault.tag, fault.info) == ("invalid-value", (("bad-element", "session-id"),))


def test_a_user_without_permissions(port: int) -> None:
    with client(port, "ann") as session:
        fault = fault_of(ask(session, zoo("<motto>x</motto>")))
        assert (fault.type, fault.tag, fault.path) == ("application", "access-denied", "/z:zoo/z:motto")
        for refused in (
            operation("kill-session", "<session-id>1</session-id>"),
            operation("delete-config", "<target><startup/></target>"),
        ):
            assert fault_of(ask(session, refused)).tag == "access-denied"
        # What may not be read is left out in silence.
        assert ask(session, get_config())[0].find(f".//{{{ZOO}}}safe") is None

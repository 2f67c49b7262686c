"""One NETCONF session of the command line, over ncclient: what the commands need of RFC 6241 and no more."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType

from lxml import etree
from ncclient.operations.errors import OperationError, TimeoutExpiredError
from ncclient.operations.rpc import RPCError
from ncclient.transport.errors import AuthenticationError, SessionCloseError, TransportError

from ncclient import manager
from rkmp.cli.credentials import KeyFile
from rkmp.cli.host_keys import EXIT_CONNECTION, verified_host_key
from rkmp.errors import CommandError

NETCONF = "urn:ietf:params:xml:ns:netconf:base:1.0"
YANG_1 = "urn:ietf:params:xml:ns:yang:1"
YANG_LIBRARY = "urn:ietf:params:xml:ns:yang:ietf-yang-library"
CANDIDATE = ":candidate"
CONFIRMED_COMMIT = ":confirmed-commit"
WRITABLE_RUNNING = ":writable-running"
ROLLBACK_ON_ERROR = ":rollback-on-error"
INTERLEAVE = ":interleave"
PATIENCE = 120.0
"""Seconds that an answer may take, unless it is said otherwise."""
EXIT_REFUSED = 1
EXIT_USAGE = 2


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect and as whom.

    With neither a ``key`` nor a ``password`` the keys of the SSH agent and of ~/.ssh are tried. ``host_key``, in
    base64, is insisted on when it is given.
    """

    host: str
    port: int
    user: str
    key: KeyFile | None
    password: str | None
    host_key: str | None = None
    strict_host_key: bool = False
    timeout: float = 30.0


class Refusal(CommandError):
    """The agent's rpc-errors: ``errors`` are pairs of what each says and the path that it is about, if it has one."""

    def __init__(self, errors: Sequence[tuple[str, str | None]]) -> None:
        super().__init__("\n".join(text for text, _ in errors), EXIT_REFUSED)
        self.errors = tuple(errors)


class Session:
    """An open session; use it as a context manager. Every method raises :class:`CommandError` when refused."""

    def __init__(self, target: Target) -> None:
        # ncclient and paramiko log what we report ourselves, with tracebacks.
        logging.getLogger("ncclient").setLevel(logging.CRITICAL)
        logging.getLogger("paramiko").setLevel(logging.CRITICAL)
        host_key = target.host_key or verified_host_key(
            target.host, target.port, timeout=target.timeout, strict=target.strict_host_key
        )
        try:
            self._manager = manager.connect_ssh(  # type: ignore[no-untyped-call]
                host=target.host,
                port=target.port,
                username=target.user,
                password=target.password,
                key_filename=target.key.name if target.key else None,
                hostkey_b64=host_key,
                allow_agent=target.key.is_with_agent if target.key else target.password is None,
                look_for_keys=target.key is None and target.password is None,
                timeout=target.timeout,
            )
        except AuthenticationError as error:
            raise CommandError(_not_accepted(target), EXIT_CONNECTION) from error
        except (TransportError, OSError) as error:
            raise CommandError(f"cannot open NETCONF to {target.host}: {error}", EXIT_CONNECTION) from error
        self.answer_within(PATIENCE)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        is_broken = isinstance(error, CommandError) and error.exit_status == EXIT_CONNECTION
        if is_broken or isinstance(error, KeyboardInterrupt):
            # Nobody would answer, or not before what the agent is still at work at.
            self._manager._session.close()  # noqa: SLF001 - ncclient's manager has no other name for it
        else:
            self.close()

    def close(self) -> None:
        """End the session; one that is already gone is fine."""
        try:
            self._manager.close_session()
        except (OperationError, TransportError, RPCError, OSError):
            self._manager._session.close()  # noqa: SLF001 - ncclient's manager has no other name for it

    @property
    def id(self) -> str:
        """The number that the agent gave to the session."""
        return str(self._manager.session_id)

    def answer_within(self, seconds: float) -> None:
        """Take the session for broken if an answer takes longer than that."""
        self._manager.timeout = seconds

    def supports(self, capability: str) -> bool:
        """Tell whether the agent announced ``capability``, given as ``:candidate`` or a whole URI."""
        return capability in self._manager.server_capabilities

    def get(self, *selections: etree._Element) -> etree._Element:
        """Return the ``data`` of a ``get`` with a subtree filter of ``selections``."""
        return self._data("get", _filter(selections))

    def get_config(self, source: str, *selections: etree._Element) -> etree._Element:
        """Return the ``data`` of a ``get-config`` of ``source``."""
        operation_source = etree.Element(f"{{{NETCONF}}}source")
        etree.SubElement(operation_source, f"{{{NETCONF}}}{source}")
        return self._data("get-config", operation_source, _filter(selections))

    def edit_config(self, target: str, config: etree._Element) -> None:
        """Merge ``config``, an element ``config`` of RFC 6241, into ``target``, all or nothing where the agent can."""
        option = "rollback-on-error" if self.supports(ROLLBACK_ON_ERROR) else None
        with _refusals():
            self._manager.edit_config(target=target, config=config, error_option=option)

    def commit(self) -> None:
        """Make the candidate the running configuration."""
        with _refusals():
            self._manager.commit()

    def validate(self, source: str) -> None:
        """Have the agent check ``source`` in full (RFC 6241 8.6)."""
        with _refusals():
            self._manager.validate(source=source)

    @contextmanager
    def locked(self, datastore: str) -> Iterator[None]:
        """Hold the lock of ``datastore`` (RFC 6241 7.5)."""
        with _refusals():
            self._manager.lock(datastore)
        try:
            yield
        finally:
            with _refusals():
                self._manager.unlock(datastore)

    @contextmanager
    def clean_candidate(self) -> Iterator[None]:
        """Hold the candidate's lock with the candidate equal to running; what is left uncommitted is discarded.

        Changes that somebody else has not committed yet are theirs: the agent then denies the lock (RFC 6241 7.5).
        """
        with self.locked("candidate"):
            try:
                yield
            finally:
                with _refusals():
                    self._manager.discard_changes()

    def modules(self) -> dict[str, str]:
        """Return the namespaces of the agent's modules by name, as its YANG library has them (RFC 8525)."""
        library = etree.Element(f"{{{YANG_LIBRARY}}}yang-library", nsmap={None: YANG_LIBRARY})
        found = self.get(library).iter(*(f"{{{YANG_LIBRARY}}}{kind}" for kind in ("module", "import-only-module")))
        modules = {
            module.findtext(f"{{{YANG_LIBRARY}}}name"): module.findtext(f"{{{YANG_LIBRARY}}}namespace")
            for module in found
        }
        return {name: namespace for name, namespace in modules.items() if name and namespace}

    def commit_until_confirmed(self, seconds: int, token: str | None = None) -> None:
        """Make the candidate the running configuration for ``seconds``, unless it is confirmed (RFC 6241 8.4).

        Whoever has the ``token`` can confirm it, or undo it at once, in any session; without one this session can, and
        its end undoes it.
        """
        with _refusals():
            self._manager.commit(confirmed=True, timeout=str(seconds), persist=token)

    def confirm(self, token: str | None = None) -> None:
        """Make a commit final that is to be confirmed by ``token``, or by this session."""
        with _refusals():
            self._manager.commit(persist_id=token)

    def cancel(self, token: str | None = None) -> None:
        """Undo a commit that is to be confirmed by ``token``, or by this session."""
        with _refusals():
            self._manager.cancel_commit(persist_id=token)

    def action(self, instance: etree._Element) -> etree._Element:
        """Invoke the YANG 1.1 action that ``instance`` points at; return the ``rpc-reply`` (RFC 7950 7.15)."""
        element = etree.Element(f"{{{YANG_1}}}action")
        element.append(instance)
        return self._invoke(element)

    def subscribe(self) -> None:
        """Ask for the notifications of the NETCONF stream (RFC 5277)."""
        with _refusals():
            self._manager.create_subscription()

    def replay(self, since: datetime, until: datetime) -> None:
        """Ask for the notifications that the agent has logged between two times; ``notificationComplete`` ends them."""
        with _refusals():
            self._manager.create_subscription(start_time=since.isoformat(), stop_time=until.isoformat())

    def next_notification(self, timeout: float) -> etree._Element | None:
        """Return the next ``notification`` element, or None after ``timeout`` seconds without one.

        Raises :class:`CommandError` when the agent has ended the session.
        """
        notification = self._manager.take_notification(timeout=timeout)
        if notification is not None:
            return etree.fromstring(notification.notification_xml.encode())
        if not self._manager.connected:
            raise CommandError("the agent ended the session", EXIT_CONNECTION)
        return None

    def _data(self, operation: str, *parameters: etree._Element | None) -> etree._Element:
        element = etree.Element(f"{{{NETCONF}}}{operation}")
        element.extend(parameter for parameter in parameters if parameter is not None)
        reply = self._invoke(element)
        data = reply.find(f"{{{NETCONF}}}data")
        if data is None:
            raise CommandError(f"the agent answered {operation} without data", EXIT_REFUSED)
        return data

    def _invoke(self, element: etree._Element) -> etree._Element:
        with _refusals():
            reply = self._manager.rpc(element)
        return etree.fromstring(reply.xml.encode())


def _not_accepted(target: Target) -> str:
    if target.password is not None:
        credentials, advice = "this password", "see that the user is there and may log in with a password"
    elif target.key is not None:
        credentials = "this key"
        advice = "see that the user is there, and that its public half is an authorized-key of that user"
    else:
        credentials = "any key of the SSH agent and of ~/.ssh"
        advice = "name a key with --key, load one with ssh-add, or use --password-stdin; and see that the user is there"
    return f"{target.host} port {target.port} does not accept {target.user} with {credentials}: {advice} (--user)"


def _filter(selections: tuple[etree._Element, ...]) -> etree._Element | None:
    if not selections:
        return None
    element = etree.Element(f"{{{NETCONF}}}filter", type="subtree")
    element.extend(selections)
    return element


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn what ncclient raises into messages an operator can act on."""
    try:
        yield
    except RPCError as error:
        raise Refusal(described(error)) from error
    except TimeoutExpiredError as error:
        raise CommandError("the agent did not answer in time", EXIT_CONNECTION) from error
    except (SessionCloseError, TransportError, OperationError, OSError) as error:
        raise CommandError(f"the session with the agent broke: {error}", EXIT_CONNECTION) from error


def described(error: RPCError) -> list[tuple[str, str | None]]:
    """Return the rpc-errors of a reply: of each its tag, message and path in words, and the path by itself."""
    errors = []
    # The attribute `errors` is only there for several; `errlist` is None for one.
    for one in error.errlist or [error]:
        path = one.path.strip() if one.path else None
        message = (one.message or "no reason given").strip()
        errors.append((f"{one.tag}: {message}{f' at {path}' if path else ''}", path))
    return errors

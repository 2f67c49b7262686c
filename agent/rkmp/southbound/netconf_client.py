"""A NETCONF session with a router, over ncclient: its key chains read, and changed in one transaction (RFC 6241).

Every method blocks, for the configured timeout at most all told, and runs in a thread of its own
(:mod:`rkmp.southbound.netconf_link`); all raise :class:`SouthboundError`, whose words never show a key.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta

import asyncssh
from lxml import etree
from ncclient.manager import Manager, make_device_handler
from ncclient.operations import RaiseMode
from ncclient.operations.errors import MissingCapabilityError, TimeoutExpiredError
from ncclient.operations.rpc import RPCError
from ncclient.transport.errors import AuthenticationError, SSHError, SSHUnknownHostError
from ncclient.transport.session import SessionListener
from ncclient.transport.ssh import SSHSession
from paramiko.pkey import PKey
from paramiko.ssh_exception import SSHException

from ncclient import NCClientError
from rkmp.errors import SouthboundError
from rkmp.secret import Secret
from rkmp.southbound import chain_documents, chain_plan
from rkmp.southbound.chain_documents import NETCONF_NAMESPACE, ChainEdit, RemoteChain
from rkmp.southbound.chain_keys import AES_KEY_WRAP, KEY_CHAIN_NAMESPACE, TCP_NAMESPACE, ChainTerms
from rkmp.southbound.configuration import NetconfServerConfiguration
from rkmp.southbound.foreign_words import shown

KEEPALIVE_SECONDS = 30
CONFIRM_SECONDS = 30
"""How much longer than a change may take a router waits before it goes back to the keys of before."""
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True)
_RSA = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")
_CAPABILITY = re.compile(r"(?P<namespace>[^?]+)\?(?:.*&)?module=(?P<module>[^&]+)")
_FEATURES = re.compile(r"[?&]features=([^&]*)")

BROKEN = (NCClientError, SSHException, OSError, EOFError, etree.LxmlError, AttributeError, ValueError)
"""What comes of a session that ends while it is used, or of a server that says what cannot be read.

ncclient then stumbles over what it has cleared already, and over octets that are no text.
"""

Plan = Callable[[RemoteChain | None, ChainTerms], ChainEdit]


class RouterClient:
    """A session with the server of ``configuration``; ``lost`` is called, in any thread, when an open one ends."""

    def __init__(self, configuration: NetconfServerConfiguration, lost: Callable[[], None]) -> None:
        # Both log messages word for word, keys included, and what we report ourselves, with tracebacks.
        logging.getLogger("ncclient").setLevel(logging.CRITICAL + 1)
        logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)
        self._configuration = configuration
        self._lost = lost
        self._session: _PinnedSession | None = None
        self._manager: Manager | None = None
        self._terms: ChainTerms | None = None
        self._deadline = 0.0
        self._is_abandoned = False

    @property
    def is_open(self) -> bool:
        """Whether there is a session that has not ended."""
        return self._manager is not None and bool(self._manager.connected)

    @property
    def terms(self) -> ChainTerms:
        """How keys are written for this router, once the session is open."""
        if self._terms is None:
            raise SouthboundError("there is no session")
        return self._terms

    def begin(self) -> None:
        """Start the clock for what comes, and open the session where there is none."""
        self._require_wanted()
        self._deadline = time.monotonic() + self._configuration.timeout
        if not self.is_open:
            with self._reported():
                self._open()

    def abandon(self) -> None:
        """Break the session off, from another thread; what it has begun and not committed, the server forgets."""
        self._is_abandoned = True
        transport = self._session.transport if self._session is not None else None
        if transport is not None:
            transport.close()

    def close(self) -> None:
        """Break the session off."""
        self.abandon()
        self._manager = None

    def read(self, chain: str) -> RemoteChain | None:
        """Return a key chain of the running configuration."""
        with self._reported():
            return self._chain(chain)

    def state(self, chain: str) -> RemoteChain | None:
        """Return a key chain and which of its keys it is sent with now, without their strings."""
        with self._reported():
            reply = self._ask().get(filter=_filter(chain_documents.selection(chain, with_keys=False)))
            return chain_documents.read_chain(_parsed(reply.data_xml), chain)

    def change(self, chain: str, plan: Plan) -> tuple[RemoteChain, ChainEdit | None]:
        """Do with the chain, under a lock, what ``plan`` says.

        Return the chain after that, and what was done; None when there was nothing to do.
        """
        secrets: list[Secret] = []
        with self._reported(secrets), self._locked() as target:
            before = self._chain(chain)
            edit = plan(before, self.terms)
            secrets += [key.secret for key in edit.puts if key.secret is not None]
            if before is not None and not chain_plan.difference(before, edit):
                return before, None
            remove = "remove" if self._can(":base:1.1") else "delete"
            config = chain_documents.written(chain, before, edit, self.terms.features, remove)
            options = {"error_option": "rollback-on-error"} if self._can(":rollback-on-error") else {}
            self._ask().edit_config(target=target, config=config, default_operation="merge", **options)
            return self._committed(chain, edit, target), edit

    def _committed(self, chain: str, edit: ChainEdit, target: str) -> RemoteChain:
        """Make an edit last once the running configuration has been seen to be as it should."""
        is_confirmed = target == "candidate" and self._can(":confirmed-commit")
        if is_confirmed:
            seconds = math.ceil(self._configuration.timeout) + CONFIRM_SECONDS
            self._ask().commit(confirmed=True, timeout=str(seconds))
        elif target == "candidate":
            self._ask().commit()
        after = self._chain(chain)
        wrong = chain_plan.unlike(after, edit)
        if wrong is not None:
            if is_confirmed:
                # Ends the session, with which the commit that is not confirmed is undone.
                self.close()
            raise SouthboundError(f"the server has taken key-id {wrong} of key chain {chain!r} for something else")
        if is_confirmed:
            self._ask().commit()
        return after or RemoteChain()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[str]:
        """Hold the locks for a change of the datastore whose name is yielded; leave nothing behind that was begun."""
        locks = ["running"]
        if self._can(":candidate"):
            locks = ["candidate", "running"]
        elif not self._can(":writable-running"):
            raise SouthboundError("the server has no configuration that can be written")
        held: list[str] = []
        try:
            for datastore in locks:
                self._ask().lock(datastore)
                held.append(datastore)
            yield locks[0]
        except BaseException:
            if "candidate" in held:
                self._undo("discard_changes")
            raise
        finally:
            for datastore in reversed(held):
                self._undo("unlock", datastore)

    def _undo(self, operation: str, *arguments: str) -> None:
        # Where not even this goes through, ending the session does the same.
        if not self.is_open:
            return
        try:
            getattr(self._ask(), operation)(*arguments)
        except (*BROKEN, SouthboundError):
            self.close()

    def _chain(self, chain: str) -> RemoteChain | None:
        selected = chain_documents.selection(chain, with_wrapping=AES_KEY_WRAP in self.terms.features)
        data = _parsed(self._ask().get_config("running", filter=_filter(selected)).data_xml)
        if chain_documents.wraps_strings(data):
            raise SouthboundError("the server takes keys encrypted with AES Key Wrap, by a key that the agent lacks")
        return chain_documents.read_chain(data, chain)

    def _ask(self) -> Manager:
        """Return ncclient's manager with what is left of the time as its timeout."""
        left = self._deadline - time.monotonic()
        if self._manager is None or not self._manager.connected:
            raise SouthboundError("the session has ended")
        if left <= 0:
            raise TimeoutExpiredError
        self._manager.timeout = left
        return self._manager

    def _can(self, capability: str) -> bool:
        return self._manager is not None and capability in self._manager.server_capabilities

    # Opening

    def _open(self) -> None:
        configuration = self._configuration
        # One after the other: with both, ncclient takes the password for the passphrase of the key.
        credentials = [each for each in (configuration.private_key, configuration.password) if each is not None]
        for credential in credentials:
            try:
                self._log_in(credential, is_key=credential is configuration.private_key)
                break
            except AuthenticationError:
                if credential is credentials[-1]:
                    raise
        try:
            self._terms = self._agreed()
        except BaseException:
            self.close()
            raise

    def _log_in(self, credential: Secret, *, is_key: bool) -> None:
        configuration = self._configuration
        handler = make_device_handler({})  # type: ignore[no-untyped-call]
        self._session = session = _PinnedSession(handler, configuration.host_keys)
        try:
            with _key_file(credential) if is_key else contextlib.nullcontext() as key_file:
                session.connect(  # type: ignore[no-untyped-call]
                    host=configuration.host,
                    port=configuration.port,
                    timeout=configuration.timeout,
                    username=configuration.user,
                    password=None if is_key else credential.reveal().decode(),
                    key_filename=key_file,
                    allow_agent=False,
                    look_for_keys=False,
                    hostkey_verify=not configuration.trusts_any_host_key,
                    keepalive=KEEPALIVE_SECONDS,
                )
            self._require_wanted()
            session.add_listener(_Ending(self._lost))  # type: ignore[no-untyped-call]
            self._manager = Manager(session, handler, raise_mode=RaiseMode.ERRORS)  # type: ignore[no-untyped-call]
        except BaseException:
            self._manager = None
            if session.transport is not None:
                session.close()  # type: ignore[no-untyped-call]
            raise

    def _require_wanted(self) -> None:
        if self._is_abandoned:
            raise SouthboundError("the session was given up")

    def _agreed(self) -> ChainTerms:
        """Return what the server supports; raises :class:`SouthboundError` where it has no key chains."""
        modules = _announced(list(self._ask().server_capabilities))
        if any(":yang-library:" in capability for capability in self._ask().server_capabilities):
            reply = self._ask().get(filter=_filter(*chain_documents.library_selection()))
            modules = {**modules, **chain_documents.library_features(_parsed(reply.data_xml))}
        if KEY_CHAIN_NAMESPACE not in modules:
            raise SouthboundError("the server does not have ietf-key-chain (RFC 8177)")
        has_tcp = "authentication" in modules.get(TCP_NAMESPACE, frozenset())
        return ChainTerms(
            features=modules[KEY_CHAIN_NAMESPACE] | ({TCP_NAMESPACE} if has_tcp else frozenset()),
            key_ids=self._configuration.key_ids,
            tolerance=timedelta(seconds=self._configuration.clock_tolerance),
        )

    # What went wrong

    @contextlib.contextmanager
    def _reported(self, secrets: Sequence[Secret] = ()) -> Iterator[None]:
        """Turn what ncclient and what is below it raise into words, and end the session unless it can go on."""
        where = f"{self._configuration.host} port {self._configuration.port}"
        try:
            yield
        except RPCError as error:
            raise SouthboundError(shown(f"the server refuses: {_described(error)}", secrets)) from None
        except SouthboundError:
            raise
        except AuthenticationError:
            user = self._configuration.user
            raise SouthboundError(f"{where} does not accept user {user!r} with these credentials") from None
        except SSHUnknownHostError:
            raise SouthboundError(f"{where} does not show a host key that is configured for it") from None
        except TimeoutExpiredError:
            self.close()
            raise SouthboundError(f"{where} does not answer within {self._configuration.timeout:g} s") from None
        except MissingCapabilityError as error:
            raise SouthboundError(f"the server lacks what it takes: {error}") from None
        except BROKEN as error:
            self.close()
            # The words of ncclient may quote what was received; those of the socket do not.
            said = f": {error.strerror or error}" if isinstance(error, OSError) else f" ({type(error).__name__})"
            if isinstance(error, SSHError) and str(error).startswith("Could not open socket"):
                said = ": nobody answers there"
            raise SouthboundError(f"the session with {where} cannot be had or has broken{said}") from None


class _PinnedSession(SSHSession):
    """ncclient's session, which knows the host keys that are configured instead of those of the user's own file."""

    def __init__(self, handler: object, host_keys: Sequence[str]) -> None:
        super().__init__(handler)  # type: ignore[no-untyped-call]
        self._host_keys = _HostKeys(host_keys)  # type: ignore[assignment]

    def load_known_hosts(self, filename: str | None = None) -> None:
        """Have nothing of a file."""


class _HostKeys:
    """What ncclient asks of paramiko's HostKeys, for one server, with RSA keys for its signatures of today."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._keys = [asyncssh.import_public_key(line) for line in lines]

    def lookup(self, _host: str) -> dict[str, object]:
        """Return the keys by the algorithms that are to be asked for."""
        found: dict[str, object] = {}
        for key in self._keys:
            name = key.get_algorithm()
            found |= dict.fromkeys(_RSA if name == "ssh-rsa" else (name,), key)
        return found

    def check(self, _host: str, key: PKey) -> bool:
        """Whether the server's key is one of them."""
        shown = key.asbytes()  # type: ignore[no-untyped-call]
        return any(known.public_data == shown for known in self._keys)


class _Ending(SessionListener):
    """Tells of the end of a session."""

    def __init__(self, lost: Callable[[], None]) -> None:
        self._lost = lost

    def callback(self, root: object, raw: object) -> None:
        """Replies go to who has asked."""

    def errback(self, _error: Exception) -> None:
        """The session has ended."""
        self._lost()


@contextlib.contextmanager
def _key_file(private_key: Secret) -> Iterator[str]:
    """Yield a name by which paramiko can read a private key that is on no disk."""
    descriptor = os.memfd_create("ssh-key", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, asyncssh.import_private_key(private_key.reveal()).export_private_key("openssh"))
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _announced(capabilities: Sequence[str]) -> Mapping[str, frozenset[str]]:
    """Return the features of the modules that a hello tells of (RFC 6020 section 5.6.4), by namespace."""
    found: dict[str, frozenset[str]] = {}
    for capability in capabilities:
        module, features = _CAPABILITY.match(capability), _FEATURES.search(capability)
        if module is not None:
            found[module["namespace"]] = frozenset(features[1].split(",")) if features else frozenset()
    return found


def _filter(*selections: etree._Element) -> etree._Element:
    element = etree.Element(f"{{{NETCONF_NAMESPACE}}}filter", type="subtree")
    element.extend(selections)
    return element


def _parsed(data_xml: str) -> etree._Element:
    return etree.fromstring(data_xml.encode(), _PARSER)


def _described(error: RPCError) -> str:
    """Return the tag, the path and the words of each rpc-error."""
    said = []
    for one in error.errlist or [error]:
        path = (one.path or "").strip()
        session = re.search(r"<(?:\w+:)?session-id[^>]*>(\d+)<", one.info or "")
        who = f" by session {session[1]}" if session and one.tag == "lock-denied" else ""
        said.append(f"{one.tag}: {(one.message or 'no reason given').strip()}{who}{f' at {path}' if path else ''}")
    return "; ".join(said)

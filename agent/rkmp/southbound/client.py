"""The local key API for programs in Python: subscribe, be told steps, do them, acknowledge; survive restarts.

For a program with a loop of its own: :meth:`KeyClient.fileno` is readable when there is something to do, and
:meth:`KeyClient.wait` with no seconds never blocks. The connection is made when it is needed and again when it is
lost; then the agent is told what is still held, and goes on from there. Use from one thread only.
"""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import time
from dataclasses import dataclass, field
from typing import Any

from rkmp.errors import KeyApiRefusal, SouthboundError
from rkmp.keytable import fingerprint
from rkmp.southbound.keys import ANY, ConsumerKey, Selection
from rkmp.southbound.messages import (
    FROM_AGENT,
    MOST_OCTETS,
    VERSION,
    Message,
    MessageError,
    decoded,
    encoded,
    read_key,
)
from rkmp.southbound.steps import Add, Holding, Prefer, Remove, Retire, Step, Usage, after

RECONNECT_SECONDS = 1.0
REPORT_SECONDS = 10.0
ANSWER_SECONDS = 10.0
_NAMED_STEPS: dict[str, type[Prefer | Retire | Remove]] = {"prefer": Prefer, "retire": Retire, "remove": Remove}


@dataclass(slots=True, eq=False)
class Subscription:
    """The keys of one neighbor and protocol: ``holding`` is what was acknowledged, and outlives the connection.

    ``is_synchronised``: the agent has said that there is nothing left to do, and the connection stands.
    ``refusal`` is the code of why the agent does not serve it.
    """

    protocol: str
    neighbor: str
    number: int
    selection: Selection = ANY
    holding: Holding = field(default_factory=Holding)
    is_synchronised: bool = False
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """A step to do, and then to acknowledge or to refuse; ``result`` is what is held after it."""

    subscription: Subscription
    step: Step
    sequence: int

    @property
    def result(self) -> Holding:
        """What is held once it is done."""
        return after(self.subscription.holding, self.step)


@dataclass(frozen=True, slots=True)
class _Report:
    """What was told of a subscription last, and when on the monotonic clock."""

    usage: Usage
    at: float

    def looks_like(self, usage: Usage) -> bool:
        """Whether ``usage`` differs in counters alone."""
        return (usage.sending, usage.connections) == (self.usage.sending, self.usage.connections)


class KeyClient:
    """A client of the agent's key socket at ``path``; ``name`` is how operators will know the program."""

    def __init__(self, path: str, name: str) -> None:
        self._path = path
        self._name = name
        self._subscriptions: dict[int, Subscription] = {}
        self._numbers = itertools.count(1)
        self._socket: socket.socket | None = None
        self._buffer = b""
        self._next_attempt = 0.0
        self._served: set[int] = set()
        self._reported: dict[int, _Report] = {}
        self._asked: set[int] = set()
        self._answers: dict[int, Message] = {}
        self._refusals: list[KeyApiRefusal] = []
        self._told: list[Told] = []

    def __enter__(self) -> KeyClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def subscribe(self, protocol: str, neighbor: str, selection: Selection = ANY) -> Subscription:
        """Ask for the keys of a neighbor, an address or a name as in the key table; ``protocol`` is ``bgp``, say."""
        subscription = Subscription(protocol, neighbor, next(self._numbers), selection)
        self._subscriptions[subscription.number] = subscription
        if self._socket is not None:
            self._send(self._request(subscription))
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Be told no more of it."""
        del self._subscriptions[subscription.number]
        self._served.discard(subscription.number)
        self._reported.pop(subscription.number, None)
        self._told = [told for told in self._told if told.subscription is not subscription]
        if subscription.refusal is None:
            self._send(encoded("unsubscribe", subscription=subscription.number))

    def look_up(
        self, protocol: str, neighbor: str, selection: Selection = ANY, *, recv_id: int | None = None
    ) -> tuple[list[ConsumerKey], str | None]:
        """Return the keys that may be used now, and the name of the one to send with.

        ``recv_id`` asks for the key that a received segment names. Raises :class:`SouthboundError` without an answer,
        :class:`~rkmp.errors.KeyApiRefusal` where this program may not read them.
        """
        number = next(self._numbers)
        scope = _scope(protocol, neighbor, selection)
        request = encoded("lookup", id=number, **scope, recv_id=recv_id)
        self._asked.add(number)
        try:
            answer = self._ask(number, request)
        finally:
            self._asked.discard(number)
        if answer["type"] == "error":
            raise KeyApiRefusal(answer["reason"], answer["code"])
        return [read_key(key) for key in answer["keys"]], answer.get("preferred")

    def _ask(self, number: int, request: bytes) -> Message:
        """Return the answer to a request; a connection that has ended meanwhile is made anew once."""
        while True:
            is_new = self._socket is None
            self._require_connection()
            self._send(request)
            deadline = time.monotonic() + ANSWER_SECONDS
            while self._socket is not None and time.monotonic() < deadline:
                if number in self._answers:
                    return self._answers.pop(number)
                if self._refusals:
                    raise self._refusals.pop(0)
                self._receive(deadline - time.monotonic())
            if self._refusals:
                raise self._refusals.pop(0)
            if is_new or self._socket is not None:
                raise SouthboundError(f"the agent on {self._path} does not answer")

    def fileno(self) -> int:
        """Return the descriptor that is readable when :meth:`wait` has something to do, or -1 without a connection."""
        return -1 if self._socket is None else self._socket.fileno()

    def wait(self, seconds: float = 0.0) -> list[Told]:
        """Return the steps that have come; where there are none yet, wait so long for some.

        Connects where there is no connection, at most once in :data:`RECONNECT_SECONDS`. Raises
        :class:`~rkmp.errors.KeyApiRefusal` when the agent refuses this program, or a subscription, which is asked
        for again with the next connection; the others go on.
        """
        deadline = time.monotonic() + seconds
        while True:
            if self._socket is None and time.monotonic() >= self._next_attempt:
                with contextlib.suppress(OSError):
                    self._connect()
            left = max(0.0, deadline - time.monotonic())
            if self._socket is not None:
                self._receive(0.0 if self._told else left)
            elif not self._told and left:
                time.sleep(min(left, max(0.0, self._next_attempt - time.monotonic())))
            if self._refusals:
                raise self._refusals.pop(0)
            if self._told or time.monotonic() >= deadline:
                told, self._told = self._told, []
                return told

    def acknowledge(self, told: Told) -> None:
        """Say that a step is done. What is held is remembered even where the connection is lost meanwhile."""
        told.subscription.holding = told.result
        self._send(encoded("acknowledge", subscription=told.subscription.number, sequence=told.sequence))

    def refuse(self, told: Told, reason: str) -> None:
        """Say that a step cannot be done; it will come again."""
        number = told.subscription.number
        self._send(encoded("refuse", subscription=number, sequence=told.sequence, reason=reason))

    def report(self, subscription: Subscription, usage: Usage) -> None:
        """Say which keys the connections with the neighbor send with, and their counters.

        Call it as often as you like, such as on each turn of a loop. What the agent waits for, another key or number
        of connections, is sent at once; counters that have changed every :data:`REPORT_SECONDS`.
        """
        last, now = self._reported.get(subscription.number), time.monotonic()
        if subscription.number not in self._served or (last is not None and last.usage == usage):
            return
        if last is not None and now < last.at + REPORT_SECONDS and last.looks_like(usage):
            return
        self._reported[subscription.number] = _Report(usage, now)
        self._send(
            encoded(
                "usage",
                subscription=subscription.number,
                sending=sorted(usage.sending),
                connections=usage.connections,
                good=usage.good,
                bad=usage.bad,
                key_not_found=usage.key_not_found,
                unsigned=usage.unsigned,
                dropped_icmps=usage.dropped_icmps,
            )
        )

    def close(self) -> None:
        """Let go of the connection; the subscriptions come again with the next one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._buffer = b""
        # What was told and is not done yet will be told again.
        self._told.clear()
        for subscription in self._subscriptions.values():
            subscription.is_synchronised = False
            subscription.refusal = None
        self._served.clear()
        self._reported.clear()
        self._next_attempt = time.monotonic() + RECONNECT_SECONDS

    def _require_connection(self) -> None:
        if self._socket is None:
            try:
                self._connect()
            except OSError as error:
                raise SouthboundError(f"no agent answers on {self._path}: {error.strerror}") from error

    def _connect(self) -> None:
        self._next_attempt = time.monotonic() + RECONNECT_SECONDS
        connecting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connecting.settimeout(ANSWER_SECONDS)
            connecting.connect(self._path)
        except OSError:
            connecting.close()
            raise
        self._socket = connecting
        self._send(encoded("hello", version=VERSION, name=self._name))
        for subscription in self._subscriptions.values():
            self._send(self._request(subscription))

    def _request(self, subscription: Subscription) -> bytes:
        holding = subscription.holding
        holds = [{"name": held.key.name, "fingerprint": fingerprint(held.key.secret)} for held in holding.keys]
        return encoded(
            "subscribe",
            id=subscription.number,
            **_scope(subscription.protocol, subscription.neighbor, subscription.selection),
            holds=holds,
            preferred=holding.preferred,
        )

    def _send(self, line: bytes) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendall(line)
        except OSError:
            self.close()

    def _receive(self, seconds: float) -> None:
        """Read what is there, or comes within ``seconds``."""
        assert self._socket is not None  # noqa: S101 - every caller has looked
        if not select.select([self._socket], [], [], max(0.0, seconds))[0]:
            return
        try:
            octets = self._socket.recv(MOST_OCTETS)
        except OSError:
            octets = b""
        if not octets:
            self.close()
            return
        *lines, self._buffer = (self._buffer + octets).split(b"\n")
        for line in lines:
            self._take(decoded(line, FROM_AGENT))

    def _take(self, message: Message) -> None:
        kind = message["type"]
        subscription = self._subscriptions.get(message.get("subscription", 0))
        if kind == "hello" and message["version"] != VERSION:
            raise MessageError(f"the agent speaks version {message['version']} of the key API, and this is {VERSION}")
        if kind in ("keys", "error") and message.get("id") in self._asked:
            self._answers[message["id"]] = message
        elif kind == "error":
            self._refused(message)
        if subscription is None:
            return
        if kind == "subscribed":
            self._served.add(subscription.number)
        elif kind == "synchronised":
            subscription.is_synchronised = True
        elif kind == "add":
            self._tell(subscription, Add(read_key(message["key"])), message)
        elif kind in _NAMED_STEPS:
            self._tell(subscription, _NAMED_STEPS[kind](message["key"]), message)

    def _refused(self, message: Message) -> None:
        """Take a refusal of this program, or of a subscription that there still is."""
        subscription = self._subscriptions.get(message["id"]) if message.get("id") is not None else None
        if message.get("id") is not None and subscription is None:
            return
        self._refusals.append(KeyApiRefusal(message["reason"], message["code"]))
        if subscription is None:
            self.close()
        else:
            subscription.refusal = message["code"]

    def _tell(self, subscription: Subscription, step: Step, message: Message) -> None:
        subscription.is_synchronised = False
        self._told.append(Told(subscription, step, message["sequence"]))


def _scope(protocol: str, neighbor: str, selection: Selection) -> dict[str, Any]:
    """Return the fields of a message that say whose keys are meant."""
    fields: dict[str, Any] = {"protocol": protocol, "neighbor": neighbor, "interface": selection.interface}
    return fields | ({"algorithms": list(selection.algorithms)} if selection.algorithms else {})

"""Messages as text for people: one block a message, one line a payload and what is in it, and nothing that is secret.

What is told of keys, nonces, signatures and certificates is how many octets they have. Octets of a peer's that are
shown as text are printable, so that nobody outside can write lines of a trace.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping

from rkmp.ike.identity import Identity
from rkmp.ike.observation import ObservedMessage
from rkmp.ike.path import Path
from rkmp.ike.vendor_id import announced_code_points, describe
from rkmp.wire import (
    FIRST_STATUS_NOTIFY,
    AddressRangeSelector,
    Authentication,
    Certificate,
    CertificateRequest,
    Configuration,
    Delete,
    Eap,
    ExchangeType,
    Header,
    IdInitiator,
    IdResponder,
    KeyExchange,
    KeyExchangeId,
    LdpDiscoveryTransform,
    Nonce,
    Notify,
    NotifyType,
    Payload,
    Proposal,
    RkmpProposal,
    RoutingProtocolSelector,
    SecurityAssociation,
    Selector,
    TcpAoTransform,
    TrafficSelectorsInitiator,
    TrafficSelectorsResponder,
    Transform,
    UnrecognisedTransform,
    VendorId,
    serialise_payloads,
)

_INDENT = "    "


def describe_message(message: ObservedMessage) -> str:
    """Return a message as lines of text, without a line end behind the last."""
    kind = "response" if message.is_response else "request"
    travel = "unprotected" if not message.is_protected else "protected"
    pieces = f", in {message.datagrams} fragments" if message.datagrams > 1 else ""
    way = "to" if message.is_outgoing else "from"
    exchange = _name(ExchangeType, message.exchange_type)
    spis = f"{message.initiator_spi.hex()} {message.responder_spi.hex()}"
    what = f"{exchange} {kind}, message ID {message.message_id}, SPIs {spis}, {travel}{pieces}"
    lines = [f"{way} {_remote(message.path)}: {what}"]
    if message.fault is not None:
        lines.append(f"{_INDENT}cannot be read: {_printable(message.fault)}")
    elif not message.payloads:
        lines.append(f"{_INDENT}empty")
    for payload in message.payloads:
        lines += [_INDENT + line for line in _payload_lines(payload)]
    return "\n".join(lines)


def describe_repetition(datagrams: tuple[bytes, ...], path: Path | None) -> str:
    """Return a line about a message of ours that is sent again."""
    header = Header.parse(datagrams[0])
    kind = "response" if header.is_response else "request"
    exchange = _name(ExchangeType, header.exchange_type)
    return f"to {_remote(path)}: {exchange} {kind}, message ID {header.message_id}, again"


def describe_drop(datagram: bytes, reason: str, path: Path | None) -> str:
    """Return a line about a datagram that is not acted upon."""
    return f"from {_remote(path)}: a datagram of {len(datagram)} octets, {reason}"


def _payload_lines(payload: Payload) -> Iterator[str]:
    octets = len(serialise_payloads((payload,))[1])
    writer = _WRITERS.get(type(payload))
    text, *below = [""] if writer is None else writer(payload)
    yield f"{_payload_name(payload)}, {octets} octets{': ' if text else ''}{text}"
    for line in below:
        yield _INDENT + line


def _payload_name(payload: Payload) -> str:
    kind = payload.payload_type
    return kind.name if isinstance(kind, enum.IntEnum) else f"payload {kind}"


def _security_association(payload: SecurityAssociation) -> Iterator[str]:
    yield f"{len(payload.proposals)} proposals" if len(payload.proposals) != 1 else "1 proposal"
    for proposal in payload.proposals:
        yield _proposal(proposal)
        for transform in proposal.transforms:
            yield _INDENT + _transform(transform)


def _proposal(proposal: Proposal | RkmpProposal) -> str:
    protocol = "RKMP protocol" if isinstance(proposal, RkmpProposal) else "protocol"
    spi = f", SPI {proposal.spi.hex()}" if proposal.spi else ""
    return f"proposal {proposal.number}: {protocol} {_member(proposal.protocol_id)}{spi}"


def _transform(transform: Transform | TcpAoTransform | LdpDiscoveryTransform | UnrecognisedTransform) -> str:
    match transform:
        case Transform():
            bits = f" {transform.key_length} bits" if transform.key_length is not None else ""
            return f"{_member(transform.transform_type)} {_member(transform.transform_id)}{bits}"
        case TcpAoTransform():
            options = "TCP options ignored" if transform.ignore_tcp_options else "TCP options protected"
            algorithms = f"{_member(transform.auth_alg)}, KDF {_member(transform.kdf)}"
            return f"SendID {transform.send_id}, {algorithms}, {options}"
        case LdpDiscoveryTransform():
            return f"SendID {transform.send_id}, {_member(transform.auth_alg)}"
        case UnrecognisedTransform():
            return f"an unrecognised transform of {len(transform.body)} octets"


def _key_exchange(payload: KeyExchange) -> Iterator[str]:
    yield f"{_name(KeyExchangeId, payload.method)}, {len(payload.data)} octets of public value"


def _nonce(payload: Nonce) -> Iterator[str]:
    yield f"{len(payload.data)} octets"


def _identification(payload: IdInitiator | IdResponder) -> Iterator[str]:
    yield _printable(str(Identity(payload.id_type, payload.data)))


def _encoded(payload: Certificate | CertificateRequest) -> Iterator[str]:
    yield f"encoding {_member(payload.encoding)}, {len(payload.data)} octets"


def _authentication(payload: Authentication) -> Iterator[str]:
    yield f"{_member(payload.method)}, {len(payload.data)} octets"


def _notify(payload: Notify) -> Iterator[str]:
    kind = "error" if payload.notify_type < FIRST_STATUS_NOTIFY else "status"
    sa = f", protocol {_member(payload.protocol_id)}, SPI {payload.spi.hex()}" if payload.spi else ""
    if payload.notify_type == NotifyType.INVALID_KE_PAYLOAD and len(payload.data) == 2:
        told = f", wants {_name(KeyExchangeId, int.from_bytes(payload.data))}"
    else:
        told = f", {len(payload.data)} octets of data" if payload.data else ""
    yield f"{kind} {_member(payload.notify_type)}{sa}{told}"


def _delete(payload: Delete) -> Iterator[str]:
    spis = f", SPIs {', '.join(spi.hex() for spi in payload.spis)}" if payload.spis else ""
    yield f"protocol {_member(payload.protocol_id)}{spis}"


def _vendor_id(payload: VendorId) -> Iterator[str]:
    code_points = announced_code_points((payload,))
    yield f"{len(payload.data)} octets" if code_points is None else f"RKMP: {describe(code_points)}"


def _traffic_selectors(payload: TrafficSelectorsInitiator | TrafficSelectorsResponder) -> Iterator[str]:
    yield "; ".join(_selector(selector) for selector in payload.selectors)


def _selector(selector: Selector) -> str:
    match selector:
        case RoutingProtocolSelector():
            return f"routing protocol {_member(selector.routing_protocol)}"
        case AddressRangeSelector():
            ports = f"ports {selector.start_port} to {selector.end_port}"
            return f"{selector.start_address} to {selector.end_address}, IP protocol {selector.ip_protocol}, {ports}"
        case _:
            return f"a selector of type {selector.selector_type} with {len(selector.data)} octets"


def _configuration(payload: Configuration) -> Iterator[str]:
    types = ", ".join(str(attribute.attribute_type) for attribute in payload.attributes)
    yield f"{_member(payload.configuration_type)}, attributes {types or 'none'}"


def _eap(payload: Eap) -> Iterator[str]:
    yield f"{len(payload.data)} octets"


_WRITERS: Mapping[type[Payload], Callable[..., Iterator[str]]] = {
    SecurityAssociation: _security_association,
    KeyExchange: _key_exchange,
    Nonce: _nonce,
    IdInitiator: _identification,
    IdResponder: _identification,
    Certificate: _encoded,
    CertificateRequest: _encoded,
    Authentication: _authentication,
    Notify: _notify,
    Delete: _delete,
    VendorId: _vendor_id,
    TrafficSelectorsInitiator: _traffic_selectors,
    TrafficSelectorsResponder: _traffic_selectors,
    Configuration: _configuration,
    Eap: _eap,
}
"""By payload: the text behind its name, then lines below it. One that is unknown has a number and a size."""


def _member(value: int) -> str:
    """Return the registry's name of a value that is known, or its number."""
    return value.name if isinstance(value, enum.IntEnum) else str(int(value))


def _name(registry: type[enum.IntEnum], number: int) -> str:
    """Return the name of a number of a registry, or the number."""
    try:
        return registry(number).name
    except ValueError:
        return str(number)


def _remote(path: Path | None) -> str:
    return "the peer" if path is None else f"{path.remote[0]} port {path.remote[1]}"


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)

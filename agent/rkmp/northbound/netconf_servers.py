"""Entries of ``/agent/southbound/netconf-server``: read for the southbound, and how it stands with each.

What validation cannot know is refused here, with the path of the leaf: keys that cannot be used.
"""

from __future__ import annotations

import asyncssh
from lxml import etree

from rkmp.datastore.defaults import Instance
from rkmp.datastore.schema import Schema
from rkmp.northbound.agent_names import AgentNames
from rkmp.northbound.elements import add
from rkmp.northbound.reading import boolean, invalid_value, value
from rkmp.northbound.values import canonical_host
from rkmp.secret import Secret
from rkmp.southbound import KeyIds, NetconfNeighbor, NetconfServerConfiguration, Southbound

USABLE = ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
"""The algorithms of keys that the client knows, whichever side's they are."""


def read_netconf_server(schema: Schema, entry: Instance) -> NetconfServerConfiguration:
    """Return what one entry says. Raises RpcError for a key that is none, or is of no use."""
    private_key, password = entry.value(AgentNames.PRIVATE_KEY), entry.value(AgentNames.PASSWORD)
    if private_key is not None:
        _check_private_key(schema, entry, private_key)
    host_keys = tuple(_host_key(schema, entry, line) for line in entry.values(AgentNames.HOST_KEY))
    return NetconfServerConfiguration(
        name=value(entry, AgentNames.NAME),
        host=value(entry, AgentNames.HOST),
        port=int(value(entry, AgentNames.PORT)),
        user=value(entry, AgentNames.USER),
        private_key=None if private_key is None else Secret(private_key.encode()),
        password=None if password is None else Secret(password.encode()),
        host_keys=host_keys,
        trusts_any_host_key=entry.value(AgentNames.TRUST_ANY_HOST_KEY) is not None,
        timeout=float(value(entry, AgentNames.TIMEOUT)),
        reconcile_interval=float(value(entry, AgentNames.RECONCILE_INTERVAL)),
        clock_tolerance=float(value(entry, AgentNames.CLOCK_TOLERANCE)),
        key_ids=KeyIds(value(entry, AgentNames.KEY_ID)),
        neighbors=tuple(
            NetconfNeighbor(
                address=canonical_host(value(neighbor, AgentNames.ADDRESS)),
                protocol=value(neighbor, AgentNames.PROTOCOL),
                key_chain=value(neighbor, AgentNames.KEY_CHAIN),
            )
            for neighbor in entry.entries(AgentNames.NEIGHBOR)
        ),
        enabled=boolean(entry, AgentNames.ENABLED),
    )


def add_netconf_server(entry: etree._Element, southbound: Southbound) -> None:
    """Add to ``entry`` how it stands with the session."""
    link = southbound.link(entry.findtext(AgentNames.NAME) or "")
    add(entry, AgentNames.STATUS, "disabled" if link is None else link.status)
    if link is not None:
        add(entry, AgentNames.LAST_ERROR, link.last_error)
        add(entry, AgentNames.LAST_PUSHED, link.last_pushed)


def _check_private_key(schema: Schema, entry: Instance, text: str) -> None:
    try:
        algorithm = asyncssh.import_private_key(text).get_algorithm()
    except (asyncssh.KeyImportError, ValueError):
        # Without the exception's words, and its cause: both saw the key.
        algorithm = None
    if algorithm is None:
        reason = "this is no private key, or it is encrypted"
        raise invalid_value(schema, entry, AgentNames.PRIVATE_KEY, reason) from None
    if algorithm not in USABLE:
        raise invalid_value(schema, entry, AgentNames.PRIVATE_KEY, f"the agent cannot log in with {algorithm}")


def _host_key(schema: Schema, entry: Instance, line: str) -> str:
    """Return a host key as algorithm and base64, and nothing behind."""
    try:
        algorithm = asyncssh.import_public_key(line).get_algorithm()
    except (asyncssh.KeyImportError, ValueError) as error:
        reason = f"{line[:40]!r} is no public key: wanted is what ssh-keyscan prints behind the host"
        raise invalid_value(schema, entry, AgentNames.HOST_KEY, reason) from error
    if algorithm not in USABLE:
        raise invalid_value(schema, entry, AgentNames.HOST_KEY, f"the agent knows no host keys of {algorithm}")
    return " ".join(line.split()[:2])

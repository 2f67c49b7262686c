"""From the validated subtree ``/key-table`` to rows of the key table: the keys that an operator has configured."""

from __future__ import annotations

from ipaddress import ip_address

from rkmp.datastore.defaults import Instance
from rkmp.datastore.schema import Schema
from rkmp.errors import KeyTableError
from rkmp.keytable import Direction, KeyRow, Lifetime
from rkmp.northbound.names import KeyTableNames as Names
from rkmp.northbound.reading import boolean, container, instance_error, invalid_value, value
from rkmp.northbound.values import BEGINNING, key_table_name, moment, secret


def read_key(schema: Schema, entry: Instance) -> KeyRow:
    """Return the row of an entry of ``key``.

    Raises RpcError with the path of the leaf, or of the entry where several of its fields don't go together.
    """
    name = value(entry, Names.ADMIN_KEY_NAME)
    lifetimes = [_lifetime(schema, container(entry, tag)) for tag in (Names.SEND_LIFETIME, Names.ACCEPT_LIFETIME)]
    try:
        return KeyRow(
            admin_key_name=name,
            local_key_name=value(entry, Names.LOCAL_KEY_NAME),
            peer_key_name=value(entry, Names.PEER_KEY_NAME),
            peers=tuple(dict.fromkeys(_peer(text) for text in entry.values(Names.PEER))),
            protocol=key_table_name(value(entry, Names.PROTOCOL)),
            ignore_tcp_options=boolean(container(entry, Names.TCP_AO), Names.IGNORE_TCP_OPTIONS),
            kdf=key_table_name(value(entry, Names.KDF)),
            alg_id=key_table_name(value(entry, Names.ALG_ID)),
            key=secret(entry.value(Names.KEYSTRING), entry.value(Names.HEXADECIMAL_STRING)),
            direction=Direction(value(entry, Names.DIRECTION)),
            send_lifetime=lifetimes[0],
            accept_lifetime=lifetimes[1],
            interfaces=entry.values(Names.INTERFACE),
        )
    except KeyTableError as error:
        raise instance_error(schema, entry, str(error)) from None


def _lifetime(schema: Schema, lifetime: Instance) -> Lifetime:
    moments = []
    for tag in (Names.START, Names.END):
        text = lifetime.value(tag)
        try:
            moments.append(None if text is None else moment(text))
        except ValueError as error:
            raise invalid_value(schema, lifetime, tag, str(error)) from None
    try:
        return Lifetime(moments[0] or BEGINNING, moments[1])
    except KeyTableError as error:
        raise instance_error(schema, lifetime, str(error)) from None


def _peer(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        return text

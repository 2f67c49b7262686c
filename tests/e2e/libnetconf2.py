"""A client on libnetconf2, the library below netopeer2's own: it asks for our modules, compiles them, and holds every
reply against them.

Run as a program, so that its faults stay its own: the port, the user and the private key as arguments, operations as a
JSON list on standard input, and their replies as a JSON list on standard output.
"""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Sequence
from typing import Any

LIBRARY = "libnetconf2.so.2"

PUBLIC_KEY = 1
# NC_PARAMTYPE_DUP_AND_FREE: what Python hands over is gone after the call.
COPIED = 2
REPLY = 6
XML = 1
RUNNING, CANDIDATE = 3, 5
DATASTORES = {"running": RUNNING, "startup": 4, "candidate": CANDIDATE}
MILLISECONDS = 20_000

HostKeyCheck = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p)


def text(value: str | None) -> bytes | None:
    return None if value is None else value.encode()


class Library:
    """The functions of the C library that are used here, and libyang's printer."""

    def __init__(self) -> None:
        self.nc = ctypes.CDLL(LIBRARY)
        self.yang = ctypes.CDLL("libyang.so.2")
        for name in ("connect_ssh", "rpc_getconfig", "rpc_get", "rpc_edit", "rpc_lock", "rpc_unlock", "rpc_commit"):
            self[name].restype = ctypes.c_void_p
        for name in ("rpc_discard", "rpc_validate", "rpc_getschema", "rpc_act_generic_xml", "rpc_getdata"):
            self[name].restype = ctypes.c_void_p
        self["send_rpc"].argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
        self["recv_reply"].argtypes = [
            *(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
        ]
        self.yang.lyd_print_mem.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32]

    def __getitem__(self, name: str) -> Any:
        return getattr(self.nc, f"nc_{name}")

    def rpc(self, name: str, arguments: Sequence[Any]) -> Any:
        match name:
            case "get-config":
                source, selection = arguments
                return self["rpc_getconfig"](DATASTORES[source], text(selection), 0, COPIED)
            case "get":
                return self["rpc_get"](text(arguments[0]), 0, COPIED)
            case "get-data":
                datastore, selection = arguments
                return self["rpc_getdata"](text(datastore), text(selection), None, None, 0, 0, 0, 1, 0, COPIED)
            case "edit-config":
                target, content = arguments
                return self["rpc_edit"](DATASTORES[target], 1, 0, 0, text(content), COPIED)
            case "lock" | "unlock":
                return self[f"rpc_{name}"](DATASTORES[arguments[0]])
            case "validate":
                return self["rpc_validate"](DATASTORES[arguments[0]], None, COPIED)
            case "commit":
                return self["rpc_commit"](0, 0, None, None, COPIED)
            case "discard-changes":
                return self["rpc_discard"]()
            case "get-schema":
                return self["rpc_getschema"](text(arguments[0]), None, b"yang", COPIED)
        return self["rpc_act_generic_xml"](text(arguments[0]), COPIED)

    def printed(self, node: ctypes.c_void_p) -> str:
        if not node:
            return ""
        found = ctypes.c_char_p()
        self.yang.lyd_print_mem(ctypes.byref(found), node, XML, 0)
        return (found.value or b"").decode()

    def ask(self, session: Any, name: str, arguments: Sequence[Any]) -> dict[str, str]:
        rpc = self.rpc(name, arguments)
        if not rpc:
            raise SystemExit(f"libnetconf2 makes no {name}")
        message, envelope, content = ctypes.c_uint64(), ctypes.c_void_p(), ctypes.c_void_p()
        self["send_rpc"](session, rpc, MILLISECONDS, ctypes.byref(message))
        kind = self["recv_reply"](
            session, rpc, message.value, MILLISECONDS, ctypes.byref(envelope), ctypes.byref(content)
        )
        if kind != REPLY:
            raise SystemExit(f"libnetconf2 does not take the reply to {name}: {kind}")
        return {"envelope": self.printed(envelope), "content": self.printed(content)}


def main(port: str, user: str, key: str) -> None:
    library = Library()
    library["client_init"]()
    accept = HostKeyCheck(lambda *_: 0)
    library["client_ssh_set_auth_hostkey_check_clb"](accept, None)
    library["client_ssh_set_auth_pref"](PUBLIC_KEY, 10)
    library["client_ssh_add_keypair"](text(f"{key}.pub"), text(key))
    library["client_ssh_set_username"](text(user))
    session = library["connect_ssh"](b"127.0.0.1", ctypes.c_uint16(int(port)), None)
    if not session:
        raise SystemExit("libnetconf2 does not connect")
    session = ctypes.c_void_p(session)
    replies = [library.ask(session, name, arguments) for name, *arguments in json.load(sys.stdin)]
    library["session_free"](session, None)
    json.dump(replies, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A router whose NETCONF server is libnetconf2's, and whose data libyang validates: of it only the edits are ours.

``python -m tests.southbound.libnetconf2_router FOLDER FEATURES CAPABILITIES`` serves ietf-key-chain with the features
(in JSON, like the features of ietf-netconf that are its capabilities), with the host key and the user's public key in
the folder, says ``ready PORT`` and serves until its standard input ends.
"""

from __future__ import annotations

import copy
import ctypes
import json
import select
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lxml import etree

from rkmp.datastore.schema.folders import standard_modules

USER = "agent"
NETCONF = "urn:ietf:params:xml:ns:netconf:base:1.0"
KEYS_OF_LISTS = {"key-chain": "name", "key": "key-id"}

LIBSSH, HELLO = 3, 3
SESSION_ENDED, NEW_CHANNEL = 0x20, 0x200
XML, WITH_SIBLINGS, ANYDATA_XML = 1, 1, 2
STRICT, NO_STATE, VALIDATE_PRESENT = 0x020000, 0x080000, 0x0002
OWNED, EXPLICIT = 1, 4
LOCK_DENIED, OPERATION_FAILED, APPLICATION = 12, 18, 4

Pointer = ctypes.c_void_p
RpcCallback = ctypes.CFUNCTYPE(Pointer, Pointer, Pointer)
HostKeyCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, Pointer, Pointer, Pointer, Pointer)
RETURN_POINTERS = ("nc_err", "nc_server_reply_ok", "nc_server_reply_data", "nc_server_reply_err", "nc_ps_new")


class Refused(Exception):
    """What is answered with an rpc-error."""

    def __init__(self, tag: int, argument: int, reason: str) -> None:
        super().__init__(reason)
        self.tag = tag
        self.argument = argument


class Router:
    """The server and its datastores, each a ``data`` element."""

    def __init__(self, features: Sequence[str], capabilities: Sequence[str]) -> None:
        self.nc: Any = ctypes.CDLL("libnetconf2.so.2")
        self.ly: Any = ctypes.CDLL("libyang.so.2")
        self.libc: Any = ctypes.CDLL(None)
        for name in RETURN_POINTERS:
            getattr(self.nc, name).restype = Pointer
        self.ly.ly_ctx_load_module.restype = self.libc.strdup.restype = Pointer
        self.context = Pointer()
        self.require(self.ly.ly_ctx_new(None, ctypes.c_uint16(0), ctypes.byref(self.context)) == 0)
        for folder in standard_modules():
            self.ly.ly_ctx_set_searchdir(self.context, str(folder).encode())
        for module, enabled in (("ietf-netconf", capabilities), ("ietf-key-chain", features)):
            names = (ctypes.c_char_p * (len(enabled) + 1))(*(name.encode() for name in enabled), None)
            self.require(bool(self.ly.ly_ctx_load_module(self.context, module.encode(), None, names)))
        self.stores = {name: etree.Element("data") for name in ("running", "candidate")}
        self.locks: dict[str, int] = {}

    @staticmethod
    def require(condition: bool) -> None:
        if not condition:
            raise SystemExit("libnetconf2 does not start")

    def printed(self, node: Pointer, options: int) -> str:
        text = ctypes.c_char_p()
        self.ly.lyd_print_mem(ctypes.byref(text), node, XML, ctypes.c_uint32(options))
        return (text.value or b"").decode()

    # What clients ask

    def answer(self, rpc: int, session: int) -> int | None:
        """Carry out one rpc; the answer's address."""
        operation = etree.fromstring(self.printed(Pointer(rpc), 0).encode())
        number = self.nc.nc_session_get_id(Pointer(session))
        try:
            data = self.done(etree.QName(operation).localname, operation, number)
        except Refused as refused:
            error = self.nc.nc_err(self.context, refused.tag, refused.argument)
            self.nc.nc_err_set_msg(Pointer(error), str(refused).encode(), b"en")
            return int(self.nc.nc_server_reply_err(Pointer(error)))
        if data is None:
            return int(self.nc.nc_server_reply_ok())
        reply = Pointer()
        self.ly.lyd_dup_single(Pointer(rpc), None, ctypes.c_uint32(0), ctypes.byref(reply))
        made = self.ly.lyd_new_any(
            reply, None, b"data", data.encode(), ctypes.c_uint8(0), ANYDATA_XML, ctypes.c_uint8(1), None
        )
        self.require(made == 0)
        return int(self.nc.nc_server_reply_data(reply, EXPLICIT, OWNED))

    def done(self, name: str, operation: etree._Element, session: int) -> str | None:
        """Do what is asked; return data where there are some."""
        if name in ("get", "get-config"):
            source = operation.find(f"{{{NETCONF}}}source")
            return self.content(self.stores["running" if source is None else local(source[0])]) + (
                self.library() if name == "get" else ""
            )
        if name == "commit":
            self.stores["running"] = copy.deepcopy(self.stores["candidate"])
        elif name == "discard-changes":
            self.stores["candidate"] = copy.deepcopy(self.stores["running"])
        elif name in ("lock", "unlock"):
            target = local(operation[0][0])
            if name == "unlock":
                self.locks.pop(target, None)
            elif self.locks.setdefault(target, session) != session:
                raise Refused(LOCK_DENIED, self.locks[target], "somebody else has the lock")
        elif name == "edit-config":
            self.edit(operation)
        else:
            raise Refused(OPERATION_FAILED, APPLICATION, f"{name} is not done here")
        return None

    def edit(self, operation: etree._Element) -> None:
        target, config = operation.find(f"{{{NETCONF}}}target"), operation.find(f"{{{NETCONF}}}config")
        assert target is not None
        assert config is not None
        name, changed = local(target[0]), copy.deepcopy(self.stores[local(target[0])])
        merge(changed, config)
        tree = Pointer()
        text = self.content(changed).encode()
        wrong = self.ly.lyd_parse_data_mem(
            self.context,
            text,
            XML,
            ctypes.c_uint32(STRICT | NO_STATE),
            ctypes.c_uint32(VALIDATE_PRESENT),
            ctypes.byref(tree),
        )
        self.ly.lyd_free_all(tree)
        if wrong:
            raise Refused(OPERATION_FAILED, APPLICATION, "libyang does not accept that")
        if (self.folder / "refuses").exists():
            # With what was asked for, as servers say that a value is wrong.
            raise Refused(OPERATION_FAILED, APPLICATION, f"the router will not have {text.decode()}")
        self.stores[name] = changed
        if name == "running":
            self.stores["candidate"] = copy.deepcopy(changed)

    @staticmethod
    def content(store: etree._Element) -> str:
        return "".join(etree.tostring(child, encoding="unicode") for child in store)

    def library(self) -> str:
        root = Pointer()
        self.ly.ly_ctx_get_yanglib_data(self.context, ctypes.byref(root), b"1")
        text = self.printed(root, WITH_SIBLINGS)
        self.ly.lyd_free_all(root)
        return text

    # The server

    def serve(self, folder: Path) -> None:
        nc = self.nc
        callbacks = RpcCallback(self.answer), HostKeyCallback(self.host_key)
        self.folder = folder
        self.require(nc.nc_server_init(self.context) == 0)
        nc.nc_set_global_rpc_clb(callbacks[0])
        nc.nc_server_ssh_set_hostkey_clb(callbacks[1], None, None)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.require(nc.nc_server_add_endpt(b"main", LIBSSH) == 0)
        self.require(nc.nc_server_endpt_set_address(b"main", b"127.0.0.1") == 0)
        self.require(nc.nc_server_endpt_set_port(b"main", ctypes.c_uint16(port)) == 0)
        self.require(nc.nc_server_ssh_endpt_add_hostkey(b"main", b"own", ctypes.c_int16(-1)) == 0)
        self.require(nc.nc_server_ssh_add_authkey_path(str(folder / "user_key.pub").encode(), USER.encode()) == 0)
        polled = Pointer(nc.nc_ps_new())
        print(f"ready {port}", flush=True)
        while not select.select([sys.stdin], [], [], 0)[0]:
            session = Pointer()
            if nc.nc_accept(10, ctypes.byref(session)) == HELLO:
                nc.nc_ps_add_session(polled, session)
            ended = Pointer()
            if nc.nc_ps_poll(polled, 10, ctypes.byref(ended)) & SESSION_ENDED:
                number = nc.nc_session_get_id(ended)
                self.locks = {name: holder for name, holder in self.locks.items() if holder != number}
                nc.nc_ps_del_session(polled, ended)
                nc.nc_session_free(ended, None)

    def host_key(self, _name: bytes, _data: object, path: int, _octets: int, _kind: int) -> int:
        ctypes.cast(path, ctypes.POINTER(Pointer))[0] = self.libc.strdup(str(self.folder / "host_key").encode())
        return 0


def local(element: etree._Element) -> str:
    return etree.QName(element).localname


def merge(target: etree._Element, edit: etree._Element) -> None:
    """Apply an edit below ``edit`` to ``target`` (RFC 6241 section 7.2), for the lists and leaves of key chains."""
    for child in edit:
        key = KEYS_OF_LISTS.get(local(child))
        names = [f"{{{etree.QName(child).namespace}}}{key}"] if key else []
        found = next(
            (
                each
                for each in target.iterchildren(str(child.tag))
                if all(each.findtext(name) == child.findtext(name) for name in names)
            ),
            None,
        )
        operation = child.get(f"{{{NETCONF}}}operation", "merge")
        if found is not None and operation in ("remove", "delete", "replace"):
            target.remove(found)
            found = None
        if operation not in ("remove", "delete"):
            if found is None:
                # An empty one that is bound to the same prefixes.
                found = etree.SubElement(target, child.tag, nsmap=child.nsmap)
                found.text = child.text
            if len(child):
                merge(found, child)
            else:
                found.text = child.text


if __name__ == "__main__":
    Router(json.loads(sys.argv[2]), json.loads(sys.argv[3])).serve(Path(sys.argv[1]))

#!/usr/bin/env python3
"""Give two routers a BGP key that nobody typed: plain ncclient, no code of rkmp's.

    python two_routers.py --user ops --key ~/.ssh/id_ed25519 \
        --router r1,127.0.0.1:8301,127.0.0.1:5001 --router r2,127.0.0.1:8302,127.0.0.1:5002

Each --router is NAME,NETCONF-HOST:PORT,IKE-HOST:PORT. Both get the same pre-shared key, generated here, and each
other as a peer; the script waits until both hold the same TCP-AO key and prints it by fingerprint.
"""

from __future__ import annotations

import argparse
import functools
import secrets
import sys
import time
from dataclasses import dataclass
from typing import Any

import xmltodict
from ncclient.manager import Manager

from ncclient import manager

CONFIGURATION = """
<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">
  <rkmp xmlns="urn:rkmp:yang:rkmp">
    <local-identity><type>fqdn</type><value>{local}.example.net</value></local-identity>
    <credentials>
      <pre-shared-key><name>pair</name><secret><keystring>{psk}</keystring></secret></pre-shared-key>
    </credentials>
    <ike-policy><name>default</name></ike-policy>
    <proposal>
      <name>tcp-ao</name><security-protocol>tcp-ao</security-protocol>
      <transform><name>sha1</name><auth-alg>hmac-sha-1-96</auth-alg><kdf>kdf-hmac-sha1</kdf></transform>
      <transform><name>aes</name><auth-alg>aes-128-cmac-96</auth-alg><kdf>kdf-aes-128-cmac</kdf></transform>
    </proposal>
    <peer>
      <name>{remote}</name><address>{address}</address><port>{port}</port><ike-policy>default</ike-policy>
      <authentication>
        <local><method>psk</method><pre-shared-key>pair</pre-shared-key></local>
        <remote>
          <identity><type>fqdn</type><value>{remote}.example.net</value></identity>
          <method>psk</method><pre-shared-key>pair</pre-shared-key>
        </remote>
      </authentication>
      <association><protocol>bgp</protocol><proposal>tcp-ao</proposal></association>
    </peer>
  </rkmp>
</config>
"""

STATE = """
<filter xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" type="subtree">
<rkmp xmlns="urn:rkmp:yang:rkmp"><peer><name>{peer}</name><association/></peer></rkmp>
<key-table xmlns="urn:rkmp:yang:crypto-key-table"><key/></key-table>
</filter>
"""


@dataclass(frozen=True)
class Router:
    name: str
    netconf: tuple[str, int]
    ike: tuple[str, int]


def router(text: str) -> Router:
    name, netconf, ike = text.split(",")
    (netconf_host, netconf_port), (ike_host, ike_port) = (part.rsplit(":", 1) for part in (netconf, ike))
    return Router(name, (netconf_host, int(netconf_port)), (ike_host, int(ike_port)))


def connect(to: Router, user: str, key: str, *, any_host_key: bool) -> Manager:
    host, port = to.netconf
    return manager.connect(
        host=host,
        port=port,
        username=user,
        key_filename=key,
        hostkey_verify=not any_host_key,
        allow_agent=False,
        look_for_keys=False,
    )


def configure(session: Manager, local: Router, remote: Router, psk: str) -> None:
    address, port = remote.ike
    config = CONFIGURATION.format(local=local.name, remote=remote.name, address=address, port=port, psk=psk)
    with session.locked("candidate"):
        session.edit_config(target="candidate", config=config, error_option="rollback-on-error")
        session.validate("candidate")
        session.commit()


def established_key(session: Manager, peer: str, timeout: float) -> dict[str, Any]:
    """Wait for the association with ``peer`` and return the row of its key."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        reply = session.get(filter=STATE.format(peer=peer))
        data = xmltodict.parse(reply.data_xml, force_list=("key",))["data"] or {}
        association = ((data.get("rkmp") or {}).get("peer") or {}).get("association") or {}
        if association.get("state") == "established":
            keys = {key["admin-key-name"]: key for key in data["key-table"]["key"]}
            return dict(keys[association["current-key"]])
        time.sleep(0.2)
    raise SystemExit(f"no key with {peer}: {association.get('last-error', 'no reason given')}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--router", type=router, action="append", required=True, metavar="NAME,NETCONF,IKE")
    parser.add_argument("--user", required=True)
    parser.add_argument("--key", required=True, help="SSH private key file")
    parser.add_argument("--any-host-key", action="store_true", help="do not look for host keys in known_hosts")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds to wait for the key")
    arguments = parser.parse_args()
    if len(arguments.router) != 2:
        parser.error("exactly two routers, please")
    first, second = arguments.router

    psk = secrets.token_urlsafe(48)
    login = functools.partial(connect, user=arguments.user, key=arguments.key, any_host_key=arguments.any_host_key)
    with login(first) as one, login(second) as two:
        configure(one, first, second, psk)
        configure(two, second, first, psk)
        keys = [
            established_key(session, peer.name, arguments.timeout) for session, peer in ((one, second), (two, first))
        ]
    for owner, key in zip((first, second), keys, strict=True):
        print(
            f"{owner.name}: {key['admin-key-name']} SendID {key['peer-key-name']} RecvID {key['local-key-name']} "
            f"fingerprint {key['fingerprint']}"
        )
    left, right = keys
    same = left["fingerprint"] == right["fingerprint"]
    mirrored = (left["peer-key-name"], left["local-key-name"]) == (right["local-key-name"], right["peer-key-name"])
    if not (same and mirrored):
        print("the two routers do not hold the same key", file=sys.stderr)
        return 1
    print("both hold the same key, with mirrored SendID and RecvID")
    return 0


if __name__ == "__main__":
    sys.exit(main())

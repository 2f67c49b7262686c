#!/usr/bin/env python3
"""Onboard a fleet of routers in parallel, and rotate every pre-shared key of it: Nornir and plain ncclient.

    python fleet.py --inventory DIR onboard
    python fleet.py --inventory DIR rotate

DIR holds Nornir's hosts.yaml (and groups.yaml, defaults.yaml); each host has in its data the address and port of its
IKE, and the names of its neighbors:

    r1:
      hostname: 192.0.2.1
      port: 830
      username: ops
      data: {ike-address: 192.0.2.1, ike-port: 500, neighbors: [r2, r20], ssh-key: ~/.ssh/id_ed25519}

`rotate` is all or nothing: every router commits its new secrets with a confirmation to follow; when all of them have
agreed on new keys, all are confirmed; when one has not, all go back, by themselves if this script has died.
"""

from __future__ import annotations

import argparse
import logging
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import xmltodict
from ncclient.manager import Manager
from nornir.core import Nornir
from nornir.core.task import Result, Task

from ncclient import manager
from nornir import InitNornir

CONFIRM_SECONDS = 120
PATIENCE_SECONDS = 60

CONFIGURATION = """
<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">
  <rkmp xmlns="urn:rkmp:yang:rkmp">
    <local-identity><type>fqdn</type><value>{name}.fleet.example</value></local-identity>
    <credentials>{secrets}</credentials>
    <ike-policy><name>fleet</name></ike-policy>
    <proposal>
      <name>fleet</name><security-protocol>tcp-ao</security-protocol>
      <transform><name>aes</name><auth-alg>aes-128-cmac-96</auth-alg><kdf>kdf-aes-128-cmac</kdf></transform>
    </proposal>
    {peers}
  </rkmp>
</config>
"""

PEER = """
    <peer>
      <name>{name}</name><address>{address}</address><port>{port}</port><ike-policy>fleet</ike-policy>
      <authentication>
        <local><method>psk</method><pre-shared-key>{name}</pre-shared-key></local>
        <remote>
          <identity><type>fqdn</type><value>{name}.fleet.example</value></identity>
          <method>psk</method><pre-shared-key>{name}</pre-shared-key>
        </remote>
      </authentication>
      <association><protocol>bgp</protocol><proposal>fleet</proposal></association>
    </peer>
"""

SECRETS = """
<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">
  <rkmp xmlns="urn:rkmp:yang:rkmp"><credentials>{secrets}</credentials></rkmp>
</config>
"""

PAIR = "<pre-shared-key><name>{name}</name><secret><keystring>{secret}</keystring></secret></pre-shared-key>"

STATE = """
<filter xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" type="subtree">
  <rkmp xmlns="urn:rkmp:yang:rkmp"><peer><name/><association/></peer></rkmp>
</filter>
"""


class PairSecrets:
    """A fresh secret for each pair of neighbors."""

    def __init__(self) -> None:
        self._secrets: dict[frozenset[str], str] = {}

    def of(self, one: str, other: str) -> str:
        return self._secrets.setdefault(frozenset((one, other)), secrets.token_urlsafe(32))

    def of_host(self, host: Any) -> str:
        return "".join(PAIR.format(name=name, secret=self.of(host.name, name)) for name in host["neighbors"])


def connect(host: Any) -> Manager:
    # Host keys are those of ~/.ssh/known_hosts, unless the inventory says for a lab that any will do.
    return manager.connect(
        host=host.hostname,
        port=host.port,
        username=host.username,
        password=host.password,
        key_filename=host.get("ssh-key"),
        hostkey_verify=not host.get("any-host-key", False),
        timeout=60,
    )


def keys(session: Manager) -> dict[str, str | None]:
    """Return the name of the key that is in use with each neighbor."""
    reply = xmltodict.parse(session.get(filter=STATE).data_xml, force_list=("peer", "association"))
    peers = ((reply["data"] or {}).get("rkmp") or {}).get("peer", [])
    return {peer["name"]: peer["association"][0].get("current-key") for peer in peers}


def wait_for_other_keys(session: Manager, before: dict[str, str | None]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while lacking := sorted(name for name, key in keys(session).items() if key in (None, before.get(name))):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no new key with {', '.join(lacking)}")
        time.sleep(0.5)


def configure(task: Task, pairs: PairSecrets) -> Result:
    """Give a router its whole configuration, and wait for its keys."""
    hosts = task.nornir.inventory.hosts
    peers = "".join(
        PEER.format(name=name, address=hosts[name]["ike-address"], port=hosts[name]["ike-port"])
        for name in task.host["neighbors"]
    )
    config = CONFIGURATION.format(name=task.host.name, secrets=pairs.of_host(task.host), peers=peers)
    with connect(task.host) as session:
        with session.locked("candidate"):
            session.edit_config(target="candidate", config=config)
            session.commit()
        wait_for_other_keys(session, {})
    return Result(host=task.host, changed=True)


def stage(task: Task, pairs: PairSecrets, token: str) -> Result:
    """Commit new secrets, to be confirmed; return the keys that were in use before."""
    with connect(task.host) as session:
        before = keys(session)
        with session.locked("candidate"):
            session.edit_config(target="candidate", config=SECRETS.format(secrets=pairs.of_host(task.host)))
            session.commit(confirmed=True, timeout=str(CONFIRM_SECONDS), persist=token)
    return Result(host=task.host, result=before, changed=True)


def prove(task: Task, before: dict[str, dict[str, str | None]]) -> Result:
    """Wait until every neighbor has agreed on a new key under the new secret."""
    with connect(task.host) as session:
        wait_for_other_keys(session, before[task.host.name])
    return Result(host=task.host)


def confirm(task: Task, token: str) -> Result:
    with connect(task.host) as session:
        session.commit(persist_id=token)
    return Result(host=task.host, changed=True)


def cancel(task: Task, token: str) -> Result:
    with connect(task.host) as session:
        session.cancel_commit(persist_id=token)
    return Result(host=task.host)


def failures(results: Any) -> list[str]:
    return [f"{name}: {result[0].exception}" for name, result in results.failed_hosts.items()]


def onboard(nornir: Nornir) -> list[str]:
    """Configure every router; return what went wrong."""
    return failures(nornir.run(task=configure, pairs=PairSecrets()))


def rotate(nornir: Nornir) -> list[str]:
    """Rotate every secret, everywhere or nowhere; return what went wrong."""
    token = secrets.token_hex(8)
    staged = nornir.run(task=stage, pairs=PairSecrets(), token=token)
    wrong = failures(staged)
    if not wrong:
        wrong = failures(nornir.run(task=prove, before={name: each[0].result for name, each in staged.items()}))
    if not wrong:
        return failures(nornir.run(task=confirm, token=token))
    # Of those, too, whose answer was not heard.
    nornir.data.reset_failed_hosts()
    nornir.run(task=cancel, token=token)
    return wrong


ACTIONS = {"onboard": onboard, "rotate": rotate}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=ACTIONS)
    parser.add_argument("--inventory", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=20)
    arguments = parser.parse_args()
    # What fails is printed at the end, without tracebacks.
    logging.getLogger("nornir").addHandler(logging.NullHandler())
    files = ("host_file", "hosts.yaml"), ("group_file", "groups.yaml"), ("defaults_file", "defaults.yaml")
    nornir = InitNornir(
        inventory={
            "plugin": "SimpleInventory",
            "options": {option: str(arguments.inventory / name) for option, name in files},
        },
        runner={"plugin": "threaded", "options": {"num_workers": arguments.workers}},
        logging={"enabled": False},
    )
    begun = time.monotonic()
    wrong = ACTIONS[arguments.what](nornir)
    for line in wrong:
        print(line, file=sys.stderr)
    hosts = nornir.inventory.hosts.values()
    pairs = {frozenset((host.name, neighbor)) for host in hosts for neighbor in host["neighbors"]}
    if not wrong:
        print(f"{len(hosts)} routers, {len(pairs)} pairs: {arguments.what} done in {time.monotonic() - begun:.1f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""The demonstration's steps and what each must show to count as true."""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import asyncssh
from lxml import etree
from rich.console import Console

from rkmp.cli.demo.router import LOOPBACK, Router, State
from rkmp.cli.session import NETCONF
from rkmp.cli.show import render_table
from rkmp.cli.views import RKMP, VIEWS
from rkmp.errors import CommandError

KEY_LIFETIME = 60
ROLLOVER_LEAD = 50
OVERLAP = 4


class Narrator:
    """Tells each step as it is taken and each check as it holds; keeps them for ``--json``."""

    def __init__(self, console: Console, *, as_json: bool) -> None:
        self._console = console
        self._as_json = as_json
        self.steps: list[dict[str, object]] = []

    def step(self, text: str) -> None:
        """Announce what is about to be done."""
        self.steps.append({"step": text, "checked": []})
        if not self._as_json:
            self._console.print(f"[bold]{len(self.steps)}. {text}[/bold]")

    def check(self, text: str, holds: bool) -> None:
        """Require that ``text`` is true; raise :class:`CommandError` when it is not."""
        if not holds:
            raise CommandError(f"this should be true and is not: {text}")
        checked = self.steps[-1]["checked"]
        assert isinstance(checked, list)  # noqa: S101 - made by step()
        checked.append(text)
        if not self._as_json:
            self._console.print(f"   [green]ok[/green] {text}")

    def show_keys(self, router: Router, state: State) -> None:
        """Print a router's key table."""
        if not self._as_json:
            data = {"key-table": {"key": list(state.keys)}}
            self._console.print(render_table(VIEWS["keys"], data, title=f"   Keys of {router.name} (* sends)"))


def run(console: Console, *, keep: Path | None, as_json: bool) -> None:
    """Run the demonstration; raise :class:`CommandError` at the first step that cannot be checked true."""
    narrator = Narrator(console, as_json=as_json)
    with _directory(keep) as directory, _terminated_in_good_order():
        key = directory / "operator_key"
        _write_key_pair(key)
        routers = [Router(name, directory / name, key) for name in ("r1", "r2")]
        try:
            _play(narrator, *routers)
        finally:
            for router in routers:
                router.stop()
    if as_json:
        print(json.dumps({"steps": narrator.steps}, indent=2))
    else:
        console.print("[bold green]Every step was checked true.[/bold green]")


def _play(narrator: Narrator, r1: Router, r2: Router) -> None:
    narrator.step("Make two agents, r1 and r2, and start them on loopback")
    for router in (r1, r2):
        router.initialise()
        router.start()
        ports = router.addresses
        narrator.check(f"{router.name} serves NETCONF on port {ports.netconf} and IKE on port {ports.ike}", True)

    narrator.step("Configure both over NETCONF: a pre-shared key, a TCP-AO proposal, a BGP neighbor")
    shared = secrets.token_hex(32)
    r2.configure(configuration("r2", "r1", r1.addresses.ike, shared, initiate="never"))
    r1.configure(configuration("r1", "r2", r2.addresses.ike, shared, initiate="on-demand"))
    narrator.check("both committed the configuration", True)

    narrator.step("The agents authenticate each other and agree on a key for BGP")
    states = [
        router.wait(lambda state: state.association.get("state") == "established", seconds=20) for router in (r1, r2)
    ]
    for router, state in zip((r1, r2), states, strict=True):
        narrator.show_keys(router, state)
    _check_agreement(narrator, *states)

    narrator.step("Replace the key on demand, without a gap")
    first = states[0].association["current-key"]
    name = r1.rekey("r2", "bgp")
    narrator.check(f"r1 answered the rekey action with the new key's name, {name}", name != first)
    states = [_wait_for_rollover(router, 1) for router in (r1, r2)]
    narrator.check("r1 now sends with it", states[0].association["current-key"] == name)
    _check_agreement(narrator, *states)

    narrator.step(f"Let the key roll over by itself ({ROLLOVER_LEAD} s before the end of its {KEY_LIFETIME} s)")
    states = [_wait_for_rollover(router, 2) for router in (r1, r2)]
    narrator.check("the key was replaced without being asked", states[0].association["current-key"] != name)
    _check_agreement(narrator, *states)

    narrator.step("Cut r2's power (SIGKILL) and start it again")
    configuration_before, fingerprint = r2.running(), states[1].current["fingerprint"]
    r2.kill()
    r2.start()
    after = r2.state()
    narrator.show_keys(r2, after)
    narrator.check("r2 kept its configuration, octet for octet", r2.running() == configuration_before)
    narrator.check(f"r2 kept the key {fingerprint}", after.current["fingerprint"] == fingerprint)
    narrator.check("r1 still holds the same key", fingerprint in r1.state().fingerprints)

    narrator.step("Replace the key once more, now that r2 has forgotten the IKE SA")
    rollovers = int(r1.state().association["rollovers"])
    r1.rekey("r2", "bgp")
    states = [
        _wait_for_rollover(r1, rollovers + 1),
        r2.wait(lambda state: state.association.get("state") == "established", seconds=20),
    ]
    _check_agreement(narrator, *states)


def _wait_for_rollover(router: Router, rollovers: int) -> State:
    def completed(state: State) -> bool:
        entry = state.association
        return entry.get("state") == "established" and int(entry.get("rollovers", "0")) >= rollovers

    return router.wait(completed, seconds=40)


def _check_agreement(narrator: Narrator, one: State, other: State) -> None:
    left, right = one.current, other.current
    narrator.check(
        f"both hold the key with fingerprint {left['fingerprint']}", left["fingerprint"] == right["fingerprint"]
    )
    narrator.check(
        f"SendID and RecvID mirror each other: {left['peer-key-name']}/{left['local-key-name']} "
        f"and {right['peer-key-name']}/{right['local-key-name']}",
        (left["peer-key-name"], left["local-key-name"]) == (right["local-key-name"], right["peer-key-name"]),
    )


def configuration(name: str, peer: str, peer_port: int, shared: str, *, initiate: str) -> etree._Element:
    """Return the ``config`` of one demonstration router whose peer listens on ``peer_port`` of loopback."""
    config = etree.Element(f"{{{NETCONF}}}config", nsmap={"nc": NETCONF})
    config.append(
        etree.fromstring(
            f"""
            <rkmp xmlns="{RKMP}">
              <local-identity><type>fqdn</type><value>{name}.demo.example</value></local-identity>
              <credentials>
                <pre-shared-key><name>demo</name><secret><keystring>{shared}</keystring></secret></pre-shared-key>
              </credentials>
              <ike-policy><name>demo</name></ike-policy>
              <proposal>
                <name>ao</name><security-protocol>tcp-ao</security-protocol>
                <transform><name>sha1</name><auth-alg>hmac-sha-1-96</auth-alg><kdf>kdf-hmac-sha1</kdf></transform>
                <transform><name>aes</name><auth-alg>aes-128-cmac-96</auth-alg><kdf>kdf-aes-128-cmac</kdf></transform>
              </proposal>
              <peer>
                <name>{peer}</name><address>{LOOPBACK}</address><port>{peer_port}</port>
                <initiate>{initiate}</initiate><ike-policy>demo</ike-policy>
                <authentication>
                  <local><method>psk</method><pre-shared-key>demo</pre-shared-key></local>
                  <remote>
                    <identity><type>fqdn</type><value>{peer}.demo.example</value></identity>
                    <method>psk</method><pre-shared-key>demo</pre-shared-key>
                  </remote>
                </authentication>
                <association>
                  <protocol>bgp</protocol><proposal>ao</proposal><key-lifetime>{KEY_LIFETIME}</key-lifetime>
                  <rollover-lead>{ROLLOVER_LEAD}</rollover-lead><overlap>{OVERLAP}</overlap>
                </association>
              </peer>
            </rkmp>"""
        )
    )
    return config


def _write_key_pair(path: Path) -> None:
    private = asyncssh.generate_private_key("ssh-ed25519")
    # Nobody else's to read from its first octet on, also in a directory that others can look into.
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    private.write_private_key(str(path))
    private.write_public_key(f"{path}.pub")


@contextmanager
def _directory(keep: Path | None) -> Iterator[Path]:
    try:
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
        directory = keep or Path(tempfile.mkdtemp(prefix="rkmp-demo-"))
    except OSError as error:
        raise CommandError(f"cannot make a directory for the demonstration: {error}") from error
    if keep is not None:
        yield directory
        return
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _terminated_in_good_order() -> Iterator[None]:
    """Let SIGTERM unwind the stack as SIGINT does, so that the agents are stopped and the directory removed."""

    def unwind(_signal: int, _frame: FrameType | None) -> None:
        sys.exit(143)

    previous = signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)

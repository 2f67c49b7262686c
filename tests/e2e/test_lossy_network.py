"""Two agents whose datagrams get lost, doubled and out of order still agree on a key, and on the next one."""

from __future__ import annotations

import random
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.agents import KEY_TABLE, NAMESPACES, AgentProcess, peer_configuration, wait_for

LOSS, DOUBLING, DELAY = 0.3, 0.2, 0.3
POLICY = (
    "<retransmission><initial-timeout>0.2</initial-timeout><backoff>1.3</backoff><tries>20</tries></retransmission>"
    # No fragments: three of them get through together too seldom for a test that waits. The simulator has them.
    "<datagram-size>1500</datagram-size>"
    # The relay is a translator to them.
    "<nat>allow</nat>"
)


class Relay:
    """Two UDP ports: what reaches one leaves from the other, unless it is lost; some twice, some late."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._ends = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for end in self._ends:
            end.bind(("127.0.0.1", 0))
        self.ports = [int(end.getsockname()[1]) for end in self._ends]
        self.lost = self.doubled = self.delayed = 0
        self._stopped = threading.Event()

    def run(self, destinations: list[int]) -> None:
        """Serve until :meth:`stop`; ``destinations`` are the ports of the agents behind the first and second port."""
        waiting: list[tuple[float, int, bytes]] = []
        while not self._stopped.is_set():
            readable, _, _ = select.select(self._ends, [], [], 0.02)
            for end in readable:
                data, _ = end.recvfrom(65535)
                other = 1 - self._ends.index(end)
                if self._chance.random() < LOSS:
                    self.lost += 1
                    continue
                copies = 1 + (self._chance.random() < DOUBLING)
                self.doubled += copies - 1
                for _ in range(copies):
                    late = self._chance.random() * DELAY if self._chance.random() < DELAY else 0.0
                    self.delayed += late > 0
                    waiting.append((time.monotonic() + late, other, data))
            now = time.monotonic()
            for due, other, data in [each for each in waiting if each[0] <= now]:
                waiting.remove((due, other, data))
                self._ends[other].sendto(data, ("127.0.0.1", destinations[other]))

    def stop(self) -> None:
        self._stopped.set()


@contextmanager
def lossy_path(r1: AgentProcess, r2: AgentProcess, chance: random.Random) -> Iterator[Relay]:
    relay = Relay(chance)
    thread = threading.Thread(target=relay.run, args=([r1.ike_port, r2.ike_port],))
    thread.start()
    try:
        yield relay
    finally:
        relay.stop()
        thread.join()
        for end in relay._ends:
            end.close()


def fingerprint_sent_with(agent: AgentProcess) -> str | None:
    with agent.connect() as session:
        data = agent.get(session, f'<key-table xmlns="{KEY_TABLE}"/>')
    found = data.xpath("//ckt:key[ckt:selected-for-sending='true']/ckt:fingerprint/text()", namespaces=NAMESPACES)
    return str(found[0]) if found else None


def test_a_third_of_the_datagrams_lost_costs_time_and_nothing_else(pair: tuple[AgentProcess, AgentProcess]) -> None:
    r1, r2 = pair
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    with lossy_path(r1, r2, random.Random(seed)) as relay:
        to_r1, to_r2 = relay.ports[1], relay.ports[0]
        with r1.connect() as one, r2.connect() as two:
            config = peer_configuration("r2", "r1", port=to_r1, initiate="never", ike_policy=POLICY)
            two.edit_config(target="running", config=config)
            config = peer_configuration("r1", "r2", port=to_r2, ike_policy=POLICY)
            one.edit_config(target="running", config=config)
        wait_for("the same key on both sides", lambda: same_key(r1, r2), seconds=60)
        first = fingerprint_sent_with(r1)
        done = r1.run_client("rekey", "r2", "bgp")
        assert done.returncode == 0, done.stderr
        wait_for("the next key on both", lambda: same_key(r1, r2) and fingerprint_sent_with(r1) != first, seconds=60)
        assert relay.lost > 0


def same_key(r1: AgentProcess, r2: AgentProcess) -> bool:
    key = fingerprint_sent_with(r1)
    return key is not None and key == fingerprint_sent_with(r2)

"""Inside the guest: the system calls of TCP-AO, and sockets whose keys follow one another without losing a segment."""

from __future__ import annotations

import errno
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from rkmp.errors import SouthboundError, TcpAoError
from rkmp.secret import Secret
from rkmp.southbound import tcp_ao
from rkmp.southbound.keys import MasterKeyTuple
from rkmp.southbound.sockets import NeighborSockets
from rkmp.southbound.steps import Add, Holding, Prefer, Remove, Step, after
from rkmp.southbound.tcp_ao import Neighbor

ADDRESSES = ["127.0.0.1", "::1"]
ALGORITHMS = [("hmac-sha-1-96", 20), ("aes-128-cmac-96", 16), ("aes-128-cmac-96", 23), ("hmac-sha-256-128", 32)]


def key(
    number: int, alg_id: str = "hmac-sha-1-96", octets: int = 20, *, ignore_options: bool = False
) -> MasterKeyTuple:
    """Return the key of that number as the side that connects has it: SendID number, RecvID 100 more."""
    secret = Secret(bytes((number * 7 + place) % 256 for place in range(octets)))
    return MasterKeyTuple(f"key-{number}", number, number + 100, alg_id, secret, ignore_options)


def mirrored(one: MasterKeyTuple) -> MasterKeyTuple:
    return replace(one, send_id=one.recv_id, recv_id=one.send_id)


class Side:
    """One end: its sockets and the steps that they take."""

    def __init__(self, address: str) -> None:
        self.sockets = NeighborSockets(Neighbor.of(address))

    def take(self, *steps: Step) -> list[socket.socket]:
        stranded: list[socket.socket] = []
        for step in steps:
            stranded += self.sockets.hold(after(self.sockets.holding, step))
        return stranded


class Pair:
    """A listener and who connects to it, on one address."""

    def __init__(self, address: str, stack: ExitStack) -> None:
        self.address = address
        self.family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.stack = stack
        self.server, self.client = Side(address), Side(address)
        self.listener = self.open()
        self.listener.bind((address, 0))
        self.server.sockets.listening(self.listener)
        self.listener.listen(8)

    def open(self) -> socket.socket:
        opened = self.stack.enter_context(socket.socket(self.family, socket.SOCK_STREAM))
        opened.settimeout(20)
        return opened

    def dial(self) -> socket.socket:
        dialling = self.open()
        self.client.sockets.prepare(dialling)
        dialling.connect(self.listener.getsockname()[:2])
        return dialling

    def accept(self) -> socket.socket:
        accepted = self.stack.enter_context(self.listener.accept()[0])
        accepted.settimeout(20)
        self.server.sockets.accepted(accepted)
        return accepted

    def both(self, kind: type[Prefer | Remove], name: str) -> None:
        self.server.take(kind(name))
        self.client.take(kind(name))

    def add(self, one: MasterKeyTuple) -> None:
        self.server.take(Add(mirrored(one)))
        self.client.take(Add(one))


@pytest.fixture(params=ADDRESSES)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    with ExitStack() as stack:
        yield Pair(request.param, stack)


def talk(one: socket.socket, other: socket.socket, times: int = 3) -> None:
    for count in range(times):
        one.sendall(b"%d?" % count)
        assert other.recv(100) == b"%d?" % count
        other.sendall(b"%d!" % count)
        assert one.recv(100) == b"%d!" % count


@contextmanager
def nothing_bad(*connections: socket.socket) -> Iterator[None]:
    yield
    for connection in connections:
        info = tcp_ao.socket_info(connection)
        assert (info.bad, info.key_not_found, info.unsigned) == (0, 0, 0)


def test_this_kernel_takes_keys_of_both_algorithms() -> None:
    tcp_ao.require_tcp_ao()


@pytest.mark.parametrize("ignore_options", [False, True])
@pytest.mark.parametrize(("alg_id", "octets"), ALGORITHMS)
def test_five_keys_follow_one_another_without_a_bad_segment(
    pair: Pair, alg_id: str, octets: int, ignore_options: bool
) -> None:
    pair.add(key(1, alg_id, octets, ignore_options=ignore_options))
    pair.both(Prefer, "key-1")
    client, server = pair.dial(), pair.accept()
    with nothing_bad(client, server):
        talk(client, server)
        for number in range(2, 7):
            old, new = f"key-{number - 1}", f"key-{number}"
            pair.add(key(number, alg_id, octets, ignore_options=ignore_options))
            talk(client, server)
            assert pair.client.sockets.usage().sending == {old}
            pair.client.take(Prefer(new))
            talk(client, server)
            assert pair.server.sockets.usage().sending == {new}
            assert pair.client.sockets.usage().sending == {old}
            pair.server.take(Prefer(new))
            talk(client, server)
            assert pair.client.sockets.usage().sending == {new}
            pair.both(Remove, old)
            talk(client, server)
            assert [each.send_id for each in tcp_ao.installed_keys(client)] == [number]
        assert counted(pair.client, "good") > 0


def test_only_whoever_treats_options_alike_is_understood(pair: Pair) -> None:
    pair.server.take(Add(mirrored(key(1, ignore_options=True))), Prefer("key-1"))
    pair.client.take(Add(key(1)), Prefer("key-1"))
    dialling = pair.open()
    dialling.settimeout(3)
    pair.client.sockets.prepare(dialling)
    with pytest.raises(TimeoutError):
        dialling.connect(pair.listener.getsockname()[:2])


def test_a_connection_that_was_accepted_during_a_change_is_brought_to_the_present(pair: Pair) -> None:
    pair.add(key(1))
    pair.both(Prefer, "key-1")
    client = pair.dial()
    # The connection waits in the backlog with the keys of before, while a whole rollover passes over the listener.
    pair.add(key(2, "aes-128-cmac-96", 16))
    pair.both(Prefer, "key-2")
    with nothing_bad(client):
        server = pair.accept()
        assert {each.send_id for each in tcp_ao.installed_keys(server)} == {101, 102}
        with nothing_bad(server):
            talk(client, server)
            assert pair.client.sockets.usage().sending == {"key-2"}
            assert pair.server.sockets.usage().sending == {"key-2"}
            pair.both(Remove, "key-1")
            talk(client, server)


def test_a_connection_made_with_a_key_that_is_gone_is_not_handed_over(pair: Pair) -> None:
    pair.add(key(1))
    pair.both(Prefer, "key-1")
    pair.dial()
    # The same KeyIDs come again with other material.
    pair.server.take(Remove("key-1"), Add(mirrored(replace(key(1), name="again", secret=Secret(b"other")))))
    with pytest.raises(SouthboundError, match="a key that is gone"):
        pair.accept()


def test_key_ids_never_get_new_material_while_the_old_is_there(pair: Pair) -> None:
    pair.add(key(1))
    with pytest.raises(TcpAoError) as refused:
        tcp_ao.add_key(pair.listener, Neighbor.of(pair.address), replace(mirrored(key(1)), secret=Secret(b"other")))
    assert refused.value.errno == errno.EEXIST


def test_a_listener_without_keys_lets_nobody_in(pair: Pair) -> None:
    unsigned = pair.open()
    unsigned.settimeout(3)
    with pytest.raises(TimeoutError):
        unsigned.connect(pair.listener.getsockname()[:2])
    pair.add(key(0))
    pair.both(Prefer, "key-0")
    talk(pair.dial(), pair.accept())
    assert [each.send_id for each in tcp_ao.installed_keys(pair.listener)] == [100]
    pair.server.take(Remove("key-0"))
    late = pair.open()
    late.settimeout(3)
    with pytest.raises(TimeoutError):
        late.connect(pair.listener.getsockname()[:2])


def test_the_last_key_that_goes_strands_its_connection(pair: Pair) -> None:
    pair.add(key(1))
    pair.both(Prefer, "key-1")
    client = pair.dial()
    server = pair.accept()
    talk(client, server)
    assert pair.client.take(Remove("key-1")) == [client]
    with pytest.raises(SouthboundError, match="no key"):
        pair.client.sockets.prepare(pair.open())


def test_a_key_in_use_that_has_to_go_makes_place_for_the_next(pair: Pair) -> None:
    pair.add(key(1))
    pair.both(Prefer, "key-1")
    client, server = pair.dial(), pair.accept()
    talk(client, server)
    pair.add(key(2))
    # Nobody has switched, and both sides have to let go of the old key at once.
    pair.both(Prefer, "key-2")
    pair.both(Remove, "key-1")
    talk(client, server)
    assert pair.client.sockets.usage().sending == pair.server.sockets.usage().sending == {"key-2"}


def counted(side: Side, name: str) -> int:
    """Return one of the counters once it is not 0 any more."""
    deadline = time.monotonic() + 20
    while not (count := int(getattr(side.sockets.usage(), name))):
        assert time.monotonic() < deadline, f"{name} is still 0: {side.sockets.usage()}"
        time.sleep(0.05)
    return count


@pytest.mark.parametrize(
    ("network", "length", "ours", "theirs"),
    [("127.1.9.9", 16, "127.1.0.1", "127.1.2.3"), ("fd01::", 64, "fd01::1", "fd01::2:3")],
)
def test_a_key_for_a_prefix_serves_every_address_in_it(network: str, length: int, ours: str, theirs: str) -> None:
    family = socket.AF_INET6 if ":" in network else socket.AF_INET
    if family == socket.AF_INET6:
        script = "ip link add here type dummy; ip link set here up; ip addr add fd01::1/64 dev here nodad"
        subprocess.run(["sh", "-ec", f"{script}; ip addr add fd01::2:3/64 dev here nodad"], check=True)
    with socket.socket(family) as listener, socket.socket(family) as client:
        sockets = NeighborSockets(Neighbor.of(network, prefix_length=length))
        listener.bind((ours, 0))
        sockets.listening(listener)
        listener.listen()
        sockets.hold(after(after(Holding(), Add(mirrored(key(1)))), Prefer("key-1")))
        client.settimeout(10)
        client.bind((theirs, 0))
        tcp_ao.add_key(client, Neighbor.of(ours), key(1), selected=True)
        client.connect(listener.getsockname())
        with listener.accept()[0] as server:
            sockets.accepted(server)
            talk(client, server)
            (installed,) = tcp_ao.installed_keys(server)
            assert installed.neighbor.prefix == length


def test_a_neighbor_is_reached_on_its_link() -> None:
    """The kernel's keys know no zones: the same key is found again, and not installed twice."""
    script = "ip link add near type dummy; ip link set near up; ip addr add fe80::7/64 dev near nodad"
    subprocess.run(["sh", "-ec", script], check=True)
    index = socket.if_nametoindex("near")
    with ExitStack() as stack:
        server, client = Side("fe80::7%near"), Side("fe80::7%near")
        listener = stack.enter_context(socket.socket(socket.AF_INET6))
        listener.bind(("fe80::7", 0, 0, index))
        server.sockets.listening(listener)
        listener.listen()
        dialling = stack.enter_context(socket.socket(socket.AF_INET6))
        dialling.settimeout(10)
        server.take(Add(mirrored(key(1))), Prefer("key-1"))
        client.take(Add(key(1)), Prefer("key-1"))
        client.sockets.prepare(dialling)
        dialling.connect(("fe80::7", listener.getsockname()[1], 0, index))
        accepted = stack.enter_context(listener.accept()[0])
        server.sockets.accepted(accepted)
        with nothing_bad(dialling, accepted):
            for number in (2, 3):
                server.take(Add(mirrored(key(number))), Prefer(f"key-{number}"))
                client.take(Add(key(number)), Prefer(f"key-{number}"))
                talk(dialling, accepted)
                server.take(Remove(f"key-{number - 1}"))
                client.take(Remove(f"key-{number - 1}"))
                talk(dialling, accepted)


@pytest.fixture(scope="module")
def vrfs() -> tuple[int, int]:
    """Two VRFs with a link between them; the indices of their devices."""
    script = """
    ip link add red type vrf table 10; ip link set red up
    ip link add blue type vrf table 20; ip link set blue up
    ip link add in-red type veth peer name in-blue
    ip link set in-red master red up; ip addr add 10.2.0.1/24 dev in-red; ip addr add fd02::1/64 dev in-red nodad
    ip link set in-blue master blue up; ip addr add 10.2.0.2/24 dev in-blue; ip addr add fd02::2/64 dev in-blue nodad
    """
    subprocess.run(["sh", "-ec", script], check=True)
    return socket.if_nametoindex("red"), socket.if_nametoindex("blue")


@pytest.mark.parametrize(("ours", "theirs"), [("10.2.0.1", "10.2.0.2"), ("fd02::1", "fd02::2")])
def test_a_key_for_one_vrf_serves_no_other(vrfs: tuple[int, int], ours: str, theirs: str) -> None:
    red, blue = vrfs
    family = socket.AF_INET6 if ":" in ours else socket.AF_INET
    for keyed in (red, blue):
        with socket.socket(family) as listener, socket.socket(family) as client:
            for each, vrf in ((listener, b"red"), (client, b"blue")):
                each.settimeout(3)
                each.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, vrf)
            listener.bind((ours, 0))
            sockets = NeighborSockets(Neighbor.of(theirs, interface_index=keyed))
            sockets.hold(after(after(Holding(), Add(mirrored(key(1)))), Prefer("key-1")))
            sockets.listening(listener)
            listener.listen()
            tcp_ao.add_key(client, Neighbor.of(ours, interface_index=blue), key(1), selected=True)
            if keyed == blue:
                # The segments come from the other VRF, for which there is no key.
                with pytest.raises(TimeoutError):
                    client.connect(listener.getsockname())
                continue
            client.connect(listener.getsockname())
            with listener.accept()[0] as server:
                sockets.accepted(server)
                talk(client, server)
                (installed,) = tcp_ao.installed_keys(server)
                assert installed.neighbor.interface_index == red

"""What is done to sockets, against a model of the kernel's rules; the kernel itself is met in the guest."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rkmp.errors import TcpAoError, TcpAoUnavailable
from rkmp.secret import Secret
from rkmp.southbound.keys import MasterKeyTuple
from rkmp.southbound.socket_plan import (
    Close,
    Delete,
    Install,
    Operation,
    Request,
    kernel_material,
    plan_connecting,
    plan_connection,
    plan_listener,
)
from rkmp.southbound.tcp_ao import InstalledKey, Neighbor, add_key

NEIGHBOR = Neighbor.of("192.0.2.2")
BARRIER = MasterKeyTuple("barrier", 0, 0, "hmac-sha-1-96", Secret(b"nobody knows"), False)


def key(send_id: int, recv_id: int | None = None, secret: bytes = b"secret") -> MasterKeyTuple:
    recv = send_id + 100 if recv_id is None else recv_id
    return MasterKeyTuple(f"key-{send_id}-{recv}", send_id, recv, "hmac-sha-1-96", Secret(secret), False)


@dataclass
class Kernel:
    """One socket: refuses what Linux refuses (seen in the guest), and is never without the key that it uses."""

    keys: list[MasterKeyTuple] = field(default_factory=list)
    current: int | None = None
    rnext: int | None = None
    is_listener: bool = False

    def installed(self) -> list[InstalledKey]:
        return [
            InstalledKey(
                neighbor=NEIGHBOR,
                send_id=each.send_id,
                recv_id=each.recv_id,
                algorithm="hmac(sha1)",
                material=kernel_material(each),
                is_current=each.send_id == self.current,
                is_rnext=each.recv_id == self.rnext,
                good=0,
                bad=0,
            )
            for each in self.keys
        ]

    def do(self, operation: Operation) -> bool:
        match operation:
            case Install(new, selected):
                assert not any(each.shares_id(new) for each in self.keys), errno.EEXIST
                self.keys.append(new)
                if selected:
                    self.current, self.rnext = new.send_id, new.recv_id
            case Request(recv_id):
                assert any(each.recv_id == recv_id for each in self.keys), errno.ENOENT
                self.rnext = recv_id
            case Delete(send_id, recv_id, current, rnext):
                (old,) = [each for each in self.keys if (each.send_id, each.recv_id) == (send_id, recv_id)]
                self.current = self.current if current is None else current
                self.rnext = self.rnext if rnext is None else rnext
                assert self.current != old.send_id, errno.EBUSY
                assert self.rnext != old.recv_id, errno.EBUSY
                self.keys.remove(old)
                if self.is_listener:
                    assert self.keys, "a listener without keys takes anybody"
            case Close():
                return False
        return True

    def follow(self, operations: list[Operation]) -> bool:
        return all(self.do(operation) for operation in operations)


def test_a_connection_is_made_with_the_preferred_key() -> None:
    kernel = Kernel()
    assert kernel.follow(list(plan_connecting([key(1), key(2)], key(2))))
    assert (kernel.current, kernel.rnext, len(kernel.keys)) == (2, 102, 2)
    assert not Kernel().follow(list(plan_connecting([], None)))


def test_the_key_in_use_goes_with_another_in_its_place() -> None:
    kernel = Kernel([key(1)], current=1, rnext=101)
    assert kernel.follow(list(plan_connection(kernel.installed(), [key(2)], key(2))))
    assert (kernel.keys, kernel.current, kernel.rnext) == ([key(2)], 2, 102)


def test_nothing_is_done_where_nothing_is_to_do() -> None:
    kernel = Kernel([key(1)], current=1, rnext=101)
    assert list(plan_connection(kernel.installed(), [key(1)], key(1))) == []
    assert list(plan_listener(kernel.installed(), [key(1)], BARRIER)) == []


def test_a_connection_without_any_key_is_closed() -> None:
    kernel = Kernel([key(1)], current=1, rnext=101)
    assert list(plan_connection(kernel.installed(), [], None)) == [Close()]
    # Its only key has been given other material: neither can take the other's place.
    assert list(plan_connection(kernel.installed(), [key(1, secret=b"new")], None)) == [Close()]


def test_a_listener_is_never_without_a_key() -> None:
    kernel = Kernel(is_listener=True)
    for held in ([], [key(1)], [key(1, secret=b"new")], [key(0, 0)], [], [key(5), key(0, 1)]):
        assert kernel.follow(list(plan_listener(kernel.installed(), held, BARRIER)))
        assert sorted(kernel.keys, key=lambda each: each.name) == sorted(held or [BARRIER], key=lambda each: each.name)


def test_a_master_key_of_another_length_than_aes_is_known_again() -> None:
    # RFC 5926 3.1.1.2 and RFC 4493's example of 40 octets, under an all-zero key.
    long = replace(key(1), alg_id="aes-128-cmac-96", secret=Secret(b"a key that is too long for AES"))
    assert len(kernel_material(long)) == 16
    assert kernel_material(long) != long.secret
    short = replace(long, secret=Secret(bytes(16)))
    assert kernel_material(short) == short.secret


ids = st.integers(0, 3)
some_keys = st.lists(
    st.builds(key, ids, ids, st.sampled_from([b"one", b"two"])),
    max_size=4,
    unique_by=(lambda each: each.send_id, lambda each: each.recv_id),
)


@given(present=some_keys, held=some_keys, current=ids, rnext=ids, preferred=ids)
def test_any_connection_is_brought_to_any_keys_within_the_kernels_rules(
    present: list[MasterKeyTuple], held: list[MasterKeyTuple], current: int, rnext: int, preferred: int
) -> None:
    kernel = Kernel(list(present))
    if present:
        kernel.current = present[current % len(present)].send_id
        kernel.rnext = present[rnext % len(present)].recv_id
    wanted = held[preferred % len(held)] if held else None
    if kernel.follow(list(plan_connection(kernel.installed(), held, wanted))):
        assert {each.name for each in kernel.keys} == {each.name for each in held}
        assert wanted is None or kernel.rnext == wanted.recv_id
        assert {kernel.current} <= {None} | {each.send_id for each in held}


@given(present=some_keys, held=some_keys)
def test_any_listener_is_brought_to_any_keys_within_the_kernels_rules(
    present: list[MasterKeyTuple], held: list[MasterKeyTuple]
) -> None:
    kernel = Kernel(list(present), is_listener=True)
    assert kernel.follow(list(plan_listener(kernel.installed(), held, BARRIER)))
    assert {(each.name, each.secret.reveal()) for each in kernel.keys} == {
        (each.name, each.secret.reveal()) for each in held or [BARRIER]
    }


def test_a_kernel_that_has_no_such_option_is_named() -> None:
    # Every kernel lacks the option on a socket of another protocol, and says so in the same words.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        with pytest.raises(TcpAoUnavailable, match="this kernel has no TCP-AO"):
            add_key(other, NEIGHBOR, key(1))
        with pytest.raises(TcpAoError, match="90 octets") as refused:
            add_key(other, NEIGHBOR, key(1, secret=bytes(90)))
    assert refused.value.errno == errno.EINVAL

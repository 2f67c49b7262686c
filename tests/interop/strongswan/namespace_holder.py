"""Run inside a new network namespace: keeps it there, and binds the sockets that are asked for until told to end.

A script, not a module: it uses the standard library alone. Its argument is a descriptor of a socket of packets; an
address and a port come in as text, ``bound`` goes out with the socket, or else what went wrong.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import sys

SIOCSIFFLAGS = 0x8914
SIOCSIFADDR = 0x8916
IFF_UP = 1
LOOPBACK_INDEX = 1
IPV6_ADDRESSES = ("fd00::1", "fd00::2")


def raise_loopback() -> None:
    """Switch on the one interface that a new network namespace has.

    All of 127.0.0.0/8 is there by itself, of IPv6 one address only.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as any_socket:
        for address in IPV6_ADDRESSES:
            octets = socket.inet_pton(socket.AF_INET6, address)
            fcntl.ioctl(any_socket, SIOCSIFADDR, struct.pack("16sIi", octets, 128, LOOPBACK_INDEX))


def serve(control: socket.socket) -> None:
    """Bind what is asked for until the other end is closed."""
    raise_loopback()
    control.send(b"ready")
    while request := control.recv(256):
        address, port = request.decode().split()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as bound:
            try:
                bound.bind((address, int(port)))
            except OSError as error:
                control.send(str(error).encode())
            else:
                socket.send_fds(control, [b"bound"], [bound.fileno()])


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as end:
        serve(end)

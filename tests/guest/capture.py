"""What passes an interface of a namespace, written down as a capture while it runs.

    python -m tests.guest.capture INTERFACE FILE

A file of libpcap's format, of Ethernet frames, whole after each of them.
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from pathlib import Path

ALL_PROTOCOLS = 0x0003
ETHERNET = 1
MOST_OCTETS = 1 << 16


def main(interface: str, file: str) -> None:
    taking = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
    with taking as taken, Path(file).open("wb") as out:
        taken.bind((interface, ALL_PROTOCOLS))
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, MOST_OCTETS, ETHERNET))
        out.flush()
        while True:
            frame = taken.recv(MOST_OCTETS)
            moment = time.time_ns() // 1000
            out.write(struct.pack("<IIII", moment // 10**6, moment % 10**6, len(frame), len(frame)) + frame)
            out.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])

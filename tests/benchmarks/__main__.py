"""List the benchmarks, or run those that are named: ``python -m tests.benchmarks [NAME ...]``."""

from __future__ import annotations

import argparse
import importlib
import sys

from tests.interop.strongswan.namespace import Unavailable

BENCHMARKS = {
    "handshake": "CPU per IKE SA as responder and as initiator, beside charon",
    "handshake-profile": "where that CPU goes on our side",
    "fleet": "memory of 1,000 and 10,000 peers, beside charon, and the time to bring 1,000 up",
    "netconf": "a list of 100, 1,000 and 10,000 entries over NETCONF, beside netopeer2's recorded figures",
    "netconf-peers": "the same with the peers of our own module, which an engine carries out",
}
"""Each is the module of the same name here, and its function ``run``."""


def main() -> int:
    """Return 0, or 1 when a benchmark could not be run."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", help="which to run, in this order")
    names: list[str] = parser.parse_args().name
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]}; there are {', '.join(BENCHMARKS)}")
    if not names:
        width = max(map(len, BENCHMARKS))
        for name, what in BENCHMARKS.items():
            print(f"{name.ljust(width)}  {what}")
    for name in names:
        module = importlib.import_module(f"tests.benchmarks.{name.replace('-', '_')}")
        try:
            print(module.run(), end="\n\n")
        except Unavailable as reason:
            print(f"{name} cannot be run: {reason}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

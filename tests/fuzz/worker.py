"""One run of the coverage-guided fuzzer over one target, in a process of its own: libFuzzer ends the process.

Its arguments are the target and then libFuzzer's own. The name of a function elsewhere, ``module:function``, will do
for a target, too.
"""

from __future__ import annotations

import importlib
import sys
import tracemalloc
from collections.abc import Callable

import atheris


def find(name: str) -> Callable[[bytes], None]:
    """Return the target of that name, its code instrumented as it is imported."""
    module, _, function = name.partition(":")
    with atheris.instrument_imports(include=["rkmp", module]):
        if function:
            planted: Callable[[bytes], None] = getattr(importlib.import_module(module), function)
            return planted
        from tests.fuzz.targets import TARGETS
    return TARGETS[name]


if __name__ == "__main__":
    target = find(sys.argv[1])
    tracemalloc.start(1)
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()

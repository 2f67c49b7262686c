"""libyang as judge of what the server sends: data must be valid by the modules that it announces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import oopt_gnpy_libyang as libyang
from lxml import etree

from rkmp.datastore.schema import standard_modules


def require_valid_state(
    implemented: Mapping[str, Sequence[str]], folders: Iterable[Path], nodes: Iterable[etree._Element]
) -> None:
    """Raise libyang's error unless the top-level ``nodes`` are valid operational data."""
    path = ":".join(str(folder) for folder in (*folders, *standard_modules()))
    libyang.set_log_options(libyang.LogOptions.StoreLast)
    context = libyang.Context(path, libyang.ContextOptions.NoYangLibrary | libyang.ContextOptions.DisableSearchCwd)
    for name, features in implemented.items():
        context.load_module(name, None, list(features))
    text = "".join(etree.tostring(node, encoding="unicode", with_tail=False) for node in nodes)
    context.parse_data(text, libyang.DataFormat.XML, libyang.ParseOptions.Strict, libyang.ValidationOptions.Present)

"""libyang as judge of what the server sends: data must be valid by the modules that it announces."""

from __future__ import annotations

import re
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


def require_valid_notification(event: etree._Element, *models: tuple[str, Path]) -> None:
    """Raise libyang's error unless ``event``, the element inside ``<notification>``, is what its module defines.

    ``models`` are modules whose data the event may point at, with their folders. The binding of libyang parses data
    only, so the module is read with its notifications as state.
    """
    (text,) = (
        path.read_text() for folder in standard_modules() for path in folder.glob("ietf-netconf-notifications*.yang")
    )
    libyang.set_log_options(libyang.LogOptions.StoreLast)
    path = ":".join(str(folder) for folder in (*(folder for _, folder in models), *standard_modules()))
    context = libyang.Context(path, libyang.ContextOptions.NoYangLibrary | libyang.ContextOptions.DisableSearchCwd)
    for name, _ in models:
        context.load_module(name, None, [])
    as_state = re.sub(r"\bnotification (netconf-[a-z-]+) \{", r"container \1 { presence told; config false;", text)
    # RFC 6470 cannot mean what it says: what was deleted is not there to be pointed at.
    as_state = as_state.replace("instance-identifier;", "instance-identifier { require-instance false; }")
    context.parse_module(as_state, libyang.SchemaFormat.YANG)
    document = etree.tostring(event, encoding="unicode", with_tail=False)
    context.parse_data(document, libyang.DataFormat.XML, libyang.ParseOptions.Strict, libyang.ValidationOptions.Present)

"""Which standard modules the server itself implements, and the capabilities it announces (RFC 6241 section 8).

One table: a capability, the feature of ietf-netconf that goes with it, and nothing that does not work. The daemon
adds these modules to those of its own when it has the schema compiled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from rkmp.datastore.schema import Module, Schema
from rkmp.datastore.with_defaults import BASIC_MODE, DefaultsMode
from rkmp.netconf.hello import BASE_1_0, BASE_1_1

_CAPABILITY = "urn:ietf:params:netconf:capability:"

URL = f"{_CAPABILITY}url:1.0?scheme=file"


@dataclass(frozen=True, slots=True)
class Capability:
    """One capability: its URI, and the feature of ietf-netconf that is enabled with it, if there is one."""

    uri: str
    feature: str | None = None


CAPABILITIES: tuple[Capability, ...] = (
    Capability(BASE_1_0),
    Capability(BASE_1_1),
    Capability(f"{_CAPABILITY}writable-running:1.0", "writable-running"),
    Capability(f"{_CAPABILITY}candidate:1.0", "candidate"),
    Capability(f"{_CAPABILITY}confirmed-commit:1.1", "confirmed-commit"),
    Capability(f"{_CAPABILITY}startup:1.0", "startup"),
    Capability(f"{_CAPABILITY}rollback-on-error:1.0", "rollback-on-error"),
    Capability(f"{_CAPABILITY}validate:1.1", "validate"),
    Capability(URL, "url"),
    Capability(f"{_CAPABILITY}xpath:1.0", "xpath"),
    # No module of pyang's has its operations.
    Capability(f"{_CAPABILITY}partial-lock:1.0"),
    Capability(
        f"{_CAPABILITY}with-defaults:1.0"
        f"?basic-mode={BASIC_MODE.value}"
        f"&also-supported={','.join(mode.value for mode in DefaultsMode if mode is not BASIC_MODE)}"
    ),
    Capability(f"{_CAPABILITY}with-operational-defaults:1.0"),
    Capability(f"{_CAPABILITY}notification:1.0"),
    Capability(f"{_CAPABILITY}interleave:1.0"),
)

NETCONF_MODULES: Mapping[str, tuple[str, ...]] = {
    "ietf-netconf": tuple(capability.feature for capability in CAPABILITIES if capability.feature is not None),
    "ietf-netconf-acm": (),
    "ietf-netconf-monitoring": (),
    "ietf-netconf-nmda": ("origin", "with-defaults"),
    "ietf-netconf-notifications": (),
    "ietf-netconf-with-defaults": (),
    # Neither feature configured, which needs a transport to receivers, nor what marks or orders packets (RFC 8639 2.3).
    "ietf-subscribed-notifications": ("encode-xml", "replay", "subtree", "xpath"),
    "ietf-yang-push": ("on-change",),
    "ietf-yang-library": (),
    # RFC 7950 9.10.2: these are implemented for their identities, which an imported module would not lend.
    "ietf-datastores": (),
    "ietf-origin": (),
}
"""Modules that this package implements, each with the features to enable."""

_YANG_VERSION_1_1 = re.compile(r"^\s*yang-version\s+[\"']?1\.1[\"']?\s*;", re.MULTILINE)


def announced_capabilities(schema: Schema, *, has_files: bool = True) -> tuple[str, ...]:
    """Return the URIs of the server's hello: protocol capabilities, the YANG library, and YANG 1.0 modules.

    ``has_files`` says whether there is a directory for the files of URLs.

    Modules of YANG 1.1 are announced by the library alone (RFC 7950 section 5.6.4).
    """
    library = schema.modules["ietf-yang-library"]
    return (
        *(capability.uri for capability in CAPABILITIES if has_files or capability.uri != URL),
        f"{_CAPABILITY}yang-library:1.1?revision={library.revision}&content-id={quote(schema.content_id)}",
        *(
            _module_capability(module)
            for module in schema.modules.values()
            if module.implemented and not _YANG_VERSION_1_1.search(module.text)
        ),
    )


def _module_capability(module: Module) -> str:
    """Return the capability of a YANG 1.0 module (RFC 6020 section 5.6.4)."""
    parameters = [f"module={module.name}"]
    if module.revision:
        parameters.append(f"revision={module.revision}")
    if module.features:
        parameters.append(f"features={','.join(module.features)}")
    if module.deviations:
        parameters.append(f"deviations={','.join(module.deviations)}")
    return f"{module.namespace}?{'&'.join(parameters)}"

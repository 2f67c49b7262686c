"""The XML namespaces of NETCONF and of the standard modules that the server itself speaks for.

Strings only; the namespaces of the modules that the server carries come from the compiled schema.
"""

from __future__ import annotations

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
"""RFC 6241 section 3.1: messages, operations and the ``operation`` attribute."""

NOTIFICATION = "urn:ietf:params:xml:ns:netconf:notification:1.0"
"""RFC 5277 section 4: ``create-subscription`` and ``notification``."""

STREAMS = "urn:ietf:params:xml:ns:netmod:notification"
"""RFC 5277 section 3.4: the list of event streams."""

NOTIFICATIONS = "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"
"""RFC 6470: what the server tells about itself."""

MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
"""RFC 6022: ``netconf-state`` and ``get-schema``."""

YANG = "urn:ietf:params:xml:ns:yang:1"
"""RFC 7950 section 5.3.1: ``action``, and the extra error information of section 15."""

YANG_LIBRARY = "urn:ietf:params:xml:ns:yang:ietf-yang-library"
"""RFC 8525: ``yang-library`` and the older ``modules-state``."""

DATASTORES = "urn:ietf:params:xml:ns:yang:ietf-datastores"
"""RFC 8342 appendix A: identities of datastores."""

PARTIAL_LOCK = "urn:ietf:params:xml:ns:netconf:partial-lock:1.0"
"""RFC 5717: ``partial-lock`` and ``partial-unlock``."""

WITH_DEFAULTS = "urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults"
"""RFC 6243 section 5: the parameter ``with-defaults``."""

NMDA = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
"""RFC 8526: ``get-data`` and ``edit-data``."""

ORIGIN = "urn:ietf:params:xml:ns:yang:ietf-origin"
"""RFC 8342 appendix A: where a value in use comes from."""

SUBSCRIBED_NOTIFICATIONS = "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
"""RFC 8639: subscriptions to event streams, their operations and notifications."""

YANG_PUSH = "urn:ietf:params:xml:ns:yang:ietf-yang-push"
"""RFC 8641: subscriptions to datastores."""


def base(name: str) -> str:
    """Return ``name`` of the base namespace in Clark notation."""
    return f"{{{BASE}}}{name}"

"""What the hello announces: protocol capabilities, the YANG library, and modules of YANG 1.0 with their features."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

from rkmp.datastore.schema import Schema
from rkmp.netconf.capabilities import CAPABILITIES, NETCONF_MODULES, announced_capabilities

PREFIX = "urn:ietf:params:netconf:capability:"


def test_the_capabilities_of_the_protocol_are_announced(schema: Schema) -> None:
    announced = announced_capabilities(schema)
    for name in (
        *("writable-running:1.0", "candidate:1.0", "startup:1.0", "rollback-on-error:1.0", "validate:1.1"),
        *("notification:1.0", "interleave:1.0", "confirmed-commit:1.1"),
    ):
        assert f"{PREFIX}{name}" in announced
    assert announced[:2] == ("urn:ietf:params:netconf:base:1.0", "urn:ietf:params:netconf:base:1.1")
    assert len(set(announced)) == len(announced)


def test_every_feature_of_ietf_netconf_that_is_enabled_has_its_capability(schema: Schema) -> None:
    features = {capability.feature for capability in CAPABILITIES} - {None}
    assert features == set(NETCONF_MODULES["ietf-netconf"])
    assert features == set(schema.modules["ietf-netconf"].features)


def test_the_yang_library_is_announced_with_revision_and_content_id(schema: Schema) -> None:
    (uri,) = (uri for uri in announced_capabilities(schema) if "yang-library" in uri and uri.startswith(PREFIX))
    base, _, parameters = uri.partition("?")
    assert base == f"{PREFIX}yang-library:1.1"
    assert parse_qs(parameters) == {"revision": ["2019-01-04"], "content-id": [schema.content_id]}


def test_modules_of_yang_1_0_are_announced_and_those_of_1_1_are_not(schema: Schema) -> None:
    announced = announced_capabilities(schema)
    modules = [match[1] for uri in announced if (match := re.search(r"[?&]module=([^&]*)", uri))]
    assert {"ietf-netconf", "ietf-netconf-monitoring", "ietf-netconf-notifications"} <= set(modules)
    assert not {"example-network", "ietf-yang-library", "ietf-datastores"} & set(modules)
    (netconf,) = (uri for uri in announced if "module=ietf-netconf&" in uri)
    features = sorted(NETCONF_MODULES["ietf-netconf"])
    assert netconf == (
        f"urn:ietf:params:xml:ns:netconf:base:1.0?module=ietf-netconf&revision=2011-06-01&features={','.join(features)}"
    )

"""The answers to the cases: what the RFCs ask for, by what is wrong. None is for what nothing is wrong with."""

from __future__ import annotations

from tests.netconf.agents import Fault

CAGE = "/z:zoo/z:cage[z:hall='east'][z:number='1']"

ANSWERS: dict[str, tuple[Fault, ...]] = {
    "unknown leaf in a known list": (
        Fault(
            "application", "unknown-element", None, "/z:zoo/z:species[z:name='a']/z:bogus", (("bad-element", "bogus"),)
        ),
    ),
    "unknown top element, known namespace": (
        Fault("application", "unknown-element", None, "/z:bogus", (("bad-element", "bogus"),)),
    ),
    "unknown namespace": (
        Fault(
            "application",
            "unknown-namespace",
            None,
            "/ns0:zoo",
            (("bad-element", "zoo"), ("bad-namespace", "urn:example:nowhere")),
        ),
    ),
    "no namespace of its own": (Fault("application", "unknown-element", None, "/nc:zoo", (("bad-element", "zoo"),)),),
    "missing key": (
        Fault("application", "missing-element", None, "/z:zoo/z:cage[z:hall='east']", (("bad-element", "number"),)),
    ),
    "key not first": (),
    "same entry twice in one edit": (
        Fault("application", "bad-element", None, "/z:zoo/z:species[z:name='c']", (("bad-element", "species"),)),
    ),
    "same leaf twice in one edit": (
        Fault("application", "bad-element", None, "/z:zoo/z:motto", (("bad-element", "motto"),)),
    ),
    "text in a container": (Fault("application", "bad-element", None, "/z:zoo", (("bad-element", "zoo"),)),),
    "child element in a leaf": (
        Fault("application", "bad-element", None, "/z:zoo/z:motto", (("bad-element", "motto"),)),
    ),
    "config false node in edit-config": (
        Fault("application", "unknown-element", None, "/z:zoo/z:visitors", (("bad-element", "visitors"),)),
    ),
    "both cases of a choice in one edit": (
        Fault("application", "bad-element", None, "/z:zoo/z:feeding[z:id='1']/z:every", (("bad-element", "every"),)),
    ),
    "other case replaces case": (),
    "node whose feature is not there": (
        Fault("application", "unknown-element", None, "/err:values/err:rare", (("bad-element", "rare"),)),
    ),
    "int8 not a number": (Fault("application", "invalid-value", None, "/err:values/err:small"),),
    "int8 empty": (Fault("application", "invalid-value", None, "/err:values/err:small"),),
    "int8 too big for the type": (Fault("application", "invalid-value", None, "/err:values/err:small"),),
    "range": (Fault("application", "invalid-value", None, "/err:values/err:small"),),
    "int8 with a sign": (),
    "int8 with white space": (),
    "int8 hexadecimal": (Fault("application", "invalid-value", None, "/err:values/err:small"),),
    "int8 with a leading zero": (),
    "int8 with a fraction": (Fault("application", "invalid-value", None, "/err:values/err:small"),),
    "pattern with error-message and error-app-tag": (
        Fault("application", "invalid-value", "only-lower", "/err:values/err:only-lower"),
    ),
    "length with error-message": (Fault("application", "invalid-value", None, "/err:values/err:two-to-four"),),
    "enumeration": (Fault("application", "invalid-value", None, "/z:zoo/z:cage[z:hall='up'][z:number='1']/z:hall"),),
    "boolean 1": (Fault("application", "invalid-value", None, "/z:zoo/z:open"),),
    "key value too long": (
        Fault("application", "invalid-value", None, "/z:zoo/z:species[z:name='much-too-long']/z:name"),
    ),
    "key empty": (Fault("application", "invalid-value", None, "/z:zoo/z:species[z:name='']/z:name"),),
    "decimal64 with too many fraction digits": (Fault("application", "invalid-value", None, "/err:values/err:amount"),),
    "identityref unknown": (Fault("application", "invalid-value", None, "/z:zoo/z:species[z:name='a']/z:kind"),),
    "identityref with an unbound prefix": (
        Fault("application", "invalid-value", None, "/z:zoo/z:species[z:name='a']/z:kind"),
    ),
    "bits unknown": (Fault("application", "invalid-value", None, "/err:values/err:flags"),),
    "bits twice": (Fault("application", "invalid-value", None, "/err:values/err:flags"),),
    "union without a match": (Fault("application", "invalid-value", None, "/err:values/err:one-of"),),
    "empty with a value": (Fault("application", "invalid-value", None, "/err:values/err:nothing"),),
    "binary that is not base64": (Fault("application", "invalid-value", None, "/err:values/err:blob"),),
    "leafref to nowhere": (Fault("application", "data-missing", "instance-required", "/z:zoo/z:either"),),
    "leaf-list of leafrefs to nowhere": (
        Fault(
            "application",
            "data-missing",
            "instance-required",
            "/z:zoo/z:cage[z:hall='east'][z:number='1']/z:animal[.='x']",
        ),
    ),
    "delete the target of a leafref": (
        Fault(
            "application",
            "data-missing",
            "instance-required",
            "/z:zoo/z:cage[z:hall='east'][z:number='1']/z:animal[.='a']",
        ),
    ),
    "must with error-message and error-app-tag": (
        Fault("application", "operation-failed", "cage-size", "/z:zoo/z:cage[z:hall='east'][z:number='1']"),
    ),
    "must without": (Fault("application", "operation-failed", "must-violation", "/z:zoo"),),
    "when false, explicit node": (
        Fault("application", "unknown-element", None, "/z:zoo/z:night", (("bad-element", "night"),)),
    ),
    "when true and the node in one edit": (),
    "max-elements of a list": (Fault("application", "operation-failed", "too-many-elements", "/z:zoo/z:cage"),),
    "min-elements": (
        Fault(
            "application", "operation-failed", "too-few-elements", "/z:zoo/z:cage[z:hall='east'][z:number='1']/z:animal"
        ),
    ),
    "unique": (
        Fault(
            "application",
            "operation-failed",
            "data-not-unique",
            "/z:zoo/z:species",
            (
                ("non-unique", "/z:zoo/z:species[z:name='a']/z:latin"),
                ("non-unique", "/z:zoo/z:species[z:name='b']/z:latin"),
            ),
        ),
    ),
    "mandatory leaf missing": (
        Fault("application", "missing-element", None, "/z:zoo/z:keeper", (("bad-element", "name"),)),
    ),
    "mandatory choice missing": (
        Fault(
            "application", "data-missing", "missing-choice", "/z:zoo/z:feeding[z:id='2']", (("missing-choice", "when"),)
        ),
    ),
    "delete a mandatory choice": (
        Fault(
            "application", "data-missing", "missing-choice", "/z:zoo/z:feeding[z:id='1']", (("missing-choice", "when"),)
        ),
    ),
    "instance-identifier to nowhere": (Fault("application", "data-missing", "instance-required", "/z:zoo/z:pointer"),),
    "instance-identifier that is none": (Fault("application", "invalid-value", None, "/z:zoo/z:pointer"),),
    "two faults in one edit": (
        Fault("application", "data-missing", "instance-required", "/z:zoo/z:either"),
        Fault("application", "operation-failed", "must-violation", "/z:zoo"),
    ),
    "two bad values in one edit": (
        Fault("application", "invalid-value", None, "/err:values/err:small"),
        Fault("application", "invalid-value", None, "/err:values/err:flags"),
    ),
    "create an entry that exists": (
        Fault("application", "data-exists", None, "/z:zoo/z:species[z:name='a']", (("bad-element", "species"),)),
    ),
    "create a leaf that exists": (
        Fault(
            "application",
            "data-exists",
            None,
            "/z:zoo/z:cage[z:hall='east'][z:number='1']/z:size",
            (("bad-element", "size"),),
        ),
    ),
    "create a leaf that is only its default": (),
    "delete an entry that does not exist": (
        Fault("application", "data-missing", None, "/z:zoo/z:species[z:name='z']", (("bad-element", "species"),)),
    ),
    "delete a leaf that does not exist": (
        Fault("application", "data-missing", None, "/z:zoo/z:motto", (("bad-element", "motto"),)),
    ),
    "delete a leaf that is only its default": (
        Fault("application", "data-missing", None, "/z:zoo/z:open", (("bad-element", "open"),)),
    ),
    "remove what does not exist": (),
    "merge below an entry that does not exist": (
        Fault("application", "data-missing", None, "/z:zoo/z:species[z:name='z']", (("bad-element", "species"),)),
    ),
    "nothing marked, by default none": (),
    "bad operation attribute": (
        Fault(
            "protocol",
            "bad-attribute",
            None,
            "/z:zoo/z:motto",
            (("bad-attribute", "operation"), ("bad-element", "motto")),
        ),
    ),
    "unknown attribute of the base namespace": (
        Fault(
            "application",
            "unknown-attribute",
            None,
            "/z:zoo/z:motto",
            (("bad-attribute", "bogus"), ("bad-element", "motto")),
        ),
    ),
    "unknown attribute without a namespace": (
        Fault(
            "application",
            "unknown-attribute",
            None,
            "/z:zoo/z:motto",
            (("bad-attribute", "bogus"), ("bad-element", "motto")),
        ),
    ),
    "insert before what is not there": (
        Fault(
            "application",
            "bad-attribute",
            "missing-instance",
            "/z:holiday[.='z']",
            (("bad-attribute", "value"), ("bad-element", "holiday")),
        ),
    ),
    "insert bogus": (
        Fault(
            "application",
            "bad-attribute",
            None,
            "/z:holiday[.='z']",
            (("bad-attribute", "insert"), ("bad-element", "holiday")),
        ),
    ),
    "insert without value": (
        Fault(
            "application",
            "missing-attribute",
            None,
            "/z:holiday[.='z']",
            (("bad-attribute", "value"), ("bad-element", "holiday")),
        ),
    ),
    "insert with a malformed key": (
        Fault(
            "application",
            "bad-attribute",
            None,
            "/z:zoo/z:feeding[z:id='2']",
            (("bad-attribute", "key"), ("bad-element", "feeding")),
        ),
    ),
    "insert where the system orders": (
        Fault(
            "application",
            "unknown-attribute",
            None,
            "/z:zoo/z:guest[.='a']",
            (("bad-attribute", "insert"), ("bad-element", "guest")),
        ),
    ),
    "no target": (Fault("application", "missing-element", None, "/nc:edit-config", (("bad-element", "target"),)),),
    "no config": (
        Fault(
            "application",
            "missing-element",
            "missing-choice",
            "/nc:edit-config",
            (("bad-element", "edit-content"), ("missing-choice", "edit-content")),
        ),
    ),
    "unknown target": (Fault("application", "bad-element", None, None, (("bad-element", "bogus"),)),),
    "bad default-operation": (Fault("application", "invalid-value", None, "/nc:edit-config/nc:default-operation"),),
    "bad error-option": (Fault("application", "invalid-value", None, "/nc:edit-config/nc:error-option"),),
    "continue-on-error, one good, one bad": (
        Fault("application", "data-missing", None, "/z:zoo/z:night-guard", (("bad-element", "night-guard"),)),
    ),
    "stop-on-error, one bad": (
        Fault("application", "data-missing", None, "/z:zoo/z:night-guard", (("bad-element", "night-guard"),)),
    ),
    "test-only": (),
    "test-only, must fails": (Fault("application", "operation-failed", "must-violation", "/z:zoo"),),
    "unknown parameter": (
        Fault("application", "unknown-element", None, "/nc:edit-config/nc:bogus", (("bad-element", "bogus"),)),
    ),
    "empty config": (),
    "unknown operation of the base namespace": (Fault("protocol", "operation-not-supported"),),
    "unknown operation of an unknown namespace": (Fault("protocol", "operation-not-supported"),),
    "an operation that nothing carries out": (Fault("protocol", "operation-not-supported"),),
    "an attribute of an operation": (
        Fault("protocol", "unknown-attribute", None, None, (("bad-attribute", "x"), ("bad-element", "get"))),
    ),
    "get-config of an unknown source": (Fault("application", "bad-element", None, None, (("bad-element", "bogus"),)),),
    "get-config without a source": (
        Fault("application", "missing-element", None, "/nc:get-config", (("bad-element", "source"),)),
    ),
    "filter of an unknown element": (),
    "filter of an unknown namespace": (),
    "filter of a bogus type": (
        Fault("protocol", "bad-attribute", None, None, (("bad-attribute", "type"), ("bad-element", "filter"))),
    ),
    "xpath that is none": (Fault("application", "invalid-value", None, None, (("bad-element", "filter"),)),),
    "xpath with an unbound prefix": (Fault("application", "invalid-value", None, None, (("bad-element", "filter"),)),),
    "xpath of an unknown node": (),
    "xpath filter without select": (
        Fault("protocol", "missing-attribute", None, None, (("bad-attribute", "select"), ("bad-element", "filter"))),
    ),
    "xpath that is a number": (Fault("application", "invalid-value", None, None, (("bad-element", "filter"),)),),
    "with-defaults bogus": (Fault("application", "invalid-value", None, "/nc:get-config/ncwd:with-defaults"),),
    "copy-config onto itself": (Fault("application", "invalid-value"),),
    "delete-config of running": (Fault("protocol", "operation-not-supported"),),
    "delete-config of candidate": (Fault("protocol", "operation-not-supported"),),
    "validate an unknown source": (Fault("application", "bad-element", None, None, (("bad-element", "bogus"),)),),
    "commit, nothing changed": (),
    "cancel-commit, none pending": (Fault("protocol", "operation-failed"),),
    "commit with an unknown persist-id": (
        Fault("protocol", "invalid-value", None, None, (("bad-element", "persist-id"),)),
    ),
    "confirm-timeout 0": (Fault("application", "invalid-value", None, "/nc:commit/nc:confirm-timeout"),),
    "validate a config whose must fails": (Fault("application", "operation-failed", "must-violation", "/z:zoo"),),
    "unlock, no lock": (Fault("protocol", "operation-failed"),),
    "kill-session, no such session": (
        Fault("protocol", "invalid-value", None, None, (("bad-element", "session-id"),)),
    ),
    "kill-session, 0": (Fault("application", "invalid-value", None, "/nc:kill-session/nc:session-id"),),
    "get-schema, unknown identifier": (
        Fault("application", "invalid-value", None, None, (("bad-element", "identifier"),)),
    ),
    "get-schema, a format that is not had": (
        Fault("application", "invalid-value", None, None, (("bad-element", "format"),)),
    ),
    "create-subscription, unknown stream": (
        Fault("protocol", "invalid-value", None, None, (("bad-element", "stream"),)),
    ),
    "get-data, unknown datastore": (Fault("application", "invalid-value", None, "/ncds:get-data/ncds:datastore"),),
    "edit-data on operational": (Fault("application", "invalid-value", None, None, (("bad-element", "datastore"),)),),
}
"""No fault stands for ``<ok/>``, or for data."""

"""Judges of documents: two engines that we did not write, yangson and libyang, and our own datastores.

Each says None for a valid document and otherwise what it found wrong, the first two in their own words.
"""

from __future__ import annotations

import copy
import functools
import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import oopt_gnpy_libyang as libyang
from lxml import etree
from yangson.datamodel import DataModel
from yangson.enumerations import ContentType, ValidationScope
from yangson.exceptions import YangsonException
from yangson.xmlparser import XMLParser

from rkmp.datastore.datastores import Datastores
from rkmp.datastore.schema import load_schema
from rkmp.errors import RpcError, RpcErrors
from rkmp.secret import Secret
from rkmp.storage import IN_MEMORY, Database, KeyEncryptionKey, Sealer
from tests.yang.modules import IANA_MODULES, MODULES, NAMES, SEARCH_PATH, STANDARD_MODULES

IMPORTED = ("ietf-inet-types", "ietf-yang-types", "ietf-netconf-acm")
IMPLEMENTED = (
    MODULES / "rkmp-types.yang",
    *(MODULES / f"{name}.yang" for name in NAMES if name != "rkmp-types"),
    STANDARD_MODULES / "ietf-system.yang",
    STANDARD_MODULES / "ietf-key-chain.yang",
    STANDARD_MODULES / "ietf-x509-cert-to-name.yang",
    IANA_MODULES / "iana-crypt-hash.yang",
)
FEATURES = {
    "ietf-system": ("authentication", "local-users"),
    "ietf-key-chain": ("aes-cmac-prf-128", "crypto-hmac-sha-1-12", "independent-send-accept-lifetime"),
    "iana-crypt-hash": ("crypt-hash-sha-256", "crypt-hash-sha-512"),
}


@functools.cache
def _yangson_model() -> DataModel:
    library = {
        "ietf-yang-library:modules-state": {
            "module-set-id": "",
            "module": [
                *(_library_entry(path, "implement") for path in IMPLEMENTED),
                *(_library_entry(STANDARD_MODULES / f"{name}.yang", "import") for name in IMPORTED),
            ],
        }
    }
    return DataModel(json.dumps(library), tuple(map(str, SEARCH_PATH)))


def _library_entry(path: Path, conformance: str) -> dict[str, object]:
    text = path.read_text(encoding="utf-8")
    namespace = re.search(r'namespace\s+"([^"]+)"', text)
    revision = re.search(r"revision\s+\"?([0-9-]{10})", text)
    assert namespace is not None
    assert revision is not None
    return {
        "name": path.stem,
        "revision": revision[1],
        "namespace": namespace[1],
        "conformance-type": conformance,
        "feature": list(FEATURES.get(path.stem, ())),
    }


def yangson_verdict(document: etree._Element, content: ContentType = ContentType.config) -> str | None:
    """Return the class of yangson's complaint and what it says, or None."""
    try:
        # Its own parser keeps the prefixes, which identities need.
        root = XMLParser(etree.tostring(document, encoding="unicode")).root
        instance = _yangson_model().from_xml(root)
        instance.validate(ValidationScope.all, content)
    except YangsonException as error:
        return f"{type(error).__name__}: {error}"
    except TypeError as error:
        # yangson 1.7.9 finds that a mandatory choice is missing and stumbles over the words for it.
        if "NoneType" not in str(error):
            raise
        return "SchemaError: missing-data: a choice"
    return None


@functools.cache
def _libyang_context() -> libyang.Context:
    libyang.set_log_options(libyang.LogOptions.StoreLast)
    context = libyang.Context(":".join(map(str, SEARCH_PATH)), libyang.ContextOptions.NoYangLibrary)
    for path in IMPLEMENTED:
        context.load_module(path.stem, features=list(FEATURES.get(path.stem, ())))
    return context


def libyang_verdict(document: etree._Element, *, config: bool = True) -> str | None:
    """Return the app-tag (or ``-``) and the message of libyang's complaint, or None."""
    context = _libyang_context()
    context.clean_all_errors()
    text = "".join(etree.tostring(top, encoding="unicode", with_tail=False) for top in document)
    validation = libyang.ValidationOptions.NoState if config else libyang.ValidationOptions.Present
    try:
        context.parse_data(text, libyang.DataFormat.XML, libyang.ParseOptions.Strict, validation)
    except libyang.Error:
        found = context.errors()
        return "; ".join(f"{error.app_tag or '-'}: {error.message}" for error in found) or "refused"
    return None


Answer = tuple[str, str | None]
"""An error-tag with its error-app-tag."""


@functools.cache
def _datastores() -> Datastores:
    schema = load_schema({path.stem: FEATURES.get(path.stem, ()) for path in IMPLEMENTED}, [MODULES])
    sealer = Sealer(KeyEncryptionKey(Secret(bytes(32))), "datastores")
    return Datastores(schema, Database(IN_MEMORY), sealer, os.urandom, lambda: datetime.now(UTC))


def our_verdict(document: etree._Element) -> Answer | None:
    """Return what a client of ours would be answered first, or None."""
    config = etree.Element("config")
    config.extend(copy.deepcopy(list(document)))
    try:
        _datastores().validate(config)
    except RpcErrors as refusal:
        return refusal.errors[0].tag, refusal.errors[0].app_tag
    except RpcError as error:
        return error.tag, error.app_tag
    return None

"""The datastores: YANG-modelled data as lxml trees, with their schema, edits, validation and persistence.

Generic over modules: nothing here knows RKMP or NETCONF messages. Time and randomness come in as arguments.

Import ``Datastores`` from ``datastores``, ``Change`` and the protocols of subscribers from ``subscribers``, ``Edit``
and ``EditKind`` from ``edits``, ``SubtreeFilter`` from ``subtree_filter``, ``Redactor`` from ``redaction``, values in
use with their defaults from ``defaults``, and the schema from ``schema``.
"""

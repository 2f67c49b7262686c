"""Edits have the outcome that a model written in the plainest way has: same content, same refusals."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rkmp.datastore.data_tree import DataTree
from rkmp.datastore.editing import Editor
from rkmp.datastore.layout import Layouts
from rkmp.datastore.marks import Operation
from rkmp.datastore.payload import Payload, parse_payload
from rkmp.errors import RpcError, RpcErrors
from tests.datastore.generated import payloads
from tests.datastore.naive import NaiveDatastore, Refused, comparable, naive_view
from tests.datastore.servers import document, schema_of

SCHEMA = schema_of("zoo")
EDITS = st.lists(
    st.tuples(payloads(SCHEMA), st.sampled_from(("merge", "merge", "none", "replace"))), min_size=1, max_size=8
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EDITS)
def test_edits_have_the_outcome_of_the_naive_model(edits: list[tuple[str, str]]) -> None:
    naive = NaiveDatastore(SCHEMA)
    tree = DataTree(Layouts(SCHEMA))
    for content, default_operation in edits:
        operation = Operation(default_operation)
        try:
            payload = parse_payload(tree.layouts, document(content), operation)
        except RpcErrors:
            # What parsing refuses has tests of its own; the model takes parsed payloads only.
            continue
        expected = _outcome(naive, content, default_operation)
        assert _carry_out(tree, payload, operation) == expected
        assert naive_view(tree.root, SCHEMA.root) == comparable(naive.root, SCHEMA.root)


def _carry_out(tree: DataTree, payload: Payload, operation: Operation) -> str | None:
    tree.open_journal()
    try:
        Editor(tree, payload).carry_out(operation)
    except RpcError as error:
        tree.roll_back()
        return error.tag
    tree.close_journal()
    return None


def _outcome(naive: NaiveDatastore, content: str, default_operation: str) -> str | None:
    try:
        naive.edit(document(content), default_operation)
    except Refused as refusal:
        return refusal.tag
    return None

"""What is pushed on change leads from the snapshot to the data of any time: the promise that a receiver relies on."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rkmp.datastore.schema import Schema
from tests.netconf.subscriptions.receiver import Receiver, content_of
from tests.netconf.subscriptions.requests import SHOP, on_change, push, shop, subtree, xpath
from tests.netconf.subscriptions.stage import Stage, events

ALL = subtree(f'<shop xmlns="{SHOP}"/>')
NAMES = st.sampled_from(["a", "b/c", "d,e", "f g", "h=i&"])
KINDS = st.sampled_from(["shop:fruit", "shop:bread"])


def escaped(text: str) -> str:
    return text.replace("&", "&amp;")


SELECTIONS = st.sampled_from(
    [(ALL, None), (xpath("/s:shop"), None), (subtree(f'<shop xmlns="{SHOP}"><shelf/></shop>'), shop("shelf"))]
)
"""Filters, each with the only children of the shop that it selects."""


@st.composite
def shelves(draw: st.DrawFn) -> str:
    found = []
    for aisle, kind in draw(st.lists(st.tuples(NAMES, KINDS), unique=True, max_size=3)):
        labels = draw(st.lists(NAMES, unique=True, max_size=2))
        items = draw(st.lists(NAMES, unique=True, max_size=4))
        inside = "".join(f"<label>{escaped(label)}</label>" for label in labels)
        for item in items:
            price = draw(st.sampled_from(["", "<price>1</price>", "<price>2</price>"]))
            inside += f"<item><name>{escaped(item)}</name>{price}</item>"
        found.append(f"<shelf><aisle>{escaped(aisle)}</aisle><kind>{kind}</kind>{inside}</shelf>")
    return "".join(found)


@st.composite
def shops(draw: st.DrawFn) -> str:
    """Draw the whole configuration of a shop, or none."""
    if draw(st.integers(0, 9)) == 0:
        return ""
    parts = [
        draw(st.sampled_from(["", "<name>x</name>", "<name>y</name>"])),
        draw(st.sampled_from(["", "<open>false</open>"])),
        draw(st.sampled_from(["", "<till/>", "<till><cash>1</cash></till>", "<till><cash>2</cash></till>"])),
        draw(st.sampled_from(["", "<today>x</today>", "<tomorrow>x</tomorrow>"])),
        draw(st.sampled_from(["", '<note><x xmlns="urn:x">1</x></note>', '<note><x xmlns="urn:x">2</x></note>'])),
        "".join(f"<queue>{escaped(name)}</queue>" for name in draw(st.lists(NAMES, unique=True))),
        draw(shelves()),
    ]
    return f'<shop xmlns="{SHOP}" xmlns:shop="{SHOP}">{"".join(parts)}</shop>'


@st.composite
def single_shelves(draw: st.DrawFn) -> str:
    """Draw an edit of one shelf."""
    aisle, kind = escaped(draw(NAMES)), draw(KINDS)
    operation = draw(st.sampled_from(["merge", "merge", "replace", "remove"]))
    item = escaped(draw(NAMES))
    label = f"<label>{escaped(draw(NAMES))}</label>" if draw(st.booleans()) else ""
    inside = (
        ""
        if operation == "remove"
        else f"{label}<item><name>{item}</name><price>{draw(st.integers(1, 3))}</price></item>"
    )
    keys = f"<aisle>{aisle}</aisle><kind>{kind}</kind>"
    return (
        f'<shop xmlns="{SHOP}" xmlns:shop="{SHOP}"><shelf xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" '
        f'nc:operation="{operation}">{keys}{inside}</shelf></shop>'
    )


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("shelf"), single_shelves()),
        st.tuples(st.just("shelf"), single_shelves()),
        st.tuples(st.just("stock"), st.tuples(NAMES, KINDS, st.integers(0, 2))),
        st.tuples(st.just("edit"), shops()),
        st.tuples(st.just("state"), st.tuples(st.integers(0, 2), st.lists(st.integers(0, 2), max_size=3))),
        st.tuples(st.just("wait"), st.sampled_from([0.0, 0.3, 1.0])),
    ),
    max_size=12,
)


@given(shops(), STEPS, st.sampled_from([None, 100]), st.sampled_from(["operational", "running"]), SELECTIONS)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_patches_applied_to_the_first_snapshot_give_the_data_of_now(
    shop_schema: Schema,
    first: str,
    steps: list[tuple[str, object]],
    dampening: int | None,
    datastore: str,
    selected: tuple[str, str | None],
) -> None:
    selection, only = selected
    stage = Stage(shop_schema)
    stage.edit(first)
    subscription = stage.establish(push(on_change(dampening), selection, datastore))
    receiver = Receiver(shop_schema)
    for kind, what in steps:
        if kind == "edit":
            stage.edit(str(what), "replace")
        elif kind == "shelf":
            stage.edit(str(what))
        elif kind == "stock":
            assert isinstance(what, tuple)
            stage.deliver(*what)
        elif kind == "state":
            assert isinstance(what, tuple)
            now, stage.visits = what
            stage.visit(now=now, ever=now)
        else:
            assert isinstance(what, float)
            stage.advance(what)
        if not dampening:
            stage.advance()
        for event in events(subscription):
            receiver.receive(event)
        if not dampening:
            assert content_of(shop_schema, receiver.tree) == stage.content(datastore, only)
    stage.advance(2)
    for event in events(subscription):
        receiver.receive(event)
    assert content_of(shop_schema, receiver.tree) == stage.content(datastore, only)
    assert receiver.patches == list(range(len(receiver.patches)))

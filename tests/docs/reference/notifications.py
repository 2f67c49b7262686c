"""The page of notifications: every one that the agent's own modules define, with what it tells."""

from __future__ import annotations

from rkmp.netconf.namespaces import NOTIFICATIONS
from tests.docs.reference.markdown import code, codes, document, plain, table
from tests.docs.reference.modules import argument, statements


def page() -> str:
    """Return the page."""
    rows = [
        (
            code(child.arg),
            f"[{name}]({name}.md)",
            plain(argument(child, "description")),
            codes(leaf.arg for leaf in child.i_children),
        )
        for name, module in statements().items()
        for child in module.i_children
        if child.keyword == "notification"
    ]
    return document(
        "Notifications",
        "Told to every session that has subscribed, in the order in which they happen, and kept in the log of events, "
        "from which they are replayed ([telemetry](../how-to/telemetry.md)). No notification holds key material.",
        table(("notification", "module", "when", "what it tells"), rows),
        f"The server tells of itself besides, by the notifications of RFC 6470 (`{NOTIFICATIONS}`): changes of "
        "configuration and of capabilities, sessions that begin and end, and confirmed commits.",
    )

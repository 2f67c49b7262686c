"""Over which IKE SA a key is asked for, and in the place of which child."""

from __future__ import annotations

from collections.abc import Iterable

from rkmp.engine.association import Association
from rkmp.engine.conversation import Conversation
from rkmp.ike import ChildSa
from rkmp.instant import Instant


def where_to_ask(
    conversations: Iterable[Conversation], association: Association, at: Instant
) -> tuple[Conversation | None, ChildSa | None]:
    """Return the conversation to negotiate over, and the child of it that is to be replaced.

    That is where the newest key was made, or else the IKE SA that was made last; one that is still being established
    where none is. ``conversations`` come oldest first.
    """
    usable = [conversation for conversation in conversations if conversation.is_usable]
    row = association.keys.newest(at.wall)
    newest = int(row.peer_key_name, 16) if row is not None else None
    for conversation in usable:
        for child in conversation.ike_sa.children:
            is_newest = (child.send_id, child.routing_protocol) == (newest, association.configuration.protocol)
            if is_newest and conversation.is_open and child.replaced_by is None and not child.redundant:
                return conversation, child
    is_open = [conversation for conversation in usable if conversation.is_open]
    last = (is_open or usable)[-1:]
    return (last[0] if last else None), None

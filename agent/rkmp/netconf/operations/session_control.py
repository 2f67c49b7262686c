"""close-session and kill-session (RFC 6241 sections 7.8 and 7.9)."""

from __future__ import annotations

from rkmp.errors import RpcError
from rkmp.netconf.namespaces import base
from rkmp.netconf.operations.request import Operation, Outcome, Request
from rkmp.netconf.session import TerminationReason


async def close_session(request: Request) -> Outcome:
    """End this session after the reply; requests that came behind this one are not looked at."""
    request.session.closing = True
    return None


async def kill_session(request: Request) -> Outcome:
    """End another session; its locks are gone when the reply leaves."""
    session_id = int(request.text("session-id", ""))
    if session_id == request.session.id:
        raise _bad_session("a session cannot kill itself; close-session ends it")
    target = request.server.sessions.get(session_id)
    if target is None:
        raise _bad_session(f"there is no session {session_id}")
    target.killed_by = request.session.id
    target.end(TerminationReason.KILLED)
    return None


def _bad_session(message: str) -> RpcError:
    return RpcError("invalid-value", message, type="protocol", info=[(base("bad-element"), "session-id")])


OPERATIONS = (
    Operation(base("close-session"), close_session),
    Operation(base("kill-session"), kill_session),
)

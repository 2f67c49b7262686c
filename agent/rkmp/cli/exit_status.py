"""The exit statuses of ``rkmp``, for scripts; its help and docs list them from here."""

from __future__ import annotations

DONE = 0
REFUSED = 1
USAGE = 2
NO_SESSION = 3
NOT_WELL = 4
INTERRUPTED = 130

MEANINGS = {
    DONE: "done; of a check: all is well",
    REFUSED: "the agent refused, and nothing was changed",
    USAGE: "the command line, or a file that it names, is wrong",
    NO_SESSION: "there is no session with the agent, or it broke",
    NOT_WELL: "the check was made and not all is well (verify, doctor)",
    INTERRUPTED: "interrupted",
}

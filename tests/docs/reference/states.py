"""The page of states: associations and IKE SAs, drawn from the tables that the code goes by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from rkmp.engine.association_states import TRANSITIONS as ASSOCIATION_TRANSITIONS
from rkmp.engine.association_states import AssociationState
from rkmp.ike.states import ACTIONS, Action, IkeSaState
from rkmp.ike.states import TRANSITIONS as IKE_SA_TRANSITIONS
from tests.docs.reference.markdown import code, document, table


def page() -> str:
    """Return the page."""
    told: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (before, happening), after in ASSOCIATION_TRANSITIONS.items():
        if before is not after:
            told[before.value, after.value].append(happening.value)
    return document(
        "States",
        "Drawn from the tables that the code goes by. What is not drawn changes no state.",
        "## An association",
        _drawing(AssociationState.IDLE.value, told),
        table(
            ("from", "to", "when"),
            ((code(before), code(after), ", or ".join(happenings)) for (before, after), happenings in told.items()),
        ),
        "## An IKE SA",
        "A request that is under way is an exchange and not a state, so the states are few.",
        _drawing(
            IkeSaState.NEW.value,
            [
                (before.value, after.value)
                for before, following in IKE_SA_TRANSITIONS.items()
                for after in sorted(following, key=list(IkeSaState).index)
                if before is not after
            ],
        ),
        "What each state makes of what comes in; everything else it does not take:",
        table(
            ("state", "takes"),
            (
                (code(state.value), "; ".join(_taken(actions)) or "nothing")
                for state, actions in ((state, {i.value: a for i, a in row.items()}) for state, row in ACTIONS.items())
            ),
        ),
    )


def _taken(actions: Mapping[str, Action]) -> Iterable[str]:
    return (
        f"{happening}: {action.value}"
        for happening, action in actions.items()
        if action not in (Action.DROP, Action.IGNORE, Action.REJECT)
    )


def _drawing(first: str, arrows: Collection[tuple[str, str]]) -> str:
    names = dict.fromkeys([first, *(name for ends in arrows for name in ends)])
    lines = [f'    state "{name}" as {_name(name)}' for name in names if name != _name(name)]
    lines.append(f"    [*] --> {_name(first)}")
    lines += [f"    {_name(before)} --> {_name(after)}" for before, after in arrows]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def _name(state: str) -> str:
    # A hyphen ends a name in the language of these drawings.
    return state.replace("-", "_")

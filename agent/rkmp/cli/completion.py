"""Tab completion: what may come next on a command line, found in the parser that will read it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rkmp.cli.profiles import profile, profile_names
from rkmp.errors import RkmpError

SCRIPTS: Mapping[str, str] = {
    "bash": """\
_rkmp() {
    local found each
    COMPREPLY=()
    if ! found=$(rkmp complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null); then
        compopt -o default
        return
    fi
    while IFS= read -r each; do
        [[ -n $each ]] && COMPREPLY+=("$(printf %q "$each")")
    done <<<"$found"
}
complete -F _rkmp rkmp
""",
    "zsh": """\
#compdef rkmp
_rkmp() {
    local found
    if ! found=$(rkmp complete -- "${(@)words[2,CURRENT]}" 2>/dev/null); then
        _files
    elif [[ -n $found ]]; then
        compadd -- "${(@f)found}"
    fi
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
compdef _rkmp rkmp
""",
    "fish": """\
function __rkmp_complete
    set -l before (commandline -opc)
    set -l last (commandline -ct)
    set -l found (rkmp complete -- $before[2..] "$last" 2>/dev/null)
    if test $status -ne 0
        __fish_complete_path "$last"
    else if test -n "$found"
        printf '%s\\n' $found
    end
end
complete -c rkmp -f -a '(__rkmp_complete)'
""",
}
"""By shell: what it has to run, once."""

ANY_FILE = 1
"""The exit status that has a shell complete to the name of any file."""

Names = Callable[[str, Mapping[str, str]], list[str]]
"""Returns what an agent has by the name of an argument, told the arguments before it."""


def complete(parser: argparse.ArgumentParser, words: Sequence[str]) -> int:
    """Print what a shell asks for, and return the exit status that it goes by."""
    found = candidates(parser, words, names_at_agent)
    if found is None:
        return ANY_FILE
    print("\n".join(found))
    return 0


def candidates(parser: argparse.ArgumentParser, words: Sequence[str], names: Names) -> list[str] | None:
    """Return what the last of ``words``, which may be empty, can be completed to; None where it may be any file."""
    *before, prefix = _without_signs(words)
    given: dict[str, str] = {}
    awaited: argparse.Action | None = None
    positionals = _positionals(parser)
    for word in before:
        if awaited is not None:
            given[awaited.dest], awaited = word, None
        elif word.startswith("-") and word != "-":
            name, sign, value = word.partition("=")
            option = _option(parser, name)
            if option is not None and (sign or option.nargs == 0):
                given[option.dest] = value
            else:
                awaited = option
        elif positionals:
            action = positionals[0]
            given[action.dest] = word
            if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - argparse has no other name for it
                below = action.choices.get(word)
                if below is None:
                    return []
                parser = below
                positionals = _positionals(parser)
            elif action.nargs not in ("*", "+"):
                positionals = positionals[1:]
    beginning = ""
    if awaited is None and prefix.startswith("-"):
        name, sign, value = prefix.partition("=")
        if not sign:
            options = sorted(option for action in _actions(parser) for option in action.option_strings)
            return [option for option in options if option.startswith(prefix)]
        awaited, beginning, prefix = _option(parser, name), f"{name}=", value
    elif awaited is None and positionals:
        awaited = positionals[0]
    if awaited is None:
        return []
    if awaited.type is Path:
        return None
    return [beginning + each for each in _values(awaited, given, names) if each.startswith(prefix)]


def names_at_agent(argument: str, given: Mapping[str, str]) -> list[str]:
    """Return the peers, protocols or keys of the agent that the line so far names; none where it does not answer."""
    if argument not in ("peer", "protocol", "name") or "password_stdin" in given:
        return []
    # Only who presses the key for one of these waits for what it takes to ask.
    from rkmp.cli.connections import Connections
    from rkmp.cli.documents import to_dictionary
    from rkmp.cli.show import subtree
    from rkmp.cli.views import KEYS, PEERS, RKMP, entries

    try:
        chosen = profile(given.get("profile"))
        line = argparse.Namespace(
            host=given.get("host") or chosen.host,
            port=int(given.get("port") or chosen.port),
            user=given.get("user"),
            key=Path(given["key"]) if "key" in given else None,
            password_stdin=False,
            strict_host_key=None,
        )
        leaf = f"{{{RKMP}}}"
        path = {
            "peer": (*PEERS, f"{leaf}name"),
            "protocol": (*PEERS, f"{leaf}association", f"{leaf}protocol"),
            "name": (*KEYS, KEYS[-1].replace("}key", "}admin-key-name")),
        }[argument]
        with Connections(line, chosen, asks=False).connect() as session:
            data = to_dictionary(session.get(subtree(path)))
    except (RkmpError, ValueError):
        return []
    if argument == "name":
        return [key["admin-key-name"] for key in entries(data, "key-table", "key")]
    peers = entries(data, "rkmp", "peer")
    if argument == "peer":
        return [peer["name"] for peer in peers]
    known = [peer for peer in peers if peer.get("name") == given.get("peer")]
    return [each["protocol"] for peer in known for each in entries(peer, "association")]


def _without_signs(words: Sequence[str]) -> list[str]:
    """Return the words of a line; bash takes the sign of ``--option=value`` for a word."""
    *before, last = words or [""]
    return [*(word for word in before if word != "="), "" if last == "=" else last]


def _values(action: argparse.Action, given: Mapping[str, str], names: Names) -> list[str]:
    if action.dest == "profile":
        return profile_names()
    return _choices(action) or names(action.dest, given)


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in parser._actions if action.help != argparse.SUPPRESS]  # noqa: SLF001


def _positionals(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in _actions(parser) if not action.option_strings]


def _option(parser: argparse.ArgumentParser, word: str) -> argparse.Action | None:
    return next((action for action in _actions(parser) if word in action.option_strings), None)


def _choices(action: argparse.Action) -> list[str]:
    if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
        # In the order of the help, and without what is not for people.
        return [choice.dest for choice in action._choices_actions]  # noqa: SLF001
    return [str(choice) for choice in action.choices or ()]

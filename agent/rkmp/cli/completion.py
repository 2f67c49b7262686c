"""Tab completion: what may come next on a command line, found in the parser that will read it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from rkmp.cli.profiles import profile_names

SCRIPTS: Mapping[str, str] = {
    "bash": """\
_rkmp() {
    local IFS=$'\\n'
    COMPREPLY=($(rkmp complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _rkmp rkmp
""",
    "zsh": """\
#compdef rkmp
_rkmp() {
    local -a found
    found=("${(@f)$(rkmp complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "$found" ]]; then compadd -- $found; else _files; fi
}
compdef _rkmp rkmp
""",
    "fish": """\
function __rkmp_complete
    set -l words (commandline -opc) (commandline -ct)
    rkmp complete -- $words[2..-1] 2>/dev/null
end
complete -c rkmp -a '(__rkmp_complete)'
""",
}
"""By shell: what it has to run, once."""


def candidates(parser: argparse.ArgumentParser, words: Sequence[str]) -> list[str]:
    """Return what the last of ``words``, which may be empty, can be completed to; nothing where it may be any file."""
    *before, prefix = words or [""]
    awaited: argparse.Action | None = None
    positionals = _positionals(parser)
    for word in before:
        if awaited is not None:
            awaited = None
        elif word.startswith("-") and word != "-":
            option = _option(parser, word.partition("=")[0])
            awaited = option if option is not None and option.nargs != 0 and "=" not in word else None
        elif positionals:
            action = positionals[0]
            if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - argparse has no other name for it
                below = action.choices.get(word)
                if below is None:
                    return []
                parser = below
                positionals = _positionals(parser)
            elif action.nargs not in ("*", "+"):
                positionals = positionals[1:]
    if awaited is not None:
        found = profile_names() if awaited.dest == "profile" else _choices(awaited)
    elif prefix.startswith("-"):
        found = sorted(option for action in _actions(parser) for option in action.option_strings)
    else:
        found = _choices(positionals[0]) if positionals else []
    return [each for each in found if each.startswith(prefix)]


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

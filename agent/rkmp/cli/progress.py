"""What takes its time is told while it does: a line on standard error, where that is a terminal, gone afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

Tell = Callable[[str], None]
"""Takes what is under way now, in the place of what was told before."""
REFRESHES = 8.0
"""How often in a second the line is drawn anew."""


@contextmanager
def telling(what: str) -> Iterator[Tell]:
    """Tell ``what`` is under way until it is done.

    Nothing is to be asked or printed for people meanwhile: the line is drawn again and again.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    # As it is: names of peers and files are no markup.
    spinner = Spinner("dots", Text(what))

    def tell(now: str) -> None:
        spinner.update(text=Text(now))
        live.refresh()

    with Live(spinner, console=console, transient=True, refresh_per_second=REFRESHES) as live:
        # At once, however short it turns out to be.
        live.refresh()
        yield tell

"""What a benchmark has to say: one table, and what must be known to read it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """``rows`` have a cell for each of ``columns``; ``notes`` are sentences below."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the table as text: the first column to the left, the others to the right."""
        lines = (self.columns, *self.rows)
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.columns))]
        text = [
            "  ".join(
                [
                    line[0].ljust(widths[0]),
                    *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
                ]
            )
            for line in lines
        ]
        return "\n".join(
            [self.title, "", text[0], "  ".join("-" * width for width in widths), *text[1:], "", *self.notes]
        )

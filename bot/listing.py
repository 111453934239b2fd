"""An answer to a command → lines and columns that fit where they are shown. Pure; knows no platform. Lengths in UTF-16 units."""

from __future__ import annotations

from collections.abc import Sequence

from bot.answers import Table
from bot.units import clip, units


def shortened(lines: Sequence[str], most: int) -> list[str]:
    """The lines in ``most`` units together; at least the beginning of the first."""
    kept: list[str] = []
    room = most
    for line in lines:
        if room <= 1:
            break
        kept.append(clip(line, room) or " ")
        room -= units(line) + 1
    return kept


def columns(table: Table, *, cell: int) -> list[str]:
    """The table as lines of text, each cell in at most ``cell`` units."""
    shown = [[clip(text, cell) for text in line] for line in (table.header, *table.rows) if any(line)]
    widths = [max((len(line[column]) for line in shown), default=0) for column in range(len(table.header))]
    return ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in shown]


def runs_of(lines: Sequence[str], *, most: int, length: int) -> tuple[list[str], int]:
    """``lines`` in at most ``most`` runs of ``length`` units, and how many lines are left out."""
    found: list[list[str]] = []
    room = 0
    for number, line in enumerate(lines):
        fitting = clip(line, length - 1)
        needed = units(fitting) + 1
        if needed > room:
            if len(found) == most:
                return ["\n".join(each) for each in found], len(lines) - number
            found.append([])
            room = length
        found[-1].append(fitting)
        room -= needed
    return ["\n".join(each) or " " for each in found], 0


def cut_note(left: int) -> str:
    """What to say when ``left`` lines are left out; empty for none."""
    if not left:
        return ""
    return f"{left:,} more line{'' if left == 1 else 's'} left out here. holdpoint run, on the command line, shows all."

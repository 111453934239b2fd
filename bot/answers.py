"""What a command answers: plain text throughout, which each channel escapes and shortens in its own way. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import orjson

from bot.cards import CardView
from holdpoint.policy.mask import Masks, mask
from holdpoint.visible import visible, visible_line


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of plain text under ``header``."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG, and what it shows in words, for who cannot see it."""

    png: bytes
    title: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What to say. ``ok`` is False for a refusal or a wrong command.

    ``text`` keeps its lines and columns: a policy, a diff, a hold's story; ``verbatim``: it is the policy's own, and masks
    would hide the patterns of the masks. ``confirm`` is the command that does what was
    described, for who asked, once, within five minutes; until then nothing has changed. ``link``: where they go on, for
    who asked alone, and ``link_says`` what stands on its button.
    """

    ok: bool
    lines: tuple[str, ...] = ()
    table: Table | None = None
    cards: tuple[CardView, ...] = ()
    text: str = ""
    verbatim: bool = False
    confirm: str = ""
    picture: Picture | None = None
    link: str = ""
    link_says: str = "Confirm that it is me"


def refusal(sentence: str) -> Answer:
    """No, and why."""
    return Answer(False, (sentence,))


def inert(answer: Answer, masks: Masks) -> Answer:
    """``answer`` with what the policy masks masked, and hidden characters written out.

    Cards come so already.
    """

    def clean(text: str) -> str:
        return visible_line(mask(text, masks).text)

    table = answer.table
    if table is not None:
        table = Table(table.header, tuple(tuple(clean(cell) for cell in row) for row in table.rows))
    text = answer.text if answer.verbatim else mask(answer.text, masks).text
    return replace(answer, lines=tuple(clean(line) for line in answer.lines), table=table, text=visible(text))


def fingerprint(answer: Answer) -> str:
    """What a person was shown, in short: to see that what they confirm is still the same."""
    shown = (answer.lines, answer.table, answer.text, [(card.id, card.digest) for card in answer.cards])
    return hashlib.sha256(orjson.dumps(shown)).hexdigest()

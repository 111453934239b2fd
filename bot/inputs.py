"""What comes back from a dialog → what it means: reasons, edits, scopes, numbers. Pure; knows no platform.

Texts to edit are named ``part-<number>``, by their place in the query.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.cards import CardView, PartView
from bot.units import units
from holdpoint.errors import BadEdit, BadText
from holdpoint.model import Edit, GrantScope, Hold
from holdpoint.visible import visible

WHOLE = "whole"  # the word of a dialog whose reviewer had every text before their eyes
REASON = "reason"
PREPARED = "prepared"
TEXT = "text"
SCOPE = "scope"
USES = "uses"
AGE = "age"
PART = "part-"

_MOST_NAMED = 5


def reason_of(given: Mapping[str, str], reasons: Sequence[str]) -> str:
    """The policy's prepared reason that was chosen, own words, or both; the number stands for one of ``reasons``.

    Raises:
        BadText: neither, or a number that stands for nothing.
    """
    number, own = given.get(PREPARED, ""), given.get(REASON, "").strip()
    if number and not (number.isdecimal() and int(number) < len(reasons)):
        raise BadText("This reason is not one of the policy's any more. Open it again.")
    both = [reasons[int(number)]] if number else []
    both += [own] if own else []
    if not both:
        raise BadText("Say why: the requester sees it.")
    return "\n".join(both)


def editable(view: CardView, hold: Hold, *, longest: int, most: int) -> tuple[list[tuple[str, PartView]], list[str]]:
    """What a dialog can offer: name and part of each text; and a sentence for everything that only the inbox can edit.

    An input holds ``longest`` UTF-16 units, a dialog ``most`` inputs; and what a platform makes of hidden characters is
    not known: those stay with the inbox.
    """
    numbers = {part.path: number for number, part in enumerate(hold.query.parts)}
    inputs: list[tuple[str, PartView]] = []
    elsewhere: list[str] = []
    for part in view.parts:
        if not part.editable:
            continue
        if units(part.text) > longest:
            elsewhere.append(f"{part.label} is longer than {longest:,} characters.")
        elif visible(part.text) != part.text:
            elsewhere.append(f"{part.label} contains hidden characters.")
        elif len(inputs) < most:
            inputs.append((f"{PART}{numbers[part.path]}", part))
        else:
            elsewhere.append(f"{part.label} does not fit here.")
    if len(elsewhere) > _MOST_NAMED:
        elsewhere = [*elsewhere[:_MOST_NAMED], f"and {len(elsewhere) - _MOST_NAMED} more parts."]
    return inputs, elsewhere


def edits_of(
    view: CardView, hold: Hold, given: Mapping[str, str], *, before: Mapping[str, str] | None = None
) -> list[Edit]:
    """The parts whose text changed. Line ends and outer blanks that a text box changes by itself do not count.

    ``before``: path and text of parts that were shown as something else than they are in ``view``.

    Raises:
        BadEdit: the dialog names a part that is not there.
    """
    shown = {part.path: part.text for part in view.parts} | dict(before or {})
    edits: list[Edit] = []
    for name, text in given.items():
        if not name.startswith(PART):
            continue
        number = name.removeprefix(PART)
        if not (number.isascii() and number.isdecimal() and int(number) < len(hold.query.parts)):
            raise BadEdit("the dialog does not fit this request any more; open it again")
        path = hold.query.parts[int(number)].path
        if _settled(text) != _settled(shown[path]):
            edits.append(Edit(path, text.replace("\r\n", "\n")))
    return edits


def saw_whole(card: CardView, hold: Hold, given: Mapping[str, str]) -> bool:
    """Whether who sent ``given`` had all of the text before their eyes: on the card, or in the inputs, which show it whole."""
    numbers = {part.path: number for number, part in enumerate(hold.query.parts)}
    return not card.needs_full_view or all(
        part.cut == 0 or f"{PART}{numbers[part.path]}" in given for part in card.parts
    )


def _settled(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def scope_of(value: str) -> tuple[GrantScope, str]:
    """``requester``, or ``group <name>``.

    Raises:
        BadText: neither.
    """
    if value == GrantScope.REQUESTER.value:
        return GrantScope.REQUESTER, ""
    word, _, group = value.partition(" ")
    if word == GrantScope.GROUP.value and group:
        return GrantScope.GROUP, group
    raise BadText("Say for whom.")


def number_of(value: str) -> int:
    """How often, or how long in milliseconds.

    Raises:
        BadText: not a number.
    """
    if not (value.isascii() and value.isdecimal() and len(value) <= 15):
        raise BadText("Say how often, and for how long.")
    return int(value)

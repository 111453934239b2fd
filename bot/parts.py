"""Which texts of a request a card shows, in which order, how much of each, and what it folds. Pure.

::

    parts ─ rank ─▶ the newest user turn │ what matched elsewhere │ the rest
                        up to the limit      around the matches       folded   (or shown, while the limit lasts)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.passages import segments, shorten
from bot.pieces import PartView
from holdpoint.model import Hold, Part, PartRole, Span
from holdpoint.policy.mask import Masks, mask
from holdpoint.visible import visible, visible_line

MOST_SHOWN = 6  # parts of which a folding card shows something
MOST_LINES = 24  # of one part there: text made of line breaks must not push the buttons out of sight
_FOR_MATCHES = 3  # one part in so many of the limit stays for what matched outside the newest turn

_ROLES = {
    PartRole.SYSTEM: "System",
    PartRole.USER: "User",
    PartRole.ASSISTANT: "Assistant",
    PartRole.TOOL: "Tool result",
    PartRole.DEFINITION: "Tool definition",
    PartRole.PARAMETER: "Parameter",
}


@dataclass(frozen=True, slots=True)
class Portion:
    """What is shown of a request. ``cut`` counts the characters left out, ``folded`` the parts without any text."""

    parts: tuple[PartView, ...]
    cut: int
    folded: int
    masked: bool


def portion(hold: Hold, masks: Masks, *, limit: int | None, fold: bool) -> Portion:
    """The parts, most telling first: the newest user turn, then what matched, then the rest from new to old.

    ``limit`` bounds the characters in all; None shows everything. ``fold`` shows of the rest nothing, and of what
    matched outside the newest turn only the surroundings, whatever the limit.
    """
    spans: dict[str, list[Span]] = {}
    for hit in hold.evaluation.hits:
        for span in hit.spans:
            spans.setdefault(span.path, []).append(span)
    newest = _newest_turn(hold.query.parts)
    order = [
        part
        for _, part in sorted(
            enumerate(hold.query.parts), key=lambda item: _rank(*item, newest=newest, marked=item[1].path in spans)
        )
    ]
    if limit is None or not fold:
        views = _filled(order, spans, masks, limit)
    else:
        views = _folded(order, spans, masks, limit, newest=newest)
    return Portion(
        parts=tuple(views),
        cut=sum(view.cut for view in views),
        folded=sum(view.is_folded for view in views),
        masked=any(view.text != part.text for view, part in zip(views, order, strict=True)),
    )


def part_label(part: Part) -> str:
    """``User``, ``Tool result`` …, with the message's number where there is one: ``User · message 3``."""
    label = _ROLES[part.role]
    keys = part.path.split("/")
    if part.role in (PartRole.PARAMETER, PartRole.DEFINITION):
        return f"{label} · {visible_line(part.path)}"
    if len(keys) > 2 and keys[1].isdigit():
        return f"{label} · message {int(keys[1]) + 1}"
    return label


def _filled(order: Sequence[Part], spans: dict[str, list[Span]], masks: Masks, limit: int | None) -> list[PartView]:
    """Each part in full, while the limit lasts."""
    views: list[PartView] = []
    room = limit
    for part in order:
        view = _part(part, spans.get(part.path, ()), masks, room)
        if room is not None:
            room = max(room - len(view.plain), 0)
        views.append(view)
    return views


def _folded(
    order: Sequence[Part], spans: dict[str, list[Span]], masks: Masks, limit: int, *, newest: str | None
) -> list[PartView]:
    """The newest turn, or what comes first where there is none; around it what matched; the rest folded."""
    first = [part for part in order if newest is not None and _turn(part) == newest] or list(order[:1])
    matched = [part for part in order if part.path in spans and part not in first]
    first, matched = first[:MOST_SHOWN], matched[: max(MOST_SHOWN - len(first), 1)]
    kept = limit // _FOR_MATCHES if matched else 0
    room = limit - kept
    views: list[PartView] = []
    for part in order:
        if part in first:
            view = _part(part, spans.get(part.path, ()), masks, room, most_lines=MOST_LINES)
            room = max(room - len(view.plain), 0)
        elif part in matched:
            view = _part(part, spans[part.path], masks, kept, fill=False, most_lines=MOST_LINES)
            kept = max(kept - len(view.plain), 0)
        else:
            view = _folded_part(part, masks, marked=part.path in spans)
        views.append(view)
    return views


def _part(
    part: Part,
    spans: Sequence[Span],
    masks: Masks,
    room: int | None,
    *,
    fill: bool = True,
    most_lines: int | None = None,
) -> PartView:
    masked = mask(part.text, masks)
    whole = segments(part.text, [(span.start, span.end) for span in spans], masked.originals, masked.text)
    shown, cut = (whole, 0) if room is None else shorten(whole, room, fill=fill)
    while most_lines is not None and room and sum(each.text.count("\n") for each in shown) >= most_lines:
        room //= 2
        shown, cut = shorten(whole, room, fill=fill)
    return PartView(part.path, part.role, part_label(part), shown, cut, part.editable, bool(spans), masked.text)


def _folded_part(part: Part, masks: Masks, *, marked: bool) -> PartView:
    text = mask(part.text, masks).text
    return PartView(part.path, part.role, part_label(part), (), len(visible(text)), part.editable, marked, text)


def _rank(index: int, part: Part, *, newest: str | None, marked: bool) -> tuple[bool, bool, bool, int]:
    """What sorts a part. Within the newest turn, and among tools and parameters, the order of the body stays."""
    is_newest = newest is not None and _turn(part) == newest
    is_detail = part.role in (PartRole.DEFINITION, PartRole.PARAMETER)
    return (not is_newest, not marked, is_detail, index if is_newest or is_detail else -index)


def _turn(part: Part) -> str:
    """What the parts of one message have in common: its path. Parameters have none."""
    return "/".join(part.path.split("/")[:2])


def _newest_turn(parts: Sequence[Part]) -> str | None:
    return next((_turn(part) for part in reversed(parts) if part.role is PartRole.USER), None)

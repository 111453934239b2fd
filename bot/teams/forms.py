"""What a person is asked for: the dialogs, and the fields of the cards that a button shows below its card. Pure.

Ids of inputs are the names of `bot.inputs`: ``reason``, ``prepared``, ``text``, ``scope``, ``uses``, ``age``, ``part-<number>``.
Below a card they have an end, because a card may hold several of a name: ``reason.reject``.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot import choices
from bot.cards import CardView, PartView
from bot.inputs import PART, WHOLE
from bot.pages import Passage, pages_of
from bot.teams import ANSWER, ASK, BULK_REJECT, EDIT, GRANT, JUSTIFY, REJECT, REVEAL, VIEW
from bot.teams.elements import (
    ENVELOPE_BYTES,
    MOST_BYTES,
    MOST_RUNS,
    Card,
    Row,
    Run,
    load,
    ours,
    passages,
    size_bytes,
    value_of,
    words,
)
from bot.teams.text import inert, spaced, unexpanded
from bot.units import clip
from holdpoint.model import GrantLimits, Question
from holdpoint.visible import visible, visible_line

INPUT_UNITS = 8_000  # of one text that is edited in a dialog
MOST_INPUTS = 8
MOST_OPTIONS = 50
OPTION_UNITS = 100
_ROOM = MOST_BYTES - ENVELOPE_BYTES
_PAGES = ((2_500, 4), (1_500, 3), (700, 2))  # units of a passage, passages of a page: the first that fits
_PAGE_BYTES = 23_000  # of a page's passages
_RUN_BYTES = 200  # of a run with a style, beside its text
_BARE_BYTES = 8


def word(*, whole: bool) -> str:
    """What a button carries: whether the reviewer has every text before their eyes, on the card or below it."""
    return WHOLE if whole else "part"


def view_dialog(view: CardView, page: int, *, revealed: bool = False, note: str = "") -> tuple[Card, int, int]:
    """Page ``page`` (from 1; one beyond the last is the last) of everything that is held, below ``note``; its number, and how many there are.

    The buttons that turn pages carry ``hold`` with the page that is wanted, and ``here`` with the one on the screen.
    """
    pages = _pages(view)
    page = max(1, min(page, len(pages)))
    card = load(
        "view", items=_items(pages[page - 1]), verb=REVEAL if revealed else VIEW, value=value_of(view), url=view.url,
        page=page, pages=len(pages), revealed=revealed, note=note,
        heading=[*words(clip(view.requester_line, 300), "subtle"), ours(f" · page {page} of {len(pages)}", "subtle")],
    )  # fmt: skip
    return card, page, len(pages)


def edit_dialog(
    view: CardView, inputs: Sequence[tuple[str, PartView]], elsewhere: Sequence[str], *, whole: bool
) -> Card:
    """``inputs``: id and part of everything that can be edited here; ``elsewhere``: why the rest cannot.

    ``whole``: the reviewer has every text before their eyes, here or on the card. What does not fit is left to the inbox.
    """
    kept, missing = list(inputs), list(elsewhere)
    while True:
        card = _dialog(
            "edit", view, "Approve" if kept else "", EDIT, value_of(view, word(whole=whole and len(kept) == len(inputs))),
            form=edit_fields(kept, missing), link="Edit in inbox" if missing else "",
        )  # fmt: skip
        if not kept or size_bytes(card) <= _ROOM:
            return card
        missing = [*elsewhere, "Not all of the texts fit here: the others are edited in the inbox."]
        kept.pop()


def reject_dialog(view: CardView, reasons: Sequence[str]) -> Card:
    """``reasons``: the policy's prepared ones; one of them, own words, or both are sent."""
    return _dialog(
        "reject", view, "Reject", REJECT, value_of(view), form={"prepared": options(reasons)}, style="destructive"
    )


def bulk_reject_dialog(value: str, count: int, reasons: Sequence[str]) -> Card:
    """One reason for all ``count`` requests of a card; ``value`` is what its button carried."""
    facts = [[ours("Requests  ", "bold"), ours(f"{count:,}, exactly those that the card lists")]]
    return load(
        "dialog", facts=facts, kind="reject", form={"prepared": options(reasons)}, title="Reject", verb=BULK_REJECT,
        hold=value, style="destructive", link="", url="",
    )  # fmt: skip


def ask_dialog(view: CardView, *, pauses: bool) -> Card:
    """``pauses``: the clock stands until the requester answers."""
    return _dialog("ask", view, "Ask", ASK, value_of(view), form=ask_fields(pauses=pauses))


def grant_dialog(view: CardView, limits: GrantLimits, groups: Sequence[str], *, whole: bool) -> Card:
    """``groups``: those that the grant may stand for; ``whole``: the card showed the text in full."""
    rules = ", ".join(rule.id for rule in view.rules)
    more = _facts([("Connection", clip(view.connection, 100)), ("Rules", clip(rules, 400))])
    form = {
        "scopes": _choices(choices.scopes(limits, groups)), "uses": _choices(choices.uses(limits)),
        "ages": _choices(choices.ages(limits)),
    }  # fmt: skip
    return _dialog("grant", view, "Approve", GRANT, value_of(view, word(whole=whole)), form=form, more=more)


def justify_dialog(view: CardView) -> Card:
    """Why the requester needs it; what they said so far is shown, and replaced."""
    return _dialog("justify", view, "Send", JUSTIFY, value_of(view), form=justify_fields(before=view.justification))


def answer_dialog(view: CardView, question: Question, text: str) -> Card:
    """``text``: the question as it may be shown."""
    asked_by = f"{clip(visible_line(question.name or question.by), 80)} asks"
    form = {"label": words(asked_by, "bold"), "question": words(clip(text, 2_000))}
    return _dialog("answer", view, "Answer", ANSWER, value_of(view, question.id), form=form)


def ask_fields(*, pauses: bool) -> Row:
    clock = "The clock stands meanwhile." if pauses else "The clock runs on."
    return {"hint": f"It goes to the requester; the answer appears on the card. {clock}"}


def justify_fields(*, before: str) -> Row:
    said = clip(before, 500) if before.strip() else ""
    return {"label": words("So far you said", "bold"), "before": words(said)}


def answer_fields() -> Row:
    """Below the requester's message, which shows the question itself."""
    return {"label": [], "question": []}


def edit_fields(inputs: Sequence[tuple[str, PartView]], elsewhere: Sequence[str]) -> Row:
    """Labels are ours: of what can be edited, they say the role and the message's number."""
    return {
        "inputs": [{"id": name, "text": part.text, "label": part.label} for name, part in inputs],
        "elsewhere": [words(clip(sentence, 300), "subtle") for sentence in elsewhere],
    }


def inline_inputs(view: CardView) -> list[tuple[str, PartView]] | None:
    """Id and part of every text that can be edited; None where only a dialog or the inbox can offer them all.

    What Teams makes of hidden characters is not known: texts with some are edited in the inbox.
    """
    parts = [part for part in view.parts if part.editable]
    if not 0 < len(parts) <= MOST_INPUTS or any(visible(part.text) != part.text for part in parts):
        return None
    numbers = {path: number for number, path in enumerate(view.paths)}
    return [(f"{PART}{numbers[part.path]}", part) for part in parts]


def options(reasons: Sequence[str]) -> list[Row]:
    """The policy's reasons; the value is the reason's number."""
    return _choices([(reason, str(number)) for number, reason in enumerate(reasons)])


def _choices(offered: Sequence[choices.Choice]) -> list[Row]:
    return [{"text": inert(text, OPTION_UNITS) or "?", "value": value} for text, value in offered[:MOST_OPTIONS]]


def _pages(view: CardView) -> list[list[Passage]]:
    """The same for every page of one text, so that a reader who turns pages meets each of them."""
    pages: list[list[Passage]] = [[]]
    for passage_units, most in _PAGES:
        pages = pages_of(view, passage_units=passage_units, most_segments=MOST_RUNS, passages=most)
        if all(sum(map(_bytes_of, page)) <= _PAGE_BYTES for page in pages):
            break
    return pages


def _bytes_of(passage: Passage) -> int:
    """About as many bytes as the passage takes on a card, at least."""
    dates = sum(len(unexpanded(each.text)) - 1 for each in passage.segments)
    styled = min(len(passage.segments) + dates, MOST_RUNS)
    return (
        size_bytes([spaced(each.text) for each in passage.segments]) + styled * _RUN_BYTES + dates * _BARE_BYTES + 500
    )


def _items(page: Sequence[Passage]) -> list[Row]:
    return passages([(each.label, each.segments) for each in page], label_units=150)


def _facts(pairs: Sequence[tuple[str, str]]) -> list[list[Run]]:
    return [[ours(f"{label}  ", "bold"), *words(text)] for label, text in pairs if text.strip()]


def _dialog(
    kind: str, view: CardView, title: str, verb: str, hold: str, *, form: Row, style: str = "positive",
    more: Sequence[list[Run]] = (), link: str = "",
) -> Card:  # fmt: skip
    """What it is about, the fields, and the button that sends them (none without a ``title``)."""
    about = [("Requester", clip(view.requester, 200)), ("Why", clip(view.title, 300)), ("Model", clip(view.model, 150))]
    return load(
        "dialog", facts=[*_facts(about), *more], kind=kind, form=form, title=title, verb=verb, hold=hold, style=style,
        link=link, url=view.url,
    )  # fmt: skip

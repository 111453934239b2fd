"""The modals that ask a person for something, through ``templates/slack/``. Pure but for reading the templates.

Each carries in ``private_metadata`` what its button carried: ``<hold> <digest>`` and perhaps one word more. Block ids are
the names of what is asked for: ``reason``, ``prepared``, ``text``, ``scope``, ``uses``, ``age``.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot import choices
from bot.cards import CardView
from bot.slack import BULK_REJECT_MODAL, REJECT_MODAL
from bot.slack.blocks import Blocks, Row, load, rows, value_of, words
from bot.slack.modals import Modal, modal_facts
from bot.units import clip, head, units
from holdpoint.model import GrantLimits, GrantScope, Question
from holdpoint.visible import visible_line

OPTION_UNITS = 75  # of an option's text, and of the line below it
MOST_OPTIONS = 100
GROUP_UNITS = 150 - len(f"{GrantScope.GROUP.value} ")  # of a group's name, in an option's value (see `bot.choices`)
NOTICE_LINES = 20


def reject_modal(view: CardView, reasons: Sequence[str]) -> Modal:
    """``reasons``: the policy's prepared ones; one of them, own words, or both are sent."""
    return _modal(
        "reject", callback=REJECT_MODAL, title="Reject request", value=value_of(view), facts=modal_facts(view),
        prepared=prepared(reasons),
    )  # fmt: skip


def bulk_reject_modal(value: str, count: int, reasons: Sequence[str]) -> Modal:
    """One reason for all ``count`` requests of a card; ``value`` is what its button carried."""
    facts = rows([("Requests", f"{count}, exactly those that the card lists")])
    return _modal(
        "reject", callback=BULK_REJECT_MODAL, title="Reject all", value=value, facts=facts, prepared=prepared(reasons)
    )


def ask_modal(view: CardView, *, pauses: bool) -> Modal:
    """``pauses``: the clock stands until the requester answers."""
    hint = "It goes to the requester; the answer appears on the card."
    hint += " The clock stands meanwhile." if pauses else " The clock runs on."
    return _modal("ask", value=value_of(view), facts=modal_facts(view), hint=hint)


def grant_modal(view: CardView, limits: GrantLimits, groups: Sequence[str], *, whole: bool) -> Modal:
    """``groups``: those that the grant may stand for; ``whole``: the card showed the text in full."""
    rules = ", ".join(rule.id for rule in view.rules)
    facts = rows([("Connection", clip(view.connection, 100)), ("Rules", clip(rules, 400))])
    return _modal(
        "grant", value=f"{value_of(view)} {'whole' if whole else 'part'}", facts=[*modal_facts(view), *facts],
        scopes=_options(choices.scopes(limits, groups)), uses=_options(choices.uses(limits)),
        ages=_options(choices.ages(limits)),
    )  # fmt: skip


def answer_modal(view: CardView, question: Question, text: str) -> Modal:
    """``text``: the question as it may be shown."""
    return _modal(
        "answer_question", value=f"{value_of(view)} {question.id}", question=words(text, 2_500),
        asked_by=f"{clip(visible_line(question.name or question.by), 80)} asks",
    )  # fmt: skip


def justify_modal(view: CardView) -> Modal:
    """Why the requester needs it; what they said so far is shown, and replaced."""
    before = words(view.justification, 2_500)
    return _modal("justify", value=value_of(view), facts=modal_facts(view), before=before)


def notice_modal(lines: Sequence[str], url: str = "") -> Modal:
    """Sentences for one person, and perhaps where they confirm that it is them."""
    return _modal("notice", lines=[clip(line, 2_500) for line in lines[:NOTICE_LINES]], url=url)


def notice_blocks(lines: Sequence[str], url: str = "") -> Blocks:
    """The same for a message: as blocks, in which every character is what it is."""
    blocks: Blocks = notice_modal(lines, url)["blocks"]
    return blocks


def prepared(reasons: Sequence[str]) -> list[Row]:
    """The policy's reasons as options; a long one goes on in the line below. The value is the reason's number."""
    return [_option(visible_line(reason), str(number)) for number, reason in enumerate(reasons[:MOST_OPTIONS])]


def _options(offered: Sequence[choices.Choice]) -> list[Row]:
    return [_option(text, value) for text, value in offered[:MOST_OPTIONS]]


def _option(text: str, value: str) -> Row:
    """``text`` in one line, or in two, which part between words where both fit then."""
    first = head(text, OPTION_UNITS)
    between = first.rfind(" ") + 1
    if len(first) < len(text) and between and units(text[between:]) <= OPTION_UNITS:
        first = first[:between]
    return {"text": first, "value": value, "more": clip(text[len(first) :], OPTION_UNITS)}


def _modal(name: str, **context: object) -> Modal:
    view: Modal = load(f"slack/{name}.json.j2", **context)
    return view

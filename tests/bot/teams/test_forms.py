"""What people are asked for: below a card, and in dialogs. What comes back is what `bot.inputs` reads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.inputs import editable, edits_of
from bot.teams import render
from bot.teams.elements import size_bytes
from bot.teams.forms import INPUT_UNITS, MOST_INPUTS
from holdpoint.model import GrantLimits, GrantScope, Hold, Part, PartRole, Question, ReviewTerms, Risk
from holdpoint.visible import visible
from tests.bot.teams.surfaces import inlines_of, said, text_of
from tests.bot.teams.test_render import a_hold, titles, viewed
from tests.fakes.teams.cards import card_problems
from tests.fakes.teams.reading import Button, buttons_of, filled_in, inputs_of, press
from tests.fakes.teams.things import CannotBeDone

Json = dict[str, Any]


def with_parts(*texts: str, **changes: Any) -> Hold:
    hold = a_hold(**changes)
    parts = tuple(Part(f"messages/{n}/content", PartRole.USER, text) for n, text in enumerate(texts))
    return replace(hold, query=replace(hold.query, parts=parts))


def shown_card(card: Json, title: str) -> Json:
    found: Json = next(action["card"] for action in card["actions"] if action["title"] == title)
    return found


def ids_of(card: Json) -> list[str]:
    return [each["id"] for each in inputs_of(card)]


def everything(card: Json) -> list[str]:
    """Ids of all inputs, also of the cards below the card."""
    return [*ids_of(card), *(name for action in card["actions"] if "card" in action for name in ids_of(action["card"]))]


def test_ids_are_unique_on_a_card_and_plain_in_a_dialog() -> None:
    card = render.card(viewed(with_parts("one", "two", terms=ReviewTerms(reasons=("No",)))))
    assert everything(card) == [
        "part-1.edit",
        "part-0.edit",
        "reason.edit",
        "prepared.reject",
        "reason.reject",
        "text.ask",
    ]
    view = viewed(a_hold(terms=ReviewTerms(reasons=("No",))))
    assert ids_of(render.reject_dialog(view, view.reasons)) == ["prepared", "reason"]
    assert ids_of(render.ask_dialog(view, pauses=False)) == ["text"]
    asked = render.dm_card(viewed(a_hold(questions=(Question("q1", "sam@example.com", "Sam", "Why?", 1),))))
    assert everything(asked) == ["text.answer", "text.justify"]


def test_a_reason_is_prepared_or_in_own_words() -> None:
    prepared = render.card(viewed(a_hold(terms=ReviewTerms(reasons=("Not *needed*", "Ask legal")))))
    choice, own = list(inputs_of(shown_card(prepared, "Reject")))
    assert choice["choices"] == [{"title": "Not ∗needed∗", "value": "0"}, {"title": "Ask legal", "value": "1"}]
    assert not own.get("isRequired")
    pressed = filled_in(press(shown_card(prepared, "Reject"), "reject"), {"prepared.reject": "1"})
    assert pressed["prepared.reject"] == "1"
    plain = render.card(viewed(a_hold()))
    with pytest.raises(CannotBeDone, match="Say why"):
        filled_in(press(plain, "reject"), {})


def test_the_texts_below_a_card_come_back_by_their_place_in_the_query() -> None:
    hold = with_parts("first", "newest")
    sent = filled_in(press(render.card(viewed(hold)), "edit"), {"part-1.edit": "changed"})
    given = {name.partition(".")[0]: value for name, value in sent.items() if name.startswith("part-")}
    edits = edits_of(viewed(hold, limit=None), hold, given)
    assert [(edit.path, edit.text) for edit in edits] == [("messages/1/content", "changed")]


@pytest.mark.parametrize(
    ("texts", "risk", "word"),
    [
        (("short",), Risk.HIGH, "whole"),
        (("x" * 3_000,), Risk.HIGH, "whole"),  # cut on the card, but all of it is below
        (("a" * 2_000, "b"), Risk.LOW, "whole"),
    ],
)
def test_the_button_says_whether_every_text_was_before_their_eyes(
    texts: tuple[str, ...], risk: Risk, word: str
) -> None:
    button = press(render.card(viewed(with_parts(*texts, risk=risk))), "edit")
    assert button.action["data"]["hold"].split(" ")[2] == word


def test_a_text_that_cannot_be_edited_and_is_cut_was_not_seen() -> None:
    hold = with_parts("short")
    more = Part("tools/0/function", PartRole.DEFINITION, "x" * 500)
    hold = replace(hold, query=replace(hold.query, parts=(*hold.query.parts, more)))
    assert press(render.card(viewed(hold)), "edit").action["data"]["hold"].endswith(" part")


@pytest.mark.parametrize("texts", [("x" * 9_000,), ("hidden\u200bhere",), ("more",) * (MOST_INPUTS + 1)])
def test_what_does_not_fit_below_a_card_is_edited_in_a_dialog(texts: tuple[str, ...]) -> None:
    card = render.card(viewed(with_parts(*texts)))
    button = press(card, "edit")
    assert button.action["data"]["msteams"] == {"type": "task/fetch"}
    assert not [name for name in everything(card) if name.startswith("part-")]


def test_the_edit_dialog_offers_what_fits_and_says_what_does_not() -> None:
    hold = with_parts("fits", "x" * (INPUT_UNITS + 1), "hidden\u200bhere", "y" * 7_000, "z" * 7_000, "a\r\n\tb")
    view = viewed(hold, limit=None)
    inputs, elsewhere = editable(view, hold, longest=INPUT_UNITS, most=MOST_INPUTS)
    card = render.edit_dialog(view, inputs, elsewhere, whole=True)
    assert card_problems(card, dialog=True) == []
    assert size_bytes(card) <= render.MOST_BYTES - 2_000
    fields = {each["id"]: each.get("value", "") for each in inputs_of(card)}
    assert {"part-1", "part-2"}.isdisjoint(fields)
    assert len([name for name in fields if name.startswith("part-")]) < len(inputs)
    assert "Not all of the texts fit here" in said(card)
    assert titles(card) == ["Approve", "Edit in inbox"]
    assert card["actions"][0]["data"]["hold"].endswith(" part")  # not all that was promised is here
    for name, value in fields.items():
        if name.startswith("part-"):
            assert value == hold.query.parts[int(name.removeprefix("part-"))].text


def test_where_nothing_can_be_edited_the_dialog_leads_to_the_inbox() -> None:
    view = viewed(with_parts("x" * (INPUT_UNITS + 1)), limit=None)
    card = render.edit_dialog(view, [], ["It is too long."], whole=False)
    assert titles(card) == ["Edit in inbox"]
    assert "Nothing of it can be edited here." in said(card)


def test_a_grant_starts_with_the_narrowest() -> None:
    view = viewed(a_hold())
    card = render.grant_dialog(view, GrantLimits(20, 3_600_000, frozenset(GrantScope)), ["contractors"], whole=False)
    chosen = {each["id"]: each.get("value") for each in inputs_of(card)}
    assert chosen == {"scope": "requester", "uses": "1", "age": "900000", "reason": None}
    sent = filled_in(press(card, "grant"), {"scope": "group contractors", "uses": "5"})
    assert sent["scope"] == "group contractors"
    assert sent["hold"] == f"{view.id} {view.digest} part"


def test_an_answer_names_its_question_and_a_justification_shows_the_last_one() -> None:
    hold = a_hold(justification="because\nof it")
    question = Question("q7", "sam@example.com", "Sam", "Why?", 1)
    card = render.answer_dialog(viewed(hold), question, "Why?")
    assert press(card, "answer").action["data"]["hold"].endswith(" q7")
    assert "Sam asks\nWhy?" in said(card)
    assert "So far you said\nbecause\nof it" in said(render.justify_dialog(viewed(hold)))


@pytest.mark.parametrize(("pauses", "hint"), [(True, "The clock stands meanwhile."), (False, "The clock runs on.")])
def test_a_question_says_what_the_clock_does(pauses: bool, hint: str) -> None:
    view = viewed(a_hold(terms=ReviewTerms(question_pauses=pauses)))
    assert hint in said(render.ask_dialog(view, pauses=pauses))
    assert hint in said(shown_card(render.card(view), "Ask the requester"))


def test_one_reason_for_all_names_how_many() -> None:
    card = render.bulk_reject_dialog("b1 abc", 1_200, ("No",))
    assert "1,200, exactly those that the card lists" in said(card)
    assert press(card, "bulk_reject").action["data"] == {"verb": "bulk_reject", "hold": "b1 abc"}


def pages_of(hold: Hold, *, revealed: bool = False) -> list[Json]:
    view = viewed(hold, limit=None)
    _, _, pages = render.view_dialog(view, 1, revealed=revealed)
    found = [render.view_dialog(view, number, revealed=revealed) for number in range(1, pages + 1)]
    assert [(page, of) for _, page, of in found] == [(number, pages) for number in range(1, pages + 1)]
    return [card for card, _, _ in found]


def passages_of(card: Json) -> str:
    boxes = [element for element in card["body"] if element["type"] == "Container"]
    return "".join(text_of(run) for box in boxes for run in list(inlines_of(box))[-1])


@pytest.mark.promise(2)
@settings(max_examples=40, deadline=None)
@given(prompts=st.lists(st.text(min_size=1, max_size=6_000), min_size=1, max_size=5))
def test_the_pages_hold_all_of_the_text(prompts: list[str]) -> None:
    hold = with_parts(*prompts)
    found = "".join(map(passages_of, pages_of(hold)))
    view = viewed(hold, limit=None)
    blanks = str.maketrans("", "", " \u00a0\t")  # indents are kept with other blanks
    assert found.translate(blanks) == "".join(part.plain for part in view.parts).translate(blanks)
    assert sorted(found.translate(blanks)) == sorted("".join(map(visible, prompts)).translate(blanks))


@pytest.mark.parametrize("revealed", [False, True])
def test_the_buttons_of_a_page_lead_to_its_neighbours_and_say_where_the_reader_is(revealed: bool) -> None:
    hold = with_parts("x" * 30_000)
    first, second, *_, last = pages_of(hold, revealed=revealed)
    value = f"{hold.id} {hold.digest}"
    assert titles(first) == ["Next page", "Open in inbox"]
    assert titles(second) == ["Previous page", "Next page", "Open in inbox"]
    assert titles(last) == ["Previous page", "Open in inbox"]
    button: Button = press(second, "Next page")
    verb = "reveal" if revealed else "view"
    assert button.action["data"] == {"verb": verb, "hold": f"{value} 3", "here": f"{value} 2"}
    assert ("Only you see this" in said(first)) is revealed
    assert render.view_dialog(viewed(hold, limit=None), 99, revealed=revealed)[0] == last
    assert [each.verb for each in buttons_of(first)] == [verb, ""]

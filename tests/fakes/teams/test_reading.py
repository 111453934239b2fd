"""How the fake's clients read and fill in a card."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.teams.reading import buttons_of, filled_in, press, texts_of
from tests.fakes.teams.things import CannotBeDone, Json

GO: Json = {"type": "Action.Execute", "verb": "go", "title": "Go", "data": {"hold": "h"}}


def card(*body: Any, **more: Any) -> Json:
    return {"type": "AdaptiveCard", "version": "1.5", "body": list(body), **more}


def field(kind: str = "Text", **more: Any) -> Json:
    return {"type": f"Input.{kind}", "id": "i", **more}


def pressed(form: Json, given: Json | None = None) -> Json:
    data = filled_in(press(form, "go"), given or {})
    return {name: value for name, value in data.items() if name != "hold"}


CHOICES = [{"title": "A", "value": "a"}, {"title": "B", "value": "b"}]

SENT: dict[str, tuple[Json, Json, Json]] = {
    "a text": (field(), {"i": "x"}, {"i": "x"}),
    "a text that was there": (field(value="x"), {}, {"i": "x"}),
    "a text that was deleted": (field(value="x"), {"i": ""}, {"i": ""}),
    "an empty text": (field(), {}, {"i": ""}),
    "a text of several lines": (field(isMultiline=True), {"i": "x\ny"}, {"i": "x\ny"}),
    "a number": (field("Number"), {"i": 5}, {"i": "5"}),
    "a choice": (field("ChoiceSet", choices=CHOICES), {"i": "a"}, {"i": "a"}),
    "several choices": (field("ChoiceSet", choices=CHOICES, isMultiSelect=True), {"i": "a,b"}, {"i": "a,b"}),
    "no choice": (field("ChoiceSet", choices=CHOICES), {}, {}),
    "a toggle": (field("Toggle", title="t"), {"i": True}, {"i": "true"}),
    "a toggle that was left alone": (field("Toggle", title="t", valueOff="no"), {}, {"i": "no"}),
    "a hidden field": (field(value="x", isVisible=False), {}, {"i": "x"}),
}


@pytest.mark.parametrize(("element", "given", "sent"), SENT.values(), ids=SENT.keys())
def test_inputs_go_with_a_button(element: Json, given: Json, sent: Json) -> None:
    assert pressed(card(element, actions=[GO]), given) == sent


REFUSED: dict[str, tuple[Json, Json]] = {
    "an unknown field": (field(), {"j": "x"}),
    "a required text": (field(isRequired=True), {"i": ""}),
    "a required choice": (field("ChoiceSet", choices=CHOICES, isRequired=True), {}),
    "a required toggle": (field("Toggle", title="t", isRequired=True), {"i": False}),
    "a text that is too long": (field(maxLength=3), {"i": "😀😀"}),
    "a text of another form": (field(regex="^[a-z]+$"), {"i": "5"}),
    "several lines in one": (field(), {"i": "x\ny"}),
    "a choice that is not offered": (field("ChoiceSet", choices=CHOICES), {"i": "c"}),
    "a number out of bounds": (field("Number", min=1, max=5), {"i": 6}),
    "a toggle's other value": (field("Toggle", title="t"), {"i": "maybe"}),
}


@pytest.mark.parametrize(("element", "given"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_filled_in(element: Json, given: Json) -> None:
    with pytest.raises(CannotBeDone):
        pressed(card(element, actions=[GO]), given)


def test_an_inline_cards_button_takes_its_fields_and_the_cards_around_it() -> None:
    inner = card(field(id="inner"), actions=[GO])
    sibling = {"type": "Action.ShowCard", "title": "Other", "card": card(field(id="other"))}
    outer = card(field(id="outer"), actions=[{"type": "Action.ShowCard", "title": "More", "card": inner}, sibling])
    assert pressed(outer, {"inner": "a", "outer": "b"}) == {"inner": "a", "outer": "b"}
    with pytest.raises(CannotBeDone, match="no input"):
        pressed(outer, {"other": "x"})


def test_a_button_may_take_no_inputs() -> None:
    form = card(field(value="x"), actions=[{**GO, "associatedInputs": "none"}])
    assert pressed(form) == {}
    with pytest.raises(CannotBeDone, match="takes no inputs"):
        pressed(form, {"i": "y"})


@pytest.mark.parametrize("form", [
    card({"type": "ActionSet", "actions": [GO]}),
    card({"type": "Container", "items": [{"type": "ActionSet", "actions": [GO]}]}),
    card({"type": "ColumnSet", "columns": [{"type": "Column", "items": [{"type": "ActionSet", "actions": [GO]}]}]}),
    card({"type": "Table", "rows": [{"cells": [{"items": [{"type": "ActionSet", "actions": [GO]}]}]}]}),
    card({"type": "Container", "items": [], "selectAction": GO}),
    card(field(inlineAction=GO)),
    card(selectAction=GO),
])  # fmt: skip
def test_buttons_are_found_wherever_they_are(form: Json) -> None:
    assert press(form, "Go").action is GO


@pytest.mark.parametrize("form", [
    card({"type": "Container", "isVisible": False, "items": [{"type": "ActionSet", "actions": [GO]}]}),
    card(actions=[{**GO, "isEnabled": False}]),
    card(actions=[{"type": "Action.ShowCard", "title": "go", "card": card()}]),
    card(actions=[GO, GO]),
])  # fmt: skip
def test_what_is_hidden_disabled_or_ambiguous_cannot_be_pressed(form: Json) -> None:
    with pytest.raises(CannotBeDone):
        press(form, "go")


def test_an_old_client_shows_the_fallback() -> None:
    submit = {"type": "Action.Submit", "title": "Go on", "data": {}}
    form = card(actions=[{**GO, "fallback": submit}, {**GO, "title": "No"}])
    assert [button.title for button in buttons_of(form, old=True)] == ["Go on"]
    assert [button.title for button in buttons_of(form)] == ["Go", "No"]


def test_everything_that_is_read_and_nothing_else() -> None:
    form = card(
        {"type": "TextBlock", "text": "a", "id": "id"},
        {"type": "RichTextBlock", "inlines": ["b", {"type": "TextRun", "text": "c"}]},
        {"type": "FactSet", "facts": [{"title": "d", "value": "e"}]},
        field("ChoiceSet", label="f", choices=CHOICES, value="a"), field(id="j", value="g"),
        actions=[GO, {"type": "Action.ShowCard", "title": "h", "card": card({"type": "TextBlock", "text": "k"})}],
        refresh={"action": {**GO, "title": "unseen"}}, fallbackText="unseen",
    )  # fmt: skip
    assert list(texts_of(form)) == ["a", "bc", "d", "e", "f", "A", "B", "g", "Go", "h", "k"]

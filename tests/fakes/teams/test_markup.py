"""What is markup in Teams, and where."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.teams.markup import markup_of
from tests.fakes.teams.things import Json


def block(text: str) -> Json:
    return {"type": "TextBlock", "text": text}


def card(*body: Any, **more: Any) -> Json:
    return {"type": "AdaptiveCard", "version": "1.5", "body": list(body), **more}


@pytest.mark.parametrize(("text", "rule"), [
    ("see [here](https://x.example)", "link"), ("**loud**", "bold"), ("__loud__", "bold"), ("an *odd* word", "italic"),
    ("an _odd_ word", "italic"), ("- one\n- two", "list"), ("1. one", "list"), ("# big", "heading"), ("`code`", "code"),
    ("> said", "quote"), ("{{DATE(2026-01-01T00:00:00Z)}}", "date"), ("&lt;", "entity"), ("<at>Kim</at>", "tag"),
])  # fmt: skip
def test_markup_is_found(text: str, rule: str) -> None:
    assert {hit.split(":")[0] for hit in markup_of(card(block(text)))} == {rule}


@pytest.mark.parametrize("text", [
    "plain", "2 * 3 * 4", "snake_case_name", "\\*not\\*", "\\[a](b)", "a < b > c", "50 %", "a-b", "3.5", "#5", "AT&T", "",
])  # fmt: skip
def test_what_is_shown_as_written(text: str) -> None:
    assert markup_of(card(block(text))) == []


MARKED = "**x**"


@pytest.mark.parametrize("element", [
    block(MARKED), {"type": "Container", "items": [block(MARKED)]}, {"type": "FactSet", "facts": [{"title": "a", "value": MARKED}]},
    {"type": "Input.Toggle", "id": "i", "title": MARKED},
    {"type": "Input.ChoiceSet", "id": "i", "choices": [{"title": MARKED, "value": "a"}]},
    {"type": "ActionSet", "actions": [{"type": "Action.ShowCard", "title": "t", "card": card(block(MARKED))}]},
])  # fmt: skip
def test_where_teams_looks_for_it(element: Json) -> None:
    assert markup_of(card(element)) == ["bold: **x**"]


@pytest.mark.parametrize("element", [
    {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": MARKED}]},
    {"type": "Input.Text", "id": "i", "label": MARKED, "value": MARKED, "placeholder": MARKED},
    {"type": "ActionSet", "actions": [{"type": "Action.Submit", "title": MARKED, "data": block(MARKED)}]},
])  # fmt: skip
def test_where_it_does_not(element: Json) -> None:
    assert markup_of(card(element)) == []


def test_text_of_a_message_is_markdown_unless_plain() -> None:
    assert markup_of(None, {"text": MARKED}) == ["bold: **x**"]
    assert markup_of(None, {"text": MARKED, "textFormat": "plain"}) == []

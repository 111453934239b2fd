"""Each rule about cards: one just inside, one just outside; and the published schema thinks the same."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.teams.cards import card_problems
from tests.fakes.teams.schema import SCHEMA_FILE, schema_problems
from tests.fakes.teams.things import Json

TEXT = {"type": "TextBlock", "text": "x"}


def card(*body: Any, **more: Any) -> Json:
    return {"type": "AdaptiveCard", "version": "1.5", "body": list(body), **more}


def text(**more: Any) -> Json:
    return card({**TEXT, **more})


def act(**more: Any) -> Json:
    return {"type": "Action.Execute", "verb": "v", "title": "Go", **more}


def acts(*actions: Any) -> Json:
    return card(TEXT, actions=list(actions))


def shows(*body: Any, **more: Any) -> Json:
    return acts(
        {"type": "Action.ShowCard", "title": "More", "card": {"type": "AdaptiveCard", "body": list(body), **more}}
    )


def field(kind: str = "Text", **more: Any) -> Json:
    return card({"type": f"Input.{kind}", "id": "i", **more})


def choices(**more: Any) -> Json:
    return field("ChoiceSet", choices=[{"title": "A", "value": "a"}, {"title": "B", "value": "b"}], **more)


def table(*rows: Any) -> Json:
    return card({"type": "Table", "columns": [{"width": 1}], "rows": list(rows)})


def refresh(**more: Any) -> Json:
    return card(TEXT, refresh={"action": act(), **more})


def users(count: int) -> list[str]:
    return [f"29:{n}" for n in range(count)]


CELL = {"type": "TableCell", "items": [TEXT]}
RUN = {"type": "TextRun", "text": "x"}
COLUMN = {"type": "Column", "width": "auto", "items": [TEXT]}

# (what the rule is about, good, bad): the schema knows these rules too
SCHEMA: list[tuple[str, Any, Any]] = [
    ("type of the card", card(TEXT), {**card(TEXT), "type": "HeroCard"}),
    ("known element", card(TEXT), card({"type": "Text", "text": "x"})),
    ("an element has a type", card(TEXT), card({"text": "x"})),
    ("an element is an object", card(TEXT), card("x")),
    ("body is a list", card(TEXT), {**card(), "body": TEXT}),
    ("known property", text(wrap=True), text(colour="red")),
    ("property of the card", card(TEXT, speak="x"), card(TEXT, title="x")),
    ("TextBlock has text", text(), card({"type": "TextBlock"})),
    ("text is text", text(), text(text=5)),
    ("enumeration", text(size="large"), text(size="huge")),
    ("enumeration in any case", text(size="Large"), text(weight="Fat")),
    ("bool", text(wrap=True), text(wrap="yes")),
    ("number", text(maxLines=3), text(maxLines="three")),
    ("known action", acts(act()), acts({"type": "Action.Http", "title": "x", "url": "https://x.example"})),
    ("property of an action", acts(act(tooltip="x")), acts(act(colour="red"))),
    ("style of an action", acts(act(style="positive")), acts(act(style="green"))),
    ("mode of an action", acts(act(mode="secondary")), acts(act(mode="hidden"))),
    ("OpenUrl has a URL", acts({"type": "Action.OpenUrl", "url": "https://x.example/a"}), acts({"type": "Action.OpenUrl"})),
    ("inline card", shows(TEXT), shows({"type": "Nothing"})),
    ("toggled elements", acts({"type": "Action.ToggleVisibility", "targetElements": ["a"]}), acts({"type": "Action.ToggleVisibility"})),
    ("fallback of an element", text(fallback="drop"), text(fallback="keep")),
    ("container", card({"type": "Container", "items": [TEXT], "style": "emphasis"}), card({"type": "Container", "style": "emphasis"})),
    ("inside a container", card({"type": "Container", "items": [TEXT]}), card({"type": "Container", "items": [{"type": "X"}]})),
    ("columns", card({"type": "ColumnSet", "columns": [COLUMN]}), card({"type": "ColumnSet", "columns": [{**COLUMN, "weight": 1}]})),
    ("inside a column", card({"type": "ColumnSet", "columns": [COLUMN]}), card({"type": "ColumnSet", "columns": [{"type": "Column", "items": [{"type": "X"}]}]})),
    ("facts", card({"type": "FactSet", "facts": [{"title": "a", "value": "b"}]}), card({"type": "FactSet", "facts": [{"title": "a"}]})),
    ("a fact's value is text", card({"type": "FactSet", "facts": [{"title": "a", "value": "1"}]}), card({"type": "FactSet", "facts": [{"title": "a", "value": 1}]})),
    ("table", table({"type": "TableRow", "cells": [CELL]}), table({"type": "TableRow", "cells": [{"type": "TableCell"}]})),
    ("row of a table", table({"type": "TableRow", "cells": [CELL], "style": "accent"}), table({"type": "TableRow", "cells": [CELL], "colour": "red"})),
    ("runs of text", card({"type": "RichTextBlock", "inlines": [RUN, "y"]}), card({"type": "RichTextBlock", "inlines": [{**RUN, "link": "x"}]})),
    ("a run has text", card({"type": "RichTextBlock", "inlines": [RUN]}), card({"type": "RichTextBlock", "inlines": [{"type": "TextRun"}]})),
    ("input has an id", field(), card({"type": "Input.Text"})),
    ("property of an input", field(maxLength=5, isMultiline=True), field(rows=5)),
    ("choices", choices(), field("ChoiceSet", choices=[{"title": "A"}])),
    ("toggle has a title", field("Toggle", title="x"), field("Toggle")),
    ("number's bounds", field("Number", min=1, max=5, value=2), field("Number", min="one")),
    ("selectAction", card({"type": "Container", "items": [], "selectAction": act()}), card({"type": "Container", "items": [], "selectAction": {"type": "Action.X"}})),
    ("refresh", refresh(userIds=users(2)), refresh(users=users(2))),
    ("userIds are texts", refresh(userIds=users(1)), refresh(userIds=[1])),
    ("refresh by Action.Execute", refresh(), card(TEXT, refresh={"action": {"type": "Action.Submit"}})),
    ("associatedInputs", acts(act(associatedInputs="none")), acts(act(associatedInputs="some"))),
]  # fmt: skip

# what the schema does not know
OURS: list[tuple[str, Any, Any]] = [
    ("fallback of an action", acts(act(fallback={"type": "Action.Submit", "title": "Go"})), acts(act(fallback={"type": "Action.Other"}))),
    ("a card is an object", card(TEXT), [card(TEXT)]),
    ("version at most 1.5", card(TEXT), {**card(TEXT), "version": "1.6"}),
    ("version there", card(TEXT), {"type": "AdaptiveCard", "body": [TEXT]}),
    ("Execute has a verb", acts(act()), acts({"type": "Action.Execute", "title": "Go"})),
    ("verb not empty", acts(act()), acts(act(verb=""))),
    ("data is an object", acts(act(data={"a": 1})), acts(act(data="text"))),
    ("Submit's data is an object", acts({"type": "Action.Submit", "data": {}}), acts({"type": "Action.Submit", "data": "x"})),
    ("60 userIds", refresh(userIds=users(60)), refresh(userIds=users(61))),
    ("userIds once each", refresh(userIds=users(2)), refresh(userIds=["29:a", "29:a"])),
    ("userIds are members' ids", refresh(userIds=["29:a"]), refresh(userIds=["kim@example.com"])),
    ("refresh has an action", refresh(), card(TEXT, refresh={"userIds": []})),
    ("6 buttons", acts(*[act()] * 6), acts(*[act()] * 7)),
    ("6 buttons of a set", card({"type": "ActionSet", "actions": [act()] * 6}), card({"type": "ActionSet", "actions": [act()] * 7})),
    ("more in the menu", acts(*[act()] * 6, act(mode="secondary")), acts(*[act()] * 6, act(mode="primary"))),
    ("input ids once", card(*field()["body"], {"type": "Input.Text", "id": "j"}), card(*field()["body"] * 2)),
    ("input ids once in inline cards", shows(*field()["body"]), card(*field()["body"], actions=shows(*field()["body"])["actions"])),
    ("action ids once", acts(act(id="a"), act(id="b")), acts(act(id="a"), act(id="a"))),
    ("a fallback may have the same id", acts(act(id="a", fallback={"type": "Action.Submit", "id": "a"})), acts(act(id="", fallback="drop"))),
    ("one level of inline cards", shows(TEXT), shows(TEXT, actions=shows(TEXT)["actions"])),
    ("no refresh in an inline card", shows(TEXT), shows(TEXT, refresh={"action": act()})),
    ("images by https", card({"type": "Image", "url": "https://x.example/a.png"}), card({"type": "Image", "url": "http://x.example/a.png"})),
    ("no other images", card({"type": "Image", "url": "https://x.example/a.png"}), card({"type": "Image", "url": "data:image/png;base64,AAAA"})),
    ("links by http", acts({"type": "Action.OpenUrl", "url": "http://x.example/a"}), acts({"type": "Action.OpenUrl", "url": "javascript:x"})),
    ("a required input says so", field(isRequired=True, label="l", errorMessage="e"), field(isRequired=True, label="l")),
    ("chosen is offered", choices(value="a"), choices(value="c")),
    ("several chosen", choices(value="a,b", isMultiSelect=True), choices(value="a,b")),
    ("an inline card's button has a title", shows(TEXT), acts({"type": "Action.ShowCard", "card": card(TEXT)})),
    ("selectAction shows no card", card({"type": "Container", "items": [], "selectAction": act()}), card({"type": "Container", "items": [], "selectAction": shows()["actions"][0]})),
    ("type of a fact", card({"type": "FactSet", "facts": [{"type": "Fact", "title": "a", "value": "b"}]}), card({"type": "FactSet", "facts": [{"type": "Row", "title": "a", "value": "b"}]})),
    ("an action is an object", card({"type": "Container", "items": [], "selectAction": act()}), card({"type": "Container", "items": [], "selectAction": "go"})),
    ("an inline card is an object", shows(TEXT), acts({"type": "Action.ShowCard", "title": "More", "card": "x"})),
    ("inlines are a list", card({"type": "RichTextBlock", "inlines": []}), card({"type": "RichTextBlock", "inlines": "x"})),
    ("inlines are runs", card({"type": "RichTextBlock", "inlines": ["x"]}), card({"type": "RichTextBlock", "inlines": [5]})),
    ("something is toggled", acts({"type": "Action.ToggleVisibility", "targetElements": ["a"]}), acts({"type": "Action.ToggleVisibility", "targetElements": []})),
    ("elements are toggled", acts({"type": "Action.ToggleVisibility", "targetElements": [{"elementId": "a"}]}), acts({"type": "Action.ToggleVisibility", "targetElements": [5]})),
    ("msteams", card(TEXT, msteams={"width": "Full", "entities": []}), card(TEXT, msteams={"height": "Full"})),
    ("msteams width", card(TEXT, msteams={"width": "Full"}), card(TEXT, msteams={"width": "full"})),
]  # fmt: skip


@pytest.mark.parametrize(("good", "bad"), [pytest.param(g, b, id=name) for name, g, b in SCHEMA + OURS])
def test_a_rule_lets_one_card_through_and_not_the_other(good: Any, bad: Any) -> None:
    assert card_problems(good) == []
    assert card_problems(bad)


@pytest.mark.parametrize("action", [act(), act(fallback={"type": "Action.Submit", "title": "Go"})])
def test_a_dialog_has_no_execute(action: Json) -> None:
    assert card_problems(acts({"type": "Action.Submit", "title": "Go"}), dialog=True) == []
    assert card_problems(acts(action), dialog=True)


@pytest.mark.skipif(not SCHEMA_FILE.exists(), reason="HOLDPOINT_PEERS names no folder with the Adaptive Card schema")
@pytest.mark.parametrize(("name", "good", "bad"), [pytest.param(*row, id=row[0]) for row in SCHEMA + OURS])
def test_the_published_schema_agrees(name: str, good: Json, bad: Any) -> None:
    assert schema_problems(good) == []
    if name in {row[0] for row in SCHEMA}:
        assert schema_problems(bad)

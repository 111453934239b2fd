"""What Teams would not show as it is written: markdown, dates, mentions. In TextBlocks, facts, toggles, choices, text.

https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-format: bold, italic, lists and links in
cards; ``{{DATE(…)}}`` and ``{{TIME(…)}}`` are replaced. A RichTextBlock, a button and a field show what is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.fakes.teams.things import Json

RULES: Mapping[str, re.Pattern[str]] = {
    "link": re.compile(r"(?<!\\)\[(?:[^\]\\]|\\.)*\]\((?:[^)\\]|\\.)*\)"),
    "bold": re.compile(r"(?<!\\)(\*\*|__)(?=\S).+?(?<=[^\s\\])\1"),
    "italic": re.compile(r"(?<![\\*_\w])([*_])(?=[^\s*_])[^*_\n]*?(?<=[^\s\\*_])\1(?![\w*_])"),
    "list": re.compile(r"(?m)^[ \t]*(?:[-*+]|\d+[.)])[ \t]+\S"),
    "heading": re.compile(r"(?m)^[ \t]*#{1,6}[ \t]+\S"),
    "code": re.compile(r"(?<!\\)`[^`\n]+`"),
    "quote": re.compile(r"(?m)^[ \t]*>[ \t]*\S"),
    "date": re.compile(r"\{\{(?:DATE|TIME)\("),
    "entity": re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{1,6}|#x[0-9a-fA-F]{1,5});"),
    "tag": re.compile(r"</?[a-zA-Z][^>\n]*>"),
}


def markup_of(card: Json | None, activity: Json | None = None) -> list[str]:
    """``<rule>: <what>`` for everything in the card, and in the activity's text, that is not shown as it is written."""
    texts = list(_formatted(card)) if card else []
    if activity and activity.get("text") and activity.get("textFormat", "markdown") != "plain":
        texts.append(str(activity["text"]))
    return [f"{rule}: {hit[0]}" for text in texts for rule, pattern in RULES.items() for hit in pattern.finditer(text)]


def _formatted(thing: Any) -> Iterator[str]:
    """The texts in which Teams looks for markdown."""
    if isinstance(thing, list):
        for each in thing:
            yield from _formatted(each)
    elif isinstance(thing, dict):
        match thing.get("type"):
            case "TextBlock":
                yield str(thing.get("text", ""))
            case "Input.Toggle":
                yield str(thing.get("title", ""))
            case "FactSet":
                yield from (str(fact.get(name, "")) for fact in thing["facts"] for name in ("title", "value"))
            case "Input.ChoiceSet":
                yield from (str(choice.get("title", "")) for choice in thing["choices"])
            case _:
                walked = (
                    value for name, value in thing.items() if name not in {"data", "fallback", "refresh", "msteams"}
                )
                yield from _formatted(list(walked))

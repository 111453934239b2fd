"""Cards with a word on top, and dialogs that come back with what was typed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.inputs import PART, REASON, TEXT
from bot.teams.elements import ENVELOPE_BYTES, MOST_BYTES, Card, load, size_bytes, words
from bot.teams.render import notice_card
from bot.units import clip

_MOST_NOTE = 500
_LABELS = {REASON: "Reason", TEXT: "Your text"}


def noted(card: Card, sentence: str, url: str = "") -> Card:
    """``card`` below what there is to say, with where they confirm that it is them; as it is where that is nothing."""
    if not sentence.strip():
        return card
    return {**card, "body": [*notice_card(clip(sentence, _MOST_NOTE).splitlines(), url)["body"], *card["body"]]}


def reopened(dialog: Card, data: Mapping[str, Any], given: Mapping[str, str], sentence: str) -> Card:
    """``dialog`` as somebody sent it with ``data``, with what they typed and chose, below what was wrong with it.

    It still decides on the text that was shown to them, whatever is held by now.
    """
    body = [_filled(element, given) for element in dialog["body"]]
    actions = [
        {**action, "data": {**action["data"], "hold": data.get("hold")}} if "data" in action else action
        for action in dialog["actions"]
    ]
    return noted({**dialog, "body": body, "actions": actions}, sentence)


def again_dialog(data: Mapping[str, Any], given: Mapping[str, str], *, verb: str, sentence: str) -> Card:
    """The same where nothing can be looked up: what was typed, and a button that sends all of it once more."""
    typed = {name: text for name, text in given.items() if name in _LABELS or name.startswith(PART)}
    fields = [{"id": name, "label": _LABELS.get(name, "Text"), "text": text} for name, text in typed.items()]
    kept = {name: value for name, value in given.items() if name not in typed}
    return load(
        "again", note=words(clip(sentence, _MOST_NOTE), "bold"), fields=fields,
        data={**kept, "verb": verb, "hold": str(data.get("hold", ""))},
    )  # fmt: skip


def fits(card: Card) -> bool:
    """Whether Teams takes it in an answer: what somebody typed has no end."""
    return size_bytes(card) <= MOST_BYTES - ENVELOPE_BYTES


def _filled(element: Card, given: Mapping[str, str]) -> Card:
    """An input with what was given to it; a list keeps its own choice where it does not offer that."""
    value, offered = given.get(str(element.get("id"))), element.get("choices")
    if value is None or (offered is not None and value not in {choice["value"] for choice in offered}):
        return element
    return {**element, "value": value}

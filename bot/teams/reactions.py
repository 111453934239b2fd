"""What a click comes to, and how that is put for Teams: the answers to invokes.

https://learn.microsoft.com/adaptive-cards/authoring-cards/universal-action-model, "Response format", and
https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/task-modules/task-modules-bots. Whoever clicked
sees the answer, and nobody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, assert_never

Body = Mapping[str, Any]

CARD = "application/vnd.microsoft.card.adaptive"
_MESSAGE = "application/vnd.microsoft.activity.message"
_ERROR = "application/vnd.microsoft.error"


@dataclass(frozen=True, slots=True)
class Showed:
    """A card in the place of the clicked one."""

    card: Body


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence; the card stays, a dialog closes with it."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Failed:
    """An error of ours. Teams shows that there was one, and perhaps the sentence; old clients are told it."""

    sentence: str
    status: int = 500


@dataclass(frozen=True, slots=True)
class Opened:
    """A dialog with a card in it: the first one, or the next in its place. Sizes are Teams' words."""

    title: str
    card: Body
    height: str = "large"
    width: str = "medium"


@dataclass(frozen=True, slots=True)
class Closed:
    """The dialog closes without a word."""


Reaction: TypeAlias = Showed | Said | Failed
Dialog: TypeAlias = Opened | Said | Closed


def invoke_body(reaction: Reaction) -> Body:
    """The answer to ``adaptiveCard/action``."""
    match reaction:
        case Showed():
            return {"statusCode": 200, "type": CARD, "value": reaction.card}
        case Said():
            return {"statusCode": 200, "type": _MESSAGE, "value": reaction.sentence}
        case Failed():
            code = "BadRequest" if reaction.status == 400 else "InternalServerError"
            error = {"code": code, "message": reaction.sentence}
            return {"statusCode": reaction.status, "type": _ERROR, "value": error}
        case _:
            assert_never(reaction)


def dialog_body(dialog: Dialog) -> Body | None:
    """The answer to ``task/fetch`` and ``task/submit``; None closes the dialog."""
    match dialog:
        case Opened():
            content = {"contentType": CARD, "content": dialog.card}
            task = {"title": dialog.title, "height": dialog.height, "width": dialog.width, "card": content}
            return {"task": {"type": "continue", "value": task}}
        case Said():
            return {"task": {"type": "message", "value": dialog.sentence}}
        case Closed():
            return None
        case _:
            assert_never(dialog)
